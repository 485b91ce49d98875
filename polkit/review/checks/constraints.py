"""PK014 and PK019: constraints stand above the rules. Where one refuses no rule helps, and who comes past one is less
confined than the policy's authors meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from polkit.module.source import Located
from polkit.policy import FailedConstraint, Weaker
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix
from polkit.review.grants.on_policy import Join, Names, PolicyRule, Vector, by_statement, counted, in_part
from polkit.review.patches import without

_SAID_BY_AUDIT2ALLOW = "constraint violation"
_LINES_ABOVE = 8
_SHOWN = 6


def find(case: Case) -> Iterator[Finding]:
    """Rules that a constraint makes void, and types that a constraint no longer holds."""
    names = case.names
    if names is None:
        return
    for where, parts in by_statement(case.rules):
        finding = _void(case, names, where, parts)
        if finding is not None:
            yield finding
    yield from _freed(names)


# -- rules that change nothing ----------------------------------------------------------------------------------------


def _void(case: Case, names: Names, where: Located, parts: tuple[PolicyRule, ...]) -> Optional[Finding]:
    """A rule that can't help: a constraint refuses in every case, or only a level can be what refused it."""
    if any(names.has_own(part.access) or not part.is_whole for part in parts):
        return None
    vectors = [Vector(*pair, part.access.tclass, part.access.perms) for part in parts for pair in part.each()]
    never = [(one, failed) for one in vectors for failed in _constraints(names, one) if not failed.unknown]
    if never:
        return _never_finding(where, never)
    if any(part.new for part in parts):
        return None
    by_level = [
        (one, failed)
        for one in vectors
        if _has_levels(names, one.target)
        for failed in _constraints(names, one)
        if "level" in failed.about
    ]
    return _level_finding(case, names, where, by_level) if by_level else None


def _constraints(names: Names, one: Vector) -> tuple[FailedConstraint, ...]:
    """Those that may refuse a permission of it, each once."""
    found = (
        failed
        for perm in sorted(one.perms)
        for failed in names.policy.constraints_on(one.source, one.target, one.tclass, perm)
    )
    return tuple({failed.text: failed for failed in found}.values())


def _has_levels(names: Names, type_: str) -> bool:
    """Objects of the type carry categories of their own: what containers write, and processes that categories part."""
    if type_ == names.policy.container_file_type():
        return True
    if not names.policy.is_domain(type_):
        return False
    return any("level" in one.about for one in names.policy.constraints_on(type_, type_, "file", "read"))


def _never_finding(where: Located, never: list[tuple[Vector, FailedConstraint]]) -> Finding:
    one, failed = never[0]
    return Finding(
        id="PK014",
        severity="medium",
        confidence="high",
        place=place_of(where),
        title=f"No rule can allow it: a constraint refuses {one.source} in every case",
        why=(
            f"The constraint `{failed.text}` holds for no users, roles and levels of {one.source} and {one.target}. "
            "A rule does not get past a constraint, so this one changes nothing."
        ),
        fix=Fix("Let a domain do it that the constraint is not for; a module can't change a constraint."),
        evidence=tuple(f"{vector.text} refused by {found.text}" for vector, found in never[:_SHOWN]),
    )


def _level_finding(
    case: Case, names: Names, where: Located, by_level: list[tuple[Vector, FailedConstraint]]
) -> Finding:
    one, failed = by_level[0]
    told = _told_by_audit2allow(case, where)
    return Finding(
        id="PK014",
        severity="medium",
        confidence="high" if told else "medium",
        place=place_of(where),
        title=f"The rule is there already: what still refuses {one.source} is the level",
        why=(
            f"The policy allows it, and `{failed.text}` refuses it where the levels of the two sides do not fit. "
            "A rule does not get past a constraint, so this one changes nothing."
        ),
        fix=_level_fix(names, one, without(case.sources, where)),
        evidence=tuple(f"{vector.text} refused by {found.text}" for vector, found in by_level[:_SHOWN]),
    )


def _level_fix(names: Names, one: Vector, patch: str) -> Fix:
    same = "podman run --security-opt label=level:s0:c1,c2 ..."
    if names.policy.is_domain(one.target):
        return Fix("Take the rule out. Run both in one pod, or with the same level.", (same,), patch)
    return Fix(
        "Take the rule out. Run containers that share files with the same level, or label the shared volume on purpose "
        "without categories (:z, after which every container may write it).",
        (same, "podman run -v /PATH:/PATH:z ..."),
        patch,
    )


def _told_by_audit2allow(case: Case, where: Located) -> bool:
    """The comment above the rule says that a constraint refused (audit2allow writes it)."""
    text = next((one.text for one in case.sources if one.name == where.file), "")
    lines = text.split("\n")[: max(0, where.line - 1)]
    for line in reversed(lines[-_LINES_ABOVE:]):
        if line.strip() and not line.lstrip().startswith("#"):
            return False
        if _SAID_BY_AUDIT2ALLOW in line:
            return True
    return False


# -- types that come past a constraint --------------------------------------------------------------------------------


def _freed(names: Names) -> Iterator[Finding]:
    """By what a type joins, and by what a domain for containers leaves out."""
    for join in names.joins:
        found = _by_joining(names, join)
        if found:
            yield _join_finding(names, join, found)
    declared = {join.type: join.where for join in reversed(names.joins) if names.is_own(join.type)}
    for domain, where in sorted(declared.items()):
        beside = _beside(names, domain)
        found = () if beside is None else names.policy.let_through(_sides(names, beside), _sides(names, domain))
        if beside is not None and found:
            yield _domain_finding(names, domain, beside, where, found)


def _sides(names: Names, type_: str) -> frozenset[str]:
    return names.attributes(type_) | {type_}


def _by_joining(names: Names, join: Join) -> tuple[Weaker, ...]:
    """What the one attribute lets the type through; nothing of what it has otherwise, or its base has."""
    if names.knows(join.type) and join.attribute in names.policy.attributes(join.type):
        return ()
    if _beside(names, join.type) is not None:
        return ()
    after = _sides(names, join.type)
    return names.policy.let_through(after - {join.attribute}, after)


def _beside(names: Names, domain: str) -> Optional[str]:
    """The domain that one of the module's own is held against: the one that it stands in for, else, where containers
    run in it, the first that they usually run in."""
    if not names.is_own(domain):
        return None
    if domain in names.bases:
        return names.bases[domain]
    kinds = [one for one in names.attributes(domain) if _is_for_containers(names, one)]
    return next((one for one in names.usual if not names.policy.attributes(one).isdisjoint(kinds)), None)


def _is_for_containers(names: Names, attribute: str) -> bool:
    """All that have the attribute are domains that containers run in."""
    members = names.policy.types(attribute)
    return bool(members) and all(map(names.policy.is_container_domain, members))


def _join_finding(names: Names, join: Join, found: tuple[Weaker, ...]) -> Finding:
    subject = names.is_domain(join.type)
    what = "domain" if subject else "type"
    return Finding(
        id="PK019",
        severity="high",
        confidence="high",
        place=place_of(join.where),
        title=f"{join.type} comes past {counted(len(_texts(found)), 'constraint')} by joining {join.attribute}",
        why=(
            f"Constraints keep users, roles and levels apart whatever the rules say, and {join.attribute} names the "
            f"{what}s that one of them leaves alone. For {join.type} it refuses nothing any more."
        ),
        fix=Fix(f"Leave {join.attribute} out, unless that is the very purpose of the {what}."),
        evidence=_texts(found),
    )


def _domain_finding(names: Names, domain: str, beside: str, where: Located, found: tuple[Weaker, ...]) -> Finding:
    missing = sorted(
        one
        for one in names.policy.attributes(beside) - names.attributes(domain)
        if len(names.policy.let_through(_sides(names, beside), _sides(names, domain) | {one})) < len(found)
    )
    lacks = f" without {' '.join(missing)}" if missing else ""
    fix = (
        f"Join what {beside} is in: typeattribute {domain} {', '.join(missing)};"
        if missing
        else f"Leave out the attributes that {beside} is not in."
    )
    return Finding(
        id="PK019",
        severity="high",
        confidence="high",
        place=place_of(where),
        title=f"{domain} is less confined than {beside}{lacks}: {counted(len(_texts(found)), 'constraint')}",
        why=(
            f"Containers run in {domain}, and constraints that part {beside} from other containers by their levels "
            f"are not for {domain}. At c1,c2 it may read and write the files of a container at c3,c4."
        ),
        fix=Fix(fix),
        evidence=_texts(found),
    )


def _texts(found: tuple[Weaker, ...]) -> tuple[str, ...]:
    """Each constraint once, with the classes that it is for."""
    classes: dict[str, list[str]] = {}
    for one in found:
        classes.setdefault(one.text, []).append(one.tclass)
    return tuple(
        f"{text} ({counted(len(named), 'class', 'es')}: {in_part(named, _SHOWN)})" for text, named in classes.items()
    )
