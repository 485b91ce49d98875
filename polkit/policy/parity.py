"""Whether one type is as confined as another by the constraints: as a source, as a target, and as both at once.

An allow rule that both have means less for the one that a constraint refuses. What a constraint says of levels, users
and roles is the same for both, so it is left open, and the two are compared in every case of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import product

from polkit.policy.constraints import Comparison, Constraint, Names, evaluate_by
from polkit.policy.interface import Weaker
from polkit.policy.rules import Rules

_MOST_OPEN = 12
_PARTIES = (("1",), ("2",), ("1", "2"), ("3",))
"""Source, target, both at once and, of a validatetrans statement, the process."""


def weaker(rules: Rules, base: str, sides: frozenset[str]) -> tuple[Weaker, ...]:
    """The constraints that are weaker for a type with these ``sides`` (its name and attributes) than for ``base``."""
    return weaker_than(rules, rules.facts.sides[base], sides)


def weaker_than(rules: Rules, base: frozenset[str], sides: frozenset[str]) -> tuple[Weaker, ...]:
    """The same, of two types that are both told by their sides.

    A statement with more than twelve open questions about levels, users and roles that treats the two differently
    counts as weaker: it can't be known.
    """
    found = {
        Weaker(tclass, statement.text)
        for tclass, statements in rules.facts.constraints.items()
        for statement in statements
        if _is_weaker(statement, base, sides)
    }
    return tuple(sorted(found))


def tightening(rules: Rules, base: str, joined: frozenset[str]) -> frozenset[str]:
    """Which further attributes of ``base`` a type that has ``joined`` must join to be as confined as it is."""
    named = {name for found in rules.facts.constraints.values() for one in found for name in _named(one)}
    chosen = joined
    for attribute in sorted(named & rules.facts.attributes[base] - joined):
        if len(weaker(rules, base, chosen | {attribute})) < len(weaker(rules, base, chosen)):
            chosen |= {attribute}
    return chosen - joined


def _named(statement: Constraint) -> Iterator[str]:
    for item in statement.postfix:
        if isinstance(item, Comparison) and isinstance(item.right, Names) and item.left[0] == "t":
            yield from _words(item.right)


def _words(names: Names) -> frozenset[str]:
    return _words_of(names.text)


@lru_cache(maxsize=1024)
def _words_of(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\s{}]+", text))


def _is_weaker(statement: Constraint, base: frozenset[str], other: frozenset[str]) -> bool:
    """In some case the statement refuses the base and lets the other through, whichever of its parties the two are."""
    for parties in _PARTIES:
        if _may_gain(statement, parties, base, other) and _differs(statement, parties, base, other):
            return True
    return False


def _may_gain(statement: Constraint, parties: tuple[str, ...], base: frozenset[str], other: frozenset[str]) -> bool:
    """Some comparison holds for the other and not for the base. Without one, and without ``not``, the expression can't
    come to hold either; with ``not``, any that differs may do it."""
    items = [item for item in statement.postfix if isinstance(item, Comparison) and _about(item, parties)]
    values = [(_member(item, base), _member(item, other)) for item in items]
    wanted = {(False, True), (True, False)} if "not" in statement.postfix else {(False, True)}
    return not wanted.isdisjoint(values)


def _about(item: Comparison, parties: tuple[str, ...]) -> bool:
    """A comparison of the type of one of the parties with names."""
    return isinstance(item.right, Names) and item.left[0] == "t" and item.left[1] in parties


def _member(item: Comparison, sides: frozenset[str]) -> bool:
    """What a comparison of types says of a type with these sides."""
    assert isinstance(item.right, Names)
    inside = not sides.isdisjoint(_words(item.right)) or not sides.isdisjoint(item.right.members)
    return inside == (item.operator == "==")


def _differs(statement: Constraint, parties: tuple[str, ...], base: frozenset[str], other: frozenset[str]) -> bool:
    open_ = sorted({_question(item) for item in statement.postfix if _is_open(item, parties)})
    if len(open_) > _MOST_OPEN:
        return True
    for answers in product((False, True), repeat=len(open_)):
        case = dict(zip(open_, answers))
        if not _value(statement, parties, base, case) and _value(statement, parties, other, case):
            return True
    return False


def _is_open(item: object, parties: tuple[str, ...]) -> bool:
    return isinstance(item, Comparison) and not _about(item, parties)


def _question(item: object) -> tuple[str, str, str]:
    """What is left open; ``!=`` asks the same as ``==``."""
    assert isinstance(item, Comparison)
    right = item.right.text if isinstance(item.right, Names) else item.right
    return (item.left, "==" if item.operator == "!=" else item.operator, right)


def _value(
    statement: Constraint, parties: tuple[str, ...], sides: frozenset[str], case: dict[tuple[str, str, str], bool]
) -> bool:
    def answer(item: Comparison) -> bool:
        if _about(item, parties):
            return _member(item, sides)
        return case[_question(item)] == (item.operator != "!=")

    return evaluate_by(statement.postfix, answer) is True
