"""The statements of an AccessSet in the one order in which they are written, each with its evidence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Optional, Union

from polkit.model import (
    SELF,
    AvRule,
    ModuleSource,
    Permissive,
    RoleAllow,
    RoleTypes,
    TypeBounds,
    TypeDeclaration,
    XpermRule,
)
from polkit.module.comments import call_comment, comment

Item = Union[TypeDeclaration, RoleTypes, TypeBounds, Permissive, RoleAllow, AvRule, XpermRule]


class Commented(NamedTuple):
    """A statement, what stands above it (raw evidence lines, calls of interfaces that say the same), and whether an
    empty line sets it apart.
    """

    item: Item
    comments: tuple[str, ...]
    same_as: tuple[tuple[str, str], ...]
    apart: bool

    def comment_lines(self, leader: str) -> tuple[str, ...]:
        """All comments, escaped. Raises CompileError for a call that is none."""
        calls = (call_comment(call, note, leader) for call, note in self.same_as)
        return (*(comment(line, leader) for line in self.comments), *calls)


def in_order(source: ModuleSource) -> list[Commented]:
    """The statements group by group (own types, roles, bounds, role changes, rules), each group sorted.

    An allowxperm follows the rules of the same source, target and class. An empty line stands where a group begins,
    above evidence, and below what that evidence is about.
    """
    access = source.access
    groups: list[list[Item]] = [
        sorted(set(access.types)),
        sorted(set(access.role_types)),
        sorted(set(access.bounds)),
        sorted(set(access.permissive)),
        sorted(set(access.role_allows)),
        sorted({*access.rules, *access.xperms}, key=_rule_order),
    ]
    return [entry for group in groups for entry in _commented(group, source)]


def droppable_types(item: Item, source: ModuleSource) -> tuple[str, ...]:
    """The foreign types that stand in an optional block together with a rule, sorted; none for what stands outside."""
    if not source.optionals or not isinstance(item, (AvRule, XpermRule)):
        return ()
    known = {SELF, *(name for one in source.access.types for name in (one.name, *one.attributes))}
    return tuple(sorted({item.source, item.target} - known))


def _commented(group: list[Item], source: ModuleSource) -> Iterator[Commented]:
    above: Optional[Item] = None
    explained = False
    for item in group:
        evidence = source.comments.get(item, ())
        same_as = source.same_as.get(item, ()) if isinstance(item, AvRule) else ()
        continues = isinstance(item, XpermRule) and not evidence and _object(above) == _object(item)
        apart = above is None or bool(evidence) or (explained and not continues)
        yield Commented(item, evidence, same_as, apart)
        explained = bool(evidence) or (explained and continues)
        above = item


def _object(item: Optional[Item]) -> tuple[str, ...]:
    return (item.source, item.target, item.tclass) if isinstance(item, (AvRule, XpermRule)) else ()


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
