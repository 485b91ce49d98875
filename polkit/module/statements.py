"""The statements of an AccessSet in the one order in which they are written, each with its evidence."""

from __future__ import annotations

from typing import NamedTuple, Union

from polkit.model import (
    AvRule,
    ModuleSource,
    RoleAllow,
    RoleTypes,
    TypeBounds,
    TypeDeclaration,
    XpermRule,
)

Item = Union[TypeDeclaration, RoleTypes, TypeBounds, RoleAllow, AvRule, XpermRule]


class Commented(NamedTuple):
    """A statement and the raw evidence lines that stand above it."""

    item: Item
    comments: tuple[str, ...]


def in_order(source: ModuleSource) -> list[list[Commented]]:
    """The statements in groups (own types, roles, bounds, role changes, rules), sorted; empty groups are left out.

    An allowxperm follows the rules of the same source, target and class.
    """
    access = source.access
    groups: list[list[Item]] = [
        sorted(set(access.types)),
        sorted(set(access.role_types)),
        sorted(set(access.bounds)),
        sorted(set(access.role_allows)),
        sorted({*access.rules, *access.xperms}, key=_rule_order),
    ]
    return [[Commented(item, source.comments.get(item, ())) for item in group] for group in groups if group]


def _rule_order(rule: Item) -> tuple[str, str, str, bool, str, tuple[object, ...]]:
    if isinstance(rule, AvRule):
        return (rule.source, rule.target, rule.tclass, False, rule.kind, rule.perms)
    if isinstance(rule, XpermRule):
        return (rule.source, rule.target, rule.tclass, True, rule.kind, (rule.operation, *rule.numbers))
    raise TypeError(f"{type(rule).__name__} is no access vector rule")


def folded(numbers: tuple[int, ...]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers as (first, last); a run of two stays two runs of one, which reads better."""
    runs: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return [part for first, last in runs for part in _as_written(first, last)]


def _as_written(first: int, last: int) -> list[tuple[int, int]]:
    return [(first, first), (last, last)] if last == first + 1 else [(first, last)]
