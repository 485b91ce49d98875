"""Conditions of ``if`` blocks, apart from the policy they stand in: when they hold, in which states, and as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product

from polkit.errors import PolkitError
from polkit.module import te_condition
from polkit.policy.index import Condition
from polkit.policy.rules import Rules

_MOST_BOOLEANS = 12


class Incomparable(PolkitError):
    """Two policies that differ in more than can be compared."""


Term = tuple[tuple[str, ...], bool]
"""A condition in postfix, and the value it must have."""


def term_of(rules: Rules, condition: int, block: bool) -> Term:
    """The term of a rule in block ``block`` of condition number ``condition``."""
    return rules.index.conditions[condition].postfix, block


def any_holds(terms: Iterable[Term] | None, state: Mapping[str, bool]) -> bool:
    """Whether any of the terms holds; None stands for "always"."""
    return terms is None or any(Condition(postfix, ()).holds(state) == block for postfix, block in terms)


def implies(one: frozenset[Term] | None, other: frozenset[Term] | None) -> bool:
    """Whenever a term of one holds, a term of the other does; None stands for "always"."""
    if other is None or (one is not None and one <= other):
        return True
    return all(any_holds(other, state) or not any_holds(one, state) for state in states_of(one or (), other))


def states_of(*sets: Iterable[Term]) -> Iterator[dict[str, bool]]:
    """Every state of the booleans that any of the terms names."""
    operators = {"!", "&&", "||", "^", "==", "!="}
    names = sorted({item for terms in sets for postfix, _ in terms for item in postfix if item not in operators})
    if len(names) > _MOST_BOOLEANS:
        raise Incomparable(
            f"one access depends on {len(names)} booleans, so the policies can't be compared",
            hint=f"at most {_MOST_BOOLEANS} are: {', '.join(names[:4])}, ...",
        )
    for values in product((False, True), repeat=len(names)):
        yield dict(zip(names, values))


def text_of(terms: Iterable[Term] | None) -> str:
    """``container_use_nfs`` or ``!(a && b)``; several joined by ``||``."""
    return "" if terms is None else " || ".join(sorted(_infix(postfix, block) for postfix, block in terms))


def _infix(postfix: tuple[str, ...], block: bool) -> str:
    return te_condition(postfix) if block else f"!{te_condition(postfix)}"
