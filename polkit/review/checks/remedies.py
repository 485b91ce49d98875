"""PK012 and PK013: what is asked for is had without a rule, by a boolean of the policy or by the right label."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple, Optional

from polkit.minimize import GENERIC_PORTS, boolean_options, boolean_remedy, describe, why_generic
from polkit.model import UNKNOWN_LEVELS, BooleanOption, Party
from polkit.module.source import Located
from polkit.policy import Access, BooleanSet, TargetPolicy
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix
from polkit.review.grants.on_policy import Names, PolicyRule, Vector, by_statement, counted, taken_for
from polkit.review.patches import without

_MOST_ASKED = 256
"""Accesses of one statement that booleans are looked for."""
_NARROW = 4
"""Types that a boolean may open for the rule to be taken out without a second thought."""
_FEW_TYPES = 8
"""A rule on more types than this is no rule on a mislabelled object."""
_PASSING_BY = frozenset({"getattr", "search"})
"""What is asked of a directory on the way to what lies below."""
_PORT_PERMISSIONS = frozenset({"name_bind", "name_connect"})


def find(case: Case) -> Iterator[Finding]:
    """Statements that a boolean or a label would make superfluous."""
    names = case.names
    if names is None:
        return

    @cache
    def with_domain(domain: str) -> TargetPolicy:
        return names.policy.with_domain(domain, names.bases.get(domain))

    for where, parts in by_statement(case.rules):
        new = [one for part in parts for one in part.new]
        if not new:
            continue
        by_boolean = _by_boolean(case, names, where, parts, new)
        if by_boolean is not None:
            yield by_boolean
        few = [one for part in parts if len(part.access.targets) <= _FEW_TYPES for one in part.new]
        generic = [
            (one, why)
            for one in few
            if (why := _why_generic(one, with_domain(one.source) if names.is_own(one.source) else names.policy))
        ]
        if generic:
            yield _label_finding(names, where, generic)
        ports = [one for one in few if one.target in GENERIC_PORTS and one.perms & _PORT_PERMISSIONS]
        if ports:
            yield _port_finding(case, names, where, ports)


# -- booleans ---------------------------------------------------------------------------------------------------------


class _Found(NamedTuple):
    options: tuple[BooleanOption, ...]
    given: int
    asked: int


def _by_boolean(
    case: Case, names: Names, where: Located, parts: tuple[PolicyRule, ...], new: list[Vector]
) -> Optional[Finding]:
    if where.condition or any(names.has_own(part.access) or not part.is_whole for part in parts):
        return None
    found = _options(names.policy, new)
    if found is None:
        return None
    cheapest = found.options[0]
    all_of_it = found.given == found.asked
    dear = bool(cheapest.grants.refused)
    what = "the same" if all_of_it else f"{found.given} of its {found.asked} accesses"
    remedy = boolean_remedy(found.options)
    price = (
        "But it also opens what the risk catalogue refuses."
        if dear
        else "They are kept up to date by the policy's authors, and one command undoes it."
    )
    narrow = all_of_it and not dear and cheapest.grants.types <= _NARROW
    return Finding(
        id="PK012",
        severity="medium" if all_of_it and not dear else "low",
        confidence="high" if all_of_it else "medium",
        place=place_of(where),
        title=f"A boolean gives {what}: {describe(cheapest)}{taken_for(parts)}",
        why=f"The policy has rules for it, which {describe(cheapest)} puts into force. {price}",
        fix=Fix(remedy.text, remedy.commands, without(case.sources, where) if narrow else ""),
        evidence=tuple(_priced(one) for one in found.options[:8]),
    )


def _options(policy: TargetPolicy, new: list[Vector]) -> Optional[_Found]:
    """The sets of booleans that give most of what is new, if that is half of it; the cheapest first."""
    asked = [(one, perm) for one in new for perm in sorted(one.perms)]
    if len(asked) > _MOST_ASKED:
        return None
    counts: dict[BooleanSet, int] = {}
    for one, perm in asked:
        source, target = Party("", "", one.source), Party("", "", one.target)
        for booleans in policy.decide(Access(source, target, one.tclass, perm, UNKNOWN_LEVELS)).booleans:
            counts[booleans] = counts.get(booleans, 0) + 1
    most = max(counts.values(), default=0)
    if not most or 2 * most < len(asked):
        return None
    best = [booleans for booleans, count in counts.items() if count == most]
    return _Found(boolean_options(policy, best), most, len(asked))


def _priced(option: BooleanOption) -> str:
    grants = option.grants
    reach = f"{counted(grants.domains, 'domain')} to {counted(grants.types, 'type')}"
    return f"{describe(option)}: newly allows {counted(grants.accesses, 'access', 'es')} of {reach}"


# -- labels -----------------------------------------------------------------------------------------------------------


def _why_generic(one: Vector, policy: TargetPolicy) -> str:
    if one.tclass == "dir" and one.perms <= _PASSING_BY:
        return ""
    return why_generic(policy, one.source, one.target, one.tclass)


def _label_finding(names: Names, where: Located, generic: list[tuple[Vector, str]]) -> Finding:
    first, meaning = generic[0]
    return Finding(
        id="PK013",
        severity="medium",
        confidence="high",
        place=place_of(where),
        title=f"The object has the wrong label: a rule on {first.target} is no remedy",
        why=(
            f"{first.target} says nothing of what the object is ({meaning}), so the rule opens whatever has that "
            "label, today and later. The object that was meant has the wrong label."
        ),
        fix=_label_fix(names, first),
        evidence=tuple(one.text for one, _ in generic[:16]),
    )


def _label_fix(names: Names, one: Vector) -> Fix:
    if one.tclass in ("chr_file", "blk_file"):
        return Fix(
            "Give the node the label that the policy has for it, and write the rule for that type.",
            ("restorecon -v /dev/NODE",),
        )
    files = names.policy.container_file_type()
    domain = names.bases.get(one.source, one.source)
    if files is not None and names.policy.is_container_domain(domain):
        return Fix(
            "Mount the volume with :z (shared by containers) or :Z (one container's own), which labels it "
            f"{files}; or label the directory on the host. What is only read can have a type of the module's own in "
            "its .fc, which no other container may write.",
            (f"semanage fcontext -a -t {files} '/PATH(/.*)?'", "restorecon -RFv /PATH"),
        )
    return Fix(
        "Put back the label that the policy has for the path; where it has none, give the files a type of the module's "
        "own in its .fc.",
        ("matchpathcon /PATH", "restorecon -RFv /PATH"),
    )


def _port_finding(case: Case, names: Names, where: Located, ports: list[Vector]) -> Finding:
    first = ports[0]
    binds = any("name_bind" in one.perms for one in ports)
    entries = len(names.policy.port_entries(first.target))
    protocol = first.tclass.partition("_")[0]
    own = f"{case.name.replace('-', '_') or 'myapp'}_port_t"
    return Finding(
        id="PK013",
        severity="medium" if binds else "low",
        confidence="medium",
        place=place_of(where),
        title=f"The port has no label of its own: a rule on {first.target} is no remedy",
        why=(
            f"The rule is for all ports of {first.target} ({entries} entries of the policy), and one was meant. With a "
            "label of its own the rule would be for that port alone."
        ),
        fix=Fix(
            f"Declare a type for the port (type {own}; typeattribute {own} port_type;), write the rule for it, and "
            "label the port.",
            (f"semanage port -a -t {own} -p {protocol} PORT",),
        ),
        evidence=tuple(one.text for one in ports[:16]),
    )
