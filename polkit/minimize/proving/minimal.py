"""Minimal: nothing is newly allowed that no evidence asks for, and no permission of a rule could be left out.

Decided by set algebra over what the module newly allows and what the evidence needs. A permission of a rule is needed
when some access of the evidence gets it by that rule alone: not from the policy, not from another rule. Stricter than
removing permissions one by one: a rule on an attribute that one needed access would justify is not minimal when it
gives other types anything.
What dontaudit rules kept out of the log comes along with a relabel: it is part of the remedy, no over-permission. It is
listed, counted apart, and leaves ``minimal`` true (see docs/prove.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from polkit.minimize.proving.contained import is_inherited_statement
from polkit.minimize.proving.covered import statement_text
from polkit.minimize.proving.needs import EvidenceAccess
from polkit.minimize.proving.proof import Extra
from polkit.policy import (
    EVERY_COMMAND,
    OPERATIONS,
    AccessChange,
    Comparison,
    DeclaredRule,
    bitset,
    ranges,
    ruled_by_command,
)

Vector = tuple[str, str, str, str]
"""(source type, target type, class, permission)."""


@dataclass
class Asked:
    """What the evidence asks for: accesses, the commands of those that have any, what dontaudit rules hid; and what a
    person chose to hide."""

    vectors: set[Vector] = field(default_factory=set)
    commands: dict[Vector, int] = field(default_factory=dict)
    hidden: set[Vector] = field(default_factory=set)
    silenced: set[Vector] = field(default_factory=set)
    statements: set[str] = field(default_factory=set)


def asked_for(evidence: Iterable[EvidenceAccess]) -> Asked:
    """Everything the rules of the evidence's remedies must give."""
    asked = Asked()
    for one in evidence:
        asked.hidden |= one.hidden
        asked.silenced |= one.silenced
        asked.statements.update(statement_text(rule) for rule in one.statements)
        for need in one.needs:
            asked.vectors.add(need.vector)
            if need.access.perm in OPERATIONS:
                xperm = need.access.xperm
                bits = EVERY_COMMAND if xperm is None else 1 << xperm.number
                asked.commands[need.vector] = asked.commands.get(need.vector, 0) | bits
    return asked


def vectors(changes: Iterable[AccessChange]) -> set[Vector]:
    """The single accesses of some changes."""
    return {(*change[:3], perm) for change in changes for perm in change.perms}


def superfluous(asked: Asked, comparison: Comparison) -> tuple[Extra, ...]:
    """Everything of the module that no evidence asks for, dontaudited permissions included."""
    found = [
        *_unasked(asked, comparison),
        *_commands(asked, comparison),
        *_rules(asked, comparison),
        *_xperm_rules(asked, comparison),
        *_statements(asked, comparison),
    ]
    return tuple(sorted(set(found)))


def _unasked(asked: Asked, comparison: Comparison) -> list[Extra]:
    found = []
    for change in comparison.own:
        over = [perm for perm in change.perms if (*change[:3], perm) not in asked.vectors]
        hidden = tuple(perm for perm in over if (*change[:3], perm) in asked.hidden)
        plain = tuple(perm for perm in over if perm not in hidden)
        found += [
            Extra(kind, *change[:3], perms=perms, text=f"if {change.condition}" if change.condition else "")
            for kind, perms in (("unasked", plain), ("dontaudited", hidden))
            if perms
        ]
    return found


def _commands(asked: Asked, comparison: Comparison) -> list[Extra]:
    """Commands that got through beyond those in the evidence."""
    found: dict[Vector, int] = {}
    for change in comparison.own:
        for operation in OPERATIONS:
            if operation in change.perms and not ruled_by_command(change, comparison.rules.gained_xperms, operation):
                found[(*change[:3], operation)] = EVERY_COMMAND
    for xperms in comparison.rules.gained_xperms:
        found[xperms[:4]] = bitset(xperms.numbers)
    structural = vectors(comparison.structural)
    beyond = {
        vector: bits & ~asked.commands.get(vector, 0) & ~_inherited_commands(vector, comparison)
        for vector, bits in found.items()
        if vector not in structural and vector not in asked.hidden
    }
    return [
        Extra("commands", *vector[:3], perms=(vector[3],), xperms=ranges(bits))
        for vector, bits in beyond.items()
        if bits and (vector in asked.vectors or not _newly(vector, comparison))
    ]


def _inherited_commands(vector: Vector, comparison: Comparison) -> int:
    return 0 if comparison.heirlooms is None else comparison.heirlooms.commands(*vector)


def _newly(vector: Vector, comparison: Comparison) -> bool:
    return vector[3] not in comparison.baseline.allowed(*vector[:3])


def _rules(asked: Asked, comparison: Comparison) -> list[Extra]:
    """Permissions of allow rules that change nothing, and rules that allow nothing at all."""
    found = []
    given: set[Vector] = set()
    for rule in comparison.declared.rules:
        silent = rule.kind in ("dontaudit", "auditallow", "neverallow")
        if silent and not (_chosen_silence(rule, asked) or _inherited_silence(rule, comparison)):
            found.append(Extra("silent", text=rule.text))
        if rule.kind != "allow" or _inherited_rule(rule, comparison):
            continue
        gains = {(*pair, rule.tclass, perm) for pair in rule.pairs() for perm in rule.perms}
        new = {vector for vector in gains if _newly(vector, comparison)}
        for perms, kind in (
            (rule.perms - {vector[3] for vector in new}, "base"),
            ({vector[3] for vector in new} - {vector[3] for vector in new - given}, "repeated"),
        ):
            if perms:
                found.append(_of_rule(kind, rule, tuple(sorted(perms))))
        given |= gains
    return found


def _inherited_rule(rule: DeclaredRule, comparison: Comparison) -> bool:
    """The base has all that it gives, in some state of the booleans; whether it gives more than the base has is seen in
    what the policies allow."""
    heirlooms = comparison.heirlooms
    return heirlooms is not None and all(
        rule.perms <= heirlooms.in_any_state(*pair, rule.tclass) for pair in rule.pairs()
    )


def _chosen_silence(rule: DeclaredRule, asked: Asked) -> bool:
    """A person chose to hide exactly this."""
    pairs = {(*pair, rule.tclass, perm) for pair in rule.pairs() for perm in rule.perms}
    return rule.kind == "dontaudit" and pairs <= asked.silenced


def _inherited_silence(rule: DeclaredRule, comparison: Comparison) -> bool:
    heirlooms = comparison.heirlooms
    return (
        heirlooms is not None
        and all(
            heirlooms.is_silent(*pair, rule.tclass, rule.perms) for pair in rule.pairs() if rule.kind == "dontaudit"
        )
        and rule.kind == "dontaudit"
    )


def _of_rule(kind: str, rule: DeclaredRule, perms: tuple[str, ...]) -> Extra:
    return Extra(kind, tclass=rule.tclass, perms=perms, text=rule.text)


def _xperm_rules(asked: Asked, comparison: Comparison) -> list[Extra]:
    """Rules on extended permissions that list a command nobody asks for, also where it is not let through."""
    found = []
    for rule in comparison.declared.rules:
        if not rule.operation:
            continue
        if rule.kind != "allowxperm":
            found.append(Extra("silent", text=rule.text))
            continue
        needed = 0
        for pair in rule.pairs():
            vector = (*pair, rule.tclass, rule.operation)
            needed |= asked.commands.get(vector, 0) | _inherited_commands(vector, comparison)
        if rule.bits & ~needed:
            beyond = ranges(rule.bits & ~needed)
            found.append(Extra("commands", tclass=rule.tclass, perms=(rule.operation,), xperms=beyond, text=rule.text))
    return found


def _statements(asked: Asked, comparison: Comparison) -> list[Extra]:
    """New types that nothing needs, and statements that are no rules."""
    used = {type_ for vector in (*asked.vectors, *asked.hidden) for type_ in vector[:2]}
    if comparison.heirlooms is not None:
        used.add(comparison.heirlooms.heir.own)
    found = [Extra("type", text=f"type {type_};") for type_ in comparison.declared.types - used]
    silent = ("dontaudit ", "auditallow ")  # listed with the rules
    for text in comparison.added:
        inherited = is_inherited_statement(text, comparison)
        if text not in asked.statements and not text.startswith(silent) and not inherited:
            found.append(Extra("statement", text=text))
    return found
