"""PK009: a wildcard, a complement or a very large attribute stands where a rule says what it allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Optional

from polkit.module import NameSet
from polkit.module.source import Located, Rule
from polkit.policy import TargetPolicy
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix
from polkit.review.grants.uses import required_permissions

_LARGE = 0.1
"""Of all types, what makes an attribute a very large one: on Debian's policy file_type, domain and few more."""
_SHOWN = 8


class _Part(NamedTuple):
    """A part of a rule that names more than it says: what of the rule, as written, and what it comes to."""

    what: str
    written: str
    comes_to: str


def find(case: Case) -> Iterator[Finding]:
    """Allow rules that are written out with ``*``, ``~`` or an attribute that a tenth of all types have."""
    required = required_permissions(case.statements)
    for one in case.statements:
        if isinstance(one.statement, Rule) and one.statement.kind == "allow" and not one.via:
            open_ended = list(_open_ended(one, case.policy, required))
            large = list(_large(one.statement, case.policy))
            if open_ended or large:
                yield _finding(one, open_ended, large)


def _open_ended(
    one: Located, policy: Optional[TargetPolicy], required: Mapping[tuple[str, str], frozenset[str]]
) -> Iterator[_Part]:
    rule = one.statement
    assert isinstance(rule, Rule)
    for what, names in (("source", rule.sources), ("target", rule.targets)):
        if names.others:
            yield _Part(what, _written(names), _types(names, policy))
    if rule.classes.others:
        yield _Part("class", _written(rule.classes), "every class that has the permissions")
    if rule.perms.others:
        yield _Part("permissions", _written(rule.perms), _permissions(one.file, rule, policy, required))


def _large(rule: Rule, policy: Optional[TargetPolicy]) -> Iterator[_Part]:
    every = 0 if policy is None else len(policy.every_type)
    if policy is None or not every:
        return
    for what, names in (("source", rule.sources), ("target", rule.targets)):
        for name in names.names if not names.others else ():
            types = policy.types(name)
            if len(types) > _LARGE * every:
                left_out = frozenset[str]().union(*(policy.types(one) for one in names.without))
                count = len(types - left_out)
                yield _Part(what, name, f"{count} of the policy's {every} types")


def _written(names: NameSet) -> str:
    if not names.names and not names.without:
        return "*"
    words = (*names.names, *(f"-{name}" for name in names.without))
    return f"~{{ {' '.join(words)} }}"


def _types(names: NameSet, policy: Optional[TargetPolicy]) -> str:
    if policy is None or not policy.every_type:
        return "every type of the policy, and those to come" if not names.names else "every other type of the policy"
    left_out = frozenset[str]().union(*(policy.types(one) for one in names.names))
    return f"{len(policy.every_type - left_out)} of the policy's {len(policy.every_type)} types"


def _permissions(
    file: str, rule: Rule, policy: Optional[TargetPolicy], required: Mapping[tuple[str, str], frozenset[str]]
) -> str:
    counts = []
    for tclass in rule.classes.names:
        known = required.get((file, tclass), frozenset() if policy is None else policy.permissions(tclass))
        perms = sorted(known - frozenset(rule.perms.names))
        if perms:
            more = f" and {len(perms) - _SHOWN} more" if len(perms) > _SHOWN else ""
            counts.append(f"{len(perms)} permissions of {tclass}: {' '.join(perms[:_SHOWN])}{more}")
    return "; ".join(counts) or "every permission that the class has on the policy it is installed on"


def _finding(one: Located, open_ended: list[_Part], large: list[_Part]) -> Finding:
    parts = [*open_ended, *large]
    written = " and ".join(dict.fromkeys(part.written for part in parts))
    if open_ended:
        why = (
            "Nobody can read off the rule what it allows: what else the source requires decides, or the policy that it "
            "is built or installed on, and a later one gives more. What was needed could have been named."
        )
        fix = "Name the permissions and types that the workload was seen to need."
    else:
        why = (
            "The rule is for a large part of everything that the policy has types for, and for each type that joins "
            "the attribute later. That is seldom what one workload needs."
        )
        fix = "Name the types that are meant, or an attribute of those alone."
    return Finding(
        id="PK009",
        severity="medium" if open_ended else "low",
        confidence="high",
        place=place_of(one),
        title=f"The rule is open-ended: {written}"
        if open_ended
        else f"The rule is on a very large attribute: {written}",
        why=why,
        fix=Fix(fix),
        evidence=tuple(f"{part.what} {part.written}: {part.comes_to}" for part in parts),
    )
