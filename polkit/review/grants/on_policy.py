"""What the allow rules of a source come to on the target policy: names become types, and each rule accesses.

A rule between attributes may stand for millions of them: those are counted by products, and a part is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import NamedTuple, Optional

from polkit.model import SELF
from polkit.module import NameSet
from polkit.module.source import Declaration, Located, Rule
from polkit.policy import Rectangle, TargetPolicy, sensitive_types
from polkit.review.grants.nodes import nodes_meant
from polkit.review.grants.uses import required_permissions

MOST_PAIRS = 2048
"""Of a rule with more pairs of types than this, a part is looked at: a pair takes some microseconds."""
_FEW_SOURCES = 8


class Join(NamedTuple):
    """A type that a statement of the module puts into an attribute."""

    type: str
    attribute: str
    where: Located


class Vector(NamedTuple):
    """Permissions of one type on another."""

    source: str
    target: str
    tclass: str
    perms: frozenset[str]

    @property
    def text(self) -> str:
        """As a rule says it."""
        perms = " ".join(sorted(self.perms))
        return f"allow {self.source} {self.target}:{self.tclass} {perms if len(self.perms) == 1 else f'{{ {perms} }}'};"


@dataclass(frozen=True)
class PolicyRule:
    """An allow rule for one class, and what it gives on the policy. Types of the module's own keep their names."""

    where: Located
    access: Rectangle
    names: Names = field(repr=False)
    meant: tuple[tuple[str, str], ...] = ()
    """Target types that neither the policy nor the module has, each with the one that is meant by its name."""

    @property
    def pairs(self) -> int:
        """From how many types to how many, as a product."""
        return len(self.access.sources) * (len(self.access.targets) + self.access.to_self)

    @property
    def is_whole(self) -> bool:
        """``each`` is all of it, and not a part of too many."""
        return self.pairs <= MOST_PAIRS

    def each(self) -> Iterator[tuple[str, str]]:
        """The pairs of source and target, by name; of too many a part, with the domains that may be inherited and the
        most sensitive targets in it."""
        sources, targets = sorted(self.access.sources), sorted(self.access.targets)
        if not self.is_whole:
            sources = _first(self.names.usual, sources)[:_FEW_SOURCES]
            targets = _first(sensitive_types(), targets)[: MOST_PAIRS // _FEW_SOURCES]
        for source in sources:
            yield from ((source, target) for target in targets)
            if self.access.to_self and source not in self.access.targets:
                yield source, source

    @cached_property
    def given(self) -> frozenset[str]:
        """The permissions that the policy allows on every pair of ``each`` already."""
        found = self.access.perms
        for source, target in self.each():
            found &= self.names.policy.allowed(source, target, self.access.tclass)
            if not found:
                break
        return found

    @cached_property
    def new(self) -> tuple[Vector, ...]:
        """What the policy does not allow already, of the pairs of ``each``, in the state of its booleans; of an own
        domain, what it does not allow the domain that this one stands in for."""
        tclass, perms = self.access.tclass, self.access.perms
        bound = bool(self.where.condition)
        found = ((*pair, perms - self.names.has_already(*pair, tclass, bound)) for pair in self.each())
        return tuple(Vector(source, target, tclass, more) for source, target, more in found if more)


@dataclass(frozen=True)
class Names:
    """What the names of a module mean on a policy. ``types``: from each type of its own to its attributes; ``aliases``
    to those types; ``joins``: every type that the module puts into an attribute."""

    policy: TargetPolicy
    types: Mapping[str, frozenset[str]]
    aliases: Mapping[str, str]
    joins: tuple[Join, ...]
    members: Mapping[str, frozenset[str]]
    """Of each attribute the types that the module puts into it."""
    usual: tuple[str, ...]
    """The domains that one of the module's own may stand in for."""
    bases: Mapping[str, str]
    """From each domain of the module's own to the one of the policy that it stands in for (``base_of``), if any."""

    def has_already(self, source: str, target: str, tclass: str, bound: bool = False) -> frozenset[str]:
        """What the policy allows a type, or a domain of the module's own in place of its base. ``bound``: it is asked
        for a rule under booleans, so what the base has in another state of them counts."""
        base = self.bases.get(source)
        if base is None:
            return self.policy.allowed(source, target, tclass)
        if target == base:
            return frozenset()  # a rule of the base on itself gives its heir nothing on it
        asked = base, base if target == source else target, tclass
        states = (self.policy, *self.otherwise) if bound else (self.policy,)
        return frozenset[str]().union(*(one.allowed(*asked) for one in states))

    @cached_property
    def otherwise(self) -> tuple[TargetPolicy, ...]:
        """The policy with all booleans on, and with all off: what a rule under some of them gives, one of the two has
        in most cases."""
        return tuple(self.policy.with_booleans(dict.fromkeys(self.policy.booleans, value)) for value in (True, False))

    def attributes(self, type_: str) -> frozenset[str]:
        """The attributes of a type of the policy or of the module, with the module."""
        return self.policy.attributes(type_).union(self._joined.get(type_, ()))

    @cached_property
    def _joined(self) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = {}
        for one in self.joins:
            found.setdefault(one.type, set()).add(one.attribute)
        return found

    @property
    def new(self) -> Mapping[str, tuple[str, ...]]:
        """The types that the policy lacks, with their attributes, as its questions take them."""
        return {name: tuple(sorted(self.attributes(name))) for name in self.types if not self.knows(name)}

    def knows(self, type_: str) -> bool:
        """The policy has the type without the module."""
        return self.policy.type_name(type_) is not None

    def is_own(self, type_: str) -> bool:
        """The module declares the type, and the policy lacks it."""
        return type_ in self.types and not self.knows(type_)

    def has_own(self, access: Rectangle) -> bool:
        """Types of the module's own are among the sources or targets."""
        return any(map(self.is_own, access.sources)) or any(map(self.is_own, access.targets))

    def is_domain(self, type_: str) -> bool:
        """A type of processes, with the module."""
        return self.policy.is_domain(type_) or "domain" in self.attributes(type_)

    def of(self, names: NameSet) -> frozenset[str]:
        """The types that a set of a rule stands for; of what neither has, none. ``self`` is none of them."""
        named = self._each(names.names)
        without = self._each(names.without)
        if names.others:
            everything = self.policy.every_type.union(self.types)
            return everything - named - without
        return named - without

    def meant(self, names: NameSet, tclass: str) -> Iterator[tuple[str, str]]:
        """Names of a set that nobody has, and that speak of device nodes, with the nodes' type: what the author asks
        for can be judged all the same."""
        for name in names.names:
            if name != SELF and name not in self.members and not self.of(NameSet((name,))):
                nodes = nodes_meant(self.policy, name, tclass)
                if nodes and not self.policy.has_attribute(name):
                    yield name, nodes[0][1]

    def _each(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset[str]().union(*(self._members(name) for name in names if name != SELF))

    def _members(self, name: str) -> frozenset[str]:
        real = self.aliases.get(name, name)
        if real in self.types:
            return frozenset((real,))
        return self.policy.types(name) | self.members.get(name, frozenset())


def names_of(statements: Iterable[Located], policy: TargetPolicy, bases: Iterable[str]) -> Names:
    """What the names of a module's statements mean on a policy. ``bases``: the domains that one of the module's own may
    stand in for."""
    statements = tuple(statements)
    usual = tuple(base for base in map(policy.type_name, bases) if base is not None)
    declared = [one for one in statements if isinstance(one.statement, Declaration)]
    types: dict[str, set[str]] = {}
    aliases: dict[str, str] = {}
    joins: list[Join] = []
    for one in declared:
        statement = one.statement
        assert isinstance(statement, Declaration)
        if statement.kind == "type":
            for name in statement.names.names:
                types.setdefault(name, set()).update(statement.values.names)
                joins += (Join(name, attribute, one) for attribute in statement.values.names)
        if statement.kind in ("type", "typealias"):
            aliases.update((alias, name) for name in statement.names.names[:1] for alias in statement.aliases.names)
    early = Names(
        policy, {name: frozenset(found) for name, found in types.items()}, aliases, tuple(joins), {}, usual, {}
    )
    for one in declared:
        statement = one.statement
        if isinstance(statement, Declaration) and statement.kind == "typeattribute":
            for type_ in sorted(early.of(statement.names)):
                joins += (Join(type_, attribute, one) for attribute in statement.values.names)
    members: dict[str, set[str]] = {}
    for join in joins:
        members.setdefault(join.attribute, set()).add(join.type)
    sets = {attribute: frozenset(types_) for attribute, types_ in members.items()}
    found = Names(policy, early.types, aliases, tuple(joins), sets, usual, {})
    stand_ins = {name: base_of(name, found) for name in found.types if found.is_own(name)}
    return replace(found, bases={name: base for name, base in stand_ins.items() if base is not None})


def rules_of(statements: Iterable[Located], names: Names) -> Iterator[PolicyRule]:
    """Every allow rule for each of its classes that the policy has, in the order of the source. Permissions
    that the class lacks are left out, and rules that come to nothing."""
    statements = tuple(statements)
    required = required_permissions(statements)
    for one in statements:
        statement = one.statement
        if not isinstance(statement, Rule) or statement.kind != "allow":
            continue
        sources, targets = names.of(statement.sources), names.of(statement.targets)
        to_self = SELF in statement.targets.names
        for tclass in statement.classes.names:
            known = names.policy.permissions(tclass)
            if statement.perms.others:
                known &= required.get((one.file, tclass), known)
            perms = _perms(statement.perms, known)
            meant = tuple(names.meant(statement.targets, tclass))
            every = targets.union(type_ for _, type_ in meant)
            if sources and (every or to_self) and perms:
                yield PolicyRule(one, Rectangle(sources, every, to_self, tclass, perms), names, meant)


def by_statement(rules: Iterable[PolicyRule]) -> Iterator[tuple[Located, tuple[PolicyRule, ...]]]:
    """The rules with the classes of one statement together."""
    for _, found in groupby(rules, key=lambda one: id(one.where)):
        parts = tuple(found)
        yield parts[0].where, parts


def taken_for(parts: Iterable[PolicyRule]) -> str:
    """What to add to a title where the rules name a type that nobody has and another one was looked at instead."""
    found = dict.fromkeys(pair for part in parts for pair in part.meant)
    return "".join(f" ({name} taken for {type_})" for name, type_ in found)


def in_part(texts: Sequence[str], most: int) -> str:
    """The first of some texts, and how many more there are."""
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more} more" if more > 0 else "")


def counted(number: int, word: str, plural: str = "s") -> str:
    """``1 type``, ``1,372 types``."""
    return f"{number:,} {word}{'' if number == 1 else plural}"


def _first(wanted: Iterable[str], among: list[str]) -> list[str]:
    """The wanted ones before the others."""
    first = [one for one in wanted if one in among]
    return [*first, *(one for one in among if one not in first)]


def _perms(written: NameSet, known: frozenset[str]) -> frozenset[str]:
    named = frozenset(written.names) & known
    return known - named - frozenset(written.without) if written.others else named - frozenset(written.without)


def base_of(domain: str, names: Names) -> Optional[str]:
    """The domain of the policy that a domain of the module's own stands in for: of those that may be, the one with most
    attributes, all of which it has, so that every rule on those is for both. None for a domain of another kind.

    It is computed and never believed: what a plan says of a base is a stranger's word.
    """
    joined = names.attributes(domain)
    found = [
        (-len(attributes), base)
        for base in names.usual
        if "domain" in (attributes := _nameable(names.policy.attributes(base))) and attributes <= joined
    ]
    return min(found)[1] if found else None


def _nameable(attributes: frozenset[str]) -> frozenset[str]:
    """Without those that a compiler made: no module can join them by name."""
    return frozenset(one for one in attributes if "_typeattr_" not in one)
