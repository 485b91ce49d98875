"""PK010: the policy allows it without the module, all of a rule or some of its permissions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from polkit.module import NameSet
from polkit.module.source import Located, Rule, render_source
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix
from polkit.review.grants.on_policy import PolicyRule, Vector, by_statement, in_part
from polkit.review.patches import rewritten, without

_WHENCE = "The log that such a rule is made from was older than the policy, or came from a host with another one."


def find(case: Case) -> Iterator[Finding]:
    """Rules between types of the policy that it has anyway, for every type that they are for."""
    for where, parts in by_statement(case.rules):
        if any(one.names.has_own(one.access) or not one.is_whole for one in parts):
            continue
        given = [one.given for one in parts]
        if any(given):
            yield _finding(case, where, parts, given)


def _finding(case: Case, where: Located, parts: tuple[PolicyRule, ...], given: list[frozenset[str]]) -> Finding:
    whole = all(one.access.perms == perms for one, perms in zip(parts, given))
    always = all(
        perms <= one.names.policy.always_allowed(*pair, one.access.tclass)
        for one, perms in zip(parts, given)
        for pair in one.each()
    )
    vectors = [
        Vector(*pair, one.access.tclass, perms) for one, perms in zip(parts, given) if perms for pair in one.each()
    ]
    state = "" if always else " while its booleans stand as they do"
    what = "all of it" if whole else "a part of it"
    return Finding(
        id="PK010",
        severity="low",
        confidence="high" if always else "medium",
        place=place_of(where),
        title=f"The policy allows {what} already: {in_part([one.text for one in vectors], 1)}",
        why=f"The policy gives {what} without the module{state}, so the rule changes nothing. {_WHENCE}",
        fix=_fix(case, where, parts, given, whole),
        evidence=tuple(one.text for one in vectors[:16]),
    )


def _fix(case: Case, where: Located, parts: tuple[PolicyRule, ...], given: list[frozenset[str]], whole: bool) -> Fix:
    if whole:
        text = "Take the rule out; where the access is still refused, look at the level and the label of the object."
        return Fix(text, (), without(case.sources, where))
    spare = _spare(parts, given)
    text = f"Take out what is there already: {' '.join(sorted(spare))}." if spare else "Name fewer types or classes."
    statement = where.statement
    if not spare or not isinstance(statement, Rule) or statement.perms.others or statement.perms.without:
        return Fix(text)
    kept = NameSet(tuple(perm for perm in statement.perms.names if perm not in spare))
    smaller = render_source((replace(statement, perms=kept),)).strip()
    return Fix(text, (), rewritten(case.sources, where, smaller))


def _spare(parts: tuple[PolicyRule, ...], given: list[frozenset[str]]) -> frozenset[str]:
    """The permissions that none of the classes needs from the rule."""
    needed = (one.access.perms - perms for one, perms in zip(parts, given))
    return frozenset[str]().union(*given).difference(*needed)
