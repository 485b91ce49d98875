"""PK023: a domain may write and execute files of one type, so that what it is made to write is code."""

from __future__ import annotations

from collections.abc import Iterator

from polkit.policy import EXECUTING, WRITING, given_between, written_and_executed
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix, Place
from polkit.review.grants.on_policy import Names, PolicyRule

_SHOWN = 8
Pair = tuple[str, str]


def find(case: Case) -> Iterator[Finding]:
    """One finding a place that completes the two halves, whichever rule gives the other one."""
    names = case.names
    if names is None:
        return
    stated: dict[Pair, set[str]] = {}
    halves: list[tuple[Pair, PolicyRule]] = []
    for rule in case.rules:
        if rule.access.tclass != "file":
            continue
        for vector in rule.new:
            if vector.perms & (WRITING | EXECUTING):
                stated.setdefault((vector.source, vector.target), set()).update(vector.perms)
                halves.append(((vector.source, vector.target), rule))
    found: dict[Place, list[Pair]] = {}
    seen: set[Pair] = set()
    for pair, rule in reversed(halves):  # the last half completes it
        if pair not in seen and _completes(names, pair, frozenset(stated[pair])):
            found.setdefault(place_of(rule.where), []).append(pair)
        seen.add(pair)
    for place in reversed(list(found)):
        yield _finding(names, place, sorted(found[place]))


def _completes(names: Names, pair: Pair, stated: frozenset[str]) -> bool:
    """Both halves are there with the module, and were not before."""
    had = _had(names, *pair)
    both = had | stated
    return bool(both & WRITING and both & EXECUTING) and not (had & WRITING and had & EXECUTING)


def _had(names: Names, domain: str, type_: str) -> frozenset[str]:
    """What rules of the policy give, those for attributes that the module joins among them."""
    given = given_between(names.policy, _sides(names, domain), (type_, *names.attributes(type_)), "file")
    return given | names.has_already(domain, type_, "file")


def _sides(names: Names, domain: str) -> frozenset[str]:
    """What rules may call a domain, and the one that it stands in for."""
    base = names.bases.get(domain)
    inherited = frozenset[str]() if base is None else names.policy.attributes(base) | {base}
    return names.attributes(domain) | inherited | {domain}


def _finding(names: Names, place: Place, pairs: list[Pair]) -> Finding:
    does = {one: sorted(written_and_executed(names.policy, _sides(names, one))) for one, _ in pairs}
    pairs = sorted(pairs, key=lambda pair: (bool(does[pair[0]]), pair))
    domain, type_ = pairs[0]
    anyway = does[domain]
    others = f" and {len(pairs) - 1} more" if len(pairs) > 1 else ""
    so_far = f" It may do so with {anyway[0]} anyway, so little is added." if anyway else ""
    return Finding(
        id="PK023",
        severity="low" if anyway else "medium",
        confidence="high",
        place=place,
        title=f"{domain} may write and execute {type_}{others}",
        why=(
            f"Whoever makes {domain} write a file of {type_} has it run what he wrote: the first step from a fault in a"
            f" program to code of one's own.{so_far or ' No other type of files is both for this domain.'}"
        ),
        fix=Fix(
            "Keep apart what is written and what is run: one type for data, without execute, and one for programs, that"
            " only the installer may write. Where code is compiled at run time, give its cache a type of its own."
        ),
        evidence=tuple(f"{one} may write and execute {other}" for one, other in pairs[:_SHOWN]),
    )
