"""Kubernetes: profiles for the Security Profiles Operator, and pods that run in them or in the module itself.

What the operator takes is read from its source, release 1.0 (https://github.com/kubernetes-sigs/
security-profiles-operator): ``internal/pkg/daemon/selinuxprofile/selinuxprofile.go`` and
``internal/pkg/translator/obj2cil.go`` for a ``SelinuxProfile``, and for a ``RawSelinuxProfile``
``api/selinuxprofile/v1/rawselinuxprofile_types.go``. A SelinuxProfile holds ``allow`` rules of its own domain and
nothing else. A RawSelinuxProfile holds CIL, but neither ``blockinherit`` nor ``roletype``, so it can't make a domain
that a container may run in: it stands beside the SelinuxProfile and says the rest. What neither takes (file contexts,
conditions) is listed in the files.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Optional

from polkit.bundle.exporters.block_cil import BlockParts, block_parts, port_commands, renamed, rule_lines
from polkit.bundle.exporters.frame import Exported, Exporter, Shipment
from polkit.bundle.exporters.workload import Workload, for_each_workload, object_name
from polkit.bundle.exporters.yaml_text import yaml_text
from polkit.bundle.paths import entries
from polkit.bundle.sides import Rule, ports_of
from polkit.bundle.targets import TargetBuild
from polkit.model import SELF

API = "security-profiles-operator.x-k8s.io/v1"
_DENIED = {
    "allowedTypes": frozenset(("kernel_t", "kmem_t", "security_t", "shadow_t")),
    "allowedClasses": frozenset(("capability", "capability2", "security", "system")),
    "allowedPermissions": frozenset(
        (
            "load_policy",
            "mac_admin",
            "mounton",
            "relabelfrom",
            "relabelto",
            "setbool",
            "setenforce",
            "setsecparam",
        )
    ),
}
"""What the operator refuses in a SelinuxProfile unless its options name it."""
_RESTRICTED = re.compile(
    r"[(](?:block(?:inherit|start)?|booleanif|category(?:order)?|class(?:map|mapping|order)?|context|dominance|filecon|"
    r"genfscon|level(?:range)?|mls|netifcon|nodecon|optional|policycap|portcon|role(?:type)?|sensitivity(?:order)?|"
    r"sid(?:context|order)?|tunable(?:if)?|typepermissive|user(?:role)?)(?![A-Za-z0-9_-])",
    re.IGNORECASE,
)
"""What the operator refuses in a RawSelinuxProfile wherever it follows a parenthesis, be it a class's name."""
_KINDS = {"": "a", "--": "f", "-d": "d", "-c": "c", "-b": "b", "-l": "l", "-p": "p", "-s": "s"}
"""As semanage-fcontext(8) calls the kinds of file_contexts(5)."""


@dataclass(frozen=True)
class _Shared:
    """A target's rules, by what can say them."""

    allow: tuple[Rule, ...]
    raw: tuple[Rule, ...]
    left_out: tuple[str, ...]


def export(shipment: Shipment) -> Exported:
    """For each target its profiles and pods, in a directory of its own."""
    return for_each_workload(shipment, "a profile is for", _files)


def _files(workload: Workload, build: TargetBuild) -> dict[str, bytes]:
    parts, profile = block_parts(build, True), object_name(workload.name)
    shared = _shared(parts)
    files = {
        "selinuxprofile.yaml": _profile(profile, workload, shared),
        "pod.yaml": _pod(workload, workload.domain, _POD_COMMENTS),
        "pod-with-profile.yaml": _pod(workload, f"{profile}.process", _PROFILE_POD_COMMENTS),
    }
    raw = _raw(profile, build, parts, shared)
    return files if raw is None else {**files, "rawselinuxprofile.yaml": raw}


def pod_object(workload: Workload, type_: str) -> dict[str, Any]:
    """A pod whose processes run as a type at the workload's level, with the project's mounts."""
    options = {"type": type_, **({"level": workload.level} if workload.level else {})}
    container: dict[str, Any] = {"name": object_name(workload.name), "image": workload.image}
    spec: dict[str, Any] = {"securityContext": {"seLinuxOptions": options}, "containers": [container]}
    if workload.mounts:
        container["volumeMounts"] = [
            {"name": f"mount-{number}", "mountPath": mount.container, "readOnly": mount.read_only}
            for number, mount in enumerate(workload.mounts, 1)
        ]
        spec["volumes"] = [
            {"name": f"mount-{number}", "hostPath": {"path": mount.host}}
            for number, mount in enumerate(workload.mounts, 1)
        ]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": object_name(workload.name)}, "spec": spec}


def device_comments(workload: Workload) -> Iterator[str]:
    """What to say of the device nodes that a pod needs, which no pod can name."""
    if workload.devices:
        yield "Its evidence speaks of these device nodes. A device plugin gives them to a pod (resources.limits):"
        yield from (f"  {node}" for node in workload.devices)


_POD_COMMENTS = (
    "For nodes that have the module itself installed: by its package, by Ansible or by a MachineConfig.",
    "Where the Pod Security Standards are enforced, a type of its own and hostPath need a `privileged` namespace.",
    "The level is of your choice: the same in pods that share a volume, another in pods that must not.",
    "The image is a placeholder.",
)
_PROFILE_POD_COMMENTS = (
    "For nodes on which the Security Profiles Operator put the profile; apply that first.",
    "The type as your release of the operator calls it: kubectl get selinuxprofile NAME -o jsonpath={.status.usage}",
    *_POD_COMMENTS[1:],
)


def _pod(workload: Workload, type_: str, comments: Iterable[str]) -> bytes:
    return yaml_text(pod_object(workload, type_), (*comments, *device_comments(workload)))


def _shared(parts: BlockParts) -> _Shared:
    """An allow rule on what an allowx rule narrows goes where that goes: without it, it would allow every command."""
    narrowed = {(rule.source, rule.target, rule.tclass) for rule in parts.rules if rule.kind == "allowx"}
    allow, raw, left_out = [], [], []
    for rule in parts.rules:
        key = (rule.source, rule.target, rule.tclass)
        if rule.condition:
            left_out.append(f"while {rule.condition}: {' '.join(rule_lines((rule,), {}))}")
        elif rule.kind != "allow" or rule.source != parts.domain or rule.target in parts.types or key in narrowed:
            raw.append(rule)
        else:
            allow.append(rule)
    return _Shared(tuple(allow), tuple(raw), tuple(left_out))


# ---- SelinuxProfile --------------------------------------------------------------------------------------------------


def _profile(profile: str, workload: Workload, shared: _Shared) -> bytes:
    inherit = ["container", *(["net_container"] if workload.network else [])]
    spec: dict[str, Any] = {"inherit": [{"kind": "System", "name": name} for name in inherit]}
    allow = _allow(shared.allow, workload.domain)
    if allow:
        spec["allow"] = allow
    found = {"apiVersion": API, "kind": "SelinuxProfile", "metadata": {"name": profile}, "spec": spec}
    return yaml_text(found, _profile_comments(profile, workload, shared, inherit, allow))


def _allow(rules: Iterable[Rule], domain: str) -> dict[str, dict[str, list[str]]]:
    """Permissions by the target's label and class; the domain itself is ``@self``."""
    found: dict[str, dict[str, set[str]]] = {}
    for rule in rules:
        label = "@self" if rule.target in (SELF, domain) else rule.target
        found.setdefault(label, {}).setdefault(rule.tclass, set()).update(rule.perms)
    return {label: {tclass: sorted(found[label][tclass]) for tclass in sorted(found[label])} for label in sorted(found)}


def _profile_comments(
    profile: str,
    workload: Workload,
    shared: _Shared,
    inherit: list[str],
    allow: dict[str, dict[str, list[str]]],
) -> Iterator[str]:
    yield f"{workload.name} {workload.version} for the Security Profiles Operator (target {workload.target})."
    if workload.base is None:
        yield "The module's domain starts from nothing. A profile can't: it inherits `container`, and so may more."
    else:
        yield f"It inherits the node's own template for containers, not what {workload.base} may on this target."
    yield "So the bundle's proof is not one of this profile. Where the module itself can be installed, prefer that."
    if shared.raw:
        yield f"A profile can hold no types, no ioctl commands and no other domain's rules: {profile}-rules holds them."
        yield "Apply this one first, and that one when this one is installed."
    options = _options(inherit, allow)
    if options:
        patch = json.dumps({"spec": {"selinux": {"options": options}}})
        yield "The operator takes it only with these options (they replace what is there: add what you have):"
        yield f"  kubectl -n security-profiles-operator patch spod spod --type=merge -p {shlex.quote(patch)}"
    if shared.left_out:
        yield "Left out, because no profile can depend on a boolean:"
        yield from (f"  {one}" for one in shared.left_out)


def _options(inherit: list[str], allow: dict[str, dict[str, list[str]]]) -> dict[str, list[str]]:
    """What the operator's own options have to say for a profile to be taken."""
    said = {
        "allowedTypes": set(allow),
        "allowedClasses": {tclass for classes in allow.values() for tclass in classes},
        "allowedPermissions": {perm for classes in allow.values() for perms in classes.values() for perm in perms},
    }
    found = {"allowedSystemProfiles": inherit} if inherit != ["container"] else {}
    return {**found, **{key: sorted(said[key] & _DENIED[key]) for key in _DENIED if said[key] & _DENIED[key]}}


# ---- RawSelinuxProfile -----------------------------------------------------------------------------------------------


def _raw(profile: str, build: TargetBuild, parts: BlockParts, shared: _Shared) -> Optional[bytes]:
    """The types and rules that a SelinuxProfile can't hold, or None where there are none."""
    names = {parts.domain: f"{profile}.process"}
    wanted = [
        *(f"(type {name})" for name in parts.types),
        *(f"(typeattributeset {attribute} ({names.get(type_, type_)}))" for attribute, type_ in parts.joins),
        *rule_lines(shared.raw, names),
        *(renamed(one, names) for one in parts.others),
    ]
    lines = [line for line in wanted if not _RESTRICTED.search(line)]
    if not lines:
        return None
    name = f"{profile}-rules"
    found = {
        "apiVersion": API,
        "kind": "RawSelinuxProfile",
        "metadata": {"name": name},
        "spec": {"policy": "".join(f"{line}\n" for line in lines)},
    }
    left = [line for line in wanted if _RESTRICTED.search(line)]
    return yaml_text(found, _raw_comments(name, profile, build, parts, left))


def _raw_comments(name: str, profile: str, build: TargetBuild, parts: BlockParts, left: list[str]) -> Iterator[str]:
    yield f"What the SelinuxProfile {profile} can't hold. It names its domain: apply it when that one is installed."
    yield "It can't be a domain by itself: the operator takes neither `blockinherit` nor `roletype` in one."
    if parts.types:
        yield f"Its types are called {name}_.TYPE on the nodes: the operator puts them in a block of that name."
    commands = (*_context_commands(name, build, parts), *port_commands(ports_of(build), parts.types, f"{name}_"))
    if commands:
        yield "The operator labels neither files nor ports. On each node:"
        yield from (f"  {command}" for command in commands)
    if left:
        yield "Left out, because the operator does not take it:"
        yield from (f"  {one}" for one in left)


def _context_commands(name: str, build: TargetBuild, parts: BlockParts) -> Iterator[str]:
    for entry in entries(build.fc):
        type_ = "".join(entry.context.split(":")[2:3])
        type_ = f"{name}_.{type_}" if type_ in parts.types else type_
        kind = _KINDS.get(entry.kind, "a")
        yield f"semanage fcontext -a -f {kind} -t {shlex.quote(type_)} {shlex.quote(entry.pattern)}"


EXPORTER = Exporter("profiles of the Security Profiles Operator, and pods", export)
