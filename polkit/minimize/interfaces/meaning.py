"""What a call of an interface, or a rule of the module, grants on the target policy: accesses, attributes expanded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Optional

from polkit.model import SELF, AvRule, ModuleSource, OwnDomain
from polkit.module import ARGUMENTS, Expansion, NameSet, OtherStatement, Required, WrittenRule, read_body
from polkit.policy import TargetPolicy

Pair = tuple[str, str, str]
"""Source type, target type, class."""
Accesses = dict[Pair, frozenset[str]]

_MOST_PAIRS = 1000
"""An interface that is about more is about all types of an attribute: no way to say what some accesses need."""

_read = lru_cache(maxsize=16384)(read_body)


@dataclass(frozen=True)
class World:
    """The target policy and what the module adds to it.

    ``own``: types of the module's own and the attributes they join; ``bases``: from a domain of its own to the domain
    that it inherits from.
    """

    policy: TargetPolicy
    own: Mapping[str, tuple[str, ...]]
    bases: Mapping[str, str]

    def types(self, name: str) -> frozenset[str]:
        """The types that a name in a rule stands for; empty for one that nobody knows."""
        if name in self.own:
            return frozenset((name,))
        joined = (type_ for type_, attributes in self.own.items() if name in attributes)
        return self.policy.types(name).union(joined)

    def given(self, source: str, target: str, tclass: str) -> frozenset[str]:
        """What ``source`` has anyway, whatever the booleans: of the policy, or of what it inherits from."""
        stand_in = self.bases.get(source, source)
        return self.policy.always_allowed(stand_in, self.bases.get(target, target), tclass)


def world_of(source: ModuleSource, domain: Optional[OwnDomain], policy: TargetPolicy) -> World:
    """The world that a module is for. ``domain``: the own domain that its rules may be for, declared yet or not."""
    own = {one.name: one.attributes for one in source.access.types}
    base = domain.base if domain is not None else None
    if domain is not None and policy.type_name(domain.name) is None:
        own.setdefault(domain.name, ("domain",) if base is None else tuple(sorted(policy.attributes(base))))
    return World(policy, own, {domain.name: base} if domain is not None and base is not None else {})


def accesses_of(rules: Iterable[AvRule], world: World) -> Accesses:
    """What allow rules of the module grant."""
    found: dict[Pair, set[str]] = {}
    for rule in rules:
        for source in world.types(rule.source) or {rule.source}:
            for target in {source} if rule.target == SELF else (world.types(rule.target) or {rule.target}):
                found.setdefault((source, target, rule.tclass), set()).update(rule.perms)
    return {pair: frozenset(perms) for pair, perms in found.items()}


def accesses_of_call(expansion: Expansion, arguments: tuple[str, ...], world: World) -> Optional[Accesses]:
    """What a call grants; None where the policy doesn't know all it requires, where its rules can't be told, and where
    they are about everything.
    """
    names = dict(zip(ARGUMENTS, arguments))
    found: dict[Pair, set[str]] = {}
    pairs = 0
    for one in _read(expansion.text):
        if isinstance(one, Required):
            if not _is_there(one, world):
                return None
            continue
        granted = None if isinstance(one, OtherStatement) else _granted(one, names, world)
        if granted is None:
            return None
        pairs += len(granted)
        if pairs > _MOST_PAIRS:
            return None
        for pair, perms in granted.items():
            found.setdefault(pair, set()).update(perms)
    return {pair: frozenset(perms) for pair, perms in found.items()}


def _is_there(needed: Required, world: World) -> bool:
    policy = world.policy
    if needed.kind == "class":
        return policy.has_class(needed.names[0]) and all(
            perm in policy.permissions(needed.names[0]) for perm in needed.perms
        )
    if needed.kind == "type":
        return all(policy.type_name(name) is not None for name in needed.names)
    if needed.kind == "attribute":  # without a policy nobody can say which types it has
        return policy.info is not None and all(world.types(name) for name in needed.names)
    return needed.kind == "role" and all(map(policy.has_role, needed.names))


def _granted(rule: WrittenRule, names: Mapping[str, str], world: World) -> Optional[Accesses]:
    sources, _ = _types(rule.sources, names, world)
    targets, to_self = _types(rule.targets, names, world)
    if rule.kind != "allow" or not sources or not (targets or to_self) or rule.classes.others:
        return None
    if len(sources) * len(targets) * len(rule.classes.names) > _MOST_PAIRS:
        return None
    found: Accesses = {}
    for tclass in set(rule.classes.names).difference(rule.classes.without):
        perms = _perms(rule.perms, tclass, world.policy)
        if not perms:
            return None
        for source in sources:
            for target in targets | ({source} if to_self else frozenset()):
                found[source, target, tclass] = perms
    return found


def _types(written: NameSet, names: Mapping[str, str], world: World) -> tuple[frozenset[str], bool]:
    """The types of a set and whether ``self`` is one; none where a name is unknown, or where all others are meant."""
    given = [names.get(name, name) for name in written.names]
    members = [world.types(name) or _as_argument(name, names) for name in given if name != SELF]
    if written.others or not all(members):
        return frozenset(), False
    without = [world.types(names.get(name, name)) for name in written.without]
    return frozenset().union(*members).difference(*without), SELF in given


def _as_argument(name: str, names: Mapping[str, str]) -> frozenset[str]:
    """An argument of ours is a type, known to the policy or not."""
    return frozenset((name,)) if name in names.values() else frozenset()


def _perms(written: NameSet, tclass: str, policy: TargetPolicy) -> frozenset[str]:
    """The permissions of a set; none where the class doesn't have them all."""
    known = policy.permissions(tclass)
    named = frozenset(written.names).difference(written.without)
    if not policy.has_class(tclass) or not all(perm in known for perm in named):
        return frozenset()
    return known.difference(named) if written.others else named
