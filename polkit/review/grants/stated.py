"""Where a module's sources state an access, a type transition or a membership that a check came to otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from polkit.module.source import Located, Transition
from polkit.review.case import Case, place_of
from polkit.review.findings import Place


def rule_for(case: Case, source: str, target: str, tclass: str, perms: Iterable[str]) -> Optional[Located]:
    """The first allow rule that gives one of some permissions of one type on another."""
    wanted = frozenset(perms)
    for rule in case.rules:
        access = rule.access
        pair = source in access.sources and (target in access.targets or (access.to_self and source == target))
        if pair and access.tclass == tclass and not wanted.isdisjoint(access.perms):
            return rule.where
    return None


def transition_for(case: Case, source: str, target: str) -> Optional[Located]:
    """The first type_transition of processes from one domain into another."""
    if case.names is None:
        return None
    for one in case.statements:
        statement = one.statement
        if (
            isinstance(statement, Transition)
            and (statement.kind, statement.result) == ("type_transition", target)
            and statement.classes is not None
            and "process" in statement.classes.names
            and source in case.names.of(statement.sources)
        ):
            return one
    return None


def join_for(case: Case, type_: str) -> Optional[Located]:
    """The first statement that puts a type into an attribute."""
    joins = () if case.names is None else case.names.joins
    return next((join.where for join in joins if join.type == type_), None)


def and_others(count: int) -> str:
    """`` and 2 other domains``, behind the name of one."""
    return "" if not count else " and another domain" if count == 1 else f" and {count} other domains"


def place_or_file(case: Case, *candidates: Optional[Located]) -> Place:
    """The place of the first statement there is, else the module's file."""
    return next((place_of(one) for one in candidates if one is not None), Place(case.file))
