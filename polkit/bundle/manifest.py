"""``polkit.bundle/1``: what a bundle is, holds, needs and grants (docs/schemas/polkit.bundle-1.schema.json)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from polkit import __version__
from polkit.bundle.optional_modules import optional_object
from polkit.bundle.paths import Entry, entries
from polkit.bundle.project import Project
from polkit.bundle.sides import (
    HostStep,
    booleans_of,
    domain_of,
    host_steps,
    lacking_of,
    left_out,
    needed_types,
    own_types,
    ports_of,
    rules_of,
    side_by_side,
)
from polkit.bundle.targets import TargetBuild
from polkit.minimize import Proof, proof_summary
from polkit.model import PolicyInfo
from polkit.module import PRIORITY

SCHEMA = "polkit.bundle/1"
_Key = tuple[str, ...]


def manifest_text(
    project: Project,
    builds: tuple[TargetBuild, ...],
    files: Mapping[str, bytes],
    compilers: Mapping[str, str],
    epoch: int,
) -> str:
    """The manifest as indented JSON in ASCII. ``files``: everything else in the bundle but SHA256SUMS."""
    module = project.config.module
    found = {
        "schema": SCHEMA,
        "name": project.name,
        "version": project.version,
        "summary": module.summary,
        "vendor": module.vendor,
        "license": module.license,
        "source_date_epoch": epoch,
        "priority": PRIORITY,
        "toolkit": {"name": "selinux-polkit", "version": __version__},
        "compilers": dict(sorted(compilers.items())),
        "files": {path: hashlib.sha256(files[path]).hexdigest() for path in sorted(files)},
        "targets": {build.name: target_entry(project, build) for build in builds},
        "optional": [optional_object(one, lacking_of(one, builds)) for one in project.optional],
        "requires": _joined_requires(builds),
        "grants": _grants(builds),
        "side_by_side": [
            {"what": row.what, "text": row.text, "targets": dict(row.cells)} for row in side_by_side(builds)
        ],
    }
    return json.dumps(found, indent=2) + "\n"


def target_entry(project: Project, build: TargetBuild) -> dict[str, Any]:
    """What one target gets and needs."""
    domain = domain_of(build)
    module = None if build.plan is None else build.plan.module
    return {
        "policydb": build.policydb,
        "policy": _fingerprint(build.info),
        "module": None if build.package is None else f"targets/{build.name}/{project.name}{build.suffix}",
        "reason": build.reason or None,
        "domain": None if domain is None else domain[0],
        "base": None if domain is None else domain[1],
        "inherited": 0 if module is None else module.inherited,
        "structural": 0 if module is None else module.structural,
        "types": list(own_types(build)),
        "joins": [{"attribute": attribute, "type": type_} for attribute, type_ in sorted(build.claims.joins)],
        # Where a module goes out as CIL, no .fc lists its contexts.
        "statements": sorted(build.claims.others | (build.claims.contexts if build.suffix == ".cil" else set())),
        "requires": _requires(build),
        "ports": [{"protocol": one.protocol, "port": one.number, "type": one.type} for one in ports_of(build)],
        "booleans": dict(booleans_of(build)),
        "contexts": [_context(entry) for entry in (entries(build.fc) if build.package is not None else ())],
        "host_steps": [_step(step) for step in host_steps(build)],
        "left_out": list(left_out(build)),
        "proof": _proof(build.proof),
        "failed": list(build.failed),
    }


def _fingerprint(info: Optional[PolicyInfo]) -> Optional[dict[str, Any]]:
    """Which policy a target's module was made on."""
    if info is None:
        return None
    return {
        "sha256": info.sha256,
        "version": info.version,
        "mls": info.mls,
        "handle_unknown": info.handle_unknown,
    }


def _requires(build: TargetBuild) -> dict[str, Any]:
    """What a target's policy must have for the module; ``optional`` may be missing, and takes its rules along."""
    types, attributes, optional = needed_types(build)
    classes: dict[str, list[str]] = {}
    for tclass, perm in sorted(build.claims.perms):
        classes.setdefault(tclass, []).append(perm)
    return {
        "types": list(types),
        "attributes": list(attributes),
        "roles": sorted(build.claims.roles),
        "permissions": classes,
        "booleans": sorted(name for name, _ in booleans_of(build)),
        "optional": [*optional, *sorted(build.claims.booleans)],
    }


def _context(entry: Entry) -> dict[str, str]:
    return {"pattern": entry.pattern, "kind": entry.kind, "context": entry.context}


def _step(step: HostStep) -> dict[str, Any]:
    return {"kind": step.kind, "text": step.text, "commands": list(step.commands)}


def _proof(proof: Optional[Proof]) -> Optional[dict[str, Any]]:
    return None if proof is None else {"build": proof.build, **proof_summary(proof)}


def _joined_requires(builds: Iterable[TargetBuild]) -> dict[str, Any]:
    """What any target's policy must have."""
    lists: dict[str, set[str]] = {"types": set(), "attributes": set(), "roles": set(), "booleans": set()}
    classes: dict[str, set[str]] = {}
    for build in builds:
        found = _requires(build)
        for key, names in lists.items():
            names.update(found[key])
        for tclass, perms in found["permissions"].items():
            classes.setdefault(tclass, set()).update(perms)
    return {
        **{key: sorted(names) for key, names in lists.items()},
        "permissions": {tclass: sorted(perms) for tclass, perms in sorted(classes.items())},
    }


def _grants(builds: Iterable[TargetBuild]) -> list[dict[str, Any]]:
    """Every rule of every target's module, with the targets that get it."""
    found: dict[Any, list[str]] = {}
    for build in builds:
        for rule in rules_of(build):
            found.setdefault(rule, []).append(build.name)
    return [
        {
            "kind": rule.kind,
            "source": rule.source,
            "target": rule.target,
            "class": rule.tclass,
            "perms": list(rule.perms),
            "origin": rule.origin,
            "condition": rule.condition or None,
            "optional": rule.optional,
            "targets": names,
        }
        for rule, names in sorted(found.items())
    ]
