"""Whether a policy has what a bundle's modules need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Optional

from polkit.policy import TargetPolicy, load_policy


class Fit(NamedTuple):
    """What a policy lacks of what one target's module needs: it can't be installed with anything ``missing``;
    ``falls_away``: names in optional blocks, whose rules go without them."""

    target: str
    missing: tuple[str, ...]
    falls_away: tuple[str, ...]


def fits(manifest: Mapping[str, Any], policy: str, store: Optional[str]) -> tuple[Fit, ...]:
    """Every target that has a module, held against a policy as ``--policy`` names it. Raises SourceError,
    MissingDependency."""
    target = load_policy(policy, store)
    return tuple(
        Fit(name, tuple(_missing(entry, target)), tuple(_falling(entry["requires"]["optional"], target)))
        for name, entry in manifest["targets"].items()
        if entry["module"] is not None
    )


def _missing(entry: Mapping[str, Any], policy: TargetPolicy) -> Iterator[str]:
    requires = entry["requires"]
    yield from (f"type {name}" for name in requires["types"] if policy.type_name(name) is None)
    yield from (f"attribute {name}" for name in requires["attributes"] if not policy.has_attribute(name))
    yield from (f"role {name}" for name in requires["roles"] if not policy.has_role(name))
    for tclass, perms in requires["permissions"].items():
        if not policy.has_class(tclass):
            yield f"class {tclass}"
        else:
            known = policy.permissions(tclass)
            yield from (f"permission {tclass} {perm}" for perm in perms if perm not in known)
    yield from (f"boolean {name}" for name in requires["booleans"] if name not in policy.booleans)
    levels = entry["policy"] is None or entry["policy"]["mls"]
    if policy.info is not None and policy.info.mls != levels:
        yield "levels: the module has them and the policy has none" if levels else "a policy without levels"


def _falling(optional: list[str], policy: TargetPolicy) -> Iterator[str]:
    for name in optional:
        if policy.type_name(name) is None and not policy.has_attribute(name) and name not in policy.booleans:
            yield name
