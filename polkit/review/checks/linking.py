"""PK005: the policy does not take the module, for another reason than a name that it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from polkit.module.source import Located, Requirement
from polkit.review.case import Case, place_of
from polkit.review.checks.missing import has
from polkit.review.checks.unknown import unknown
from polkit.review.findings import Finding, Fix, Place
from polkit.review.grants.uses import BOOLEAN, TYPE, declared_by, used_by

_NAMED = re.compile(r"[\w.-]+", re.ASCII)
_AT = re.compile(r"\bat (?:\S*/)?([\w.-]+?)(?:/cil|\.cil):(\d+)", re.ASCII)
"""A line of a module, as semodule and as secilc name it."""
_IN_WORDS = (
    (
        r"[Rr]e-?declaration of \w+ (\S+)|[Dd]uplicate declaration of \w+ (\S+)",
        "The policy has {0} already",
        "Take the declaration out and require {0} instead, or give yours another name.",
    ),
    (
        r"[Ff]ailed to resolve (\w+) statement",
        "A {0} statement names what the policy does not have",
        "Look at the names of the statement; interfaces of other modules may be missing here.",
    ),
    (
        r"[Cc]onflicting (?:type rules|.*rules)",
        "A transition contradicts one that the policy has",
        "For one source, target, class and file name there can be one result only: take yours out.",
    ),
    (
        r"[Cc]ircular bounds found for type (\S+)",
        "{0} is bounded by itself",
        "Take one typebounds of the circle out.",
    ),
    (
        r"neverallow",
        "A rule breaks a neverallow of the policy, and this store is built with expand-check",
        "Take out the rule that breaks it.",
    ),
)


_WHY = (
    "The module compiles, and the policy refuses it when it is installed: nothing of it is in force. semodule then "
    "leaves the policy as it was, so the failure is easily overlooked in a script."
)


def find(case: Case) -> Iterator[Finding]:
    """Names that the policy has already; else what ``semodule`` says of the build of the policy with the module."""
    taken = list(_taken(case))
    yield from taken
    if taken or not case.modules or (error := case.does_not_link) is None:
        return
    lines = [line.strip() for line in (error.output or str(error)).splitlines() if line.strip()]
    if any(not one.tclass for one in unknown(case)):
        return  # a name that the policy lacks: PK003 says which
    title, fix = _in_words(lines)
    yield Finding(
        id="PK005",
        severity="high",
        confidence="high",
        place=_place(case, lines),
        title=title,
        why=_WHY,
        fix=Fix(fix),
        evidence=tuple(lines[:8]),
    )


def _taken(case: Case) -> Iterator[Finding]:
    """Types, attributes and booleans that are declared and that the policy has. Known where a module store stands
    beside it: a binary policy alone may have been built with the module."""
    policy = case.policy
    if policy is None or not policy.knows_neverallows:
        return
    if any(policy.module_priorities(one.name) for one in case.modules):
        return  # that is the module itself, where the policy without it was not built
    taken: dict[str, Located] = {}
    for one in case.statements:
        for name in declared_by(one.statement):
            if name.kind in (TYPE, BOOLEAN) and has(policy, name):
                taken.setdefault(name.name, one)
    for file in dict.fromkeys(one.file for one in taken.values()):
        yield _taken_in({name: one for name, one in taken.items() if one.file == file})


def _taken_in(taken: dict[str, Located]) -> Finding:
    """One finding for the names of one file."""
    names = list(taken)
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return Finding(
        id="PK005",
        severity="high",
        confidence="high",
        place=place_of(taken[names[0]]),
        title=f"The policy has {shown} already, and the module declares {'it' if len(names) == 1 else 'them'} again",
        why=_WHY,
        fix=Fix("Require in place of declaring, or use other names."),
        evidence=tuple(f"line {one.line}: {one.written}" for one in taken.values())[:16],
    )


def _in_words(lines: list[str]) -> tuple[str, str]:
    """The complaint in other words, and what to do."""
    for pattern, title, fix in _IN_WORDS:
        for line in lines:
            found = re.search(pattern, line)
            if found:
                name = next((one for one in found.groups() if one), "")
                return title.format(name), fix.format(name)
    said = lines[0] if lines else "it did not say why"
    return f"The policy does not take the module: {said[:160]}", "Correct what the message names."


def _place(case: Case, lines: list[str]) -> Place:
    """The line that is named, of a source in CIL; else the statement that has most of the complaint's names."""
    for text in case.sources:
        for found in _AT.finditer("\n".join(lines)):
            if text.kind == "cil" and found[1] == case.name:
                return Place(text.name, int(found[2]))
    words = set(_NAMED.findall(" ".join(lines[:2])))
    best, most = Place(case.file, 1), 0
    for one in case.statements:
        if not isinstance(one.statement, Requirement) and (shared := len(words & _names(one))) > most:
            best, most = place_of(one), shared
    return best


def _names(one: Located) -> set[str]:
    return {name.name for name in (*used_by(one), *declared_by(one.statement))}
