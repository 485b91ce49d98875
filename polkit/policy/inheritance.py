"""What a domain of a module's own must be given to be allowed what another domain is, on one target policy.

It joins the base's named attributes and roles. Attributes that a compiler generated for set expressions change with
every build, so they are never named: the new type is linked into a copy of the policy first, where it becomes a member
of many of them by itself, and the rules that are still missing are copied. Rules of the base on itself become rules of
the new domain on itself; the base gets nothing on it that its attributes don't give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Optional

from polkit.model import (
    SELF,
    AvRule,
    ConditionalRules,
    Inherited,
    InheritedRule,
    RangeTransition,
    TypeTransition,
    XpermRule,
)
from polkit.policy.index import gather, make_condition
from polkit.policy.rules import Rules
from polkit.policy.terms import Term, term_of

_GENERATED = "_typeattr_"
_TRANSITIONS = ("type_transition", "type_change", "type_member")


def is_generated(name: str) -> bool:
    """An attribute that a compiler made of a set expression (``MODULE_typeattr_N``)."""
    return _GENERATED in name


def roles_of(rules: Rules, type_: str) -> tuple[str, ...]:
    """The roles a process of this type may have."""
    return tuple(sorted(role for role, types in rules.facts.roles.items() if type_ in types and role != "object_r"))


def missing_rules(rules: Rules, transitions: Iterable[Any], base: str, own: str, as_source: bool) -> Inherited:
    """The rules that ``own`` lacks to be what ``base`` is, in a policy that holds both.

    ``transitions``: the type and range transition rules of that policy, as setools has them. ``as_source`` false: only
    what others may do to it.
    """
    copier = _Copier(rules, base, own, as_source)
    copier.copy_access()
    copier.copy_transitions(transitions)
    return copier.result()


def count_accesses(rules: Rules, type_: str, other: str, as_source: bool) -> int:
    """How many accesses there are to take over from a domain, in any state of the booleans: (target, class, permission)
    as a source, (source, class, permission) as a target; what it may do to itself counts once, what is between it and
    ``other`` not at all."""
    joined: dict[tuple[bool, str, str], int] = {}
    for key, mask in profile(rules, type_, other, as_source).items():
        joined[key[:3]] = joined.get(key[:3], 0) | mask
    return sum(bin(mask).count("1") for mask in joined.values())


def beyond(rules: Rules, base: str, own: str, as_source: bool) -> int:
    """How many accesses ``own`` has in this policy that ``base`` has not in its place; what may be done to it included.
    Where the base is not inherited as a source, none of its own count."""
    return count_apart(profile(rules, own, base, True), profile(rules, base, own, as_source))


Profile = dict[tuple[bool, str, str, Optional[Term]], int]
"""(as a source?, the other side, class, condition) -> mask; the other side is empty for the type itself."""


def count_apart(one: Profile, other: Profile) -> int:
    """How many accesses ``one`` has that ``other`` has neither under the same condition nor always."""
    return sum(bin(mask & ~other.get(key, 0) & ~other.get((*key[:3], None), 0)).count("1") for key, mask in one.items())


def profile(rules: Rules, type_: str, other: str, as_source: bool) -> Profile:
    """What a type may do (``as_source``) and others may do to it; whatever is between it and ``other`` is left out."""
    found: Profile = {}
    sides = rules.facts.sides[type_]
    for _, source, target, tclass, mask, place in _av_rules(rules, ("allow",)):
        if source not in sides and target not in sides:
            continue
        term = None if place is None else term_of(rules, *place)
        keys = [(True, "" if one == type_ else one) for one in rules.facts.members(target)] if source in sides else []
        keys = keys if as_source else []
        if target in sides:
            keys += [(False, one) for one in rules.facts.members(source) if one != type_]
        for direction, one in keys:
            if one != other:
                key = (direction, one, tclass, term)
                found[key] = found.get(key, 0) | mask
    return found


@dataclass
class _Copier:
    rules: Rules
    base: str
    own: str
    as_source: bool
    _found: dict[tuple[tuple[str, ...], bool, bool], set[InheritedRule]] = field(default_factory=dict)
    """By condition, its value, and whether there is a condition at all."""
    _masks: dict[tuple[object, ...], int] = field(default_factory=dict)

    @property
    def _lacking(self) -> frozenset[str]:
        """What rules may call the base and not the new domain."""
        sides = self.rules.facts.sides
        return sides[self.base] - sides[self.own]

    def copy_access(self) -> None:
        """Access vector rules and rules on extended permissions."""
        lacking = self._lacking
        for kind, source, target, tclass, mask, place in _av_rules(self.rules):
            if source in lacking or target in lacking:
                for one, other in self._pairs(source, target, lacking):
                    self._add(kind, one, other, tclass, self._not_given(kind, one, other, tclass, mask), place)
        self._copy_xperms(lacking)

    def _copy_xperms(self, lacking: frozenset[str]) -> None:
        for tclass, by_source in self.rules.index.xperms.items():
            for source, by_target in by_source.items():
                for target, found in by_target.items():
                    if source not in lacking and target not in lacking:
                        continue
                    for one, other in self._pairs(source, target, lacking):
                        for rule in found:
                            numbers = tuple(sorted(rule.numbers))
                            copied = XpermRule(rule.kind, one, other, tclass, rule.operation, numbers)
                            place = None if rule.condition is None else (rule.condition, rule.block)
                            self._rules_at(place).add(copied)

    def _pairs(self, source: str, target: str, lacking: frozenset[str]) -> Iterator[tuple[str, str]]:
        """The (source, target) of the rules that stand in for one rule, in the module's words."""
        if source in lacking and self.as_source:
            for other in self._named(target):
                yield self.own, other
            if target == self.base or (self.base in self.rules.facts.members(target) and target in lacking):
                yield self.own, SELF
        if target in lacking and source != self.base:
            for one in self._named(source):
                yield one, self.own

    def _named(self, name: str) -> Iterator[str]:
        """A type or attribute as a module may call it: of a generated attribute, each of its types."""
        if name in (self.base, self.own):
            return
        if is_generated(name):
            yield from sorted(self.rules.facts.members(name) - {self.base, self.own})
        else:
            yield name

    def _not_given(self, kind: str, source: str, target: str, tclass: str, mask: int) -> int:
        """Of a mask, what enabled and unconditional rules don't give between all types behind two names."""
        table = self.rules.index.allow if kind == "allow" else self.rules.index.dontaudit
        sides, given = self.rules.facts.sides, mask
        for one in self.rules.facts.members(source):
            for other in (one,) if target == SELF else self.rules.facts.members(target):
                given &= gather(table, tclass, sides.get(one, (one,)), sides.get(other, (other,)))
                if not given:
                    return mask
        return mask & ~given

    def _add(
        self, kind: str, source: str, target: str, tclass: str, mask: int, place: Optional[tuple[int, bool]]
    ) -> None:
        if mask:
            key = (place, kind, source, target, tclass)
            self._masks[key] = self._masks.get(key, 0) | mask

    def copy_transitions(self, transitions: Iterable[Any]) -> None:
        """Type and range transitions, which a binary policy holds type by type."""
        all_of = [_Transition.read(rule) for rule in transitions]
        present = {one.statement for one in all_of}
        for one in all_of:
            statement, place = one.statement, one.place
            for copied in self._stand_ins(statement):
                if copied not in present:
                    self._rules_at(place).add(copied)

    def _stand_ins(self, one: InheritedRule) -> Iterator[InheritedRule]:
        """The transition with the new domain in place of the base as its source, or as its target."""
        if one.source == self.base and self.as_source:
            yield _renamed(one, self.base, self.own)
        elif one.target == self.base and one.source not in (self.base, self.own):
            if isinstance(one, RangeTransition):
                yield RangeTransition(one.source, self.own, one.tclass, one.level)
            elif isinstance(one, TypeTransition):
                default = self.own if one.default == self.base else one.default
                yield TypeTransition(one.kind, one.source, self.own, one.tclass, default, one.name)

    def _rules_at(self, place: object) -> set[InheritedRule]:
        if place is None:
            return self._found.setdefault(((), True, False), set())
        if isinstance(place, tuple) and isinstance(place[0], int):
            return self._found.setdefault((self.rules.index.conditions[place[0]].postfix, place[1], True), set())
        assert isinstance(place, tuple)
        return self._found.setdefault((place[0], place[1], True), set())

    def result(self) -> Inherited:
        """Everything that was copied, sorted."""
        for (place, kind, source, target, tclass), mask in self._masks.items():
            perms = tuple(sorted(self.rules.index.perms(str(tclass), mask)))
            self._rules_at(place).add(AvRule(str(kind), str(source), str(target), str(tclass), perms))
        plain = self._found.pop(((), True, False), set())
        conditionals = tuple(
            ConditionalRules(condition, block, _sorted(found))
            for (condition, block, _), found in sorted(self._found.items())
            if found
        )
        every = [*plain, *(rule for one in conditionals for rule in one.rules)]
        names = {name for rule in every for name in (rule.source, rule.target)}
        classes = {rule.tclass: min(self.rules.facts.permissions[rule.tclass]) for rule in every}
        return Inherited(
            domain=self.own,
            base=self.base,
            rules=_sorted(plain),
            conditionals=conditionals,
            attributes=tuple(sorted(names & self.rules.facts.types.keys())),
            classes=tuple(sorted(classes.items())),
            accesses=count_accesses(self.rules, self.base, self.own, self.as_source),
            as_source=self.as_source,
            beyond=beyond(self.rules, self.base, self.own, self.as_source),
        )


@dataclass(frozen=True)
class _Transition:
    """A transition rule as data, and the condition it stands under."""

    statement: InheritedRule
    place: Optional[tuple[tuple[str, ...], bool]]

    @staticmethod
    def read(rule: Any) -> _Transition:
        kind, source, target, tclass = rule.ruletype.name, rule.source.name, rule.target.name, rule.tclass.name
        if kind == "range_transition":
            return _Transition(RangeTransition(source, target, tclass, str(rule.default).replace(" ", "")), None)
        statement = TypeTransition(kind, source, target, tclass, rule.default.name, _object_name(rule))
        return _Transition(statement, _condition(rule))


def read_transitions(opened: Any) -> Iterator[Any]:
    """The type and range transition rules of an opened policy."""
    yield from (rule for rule in opened.terules() if rule.ruletype.name in _TRANSITIONS)
    yield from (rule for rule in opened.mlsrules() if rule.ruletype.name == "range_transition")


def _object_name(rule: Any) -> str:
    """The name in a named transition: setools raises where there is none."""
    filename = getattr(type(rule), "filename", None)
    if filename is None:
        return ""
    try:
        return str(rule.filename)
    except Exception as error:
        if type(error).__module__.startswith("setools"):
            return ""
        raise


def _condition(rule: Any) -> Optional[tuple[tuple[str, ...], bool]]:
    try:
        conditional = rule.conditional
    except Exception as error:
        if type(error).__module__.startswith("setools"):
            return None
        raise
    return make_condition(map(str, conditional.expression())).postfix, bool(rule.conditional_block)


def _renamed(rule: InheritedRule, old: str, new: str) -> InheritedRule:
    """The rule with one type in place of another."""

    def name(one: str) -> str:
        return new if one == old else one

    if isinstance(rule, AvRule):
        return AvRule(rule.kind, name(rule.source), name(rule.target), rule.tclass, rule.perms)
    if isinstance(rule, XpermRule):
        return XpermRule(rule.kind, name(rule.source), name(rule.target), rule.tclass, rule.operation, rule.numbers)
    if isinstance(rule, RangeTransition):
        return RangeTransition(name(rule.source), name(rule.target), rule.tclass, rule.level)
    default = name(rule.default)
    return TypeTransition(rule.kind, name(rule.source), name(rule.target), rule.tclass, default, rule.name)


def renamed(inherited: Inherited, own: str) -> Inherited:
    """The same for a domain of another name."""
    old = inherited.domain
    return Inherited(
        domain=own,
        base=inherited.base,
        rules=_sorted(_renamed(rule, old, own) for rule in inherited.rules),
        conditionals=tuple(
            ConditionalRules(one.condition, one.block, _sorted(_renamed(rule, old, own) for rule in one.rules))
            for one in inherited.conditionals
        ),
        attributes=inherited.attributes,
        classes=inherited.classes,
        accesses=inherited.accesses,
        as_source=inherited.as_source,
        beyond=inherited.beyond,
    )


def _sorted(rules: Iterable[InheritedRule]) -> tuple[InheritedRule, ...]:
    return tuple(sorted(rules, key=lambda rule: (type(rule).__name__, repr(rule))))


_AvRule = tuple[str, str, str, str, int, Optional[tuple[int, bool]]]
"""Kind, source, target, class, mask; number and value of the condition, if any."""


def _av_rules(rules: Rules, kinds: tuple[str, ...] = ("allow", "dontaudit")) -> Iterator[_AvRule]:
    """Every rule of these kinds, in force or not."""
    index = rules.index
    tables = {"allow": (index.allow, index.allow_if), "dontaudit": (index.dontaudit, index.dontaudit_if)}
    for kind, (table, conditional) in ((kind, tables[kind]) for kind in kinds):
        for tclass, by_source in table.items():
            for source, by_target in by_source.items():
                for target, mask in by_target.items():
                    yield kind, source, target, tclass, mask, None
        for tclass, by_source_if in conditional.items():
            for by_target_if in by_source_if.values():
                for rule in (one for found in by_target_if.values() for one in found):
                    yield kind, rule.source, rule.target, tclass, rule.mask, (rule.condition, rule.block)
