"""Writes what a domain of the module's own inherits: apart from the module's own statements, in optional blocks.

A type that a later update of the distribution drops must not keep that update from being installed, as a type in a
module's ``require`` does; so whatever the domain can live without stands in a block that falls away with its names.
Source: checkpolicy ``policy_parse.y`` (``optional_block``, ``cond_stmt_def``); the CIL reference guide, "optional".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Optional

from polkit.errors import CompileError
from polkit.model import (
    SELF,
    AvRule,
    ConditionalRules,
    Inherited,
    InheritedRule,
    ModuleSource,
    RangeTransition,
    TypeTransition,
    XpermRule,
)

_OPERATORS = frozenset(("&&", "||", "^", "==", "!="))
_CIL_OPERATORS = {"&&": "and", "||": "or", "^": "xor", "==": "eq", "!=": "neq", "!": "not"}
_LEVEL = re.compile(r"s\d+(?::c\d+(?:[.,]c\d+)*)?\Z")
_OBJECT_NAME = re.compile(r"[A-Za-z0-9_.+/@:,-]+\Z")


class Block(NamedTuple):
    """Rules that need the same foreign names; ``condition`` is None outside of ``if`` blocks."""

    types: tuple[str, ...]
    attributes: tuple[str, ...]
    condition: Optional[tuple[str, ...]]
    rules: tuple[InheritedRule, ...]

    @property
    def booleans(self) -> tuple[str, ...]:
        """The booleans of the condition."""
        return () if self.condition is None else booleans_of(self.condition)

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels of its range transitions."""
        return tuple(sorted({rule.level for rule in self.rules if isinstance(rule, RangeTransition)}))


def blocks(source: ModuleSource) -> list[Block]:
    """The inherited rules by the foreign names they need; what needs none comes first. Deterministic."""
    inherited = source.inherited
    if inherited is None:
        return []
    known = {SELF, *(name for one in source.access.types for name in (one.name, *one.attributes))}
    found: dict[tuple[object, ...], list[InheritedRule]] = {}
    for condition, rule in _with_conditions(inherited):
        foreign = frozenset(_names(rule)) - known
        attributes = tuple(sorted(foreign.intersection(inherited.attributes)))
        types = tuple(sorted(foreign.difference(attributes)))
        found.setdefault((condition or (), types, attributes, condition), []).append(rule)
    ordered = sorted(found.items(), key=lambda item: item[0][:3])
    return [
        Block(types, attributes, condition, tuple(sorted(rules, key=_order)))  # type: ignore[arg-type]
        for (_, types, attributes, condition), rules in ordered
    ]


def check_inherited(inherited: Inherited) -> None:
    """Raise CompileError for a level or an object's name that no policy language takes. Names of types are checked
    with the module's own."""
    for rule in inherited.every_rule():
        if isinstance(rule, RangeTransition) and not all(_LEVEL.match(part) for part in rule.level.split("-")):
            raise CompileError(f"{rule.level[:80]!r} can't be written as a level")
        if isinstance(rule, TypeTransition) and rule.name and not _OBJECT_NAME.match(rule.name):
            raise CompileError(f"{rule.name[:80]!r} can't be written as an object's name")


def inherited_names(inherited: Inherited) -> Iterator[str]:
    """Every identifier that the inherited rules mention, ``self`` aside."""
    for rule in inherited.every_rule():
        yield from (name for name in (*_names(rule), rule.tclass) if name != SELF)
        if isinstance(rule, AvRule):
            yield from rule.perms
    for one in inherited.conditionals:
        yield from booleans_of(one.condition)


def inherited_classes(inherited: Inherited) -> dict[str, set[str]]:
    """What must be required of each class."""
    one_of = dict(inherited.classes)
    found: dict[str, set[str]] = {}
    for rule in inherited.every_rule():
        perms = found.setdefault(rule.tclass, set())
        if isinstance(rule, AvRule):
            perms.update(rule.perms)
        elif isinstance(rule, XpermRule):
            perms.add(rule.operation)
    return {tclass: perms or {one_of[tclass]} for tclass, perms in found.items()}


def has_conditional_xperms(inherited: Inherited) -> bool:
    """A rule on extended permissions in an ``if`` block, which ``checkmodule`` takes since 3.8 only."""
    return any(isinstance(rule, XpermRule) for one in inherited.conditionals for rule in one.rules)


def booleans_of(condition: tuple[str, ...]) -> tuple[str, ...]:
    """The booleans that an expression names, sorted."""
    return tuple(sorted({word for word in condition if word not in _OPERATORS and word != "!"}))


def te_condition(condition: tuple[str, ...]) -> str:
    """``(a && !b)``: an expression as ``checkmodule`` takes it, parentheses around every pair."""
    return _written(condition, "({left} {word} {right})", "!{left}", {})


def cil_condition(condition: tuple[str, ...]) -> str:
    """``(and a (not b))``."""
    return _written(condition, "({word} {left} {right})", "({word} {left})", _CIL_OPERATORS)


def _written(condition: tuple[str, ...], pair: str, negation: str, words: Mapping[str, str]) -> str:
    """A postfix expression in another notation: forms of a pair and of a negation, other words for operators."""
    stack: list[str] = []
    for word in condition:
        if word == "!" or word in _OPERATORS:
            right = "" if word == "!" else stack.pop()
            form = negation if word == "!" else pair
            stack.append(form.format(left=stack.pop(), right=right, word=words.get(word, word)))
        else:
            stack.append(word)
    return stack.pop()


def _with_conditions(inherited: Inherited) -> Iterator[tuple[Optional[tuple[str, ...]], InheritedRule]]:
    yield from ((None, rule) for rule in inherited.rules)
    for one in inherited.conditionals:
        yield from ((_as_true(one), rule) for rule in one.rules)


def _as_true(one: ConditionalRules) -> tuple[str, ...]:
    """The expression that is true where the rules are in force."""
    return one.condition if one.block else (*one.condition, "!")


def _names(rule: InheritedRule) -> Iterable[str]:
    if isinstance(rule, TypeTransition):
        return (rule.source, rule.target, rule.default)
    return (rule.source, rule.target)


def _order(rule: InheritedRule) -> tuple[object, ...]:
    return (type(rule).__name__, rule.source, rule.target, rule.tclass, repr(rule))
