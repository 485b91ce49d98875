"""Which release a target is, and what is said of it in packages."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from polkit.bundle.exporters.frame import Shipment
from polkit.bundle.project import Project
from polkit.bundle.sides import domain_of, needed_types
from polkit.bundle.targets import TargetBuild
from polkit.config import RELEASE, Target
from polkit.errors import UsageError

RPM, DEB = "rpm", "deb"
NO_MODULE = "no target that is such a release gets a module"
_FAMILIES = {"rhel": RPM, "fedora": RPM, "debian": DEB, "ubuntu": DEB}
_SYSTEMS = {
    **dict.fromkeys(("el", "rhel", "centos", "rocky", "almalinux", "ol"), "rhel"),
    **dict.fromkeys(("fedora", "fc", "f"), "fedora"),
    "debian": "debian",
    "ubuntu": "ubuntu",
}
_SHORT = {"rhel": "el", "fedora": "fc", "debian": "deb", "ubuntu": "ubuntu"}
FIRST_TIME = 789091200
"""3 January 1995. In a changelog rpm takes no year before 1990 (build/parseChangelog.c), and rpmlint none before 1995;
the time 0 is none to rpm; Debian's archive takes no file from before 1976 (lintian: package-contains-ancient-file)."""


@dataclass(frozen=True)
class Release:
    """A release: ``family`` is rpm or deb, ``system`` rhel, fedora, debian or ubuntu, all empty where it is not known.
    ``number`` is empty where any release of it is meant; those that call themselves after RHEL have its number."""

    family: str = ""
    system: str = ""
    number: str = ""

    def tag(self, target: str) -> str:
        """As the release's own packages name it in their versions (``el9``, ``fc42``, ``deb12``); where it is not
        known, after the target."""
        return f"{_SHORT[self.system]}{self.number}" if self.system else re.sub(r"[^A-Za-z0-9.]", "_", target)


def release_of(name: str, target: Target) -> Release:
    """What a target is, by its ``release`` or else its name."""
    match = RELEASE.match(target.release or name)
    if match is None:
        return Release()
    system, number = _SYSTEMS[match["system"]], match["number"] or ""
    if system in ("rhel", "fedora", "debian"):
        number = number.partition(".")[0]
    return Release(_FAMILIES[system], system, number)


def releases(project: Project, family: str) -> Mapping[str, Release]:
    """The targets that packages of ``family`` are built for: those of that family; where there are none, those of which
    nobody says what they are. Raises UsageError where there are none at all, and where two are the same release."""
    known = {name: release_of(name, target) for name, target in project.config.targets.items()}
    found = {name: one for name, one in known.items() if one.family == family}
    found = found or {name: one for name, one in known.items() if not one.family}
    if not found:
        example = "el9" if family == RPM else "debian12"
        raise UsageError(
            f"--for {family}: no target of {project.name} is such a release",
            f'write [targets.{example}] with its policy, or release = "{example}" for a target that has another name',
        )
    tags: dict[str, str] = {}
    for name, one in found.items():
        tag = one.tag(name)
        if tag in tags:
            raise UsageError(f"--for {family}: the targets {tags[tag]} and {name} are both {tag}")
        tags[tag] = name
    return found


def in_family(shipment: Shipment, family: str) -> tuple[tuple[TargetBuild, Release], ...]:
    """The targets with a module that packages of ``family`` are built for."""
    found = releases(shipment.project, family)
    return tuple((build, found[build.name]) for build in shipment.modules if build.name in found)


def package_name(name: str) -> str:
    """What the package of a module is called: as the distributions call theirs."""
    return name if name.endswith("-selinux") else f"{name}-selinux"


def package_time(shipment: Shipment) -> int:
    """The time of everything in a package: the bundle's, where that is not too early for the tools of packages."""
    return max(shipment.epoch, FIRST_TIME)


def needs_container_policy(build: TargetBuild) -> bool:
    """Whether a target's module stands on what comes with container-selinux: that calls its types and attributes so."""
    types, attributes, optional = needed_types(build)
    domain = domain_of(build)
    base = () if domain is None or domain[1] is None else (domain[1],)
    return any(name.startswith("container_") for name in (*types, *attributes, *optional, *base))


def paragraphs(shipment: Shipment, builds: Iterable[TargetBuild]) -> tuple[str, ...]:
    """What a package's description says, in wrapped paragraphs. No line begins with what rpm takes for its own."""
    module = shipment.project.config.module
    domains = sorted({found[0] for found in map(domain_of, builds) if found is not None})
    texts = [f"SELinux policy module {shipment.project.name}, installed at priority 200."]
    if module.summary:
        texts.append(f"What it confines: {module.summary}")
    if domains:
        texts.append(f"Workloads run in the domain {', '.join(domains)}.")
    return tuple(_wrapped(text) for text in texts)


def one_line(text: str, most: int) -> str:
    """A text as a summary: without the full stop, and cut after a word."""
    text = " ".join(text.split()).rstrip(". ")
    if len(text) <= most:
        return text
    cut = text[: most + 1].rpartition(" ")[0]
    return (cut or text[:most]).rstrip(".,;: ")


def _wrapped(text: str) -> str:
    held = text.replace(" %", "\0%").replace(" #", "\0#")
    return textwrap.fill(held, 76, break_long_words=False, break_on_hyphens=False).replace("\0", " ")
