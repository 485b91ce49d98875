"""The sections of polkit.toml. Each field is a key; its ``meaning`` is what the documentation and the schema say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Optional

RISK_LEVELS = ("none", "low", "medium", "high")
"""The words of ``max_risk``, mildest first (the risks of a plan)."""


CONTAINER_DOMAINS = (
    "container_t",
    "container_init_t",
    "container_userns_t",
    "container_kvm_t",
    "container_device_t",
    "container_device_plugin_t",
    "container_device_plugin_init_t",
    "container_logreader_t",
    "container_logwriter_t",
)
"""The confined domains of container-selinux and reference policy that engines start containers in; of those that a
policy doesn't have, nothing is inherited."""


def _key(
    meaning: str,
    default: Any = None,
    choices: tuple[str, ...] = (),
    least: Optional[float] = None,
    word: str = "",
    rows: Optional[type] = None,
) -> Any:
    """A key of a section with its meaning and its limits. ``word``: what it is called in the file, where Python can't;
    ``rows``: it stands for sections of this kind, one after the other."""
    limits = {"choices": choices, "least": least}
    return field(default=default, metadata={"meaning": meaning, **limits, "word": word, "rows": rows})


def key_word(key: Field[Any]) -> str:
    """What a key is called in the file."""
    return key.metadata["word"] or key.name


@dataclass(frozen=True)
class Module:
    """What the module is called and who stands behind it."""

    name: Optional[str] = _key("Name of the module: small letters, digits, `_` and `-`, a letter first, at most 64.")
    version: str = _key("Version of the module: `major.minor.patch` in digits.", default="1.0.0")
    summary: str = _key("One line that says what the module confines.", default="")
    vendor: str = _key("Who ships it.", default="")
    license: str = _key("SPDX expression for the module's text.", default="")
    contact: str = _key("Who answers for packages, `Name <address>`: maintainer of the Debian package.", default="")


@dataclass(frozen=True)
class Minimize:
    """How denials become rules."""

    bases: tuple[str, ...] = _key(
        "Domains that a domain of the module's own may inherit from.", default=CONTAINER_DOMAINS
    )
    shared_domains: tuple[str, ...] = _key(
        "Domains that count as shared by unrelated workloads, besides those the policy tells.", default=()
    )
    accept: tuple[str, ...] = _key("Ids of risks to accept (as `--accept`).", default=())
    booleans: Optional[str] = _key("File with the host's `getsebool -a`, relative to this file.")
    mounts: tuple[str, ...] = _key("Paths mapped into the container, each `HOST:CTR` (as `--mount`).", default=())
    include_dontaudited: bool = _key("Write rules for what a dontaudit rule silences, too.", default=False)


@dataclass(frozen=True)
class EvidenceShown:
    """How the evidence goes out with a bundle."""

    redact: bool = _key(
        "Hosts, programs, command lines and paths under other names (as `--redact-evidence`).", default=False
    )


@dataclass(frozen=True)
class Target:
    """A policy the module is built for."""

    policydb: Optional[int] = _key(
        "Module format for `checkmodule -c`; 19, which RHEL 7 and later read, when absent.", least=4
    )
    policy: Optional[str] = _key("Binary policy, relative to this file.")
    store: Optional[str] = _key("Root of a module store (`etc/selinux`, `var/lib/selinux`), relative to this file.")
    rewrite: tuple[str, ...] = _key(
        "Paths called otherwise there, each `FROM:TO` (`/run:/var/run`), besides those of `file_contexts.subs_dist`.",
        default=(),
    )
    release: Optional[str] = _key(
        "Which release it is, where its name does not say so: `el9`, `fedora42`, `debian12`, `ubuntu24.04`. "
        "Packages are built for it."
    )
    policy_package: Optional[str] = _key(
        "Version of the distribution's policy package there (`38.1.35-2.el9`); packages then ask for at least this."
    )


@dataclass(frozen=True)
class Forbid:
    """Accesses that a module may not grant. What is left out stands for any; one of source, target, class and perms
    must be there."""

    title: str = _key("What reports call the gate.", default="", word="name")
    source: tuple[str, ...] = _key("Types, or attributes, that may not be given it.", default=())
    target: tuple[str, ...] = _key("Types, or attributes, of what it is on.", default=())
    classes: tuple[str, ...] = _key("Classes of what it is on.", default=(), word="class")
    perms: tuple[str, ...] = _key("Permissions.", default=())
    besides: tuple[str, ...] = _key("Types, or attributes, that may be given it.", default=(), word="except")


@dataclass(frozen=True)
class Denied:
    """An access that the policy must still refuse with the module; `rehearse` asks that of the policy that it boots,
    and tries it where it can."""

    title: str = _key("What reports call it.", default="", word="name")
    source: tuple[str, ...] = _key("Types, or attributes, that are refused it.", default=())
    target: tuple[str, ...] = _key("Types, or attributes, of what it is on.", default=())
    path: str = _key("Instead of a target: what the file contexts say of this path.", default="")
    tclass: str = _key("Class of what it is on.", default="", word="class")
    perms: tuple[str, ...] = _key("Permissions, each of them refused.", default=())
    besides: tuple[str, ...] = _key("Types, or attributes, among the sources that may.", default=(), word="except")


@dataclass(frozen=True)
class Gates:
    """What a module must keep to; a breach ends with exit code 1."""

    max_over_permission: Optional[float] = _key(
        "Most accesses newly allowed that no evidence asks for; unlimited when absent.", least=0
    )
    max_risk: Optional[str] = _key("Worst risk a decision may have.", choices=RISK_LEVELS)
    forbid_rules_on: tuple[str, ...] = _key("Types that no rule may be written on.", default=())
    no_new_grants_to_shared: bool = _key(
        "No rule may be for a domain that unrelated workloads share (`container_t`, `init_t`).", default=False
    )
    forbid: tuple[Forbid, ...] = _key("Accesses that a module may not grant.", default=(), rows=Forbid)
    denied: tuple[Denied, ...] = _key("Accesses that must still be refused.", default=(), rows=Denied)


@dataclass(frozen=True)
class Review:
    """What a review looks at beside the module, and what counts there."""

    flow_weight: int = _key(
        "Least weight of a permission, 1 to 10 as in setools' permission map, through which information counts as "
        "flowing between zones. From 8 on it is what a file holds; below, its size and times, too.",
        default=8,
        least=1,
    )
    flow_exclude: tuple[str, ...] = _key(
        "Types and attributes through which no flow between zones is followed, besides domains that the module gives "
        "nothing and what nearly all domains read and write.",
        default=(),
    )


@dataclass(frozen=True)
class Zone:
    """Types of one confidentiality; information that newly flows to a zone of a lower level is a finding."""

    level: int = _key("How confidential: a flow from a higher to a lower level is one too many.", default=0)
    types: tuple[str, ...] = _key("The types, or attributes, of the zone.", default=())


@dataclass(frozen=True)
class Config:
    """All of polkit.toml; every section and key has a default. ``path`` is None where there was no file."""

    module: Module = field(default_factory=Module)
    minimize: Minimize = field(default_factory=Minimize)
    targets: Mapping[str, Target] = field(default_factory=lambda: MappingProxyType({}))
    gates: Gates = field(default_factory=Gates)
    evidence: EvidenceShown = field(default_factory=EvidenceShown)
    review: Review = field(default_factory=Review)
    zones: Mapping[str, Zone] = field(default_factory=lambda: MappingProxyType({}))
    """``[review.zones.NAME]``, by name."""
    severities: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """``[review.severity]``: from the id of a finding to how grave it is in this project."""
    path: Optional[str] = None

    def beside(self, path: str) -> Path:
        """A path that this file names, as seen from the current directory."""
        return Path(self.path or ".").parent / path


SECTIONS: Mapping[str, type] = MappingProxyType(
    {
        "module": Module,
        "minimize": Minimize,
        "targets": Target,
        "gates": Gates,
        "evidence": EvidenceShown,
        "review": Review,
    }
)
"""The sections by name; ``[targets.NAME]`` may stand once for each target."""
FINDING_SEVERITIES = ("info", "low", "medium", "high")
"""How grave a finding may be, mildest first."""
