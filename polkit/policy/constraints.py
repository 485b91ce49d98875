"""Constraints: read, evaluated for what a log tells, and written as a policy author would.

A binary policy holds them in postfix form. The comparison of levels may be unknown (a record without levels), so the
evaluation has three values: True, False and None for "can't be known" (Kleene's logic).
Source: the SELinux Notebook, "Constraint Statements"; kernel ``ss/services.c`` ``constraint_expr_eval``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Callable, Optional, Union

from polkit.model import LevelRelations, Party
from polkit.model.levels import DOMINATED, DOMINATES, EQUAL, INCOMPARABLE, UNKNOWN
from polkit.policy.interface import FailedConstraint
from polkit.policy.protocols import Named, SetoolsConstraint, SetoolsPolicy

Truth = Optional[bool]

_HOLDS = {
    "==": (EQUAL,),
    "!=": (DOMINATES, DOMINATED, INCOMPARABLE),
    "dom": (EQUAL, DOMINATES),
    "domby": (EQUAL, DOMINATED),
    "incomp": (INCOMPARABLE,),
}
"""For each operator the outcomes of a comparison of levels, or of roles, for which it is true."""
_ABOUT = {"u": "user", "r": "role", "t": "type", "l": "level", "h": "level"}


@dataclass(frozen=True)
class Names:
    """The right side of a comparison with names: ``members`` has attributes expanded, ``text`` is what was written."""

    members: frozenset[str]
    text: str


@dataclass(frozen=True)
class Comparison:
    """``left operator right``; both are words such as ``u1`` or ``h2``, the right one may be Names."""

    left: str
    operator: str
    right: Union[str, Names]


@dataclass(frozen=True)
class Constraint:
    """One statement for one class. ``postfix`` holds comparisons and the words ``and``, ``or``, ``not``.

    ``kind`` is constrain, mlsconstrain, validatetrans or mlsvalidatetrans; the latter two have no permissions.
    """

    kind: str
    perms: frozenset[str]
    postfix: tuple[Union[str, Comparison], ...]
    text: str
    about: frozenset[str]


@dataclass(frozen=True)
class Asked:
    """What a constraint can ask of one access; types are canonical. ``dominated`` lists for a role those below it."""

    source: Party
    target: Party
    levels: LevelRelations
    dominated: Mapping[str, frozenset[str]]


def read_constraints(
    policy: SetoolsPolicy, types: Mapping[str, frozenset[str]]
) -> Mapping[str, tuple[Constraint, ...]]:
    """All constraints of a policy, by class; ``types`` expands attributes."""
    found: dict[str, list[Constraint]] = {}
    for statement in policy.constraints():
        found.setdefault(statement.tclass.name, []).append(_read(statement, types))
    return {tclass: tuple(constraints) for tclass, constraints in found.items()}


def refusals(constraints: Iterable[Constraint], perm: str, asked: Asked) -> tuple[FailedConstraint, ...]:
    """The constraints on ``perm`` that refuse, or whose outcome can't be known; each text once."""
    return _refusals(constraints, perm, lambda comparison: _compare(comparison, asked))


def refusals_of_types(
    constraints: Iterable[Constraint], perm: str, source: str, target: str
) -> tuple[FailedConstraint, ...]:
    """The same where the two types alone are known: ``unknown`` ones refuse in some case of users, roles and levels,
    the others in every case."""
    return _refusals(constraints, perm, lambda comparison: _compare_types(comparison, source, target))


def _refusals(
    constraints: Iterable[Constraint], perm: str, answer: Callable[[Comparison], Truth]
) -> tuple[FailedConstraint, ...]:
    failed: dict[str, FailedConstraint] = {}
    for constraint in constraints:
        if perm not in constraint.perms:
            continue
        truth = evaluate_by(constraint.postfix, answer)
        if truth is not True:
            failed[constraint.text] = FailedConstraint(
                constraint.kind, constraint.text, constraint.about, truth is None
            )
    return tuple(failed[text] for text in sorted(failed))


def evaluate(postfix: Iterable[Union[str, Comparison]], asked: Asked) -> Truth:
    """The value of an expression: None when it depends on levels that are not known."""
    return evaluate_by(postfix, lambda comparison: _compare(comparison, asked))


def evaluate_by(postfix: Iterable[Union[str, Comparison]], answer: Callable[[Comparison], Truth]) -> Truth:
    """The value of an expression whose comparisons have these values: None when it depends on those not known."""
    stack: list[Truth] = []
    for item in postfix:
        if isinstance(item, Comparison):
            stack.append(answer(item))
        elif item == "not":
            operand = stack.pop()
            stack.append(None if operand is None else not operand)
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(_join(item, left, right))
    return stack.pop()


def _join(operator: str, left: Truth, right: Truth) -> Truth:
    """Kleene's ``and`` and ``or``: one deciding side decides, whatever the other is."""
    deciding = operator == "or"
    if deciding in (left, right):
        return deciding
    return None if None in (left, right) else not deciding


def _compare(comparison: Comparison, asked: Asked) -> Truth:
    left, operator, right = comparison.left, comparison.operator, comparison.right
    if isinstance(right, Names):
        return (_word(left, asked) in right.members) == (operator == "==")
    if left[0] in "lh":
        relation: str = getattr(asked.levels, f"{left}_{right}")
        return None if relation == UNKNOWN else relation in _HOLDS[operator]
    one, two = _word(left, asked), _word(right, asked)
    if left[0] == "r":
        return _relate_roles(one, two, asked.dominated) in _HOLDS[operator]
    return (one == two) == (operator == "==")


def _compare_types(comparison: Comparison, source: str, target: str) -> Truth:
    left, operator, right = comparison.left, comparison.operator, comparison.right
    if left[0] != "t":
        return None
    type_ = source if left[1] == "1" else target
    if isinstance(right, Names):
        return (type_ in right.members) == (operator == "==")
    return (source == target) == (operator == "==")


def _relate_roles(one: str, two: str, dominated: Mapping[str, frozenset[str]]) -> str:
    if one == two:
        return EQUAL
    if two in dominated.get(one, frozenset()):
        return DOMINATES
    return DOMINATED if one in dominated.get(two, frozenset()) else INCOMPARABLE


def _word(word: str, asked: Asked) -> str:
    """The value of ``u1``, ``r2``, ...: the party by the digit, its part by the letter."""
    party = asked.source if word[1] == "1" else asked.target
    return {"u": party.user, "r": party.role, "t": party.type}[word[0]]


def make_constraint(kind: str, perms: frozenset[str], postfix: tuple[Union[str, Comparison], ...]) -> Constraint:
    """The statement, with what its expression tells."""
    operands = [item for item in postfix if isinstance(item, Comparison)]
    about = frozenset(_ABOUT[item.left[0]] for item in operands)
    return Constraint(kind, perms, postfix, _infix(postfix), about)


def _read(statement: SetoolsConstraint, types: Mapping[str, frozenset[str]]) -> Constraint:
    kind: str = statement.ruletype.name
    perms = frozenset[str]() if kind.endswith("validatetrans") else statement.perms
    return make_constraint(kind, perms, _comparisons(statement.expression, types))


def _comparisons(
    expression: Iterable[object], types: Mapping[str, frozenset[str]]
) -> tuple[Union[str, Comparison], ...]:
    """setools lists a comparison as three items (left, right, operator): join them."""
    postfix: list[Union[str, Comparison]] = []
    operands: list[Union[str, Names]] = []
    for item in expression:
        if isinstance(item, (frozenset, set)):
            operands.append(_names(item, types))
        elif str(item) in ("and", "or", "not"):
            postfix.append(str(item))
        elif str(item) in _HOLDS:
            right, left = operands.pop(), str(operands.pop())
            postfix.append(Comparison(left, str(item), right))
        else:
            operands.append(str(item))
    return tuple(postfix)


def _names(symbols: Iterable[Named], types: Mapping[str, frozenset[str]]) -> Names:
    names = sorted(symbol.name for symbol in symbols)
    members: set[str] = set()
    for name in names:
        members.update(types.get(name, (name,)))
    return Names(frozenset(members), names[0] if len(names) == 1 else "{ " + " ".join(names) + " }")


def _infix(postfix: Iterable[Union[str, Comparison]]) -> str:
    """``(h1 dom h2) or (t1 != mcs_constrained_type)``; a chain of one operator needs no parentheses inside."""
    stack: list[tuple[str, str]] = []
    for item in postfix:
        if isinstance(item, Comparison):
            right = item.right.text if isinstance(item.right, Names) else item.right
            stack.append((f"{item.left} {item.operator} {right}", ""))
        elif item == "not":
            stack.append((f"not ({stack.pop()[0]})", ""))
        else:
            last, first = stack.pop(), stack.pop()
            sides = (text if operator == item else f"({text})" for text, operator in (first, last))
            stack.append((f" {item} ".join(sides), item))
    return stack.pop()[0]
