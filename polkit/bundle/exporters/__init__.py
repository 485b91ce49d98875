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
from polkit.files import write_whole

__all__ = ["EXPORTERS", "PLACE", "Exported", "Exporter", "Shipment", "check_exports", "export", "write_packages"]

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


def check_exports(named: Iterable[str], project: Project) -> tuple[str, ...]:
    """The exporters that are asked for (each word may be a list with commas), each once, in the table's order.

    Raises UsageError for an unknown one and for a project that one of them can't export.
    """
    asked = {word.strip() for text in named for word in text.split(",")} - {""}
    unknown = sorted(asked - set(EXPORTERS))
    if unknown:
        raise UsageError(f"--for {unknown[0][:40]!r} is none of {', '.join(EXPORTERS)}")
    names = tuple(name for name in EXPORTERS if name in asked)
    for name in names:
        check = EXPORTERS[name].check
        if check is not None:
            check(project)
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


def write_packages(
    names: Iterable[str], shipment: Shipment, exported: Exported, archive: Path, force: bool
) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """Build the packages of all that are asked for and have any, and write them beside the archive; the notes on them
    and their paths. One that is there already stays, where it is the same. Raises CompileError, UsageError for another
    one that is there (unless ``force``), SourceError."""
    built = _build_packages(names, shipment, exported, archive)
    paths = {archive.with_name(name): content for name, content in sorted(built.files.items())}
    for path, content in paths.items():
        if path.exists() and not force and path.read_bytes() != content:
            raise UsageError(f"{path} exists and is another package", "remove it, or overwrite with --force")
    for path, content in paths.items():
        write_whole(path, (content,))
    return built.notes, tuple(paths)


def _build_packages(names: Iterable[str], shipment: Shipment, exported: Exported, archive: Path) -> Exported:
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
