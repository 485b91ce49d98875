"""The difference of two policies: every access that one allows and the other doesn't, both ways, exactly.

Only what changed is expanded. A rule that both policies hold, between the same types or attributes, can differ in
nothing but the members that an attribute gained or lost; so the candidates are the rules that one policy alone has,
and the new members of the attributes in the rules that both have. Each candidate is then looked up in the other
policy, since another rule there may give the same. Where a condition decides, the two are compared in every state of
the booleans that it names.
Of rules on extended permissions, the commands that are allowed in effect are compared: a rule takes away, too.
Everything that is no access vector rule is compared as text (``statements.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from polkit.policy.commands import EVERY_COMMAND, OPERATIONS, Ranges, ranges, set_of
from polkit.policy.index import XpermRule, gather, gather_lists
from polkit.policy.rules import Rules
from polkit.policy.terms import Incomparable, Term, any_holds, states_of, term_of, text_of

_MOST_ACCESSES = 1_000_000

Key = tuple[str, str, str]
"""(source type, target type, class)."""


class AccessChange(NamedTuple):
    """Permissions that one policy gives in some state of the booleans in which the other doesn't.

    ``condition`` is empty where the policy that gives them does so whatever the booleans are.
    """

    source: str
    target: str
    tclass: str
    condition: str
    perms: tuple[str, ...]


class XpermChange(NamedTuple):
    """Commands that one policy lets through in some state of the booleans in which the other doesn't.

    Only where a rule on extended permissions has a say in one of the two. ``numbers`` are ranges, both ends included.
    """

    source: str
    target: str
    tclass: str
    operation: str
    numbers: Ranges

    @property
    def text(self) -> str:
        """As an allowxperm rule."""
        ends = (f"0x{one:04x}" if one == last else f"0x{one:04x}-0x{last:04x}" for one, last in self.numbers)
        return f"allowxperm {self.source} {self.target}:{self.tclass} {self.operation} {{ {' '.join(ends)} }}"


@dataclass(frozen=True)
class RuleDifference:
    """What the access vector rules of the new policy give more and less than those of the old one; all sorted."""

    gained: tuple[AccessChange, ...]
    lost: tuple[AccessChange, ...]
    gained_xperms: tuple[XpermChange, ...]
    lost_xperms: tuple[XpermChange, ...]
    joined: tuple[tuple[str, str], ...]
    """(type, attribute): both are in both policies, and the new one has the type among the attribute's members."""
    left: tuple[tuple[str, str], ...]


def compare_rules(old: Rules, new: Rules) -> RuleDifference:
    """The exact difference of two policies' access vector rules and attributes, whatever the state of the booleans.

    Seconds for two distributions' policies that are a module apart. Raises Incomparable where they differ in more
    accesses, or one access depends on more booleans, than can be compared.
    """
    forth, back = _Compared(new, old), _Compared(old, new)
    return RuleDifference(
        gained=forth.changes(),
        lost=back.changes(),
        gained_xperms=forth.xperm_changes(back),
        lost_xperms=back.xperm_changes(forth),
        joined=forth.memberships(),
        left=back.memberships(),
    )


class _Compared:
    """What ``one`` policy has and the ``other`` doesn't."""

    def __init__(self, one: Rules, other: Rules) -> None:
        self._one = one
        self._other = other
        self._twins = _twins(one, other)
        self._apart = {name: self._members_apart(name) for name in one.facts.types}
        self._moved = self._names_apart()
        self.candidates = self._allow_candidates()

    def changes(self) -> tuple[AccessChange, ...]:
        """Accesses of ``one`` that ``other`` doesn't give in every state in which ``one`` does."""
        found: dict[tuple[str, str, str, str], list[str]] = {}
        for key, mask in self.candidates.items():
            for condition, perms in self._settle(key, mask):
                found.setdefault((*key, condition), []).extend(perms)
        return tuple(sorted(AccessChange(*key, tuple(sorted(perms))) for key, perms in found.items()))

    def xperm_changes(self, reverse: _Compared) -> tuple[XpermChange, ...]:
        """Commands of ``one`` that ``other`` refuses; ``reverse`` is the comparison the other way round."""
        narrowed = self._one.index.xperms.keys() | self._other.index.xperms.keys()
        keys = {(key, operation) for key in self.candidates if key[2] in narrowed for operation in OPERATIONS}
        keys.update(self._xperm_candidates())
        keys.update(reverse._xperm_candidates())
        found = []
        for key, operation in keys:
            commands = self._more_commands(key, operation)
            if commands:
                found.append(XpermChange(*key, operation, ranges(commands)))
        return tuple(sorted(found))

    def memberships(self) -> tuple[tuple[str, str], ...]:
        """(type, attribute) of ``one`` where ``other`` has both, and not the one in the other."""
        known = self._other.facts.attributes
        return tuple(
            sorted(
                (type_, name)
                for name, apart in self._apart.items()
                if name in self._twins
                for type_ in apart
                if type_ in known
            )
        )

    def _members_apart(self, name: str) -> frozenset[str]:
        twin = self._twins.get(name)
        members = self._one.facts.types[name]
        return members if twin is None else members - self._other.facts.types[twin]

    def _names_apart(self) -> frozenset[str]:
        """The names of types and attributes that don't stand for the same types in ``other``."""
        ours, theirs = self._one.facts, self._other.facts
        attributes = {name for name, apart in self._apart.items() if apart or self._twins.get(name) != name}
        return frozenset(attributes | (ours.attributes.keys() - theirs.attributes.keys()))

    def _allow_candidates(self) -> dict[Key, int]:
        """Accesses of ``one`` that ``other`` might not give; masks are numbered as in ``one``."""
        found: dict[Key, int] = {}
        for source, target, tclass, mask, twin_mask in self._rules_beside_twins():
            for fresh, both in ((mask & ~twin_mask, False), (mask & twin_mask, True)):
                if fresh:
                    for pair in self._pairs(source, target, both):
                        key = (*pair, tclass)
                        found[key] = found.get(key, 0) | fresh
                    _check_size(found)
        return found

    def _rules_beside_twins(self) -> Iterator[tuple[str, str, str, int, int]]:
        """Allow rules of ``one``: source, target, class, mask, and the mask of the same rule in ``other``; all but some
        that are the same and stand for the same."""
        index, other = self._one.index, self._other.index
        for tclass, by_source in index.allow.items():
            twins = other.allow.get(tclass, {})
            same_bits = index.bits.get(tclass) == other.bits.get(tclass)
            for source, by_target in by_source.items():
                beside = twins.get(self._twin(source), {})
                row: Iterable[tuple[str, int]] = by_target.items()
                if beside == by_target and same_bits and source not in self._moved:
                    row = [(target, by_target[target]) for target in by_target.keys() & self._moved]
                for target, mask in row:
                    yield source, target, tclass, mask, self._numbered(tclass, beside.get(self._twin(target), 0))
        for tclass, by_source_if in index.allow_if.items():
            twins_if = other.allow_if.get(tclass, {})
            for source, by_target_if in by_source_if.items():
                beside_if = twins_if.get(self._twin(source), {})
                for target, rules in by_target_if.items():
                    there = beside_if.get(self._twin(target), [])
                    for rule in rules:
                        term = (index.conditions[rule.condition].postfix, rule.block)
                        mask = 0
                        for twin in there:
                            if (other.conditions[twin.condition].postfix, twin.block) == term:
                                mask |= twin.mask
                        yield source, target, tclass, rule.mask, self._numbered(tclass, mask)

    def _xperm_candidates(self) -> Iterator[tuple[Key, str]]:
        """Where a rule on extended permissions stands in ``one`` that may not be the same in ``other``."""
        count = 0
        for tclass, by_source in self._one.index.xperms.items():
            twins = self._other.index.xperms.get(tclass, {})
            for source, by_target in by_source.items():
                for target, rules in by_target.items():
                    there = twins.get(self._twin(source), {}).get(self._twin(target), [])
                    both = _xperm_texts(self._one, rules) == _xperm_texts(self._other, there)
                    for pair in self._pairs(source, target, both):
                        count += 1
                        if count > _MOST_ACCESSES:
                            raise _too_many()
                        for operation in OPERATIONS:  # a rule of one closes the lists of all
                            yield (*pair, tclass), operation

    def _pairs(self, source: str, target: str, both: bool) -> Iterator[tuple[str, str]]:
        """The pairs of types behind a rule; of a rule that both policies have, those it has in ``one`` alone."""
        sources, targets = self._types(source), self._types(target)
        if not both:
            _check_pairs(sources, targets)
            yield from product(sources, targets)
            return
        new_sources, new_targets = self._types_apart(source), self._types_apart(target)
        if new_sources or new_targets:
            _check_pairs(new_sources, targets)
            _check_pairs(sources, new_targets)
            yield from product(new_sources, targets)
            yield from product(sources - new_sources, new_targets)

    def _types(self, name: str) -> frozenset[str]:
        members = self._one.facts.types.get(name)
        return frozenset((name,)) if members is None else members

    def _types_apart(self, name: str) -> frozenset[str]:
        apart = self._apart.get(name)
        if apart is not None:
            return apart
        return frozenset() if name in self._other.facts.attributes else frozenset((name,))

    def _twin(self, name: str) -> str:
        return self._twins.get(name, name)

    def _numbered(self, tclass: str, mask: int) -> int:
        """A mask of ``other`` in the numbering of ``one``."""
        mine, theirs = self._one.index.bits.get(tclass), self._other.index.bits.get(tclass)
        if not mask or mine == theirs or mine is None:
            return mask if mine is not None else 0
        return self._one.index.mask(tclass, self._other.index.perms(tclass, mask) & mine.keys())

    def _settle(self, key: Key, mask: int) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Of the candidates of one key, those that are a difference, by the condition they stand under in ``one``."""
        tclass = key[2]
        always = self._always(self._one, key)
        elsewhere = self._numbered(tclass, self._always(self._other, key))
        left = mask & ~elsewhere
        if not left:
            return
        terms, other_terms = Terms(self._one, key), Terms(self._other, key)
        plain = left & always & ~self._numbered(tclass, other_terms.mask)
        if plain:
            yield "", tuple(self._one.index.perms(tclass, plain))
        for perm in self._one.index.perms(tclass, left & ~plain):
            mine = terms.of(perm) if not always & self._one.bit(tclass, perm) else None
            theirs = other_terms.of(perm)
            if mine == theirs:
                continue
            if any(
                any_holds(mine, state) and not any_holds(theirs, state) for state in states_of((mine or ()), theirs)
            ):
                yield text_of(mine), (perm,)

    def _always(self, rules: Rules, key: Key) -> int:
        source, target, tclass = key
        if source not in rules.facts.attributes or target not in rules.facts.attributes:
            return 0
        sides = rules.facts.sides
        return gather(rules.index.allow, tclass, sides[source], sides[target])

    def _more_commands(self, key: Key, operation: str) -> int:
        mine, theirs = Commands(self._one, key, operation), Commands(self._other, key, operation)
        if not (mine.narrowed or theirs.narrowed):
            return 0
        more = 0
        for state in states_of(mine.terms, theirs.terms):
            more |= mine.allowed(state) & ~theirs.allowed(state)
        return more


class Terms:
    """Under which conditions the conditional rules of one policy give the permissions of one key."""

    def __init__(self, rules: Rules, key: Key) -> None:
        source, target, tclass = key
        self._bits = rules.index.bits.get(tclass, {})
        self._found: list[tuple[Term, int]] = []
        self.mask = 0
        if source in rules.facts.attributes and target in rules.facts.attributes:
            sides = rules.facts.sides
            for rule in gather_lists(rules.index.allow_if, tclass, sides[source], sides[target]):
                self._found.append(((rules.index.conditions[rule.condition].postfix, rule.block), rule.mask))
                self.mask |= rule.mask

    def of(self, perm: str) -> frozenset[Term]:
        """Any of these gives it."""
        bit = self._bits.get(perm, 0)
        return frozenset(term for term, mask in self._found if mask & bit)


class Commands:
    """Which commands of one operation one policy lets through for one key."""

    def __init__(self, rules: Rules, key: Key, operation: str) -> None:
        source, target, tclass = key
        self._always = False
        self._given: frozenset[Term] = frozenset()
        self._rules: list[tuple[Term | None, int]] = []
        facts = rules.facts
        if source in facts.attributes and target in facts.attributes:
            bit = rules.bit(tclass, operation)
            self._always = bool(gather(rules.index.allow, tclass, facts.sides[source], facts.sides[target]) & bit)
            self._given = Terms(rules, key).of(operation)
            for rule in gather_lists(rules.index.xperms, tclass, facts.sides[source], facts.sides[target]):
                term = None if rule.condition is None else term_of(rules, rule.condition, rule.block)
                gives = rule.kind == "allowxperm" and rule.operation == operation
                self._rules.append((term, set_of(rule.numbers) if gives else 0))
        self.narrowed = bool(self._rules)
        self.terms = self._given | {term for term, _ in self._rules if term is not None}

    def allowed(self, state: Mapping[str, bool]) -> int:
        """The set of commands for a state of the booleans."""
        if not (self._always or any_holds(self._given, state)):
            return 0
        commands = [numbers for term, numbers in self._rules if term is None or any_holds((term,), state)]
        if not commands:
            return EVERY_COMMAND
        joined = 0
        for numbers in commands:
            joined |= numbers
        return joined


def _xperm_texts(rules: Rules, found: Iterable[XpermRule]) -> list[str]:
    """The rules of one place, comparable across policies (a condition's number is not)."""
    texts = []
    for rule in found:
        term = None if rule.condition is None else term_of(rules, rule.condition, rule.block)
        texts.append(repr((rule.kind, rule.operation, sorted(rule.numbers), term)))
    return sorted(texts)


def _twins(one: Rules, other: Rules) -> dict[str, str]:
    """From each attribute of ``one`` to the same in ``other``: by name, else (generated names change from build to
    build) one that ``one`` lacks and that has the same members. Which one it is decides how fast the comparison is,
    never its result."""
    found = {name: name for name in one.facts.types if name in other.facts.types}
    left = {members: name for name, members in other.facts.types.items() if name not in found}
    for name, members in one.facts.types.items():
        if name not in found and members in left:
            found[name] = left.pop(members)
    return found


def _check_pairs(sources: frozenset[str], targets: frozenset[str]) -> None:
    if len(sources) * len(targets) > _MOST_ACCESSES:
        raise _too_many()


def _check_size(found: Mapping[Key, int]) -> None:
    if len(found) > _MOST_ACCESSES:
        raise _too_many()


def _too_many() -> Incomparable:
    return Incomparable(
        f"the policies differ in more than {_MOST_ACCESSES:,} (source, target, class) triples",
        hint="a rule between large attributes does that; nothing can be proven about it",
    )
