"""Joining what belongs together: the evidence, rules and remedies of several findings made one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Optional, TypeVar

from polkit.model import SAMPLE, AvRule, Evidence, Remedy, Rule, XpermRule

_T = TypeVar("_T")


def join_evidence(parts: Iterable[Evidence]) -> Evidence:
    """Counts added, times widened, samples joined (the smallest SAMPLE values of each)."""
    all_parts = tuple(parts)

    def sample(values: Callable[[Evidence], tuple[str, ...]]) -> tuple[str, ...]:
        return tuple(sorted({value for part in all_parts for value in values(part)})[:SAMPLE])

    return Evidence(
        records=sum(part.records for part in all_parts),
        accesses=sum(part.accesses for part in all_parts),
        first=_bound(min, (part.first for part in all_parts)),
        last=_bound(max, (part.last for part in all_parts)),
        permissive=sum(part.permissive for part in all_parts),
        comms=sample(lambda part: part.comms),
        paths=sample(lambda part: part.paths),
        names=sample(lambda part: part.names),
        devices=sample(lambda part: part.devices),
        exes=sample(lambda part: part.exes),
        syscalls=sample(lambda part: part.syscalls),
        calls=sample(lambda part: part.calls),
        nodes=sample(lambda part: part.nodes),
        answers=sample(lambda part: part.answers),
        ports=tuple(sorted({port for part in all_parts for port in part.ports})[:SAMPLE]),
        levels=sample(lambda part: part.levels),
        hosts=sample(lambda part: part.hosts),
    )


def _bound(choose: Callable[[Iterable[int]], int], times: Iterable[Optional[int]]) -> Optional[int]:
    known = [time for time in times if time is not None]
    return choose(known) if known else None


def join_rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Rules on the same (kind, source, target, class) made one, everything sorted and without repeats."""
    perms: dict[tuple[str, str, str, str], set[str]] = {}
    numbers: dict[tuple[str, str, str, str, str], set[int]] = {}
    others: set[Rule] = set()
    for rule in rules:
        if isinstance(rule, AvRule):
            perms.setdefault((rule.kind, rule.source, rule.target, rule.tclass), set()).update(rule.perms)
        elif isinstance(rule, XpermRule):
            key = (rule.kind, rule.source, rule.target, rule.tclass, rule.operation)
            numbers.setdefault(key, set()).update(rule.numbers)
        else:
            others.add(rule)
    av_rules = [AvRule(*key, tuple(sorted(found))) for key, found in sorted(perms.items())]
    xperm_rules = [XpermRule(*key, tuple(sorted(found))) for key, found in sorted(numbers.items())]
    return (*av_rules, *xperm_rules, *sorted(others, key=lambda rule: (type(rule).__name__, rule)))


def join_remedies(remedies: Iterable[Remedy]) -> Remedy:
    """The remedies of one decision made one: the first one's words, everybody's commands, rules, types and contexts."""
    parts = tuple(remedies)
    commands = _unique(command for part in parts for command in part.commands)
    any_command = any(part.any_command for part in parts)
    noted = (part for part in parts if part.any_command) if any_command else parts
    rules = (rule for part in parts for rule in part.rules if not (any_command and isinstance(rule, XpermRule)))
    return replace(
        parts[0],
        commands=commands,
        rules=join_rules(rules),
        any_command=any_command,
        xperm_note=" ".join(_unique(part.xperm_note for part in noted if part.xperm_note)),
        types=tuple(sorted({type_ for part in parts for type_ in part.types})),
        contexts=tuple(sorted({context for part in parts for context in part.contexts})),
        nearest=_unique(name for part in parts for name in part.nearest),
    )


def _unique(values: Iterable[_T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(values))
