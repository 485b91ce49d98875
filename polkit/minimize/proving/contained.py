"""Contained: the policy with the module differs from the policy without it by what the module's own rules say, and by
what its new types get from the attributes they join; nothing was lost.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from polkit.minimize.proving.proof import Extra, GainedDomain
from polkit.policy import EVERY_COMMAND, Comparison, DeclaredRule, bitset, ranges

_ROLES_AND_BOUNDS = re.compile(r"allow \S+ \S+;|role \S+ types \S+;|typebounds \S+ \S+;|dontaudit .*|auditallow .*")
"""Statements that an AccessSet holds besides its rules. A transition, a permissive type, a user, a label of the
kernel's objects, a constraint are more than that."""
_Key = tuple[str, str, str]


def unexplained(comparison: Comparison) -> tuple[Extra, ...]:
    """Changes that none of the module's rules says, and rules of the module that are not in force."""
    said, certain = _allowed(comparison.declared.rules)
    found = [
        Extra("unexplained", one.source, one.target, one.tclass, beyond)
        for one in comparison.own
        if (beyond := tuple(perm for perm in one.perms if perm not in said.get(one[:3], ())))
    ]
    found += [
        Extra("unexplained", *key, perms=missing, text="the module says so, and the policy does not allow it")
        for key, perms in certain.items()
        if (missing := tuple(sorted(perms - comparison.changed.allowed(*key))))
    ]
    found += _unexplained_commands(comparison)
    found += [
        Extra("unexplained", text=f"{type_} joins {attribute}")
        for type_, attribute in (*comparison.rules.joined, *_named_joins(comparison))
    ]
    found += [
        Extra("unexplained", text=text)
        for text in comparison.added
        if not (_ROLES_AND_BOUNDS.fullmatch(text) or is_inherited_statement(text, comparison))
    ]
    return tuple(sorted(set(found)))


def nothing_lost(comparison: Comparison) -> bool:
    """The module takes nothing away: no access, no command, no membership, no statement; nor from its own domain a
    command that the base has."""
    rules = comparison.rules
    return not (rules.lost or rules.lost_xperms or rules.left or comparison.removed or comparison.taken)


def is_inherited_statement(text: str, comparison: Comparison) -> bool:
    """A statement on the module's own domain that the policy has on its base."""
    return comparison.heirlooms is not None and comparison.heirlooms.has_statement(text)


def joined_by_name(comparison: Comparison) -> tuple[tuple[str, str], ...]:
    """(type, attribute): types of the policy that joined attributes of the policy."""
    return tuple(sorted({*comparison.rules.joined, *_named_joins(comparison)}))


def gained_domains(comparison: Comparison) -> tuple[GainedDomain, ...]:
    """Who may do more than before, most first."""
    own: Counter[str] = Counter()
    inherited: Counter[str] = Counter()
    structural: Counter[str] = Counter()
    counters = ((comparison.own, own), (comparison.inherited, inherited), (comparison.structural, structural))
    for changes, counter in counters:
        for one in changes:
            counter[one.source] += len(one.perms)
    for change in comparison.rules.gained_xperms:
        own[change.source] += 0  # more commands of an access it has already: named, though not one access more
    names = {*own, *structural, *inherited}
    domains = [GainedDomain(name, own[name], structural[name], inherited[name]) for name in names]
    return tuple(sorted(domains, key=lambda one: (-one.accesses, -one.inherited, -one.structural, one.domain)))


def _named_joins(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """Memberships that the module's text gives types that aren't its own; an attribute that no rule uses is not in
    the binary policy, and still may exempt from a neverallow rule."""
    declared = comparison.declared
    for attribute, type_ in declared.joins:
        if type_ not in declared.types and attribute not in comparison.baseline.attributes(type_):
            yield type_, attribute


def _allowed(rules: tuple[DeclaredRule, ...]) -> tuple[dict[_Key, set[str]], dict[_Key, set[str]]]:
    """What the module's allow rules say, and what of it must be in force."""
    said: dict[_Key, set[str]] = {}
    certain: dict[_Key, set[str]] = {}
    for rule in rules:
        if rule.kind != "allow":
            continue
        for pair in rule.pairs():
            said.setdefault((*pair, rule.tclass), set()).update(rule.perms)
            if rule.certain:
                certain.setdefault((*pair, rule.tclass), set()).update(rule.perms)
    return said, certain


def _unexplained_commands(comparison: Comparison) -> list[Extra]:
    """Commands that got through without a rule of the module that lists them."""
    said: dict[tuple[str, str, str, str], int] = {}
    allowed = _allowed(comparison.declared.rules)[0]
    for rule in comparison.declared.rules:
        if rule.kind == "allowxperm":
            for pair in rule.pairs():
                key = (*pair, rule.tclass, rule.operation)
                said[key] = said.get(key, 0) | rule.bits
    found = []
    for change in comparison.rules.gained_xperms:
        listed = said.get(change[:4])
        if listed is None:
            known = comparison.baseline.type_name(change.source) and comparison.baseline.type_name(change.target)
            by_rule = change.operation in allowed.get(change[:3], ())
            listed = EVERY_COMMAND if by_rule or not known else 0
        beyond = bitset(change.numbers) & ~listed
        if beyond:
            found.append(Extra("unexplained", *change[:3], perms=(change.operation,), xperms=ranges(beyond)))
    return found
