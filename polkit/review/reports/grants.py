"""What a module grants, a row for each rule: from the policy built with it, else from its statements alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice, product
from typing import NamedTuple, Optional

from polkit.module.source import Declaration, Located, Rule
from polkit.review.differences.diff import EXISTING, GROUPS, Entry, Group, grouped
from polkit.review.findings import Place
from polkit.review.reviewing import Review

GENERATED = re.compile(r"(\w+)_typeattr_\d+\Z")
"""What the CIL compiler calls an expression of types: of the module where it begins with its name."""
_MOST_NAMED = 20_000
"""Combinations of a rule's sets that are looked up by name."""


class Grant(NamedTuple):
    """A rule, and what it comes to.

    ``group`` is one of ``diff``'s GROUPS, empty where nothing was built. ``by_policy``: the policy's own rule, which
    takes in a type that the module brings. ``accesses`` are those between types, of ``sources`` by ``targets``;
    ``domain`` and ``type``: who gets it, on what; a type's name where there is one alone, else as written.
    ``risk``: severity and id in the catalogue, empty for none. ``place``: where the module says it.
    """

    source: str
    target: str
    tclass: str
    perms: tuple[str, ...]
    condition: str
    group: str
    by_policy: bool
    accesses: int
    sources: int
    targets: int
    domain: str
    type: str
    risk: str
    risk_id: str
    place: Optional[Place]


def grants_of(review: Review) -> tuple[Grant, ...]:
    """Every rule by which something is newly allowed, the gravest first within each group."""
    if review.change is None:
        return tuple(_from_statements(review.statements))
    own = own_types(review)
    return tuple(_from_entries(review.change.added, _places(review.statements), own, review.name))


def own_grants(review: Review) -> tuple[Grant, ...]:
    """Without what a domain of the module has in place of another, and without what the policy's own rules give its
    types: what a picture shows. All where nothing was built."""
    if review.shares is None:
        return grants_of(review)
    return tuple(_from_entries(review.shares.own, _places(review.statements), own_types(review), review.name))


def grants_since(review: Review) -> tuple[tuple[Grant, ...], tuple[Grant, ...]]:
    """What the module allows and its older form doesn't, and the other way round; empty where none was named."""
    found = review.against
    if found is None:
        return (), ()
    more = _from_entries(found.added, _places(review.statements), frozenset(found.found.types_added), review.name)
    less = _from_entries(found.removed, {}, frozenset(found.found.types_removed), review.name)
    return tuple(more), tuple(less)


def own_types(review: Review) -> frozenset[str]:
    """The types that the module brings."""
    if review.change is not None:
        return frozenset(review.change.found.types_added)
    declared = (one.statement for one in review.statements)
    return frozenset(
        name for one in declared if isinstance(one, Declaration) and one.kind == "type" for name in one.names.names
    )


def _from_entries(
    entries: tuple[Entry, ...], places: dict[tuple[str, str, str], Place], own: frozenset[str], module: str
) -> Iterator[Grant]:
    names: dict[tuple[str, str, str, str, str], tuple[set[str], set[str]]] = {}
    for entry in entries:
        key = (entry.group, entry.written_source, entry.written_target, entry.tclass, entry.condition)
        sources, targets = names.setdefault(key, (set(), set()))
        sources.add(entry.source)
        targets.add(entry.target)
    for group in GROUPS:
        for row in grouped(entries, group):
            place = places.get((row.source, row.target, row.tclass))
            ends = names[group, row.source, row.target, row.tclass, row.condition]
            yield Grant(
                source=row.source,
                target=row.target,
                tclass=row.tclass,
                perms=row.perms,
                condition=row.condition,
                group=group,
                by_policy=place is None and group != EXISTING and not _says(row, own, module),
                accesses=row.accesses,
                sources=row.sources,
                targets=row.targets,
                domain=next(iter(ends[0])) if row.sources == 1 else row.source,
                type=next(iter(ends[1])) if row.targets == 1 else row.target,
                risk="" if row.risk is None else row.risk.severity,
                risk_id="" if row.risk is None else row.risk.id,
                place=place,
            )


def _says(row: Group, own: frozenset[str], module: str) -> bool:
    """Whether a rule that no statement says is the module's: it names what the module alone has. The policy's rules of
    an attribute on itself (``self``) name each member, so they do too."""
    if row.source == row.target:
        return False
    prefixes = {module, module.replace("-", "_")}
    for name in (row.source, row.target):
        generated = GENERATED.match(name)
        if name in own or (generated is not None and generated[1] in prefixes):
            return True
    return False


def _from_statements(statements: Iterable[Located]) -> Iterator[Grant]:
    for one, rule in _rules(statements):
        perms = (("~ " if rule.perms.others else "") + " ".join(rule.perms.names),) if rule.perms.others else None
        for source, target, tclass in _named(rule):
            yield Grant(
                source=source,
                target=target,
                tclass=tclass,
                perms=perms or rule.perms.names,
                condition=one.condition,
                group="",
                by_policy=False,
                accesses=len(rule.perms.names),
                sources=1,
                targets=1,
                domain=source,
                type=target,
                risk="",
                risk_id="",
                place=Place(one.file, one.line, one.column),
            )


def _places(statements: Iterable[Located]) -> dict[tuple[str, str, str], Place]:
    found: dict[tuple[str, str, str], Place] = {}
    for one, rule in _rules(statements):
        for key in _named(rule):
            found.setdefault(key, Place(one.file, one.line, one.column))
    return found


def _rules(statements: Iterable[Located]) -> Iterator[tuple[Located, Rule]]:
    for one in statements:
        if isinstance(one.statement, Rule) and one.statement.kind == "allow":
            yield one, one.statement


def _named(rule: Rule) -> Iterator[tuple[str, str, str]]:
    """The combinations of what a rule names; ``self`` is the source."""
    sets = (rule.sources.names, rule.targets.names, rule.classes.names)
    for source, target, tclass in islice(product(*sets), _MOST_NAMED):
        yield source, source if target == "self" else target, tclass
