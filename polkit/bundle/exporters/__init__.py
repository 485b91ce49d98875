"""A bundle in the forms that other tools install: one file for each, and one line in ``EXPORTERS``.

Texts lie in the bundle under ``export/NAME/`` and are in its manifest and sums; packages that a tool of the
distribution builds of them lie beside the archive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from polkit.bundle.exporters import ansible, deb, kubernetes, openshift, podman, rpm, udica
from polkit.bundle.exporters.frame import Exported, Exporter, Shipment
from polkit.bundle.project import Project
from polkit.errors import UsageError

__all__ = ["EXPORTERS", "PLACE", "Exported", "Exporter", "Shipment", "build_packages", "check_exports", "export"]

EXPORTERS: Mapping[str, Exporter] = {
    "rpm": rpm.EXPORTER,
    "deb": deb.EXPORTER,
    "ansible": ansible.EXPORTER,
    "kubernetes": kubernetes.EXPORTER,
    "openshift": openshift.EXPORTER,
    "podman": podman.EXPORTER,
    "udica": udica.EXPORTER,
}
"""By the word that ``--for`` takes."""
PLACE = "export"


def check_exports(named: Iterable[str], project: Project, place: Path, force: bool) -> tuple[str, ...]:
    """The exporters that are asked for (each word may be a list with commas), each once, in the table's order.

    Raises UsageError for an unknown one, a project that one of them can't export, and a package that is in ``place``
    already, unless ``force``.
    """
    asked = {word.strip() for text in named for word in text.split(",")} - {""}
    unknown = sorted(asked - set(EXPORTERS))
    if unknown:
        raise UsageError(f"--for {unknown[0][:40]!r} is none of {', '.join(EXPORTERS)}")
    names = tuple(name for name in EXPORTERS if name in asked)
    for name in names:
        check = EXPORTERS[name].check
        for package in () if check is None else check(project):
            if (place / package).exists() and not force:
                raise UsageError(f"{place / package} exists", "name another place with -o, or overwrite with --force")
    return names


def export(names: Iterable[str], shipment: Shipment) -> Exported:
    """The texts of all that are asked for, by their paths in the bundle."""
    files: dict[str, bytes] = {}
    notes: list[str] = []
    for name in names:
        found = EXPORTERS[name].export(shipment)
        files.update({f"{PLACE}/{name}/{path}": content for path, content in found.files.items()})
        notes.extend(f"{name}: {note}" for note in found.notes)
    return Exported(files, tuple(notes))


def build_packages(names: Iterable[str], shipment: Shipment, exported: Exported, archive: Path) -> Exported:
    """The packages of all that are asked for and have any, by their file names. Raises CompileError."""
    files: dict[str, bytes] = {}
    notes: list[str] = []
    for name in names:
        build, start = EXPORTERS[name].build, f"{PLACE}/{name}/"
        if build is None:
            continue
        texts = {path[len(start) :]: content for path, content in exported.files.items() if path.startswith(start)}
        found = build(shipment, texts, archive)
        files.update(found.files)
        notes.extend(f"{name}: {note}" for note in found.notes)
    return Exported(files, tuple(notes))
