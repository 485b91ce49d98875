"""Whether a policy has what a bundle's modules need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Optional

from polkit.model import SELF
from polkit.policy import TargetPolicy, load_policy


class Fit(NamedTuple):
    """What a policy lacks of what one target's module needs: it can't be installed with anything ``missing``;
    ``falls_away``: names in optional blocks, whose rules go without them. ``not_inherited``: rules that the manifest
    has as inherited, and that this policy does not give the base; ``same``: it is the one the module was made on."""

    target: str
    missing: tuple[str, ...]
    falls_away: tuple[str, ...]
    not_inherited: tuple[str, ...] = ()
    same: bool = False


def fits(manifest: Mapping[str, Any], policy: str, store: Optional[str]) -> tuple[Fit, ...]:
    """Every target that has a module, held against a policy as ``--policy`` names it. Raises SourceError,
    MissingDependency."""
    target = load_policy(policy, store)
    return tuple(
        Fit(
            name,
            tuple(_missing(entry, target)),
            tuple(_falling(entry["requires"]["optional"], target)),
            tuple(_not_inherited(manifest["grants"], name, entry, target)),
            _same(entry, target),
        )
        for name, entry in manifest["targets"].items()
        if entry["module"] is not None
    )


def _same(entry: Mapping[str, Any], policy: TargetPolicy) -> bool:
    made_on = None if entry["policy"] is None else entry["policy"]["sha256"]
    return policy.info is not None and policy.info.sha256 == made_on


def _not_inherited(
    grants: Iterable[Mapping[str, Any]], name: str, entry: Mapping[str, Any], policy: TargetPolicy
) -> Iterator[str]:
    """Allow rules without a condition that the manifest has as inherited, though the policy does not allow the base
    that. What is inherited, nobody reads one by one: it is where a rule of another origin would be hidden."""
    domain, base = entry["domain"], entry["base"]
    for rule in grants if policy.info is not None else ():
        if rule["kind"] != "allow" or rule["origin"] != "inherited" or rule["condition"] or name not in rule["targets"]:
            continue
        source, target = (base if one == domain else one for one in (rule["source"], rule["target"]))
        if source is None or target is None:
            extra = rule["perms"]
        else:
            given = _given(policy, source, source if target == SELF else target, rule["class"])
            extra = [perm for perm in rule["perms"] if perm not in given]
        if extra:
            yield f"{rule['source']} {rule['target']}:{rule['class']} {{ {' '.join(extra)} }}"


def _given(policy: TargetPolicy, source: str, target: str, tclass: str) -> frozenset[str]:
    """What every type that one name stands for may do with every type that the other does; all where either is unknown:
    such rules fall away."""
    pairs = [(one, other) for one in policy.types(source) for other in policy.types(target)]
    each = [policy.allowed(one, other, tclass) for one, other in pairs]
    return frozenset.intersection(*each) if each else policy.permissions(tclass)


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
