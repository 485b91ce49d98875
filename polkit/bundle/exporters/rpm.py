"""RPM: one spec for all releases, with the distribution's macros, and a package for each release where rpmbuild is.

After Fedora's guidelines for a policy of one's own (fedoraproject.org/wiki/SELinux/IndependentPolicy).
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polkit.bundle.exporters.frame import Exported, Exporter, Shipment
from polkit.bundle.exporters.releases import (
    NO_MODULE,
    RPM,
    Release,
    in_family,
    needs_container_policy,
    one_line,
    package_name,
    package_time,
    paragraphs,
    releases,
)
from polkit.bundle.exporters.texts import rendered
from polkit.bundle.project import Project
from polkit.bundle.sides import booleans_of, own_types, ports_of
from polkit.bundle.targets import TargetBuild
from polkit.errors import CompileError, MissingDependency, UsageError
from polkit.module import PRIORITY, find_tool, run_tool

MACROS = "macros.selinux"
_LONGEST_SUMMARY = 79
_UNEXPANDED = re.compile(r"%\{[^}\n]*\}?|%_?selinux_\w+")


def check(project: Project) -> None:
    """Raise UsageError where a project has no target that packages can be built for."""
    releases(project, RPM)


def export(shipment: Shipment) -> Exported:
    """The spec, macros for a host that has none of its own, and what rpmlint may say."""
    project, module = shipment.project, shipment.project.config.module
    targets = in_family(shipment, RPM)
    if not targets:
        return Exported({}, (NO_MODULE,))
    package = package_name(project.name)
    summary = one_line(module.summary, _LONGEST_SUMMARY) or f"SELinux policy module {project.name}"
    interface = f"source/{project.name}.if"
    text = rendered(
        "rpm.spec.j2",
        name=project.name,
        package=package,
        version=project.version,
        priority=PRIORITY,
        top=shipment.top,
        archive=shipment.archive,
        known=any(release.system for _, release in targets),
        targets=[_facts(project, build, release) for build, release in targets],
        ports=any(ports_of(build) for build, _ in targets),
        interface=interface if interface in shipment.files else "",
        summary=_escaped(summary[:1].upper() + summary[1:]),
        license=_escaped(module.license or "NOASSERTION"),
        vendor=_escaped(module.vendor),
        packager=_escaped(module.contact or module.vendor or project.name),
        description=_escaped("\n\n".join(paragraphs(shipment, [build for build, _ in targets]))),
        date=time.strftime("%a %b %d %Y", time.gmtime(package_time(shipment))),
    )
    notes = () if module.license else ("polkit.toml names no license; the package says NOASSERTION",)
    others = {MACROS: rendered(f"{MACROS}.j2"), f"{package}-rpmlintrc": rendered("rpmlintrc.j2", package=package)}
    texts = {f"{package}.spec": text, **others}
    return Exported({name: content.encode("utf-8") for name, content in texts.items()}, notes)


def build(shipment: Shipment, texts: Mapping[str, bytes], archive: Path) -> Exported:
    """A package for each release. None, and a note, where there is no rpmbuild. Raises CompileError."""
    if not texts:
        return Exported({})
    try:
        find_tool("rpmbuild")
    except MissingDependency:
        return Exported({}, ("rpmbuild is not installed: a spec, and no package",))
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="polkit-", dir=_plain_place()) as scratch:
        place = Path(scratch)
        for name, content in texts.items():
            (place / name).write_bytes(content)
        shutil.copyfile(archive, place / archive.name)
        home = Path(os.environ.get("HOME") or "/")
        stood_in = not _has_macros(place, home)
        if stood_in:
            # Not by --load: rpmbuild of rpm 4.20 forgets what was loaded so when it comes to BuildArch.
            home = place
            (place / ".rpmmacros").write_bytes(texts[MACROS])
        for target, release in in_family(shipment, RPM):
            name = _file_name(shipment.project, target.name, release)
            files[name] = _built(place, name, _defines(shipment, target, release), home, package_time(shipment))
    note = f"rpmbuild here has no macros for SELinux modules; those of {MACROS} stood in for them"
    return Exported(files, (note,) if stood_in else ())


def _plain_place() -> str:
    """A directory for temporary files whose path rpmbuild takes: its scripts do not quote it, and % is a macro's."""
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if re.fullmatch(r"[A-Za-z0-9/._+-]+", place) and os.access(place, os.W_OK):
            return place
    hint = "set TMPDIR to a path without odd characters"
    raise UsageError(f"rpmbuild can't work below {tempfile.gettempdir()}", hint)


def _file_name(project: Project, target: str, release: Release) -> str:
    return f"{package_name(project.name)}-{project.version}-1.{release.tag(target)}.noarch.rpm"


def _facts(project: Project, build: TargetBuild, release: Release) -> dict[str, Any]:
    """What the spec has to know of one target."""
    macro = {"rhel": "rhel", "fedora": "fedora"}.get(release.system)
    condition = ""
    if macro is not None:
        condition = f"0%{{?{macro}}} == {release.number}" if release.number else f"0%{{?{macro}}}"
    return {
        "name": build.name,
        "condition": condition,
        "suffix": "pp.bz2" if build.suffix == ".pp" else build.suffix[1:],
        "types": [name.replace(".", "[.]") for name in own_types(build)],
        "booleans": [f"{name}={int(value)}" for name, value in booleans_of(build)],
        "ports": [f"{one.protocol}:{one.number}:{one.type}" for one in ports_of(build)],
        "policy_package": project.config.targets[build.name].policy_package,
        "container_policy": needs_container_policy(build),
    }


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _has_macros(place: Path, home: Path) -> bool:
    """Whether rpm here knows any of the distribution's macros; then all are taken from there."""
    asked = "%{?selinux_modules_install:yes}%{?selinux_requires:yes}"
    run = run_tool([*_environment(home, 0), "rpm", "--eval", asked], place)
    return "yes" in run.output


def _environment(home: Path, epoch: int) -> list[str]:
    """``home`` is where rpm looks for macros of the user."""
    return ["env", f"HOME={home}", f"SOURCE_DATE_EPOCH={epoch}"]


def _defines(shipment: Shipment, target: TargetBuild, release: Release) -> dict[str, str]:
    """What makes a package the same wherever it is built, and for a release that is not this one."""
    named = {release.system: release.number} if release.system and release.number else {}
    return {
        **named,
        "bundle_target": target.name,
        "dist": f".{release.tag(target.name)}",
        "_prefix": "/usr",
        "_datadir": "/usr/share",
        "_docdir": "/usr/share/doc",
        "_sharedstatedir": "/var/lib",
        "_buildhost": "localhost",
        "_rpmfilename": "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm",
        "_binary_payload": "w9.gzdio",
        "_source_filedigest_algorithm": "8",
        "_binary_filedigest_algorithm": "8",
        "use_source_date_epoch_as_buildtime": "1",
        "clamp_mtime_to_source_date_epoch": "1",
        "__os_install_post": "%{nil}",
        "debug_package": "%{nil}",
    }


def _built(place: Path, name: str, defines: Mapping[str, str], home: Path, epoch: int) -> bytes:
    top = place / f"build-{name}"
    top.mkdir()
    given = {**defines, "_topdir": str(top), "_tmppath": str(top), "_sourcedir": str(place)}
    words = [word for key, value in given.items() for word in ("--define", f"{key} {value}")]
    (spec,) = place.glob("*.spec")
    command = ["rpmbuild", "-bb", "--quiet", "--nodeps", *words, spec.name]
    run = run_tool([*_environment(home, epoch), *command], place, seconds=300)
    package = top / "RPMS" / name
    if run.status != 0 or not package.is_file():
        raise CompileError(f"rpmbuild does not build {name}", run.output)
    said = run_tool(["rpm", "-qp", "--nosignature", "--scripts", "--requires", str(package)], place).output
    left = _UNEXPANDED.search(said)
    if left is not None:
        raise CompileError(f"{name}: the macro {left[0]} is not defined here, and stands in it as it is", said)
    return package.read_bytes()


EXPORTER = Exporter("RPM spec, and a package for each release where rpmbuild is installed", export, build, check)
