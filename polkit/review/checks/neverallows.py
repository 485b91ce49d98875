"""PK015, PK016 and PK018: what the policy's authors forbid whatever the rules say, and the way around it.

Where the policy was built with the module, the compilers' own view of it decides. Else the module's statements are held
against the policy as it is, which knows less of what its names come to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional, Union

from polkit.model import UNKNOWN_LEVELS, Party
from polkit.module.source import Declaration
from polkit.policy import Access, Violation
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix, Place
from polkit.review.grants.on_policy import Join, Names, PolicyRule, Vector, counted, in_part

_SHOWN = 16


def find(case: Case) -> Iterator[Finding]:
    """Neverallow rules that are broken or passed by, and bounds that are broken."""
    names = case.names
    if names is None:
        return
    yield from _exemptions(names)
    built = case.built
    if built is not None and built.violations is not None:
        yield from _violations(case, names, built.violations)
    else:
        yield from _by_statements(case, names)


# -- neverallow rules passed by ---------------------------------------------------------------------------------------


def _exemptions(names: Names) -> Iterator[Finding]:
    for join in dict.fromkeys(names.joins):
        texts = _exempted(names, join)
        if texts:
            yield _exemption(place_of(join.where), join.type, join.attribute, texts)


def _exempted(names: Names, join: Join) -> tuple[str, ...]:
    """The neverallow rules that no longer are for a type, and are for the domain that it stands in for."""
    texts = names.policy.exempted(join.type, join.attribute, names.attributes(join.type))
    base = names.bases.get(join.type)
    if base is None or not texts:
        return texts
    of_base = names.policy.exempted(base, join.attribute, frozenset())
    return tuple(text for text in texts if text in of_base)


def _exemption(place: Place, type_: str, attribute: str, texts: Iterable[str]) -> Finding:
    rules = tuple(dict.fromkeys(texts))
    by = f" by joining {attribute}" if attribute else ""
    return Finding(
        id="PK016",
        severity="high",
        confidence="high",
        place=place,
        title=f"{type_} is no longer under {counted(len(rules), 'neverallow rule')}{by}",
        why=(
            f"The policy's authors forbid `{rules[0]}`, and leave out those who are meant to do it. Now {type_} is one "
            "of them, so that no compiler complains of a rule that gives it just that, in this module or in the next."
        ),
        fix=Fix(
            f"Leave the membership out. Is it the purpose of {type_} to do what the rule forbids, let whoever answers "
            "for the host's security say so."
        ),
        evidence=rules[:_SHOWN],
    )


# -- as the policy was built ------------------------------------------------------------------------------------------


class _Broken(NamedTuple):
    kind: str
    place: Place
    text: str


def _violations(case: Case, names: Names, violations: Iterable[Violation]) -> Iterator[Finding]:
    """What the policy with the module breaks, a finding for each statement and rule."""
    joined = {(join.type, text) for join in names.joins for text in _exempted(names, join)}
    found: dict[_Broken, list[Vector]] = {}
    exempted: dict[tuple[Place, str], list[str]] = {}
    for one in violations:
        type_ = one.source or one.target
        rule = _giving(case, one)
        place = _place(case, names, one) if rule is None else place_of(rule.where)
        if one.kind != "exemption":
            if not _by_base(names, one, rule):
                vector = Vector(one.source, one.target, one.tclass, frozenset(one.perms))
                found.setdefault(_Broken(one.kind, place, one.text), []).append(vector)
        elif (type_, one.text) not in joined:
            exempted.setdefault((place, type_), []).append(one.text)
    for (place, type_), texts in exempted.items():
        yield _exemption(place, type_, "", texts)
    for broken, vectors in found.items():
        yield _finding(broken, vectors, "high")


def _giving(case: Case, one: Violation) -> Optional[PolicyRule]:
    """The rule of the module that gives the access."""
    return next(
        (rule for rule in case.rules if _gives(rule, one) and not rule.access.perms.isdisjoint(one.perms)), None
    )


def _gives(rule: PolicyRule, one: Union[Violation, Vector]) -> bool:
    """The rule is for these types and this class."""
    if one.source not in rule.access.sources or one.tclass != rule.access.tclass:
        return False
    return one.target in rule.access.targets or (rule.access.to_self and one.source == one.target)


def _place(case: Case, names: Names, one: Violation) -> Place:
    """What put one of the two types where it is, else the module."""
    types = {one.source, one.target}
    return next((place_of(join.where) for join in names.joins if join.type in types), Place(case.file))


def _by_base(names: Names, one: Violation, rule: Optional[PolicyRule]) -> bool:
    """The domain that an own one stands in for breaks the very same rule without the module; or, where no rule of the
    module gives it but an attribute, one that is usual for containers does."""
    if one.kind != "neverallow" or not names.is_own(one.source):
        return False
    stands_in = names.bases.get(one.source)
    bases = [stands_in] if stands_in is not None else list(names.usual) if rule is None else []
    return any(_breaks(names, base, base if one.target == one.source else one.target, one) for base in bases)


def _breaks(names: Names, source: str, target: str, one: Violation) -> bool:
    return all(
        _has_in_some_state(names, source, target, one.tclass, perm)
        and names.policy.neverallowed(source, target, one.tclass, perm) == one.text
        for perm in one.perms
    )


def _has_in_some_state(names: Names, source: str, target: str, tclass: str, perm: str) -> bool:
    """Whatever the booleans are: a neverallow rule does not ask for their state."""
    access = Access(Party("", "", source), Party("", "", target), tclass, perm, UNKNOWN_LEVELS)
    verdict = names.policy.decide(access)
    return verdict.rule or bool(verdict.booleans)


# -- by the statements alone ------------------------------------------------------------------------------------------


def _by_statements(case: Case, names: Names) -> Iterator[Finding]:
    bounds, new = _bounds(case), names.new
    for rule in case.rules:
        for one in names.policy.forbidden(rule.access, new):
            if not any(join.type == one.source and one.text in _exempted(names, join) for join in names.joins):
                vector = Vector(one.source, one.target, rule.access.tclass, frozenset(one.perms))
                yield _finding(_Broken("neverallow", place_of(rule.where), one.text), [vector], "medium")
        beyond: dict[str, list[Vector]] = {}
        for parent, vector in _beyond_bounds(case, names, rule, bounds):
            beyond.setdefault(f"typebounds {parent} {vector.source};", []).append(vector)
        for text, vectors in beyond.items():
            yield _finding(_Broken("bounds", place_of(rule.where), text), vectors, "medium")


def _bounds(case: Case) -> dict[str, str]:
    """From each type that the module bounds to the one that bounds it."""
    found: dict[str, str] = {}
    for one in case.statements:
        statement = one.statement
        if isinstance(statement, Declaration) and statement.kind == "typebounds" and statement.names.names:
            found.update((child, statement.names.names[0]) for child in statement.values.names)
    return found


def _beyond_bounds(case: Case, names: Names, rule: PolicyRule, bounds: dict[str, str]) -> Iterator[tuple[str, Vector]]:
    """What a rule gives bounded types and neither the policy nor the module gives those that bound them."""
    for one in rule.new:
        parent = bounds.get(one.source) or names.policy.bounding(one.source)
        if parent is not None:
            above = bounds.get(one.target) or names.policy.bounding(one.target) or one.target
            have = names.policy.allowed(parent, above, one.tclass) | _said(case, parent, above, one.tclass)
            if not one.perms <= have:
                yield parent, one._replace(perms=one.perms - have)


def _said(case: Case, source: str, target: str, tclass: str) -> frozenset[str]:
    """What the module's own rules give."""
    wanted = Vector(source, target, tclass, frozenset())
    return frozenset[str]().union(*(rule.access.perms for rule in case.rules if _gives(rule, wanted)))


# -- findings ---------------------------------------------------------------------------------------------------------


def _finding(broken: _Broken, vectors: list[Vector], confidence: str) -> Finding:
    made = _bounds_finding if broken.kind == "bounds" else _neverallow_finding
    return made(broken, vectors, confidence)


def _neverallow_finding(broken: _Broken, vectors: list[Vector], confidence: str) -> Finding:
    types = sorted({one.source for one in vectors if one.source})
    who = f" for {in_part(types, 3)}" if types else ""
    return Finding(
        id="PK015",
        severity="high",
        confidence=confidence,
        place=broken.place,
        title=f"A neverallow rule is broken{who}: {broken.text}",
        why=(
            "The policy's authors wrote down that nobody else may ever do this, and the module allows it. A store that "
            "checks (expand-check=1) refuses the module; one that does not takes it without a word."
        ),
        fix=Fix("Take the rule out, or let a domain do it that the policy has for it."),
        evidence=tuple(one.text for one in vectors if one.source)[:_SHOWN],
    )


def _bounds_finding(broken: _Broken, vectors: list[Vector], confidence: str) -> Finding:
    child = vectors[0].source
    rules = tuple(one.text for one in vectors if one.source)
    return Finding(
        id="PK018",
        severity="high",
        confidence=confidence,
        place=broken.place,
        title=f"{child or 'A bounded type'} is allowed more than the type that bounds it: {broken.text}",
        why=(
            "A bounded type never gets more than the type that bounds it: the kernel takes the rest away. What the "
            "rule says and what happens differ, and a store that checks (expand-check=1) refuses the module."
        ),
        fix=Fix("Take the rule out, give the bounding type the same, or take the type out of its bounds."),
        evidence=rules[:_SHOWN],
    )
