"""A domain of a module's own worked out for one target policy: linked into a copy of it first, then completed.

What was worked out is kept in the cache: it depends on the policy, its module store and the base alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Optional

from polkit.errors import UsageError
from polkit.model import (
    AvRule,
    ConditionalRules,
    Inherited,
    InheritedRule,
    PolicyInfo,
    RangeTransition,
    RoleTypes,
    TypeBounds,
    TypeDeclaration,
    TypeTransition,
    XpermRule,
)
from polkit.policy.binary import open_policy
from polkit.policy.cache import entry_key, fetch, keep
from polkit.policy.contents import read_contents
from polkit.policy.domains import refused_as_base
from polkit.policy.inheritance import (
    is_generated,
    missing_rules,
    read_transitions,
    renamed,
    roles_of,
)
from polkit.policy.interface import Inheritance
from polkit.policy.locate import PolicyFiles
from polkit.policy.neverallow import TypeSets
from polkit.policy.parity import tightening, weaker
from polkit.policy.rules import Rules
from polkit.policy.store import modules_digest, read_modules, read_packed
from polkit.policy.whatif import linked

_STAND_IN = "polkit_stand_in_t"
_KINDS: dict[str, Any] = {
    "av": AvRule,
    "xperm": XpermRule,
    "transition": TypeTransition,
    "range": RangeTransition,
}


def own_domain(files: PolicyFiles, info: PolicyInfo, rules: Rules, own: str, like: str, inherits: bool) -> Inheritance:
    """The domain ``own`` of a module: one that is allowed what ``like`` is (``inherits``), or one that starts from
    nothing and may be started, signalled and labelled for as ``like`` may.

    The first time it takes a build of the policy (some seconds). Raises UsageError for what can't be a base,
    CompileError, SourceError, MissingDependency without the tools.
    """
    refused = refused_as_base(rules, like)
    if refused is not None:
        raise UsageError(f"{like} can be no base: {refused}", "Name another with --base, or start from none")
    attributes = _attributes(files, rules, like)
    if not inherits:
        attributes &= {"domain"}
        attributes |= tightening(rules, like, attributes)
    roles = roles_of(rules, like)
    inherited = _inherited(files, info, rules, (like, inherits, tuple(sorted(attributes)), roles))
    parent = rules.facts.bounds.get(like)
    return Inheritance(
        declaration=TypeDeclaration(own, tuple(sorted(attributes))),
        roles=tuple(RoleTypes(role, own) for role in roles),
        bounds=() if parent is None else (TypeBounds(parent, own),),
        inherited=renamed(inherited, own),
        weaker=weaker(rules, like, attributes | {own}),
    )


_Wanted = tuple[str, bool, tuple[str, ...], tuple[str, ...]]
"""The base, whether it is inherited, the attributes to join, the roles."""


def _attributes(files: PolicyFiles, rules: Rules, base: str) -> frozenset[str]:
    """The attributes of the base that a module can name: those of the binary, and those that only the store knows
    (a binary has lost what only neverallow rules name)."""
    found = {name for name in rules.facts.attributes[base] if not is_generated(name)}
    if files.store is not None:
        sets = TypeSets(list(read_modules(files.store)), rules.facts)
        found.update(name for name in sets.names() if not is_generated(name) and base in sets.of(name))
    return frozenset(found - {base})


def _inherited(files: PolicyFiles, info: PolicyInfo, rules: Rules, wanted: _Wanted) -> Inherited:
    modules = "" if files.store is None else modules_digest(read_packed(files.store))
    key = entry_key(info.sha256, f"{modules} {json.dumps(wanted)}")
    kept = None if key is None else fetch(key)
    if kept is not None:
        found = _decoded(kept)
        if found is not None:
            return found
    like, inherits, attributes, roles = wanted
    lines = [f"(type {_STAND_IN})", f"(roletype object_r {_STAND_IN})"]
    lines += [f"(typeattributeset {name} ({_STAND_IN}))" for name in attributes]
    lines += [f"(roletype {role} {_STAND_IN})" for role in roles]
    with linked(files, info, "polkit_stand_in", "\n".join(lines) + "\n") as policy:
        contents = read_contents(policy)
        facts, index = contents.facts, contents.index
        with_it = Rules(facts, index, facts.booleans, index.truths(facts.booleans))
        result = missing_rules(with_it, read_transitions(open_policy(policy)), like, _STAND_IN, inherits)
    if key is not None:
        keep(key, _encoded(result))
    return result


def _encoded(inherited: Inherited) -> bytes:
    def packed(rule: InheritedRule) -> list[Any]:
        kind = next(kind for kind, class_ in _KINDS.items() if type(rule) is class_)
        return [kind, list(asdict(rule).values())]

    return json.dumps(
        {
            "domain": inherited.domain,
            "base": inherited.base,
            "rules": [packed(rule) for rule in inherited.rules],
            "conditionals": [
                [one.condition, one.block, [packed(rule) for rule in one.rules]] for one in inherited.conditionals
            ],
            "attributes": inherited.attributes,
            "classes": inherited.classes,
            "accesses": inherited.accesses,
            "as_source": inherited.as_source,
            "beyond": inherited.beyond,
        }
    ).encode()


def _decoded(data: bytes) -> Optional[Inherited]:
    """What ``_encoded`` made; None for anything else."""

    def rule(item: Any) -> InheritedRule:
        kind, values = item
        made: InheritedRule = _KINDS[kind](*(tuple(value) if isinstance(value, list) else value for value in values))
        return made

    try:
        found = json.loads(data)
        return Inherited(
            domain=found["domain"],
            base=found["base"],
            rules=tuple(map(rule, found["rules"])),
            conditionals=tuple(
                ConditionalRules(tuple(condition), block, tuple(map(rule, rules)))
                for condition, block, rules in found["conditionals"]
            ),
            attributes=tuple(found["attributes"]),
            classes=tuple((name, perm) for name, perm in found["classes"]),
            accesses=found["accesses"],
            as_source=found["as_source"],
            beyond=found["beyond"],
        )
    except (ValueError, KeyError, TypeError):
        return None
