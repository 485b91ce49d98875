"""What of a target's module concerns whoever starts a container in it: its domain, a level, mounts and device nodes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Callable, NamedTuple, Optional

from polkit.bundle.exporters.frame import Exported, Shipment
from polkit.bundle.paths import entries, places
from polkit.bundle.sides import Rule, domain_of, rules_of
from polkit.bundle.targets import TargetBuild
from polkit.minimize import parse_mount
from polkit.model import SELF

_WRITING = frozenset(
    ["add_name", "append", "create", "link", "remove_name", "rename", "reparent", "rmdir", "setattr", "unlink", "write"]
)
_NETWORK_ATTRIBUTES = frozenset(("container_net_domain", "sandbox_net_domain"))
_NETWORK_SOCKETS = frozenset(("tcp_socket", "udp_socket"))
_NODE = re.compile(r"/dev/(?!.*\.\.)[A-Za-z0-9_./+-]{1,200}\Z")
_GIVEN = re.compile(
    r"/dev/(?:console|fd|full|null|ptmx|random|std(?:err|in|out)|tty|urandom|zero|(?:mqueue|pts|shm)/.*)\Z"
)
"""What every container has anyway (https://github.com/opencontainers/runtime-spec, config-linux, default devices)."""
_LABEL = re.compile(r"[^a-z0-9-]+")
_LONGEST_LABEL = 63


class Mounted(NamedTuple):
    """A mount that the project names. ``label``: the type that the module gives the host's path, or empty."""

    host: str
    container: str
    read_only: bool
    label: str


@dataclass(frozen=True)
class Workload:
    """``base`` is None for a domain that starts from nothing; ``level`` is None where the policy knows no levels;
    ``network``: it may make TCP or UDP sockets of its own; ``devices`` are the nodes that the evidence speaks of."""

    name: str
    version: str
    target: str
    domain: str
    base: Optional[str]
    level: Optional[str]
    network: bool
    mounts: tuple[Mounted, ...]
    devices: tuple[str, ...]

    @property
    def image(self) -> str:
        """Where the workload's image would be if it had this module's name: nothing says what it is called."""
        return f"localhost/{object_name(self.name)}:{self.version}"


def workload_of(shipment: Shipment, build: TargetBuild) -> Optional[Workload]:
    """What a target's workload is; None where it runs in no domain of the module's own."""
    found = domain_of(build)
    if found is None or build.package is None:
        return None
    domain, base = found
    project = shipment.project
    levels = build.info is None or build.info.mls
    return Workload(
        project.name,
        project.version,
        build.name,
        domain,
        base,
        level_of(project.name) if levels else None,
        _has_network(build, domain),
        tuple(_mounts(shipment, build, domain)),
        tuple(sorted(_devices(build))),
    )


def for_each_workload(
    shipment: Shipment, lacks: str, write: Callable[[Workload, TargetBuild], Mapping[str, bytes]]
) -> Exported:
    """What ``write`` gives for each target's workload, in a directory of the target's. ``lacks``: what a domain of the
    module's own is needed for, said of targets without one."""
    files: dict[str, bytes] = {}
    notes = []
    for build in shipment.modules:
        workload = workload_of(shipment, build)
        if workload is None:
            notes.append(f"{build.name}: the module has no domain of its own, which {lacks}")
        else:
            files.update({f"{build.name}/{path}": content for path, content in write(workload, build).items()})
    return Exported(files, tuple(notes))


def level_of(name: str) -> str:
    """A level with two categories that follow from the module's name: the same at every start, so that files which an
    engine labelled for it stay readable, and hardly ever another's (one pair in 523,776)."""
    number = int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:8], "big")
    first, second = sorted((number % 1024, (number % 1024 + 1 + number // 1024 % 1023) % 1024))
    return f"s0:c{first},c{second}"


def object_name(name: str) -> str:
    """A name as Kubernetes takes it (RFC 1123 label): ``vllm_cuda`` is ``vllm-cuda``."""
    return _LABEL.sub("-", name.lower())[:_LONGEST_LABEL].strip("-") or "module"


def _has_network(build: TargetBuild, domain: str) -> bool:
    joined = any(type_ == domain and attribute in _NETWORK_ATTRIBUTES for attribute, type_ in build.claims.joins)
    return joined or any(
        grant.kind == "allow"
        and (grant.source, grant.perm) == (domain, "create")
        and grant.target in (SELF, domain)
        and grant.tclass in _NETWORK_SOCKETS
        for grant in build.claims.grants
    )


def _mounts(shipment: Shipment, build: TargetBuild, domain: str) -> Iterator[Mounted]:
    """The project's mounts; one that the module labels is read-only where the domain may only read that label."""
    rules = rules_of(build)
    for mount in sorted({parse_mount(text) for text in shipment.project.config.minimize.mounts}):
        label = _label_of(build, mount.host)
        only_read = mount.read_only or (bool(label) and not _writes(rules, domain, label))
        yield Mounted(mount.host, mount.container, only_read, label)


def _writes(rules: tuple[Rule, ...], domain: str, label: str) -> bool:
    return any(
        rule.kind == "allow" and rule.source == domain and rule.target == label and _WRITING.intersection(rule.perms)
        for rule in rules
    )


def _label_of(build: TargetBuild, path: str) -> str:
    """The type that the module's file contexts give a host path and what is below, by the longest that covers it."""
    found = ("", "")
    for entry in entries(build.fc):
        for place in places(f"{entry.pattern} {entry.context}\n"):
            covers = place.kind == "tree" and (path == place.path or path.startswith(place.path.rstrip("/") + "/"))
            if (covers or (place.kind == "file" and path == place.path)) and len(place.path) >= len(found[0]):
                found = (place.path, entry.context.split(":")[2] if entry.context.count(":") > 1 else "")
    return found[1]


def _devices(build: TargetBuild) -> set[str]:
    """Device nodes that a container has to be given. A path of a log that is none by its characters is left out."""
    return {
        path
        for decision in (() if build.plan is None else build.plan.decisions)
        if decision.tclass in ("chr_file", "blk_file") and decision.remedy.kind != "refuse"
        for path in decision.evidence.paths
        if _NODE.match(path) and not _GIVEN.match(path)
    }
