"""deb: the scripts of the bundle as maintainer scripts, the module as it was built on Debian's or Ubuntu's own policy.

A package is put together by ``build.sh``, which is part of the bundle; dpkg-deb does it in one step. There is no source
package: nothing is compiled.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from polkit.bundle.exporters.frame import Exported, Exporter, Shipment
from polkit.bundle.exporters.releases import (
    DEB,
    NO_MODULE,
    Release,
    in_family,
    package_name,
    package_time,
    paragraphs,
    releases,
)
from polkit.bundle.exporters.texts import rendered
from polkit.bundle.project import Project
from polkit.bundle.targets import TargetBuild
from polkit.errors import CompileError, MissingDependency
from polkit.module import PRIORITY, find_tool, run_tool

STORE = "default"
"""The policy that Debian and Ubuntu run on a server; the package of it is called so, too."""
_COMMON = {
    "Apache-2.0": "Apache-2.0",
    "BSD-3-Clause": "BSD",
    "CC0-1.0": "CC0-1.0",
    "MPL-2.0": "MPL-2.0",
    **{
        f"{kind}-{number}{which}": f"{kind}-{number.replace('.0', '')}"
        for kind, numbers in (("GPL", ("1.0", "2.0", "3.0")), ("LGPL", ("2.0", "2.1", "3.0")))
        for number in numbers
        for which in ("-only", "-or-later")
    },
}
"""Licenses whose text is in Debian's /usr/share/common-licenses (Debian Policy 12.5)."""
_WORD = re.compile(r"[A-Za-z0-9.+-]+")
_NO_CONTACT = "polkit.toml names no contact; the Debian package's maintainer has an address that reaches nobody"


def check(project: Project) -> None:
    """Raise UsageError where a project has no target that packages can be built for."""
    releases(project, DEB)


def export(shipment: Shipment) -> Exported:
    """For each target what ``dpkg-deb`` needs besides the bundle, and the script that runs it."""
    found = in_family(shipment, DEB)
    files = {
        f"{build.name}/{name}": text.encode("utf-8")
        for build, release in found
        for name, text in _texts(shipment, build, release).items()
    }
    if not found:
        return Exported({}, (NO_MODULE,))
    return Exported(files, () if shipment.project.config.module.contact else (_NO_CONTACT,))


def build(shipment: Shipment, texts: Mapping[str, bytes], archive: Path) -> Exported:
    """A package for each target. None, and a note, where there is no dpkg-deb. Raises CompileError."""
    if not texts:
        return Exported({})
    try:
        find_tool("dpkg-deb")
    except MissingDependency:
        return Exported({}, ("dpkg-deb is not installed: no package; build.sh makes it where it is",))
    files: dict[str, bytes] = {}
    bundle = archive.parent.absolute() / shipment.top
    with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
        place = Path(scratch)
        for target, release in in_family(shipment, DEB):
            name = _file_name(shipment.project, target.name, release)
            script = bundle / "export/deb" / target.name / "build.sh"
            run = run_tool(["sh", str(script), str(place)], place, seconds=300)
            if run.status != 0:
                raise CompileError(f"dpkg-deb does not build {name}", run.output)
            files[name] = (place / name).read_bytes()
    return Exported(files)


def _texts(shipment: Shipment, build: TargetBuild, release: Release) -> dict[str, str]:
    project, module = shipment.project, shipment.project.config.module
    values = {
        "name": project.name,
        "package": _package(project),
        "version": _version(project, build.name, release),
        "released": project.version,
        "target": build.name,
        "store": STORE,
        "priority": PRIORITY,
        "time": package_time(shipment),
        "suffix": "pp.bz2" if build.suffix == ".pp" else build.suffix[1:],
        "file_name": _file_name(project, build.name, release),
        "policy_package": project.config.targets[build.name].policy_package or "",
        "vendor": module.vendor or module.contact or "not stated",
        "year": time.gmtime(shipment.epoch).tm_year if shipment.epoch else "",
        "license": module.license or "not stated",
        "license_files": sorted({_COMMON[one] for one in _WORD.findall(module.license) if one in _COMMON}),
        "maintainer": module.contact or f"{_person(module.vendor or project.name)} <nobody@example.invalid>",
        "date": time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(package_time(shipment))),
        "description": _described(paragraphs(shipment, [build])),
    }
    templates = ("build.sh", "control", "postinst", "prerm", "copyright", "changelog", "lintian-overrides")
    return {name: rendered(f"deb-{name}.j2", **values) for name in templates}


def _described(texts: tuple[str, ...]) -> str:
    """An extended description: each line after a blank, a full stop for an empty one (deb-control(5))."""
    lines = "\n\n".join(texts).split("\n")
    return "\n".join(f" {line.lstrip() or '.'}" for line in lines)


def _person(name: str) -> str:
    """A name that may stand before an address."""
    return " ".join(re.sub(r'[<>@,;:"()\[\]\\]', " ", name).split()) or "nobody"


def _package(project: Project) -> str:
    """Debian's names hold no underline."""
    return package_name(project.name.replace("_", "-"))


def _version(project: Project, target: str, release: Release) -> str:
    """The module is another for each release, so the package's version is, too."""
    return f"{project.version}-1+{release.tag(target).replace('_', '.')}"


def _file_name(project: Project, target: str, release: Release) -> str:
    return f"{_package(project)}_{_version(project, target, release)}_all.deb"


EXPORTER = Exporter("Debian package of the bundle's scripts and module", export, build, check)
