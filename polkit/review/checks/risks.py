"""PK017: accesses that the risk catalogue names, of what the module newly gives."""

from __future__ import annotations

from collections.abc import Iterator

from polkit.minimize import GENERIC_PORTS, why_generic
from polkit.module.source import Located
from polkit.policy import Risk, assess
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix
from polkit.review.grants.on_policy import Names, PolicyRule, Vector, by_statement, counted, in_part

_SHOWN = 16


def find(case: Case) -> Iterator[Finding]:
    """One finding for each entry of the catalogue that a statement matches."""
    names = case.names
    if names is None:
        return
    for where, parts in by_statement(case.rules):
        risky: dict[Risk, list[Vector]] = {}
        for part in parts:
            for one in part.new:
                for risk, perms in _risks(names, one).items():
                    risky.setdefault(risk, []).append(one._replace(perms=frozenset(perms)))
        for risk, vectors in risky.items():
            yield _finding(where, parts, risk, vectors)


def _risks(names: Names, one: Vector) -> dict[Risk, set[str]]:
    """What the catalogue says of its permissions; not what is said by a finding on its label already."""
    by_label = one.target in GENERIC_PORTS or bool(
        why_generic(names.policy, names.bases.get(one.source, one.source), one.target, one.tclass)
    )
    found: dict[Risk, set[str]] = {}
    for perm in sorted(one.perms):
        risk = assess(one.source, one.target, one.tclass, perm, names.policy)
        if risk is not None and not (by_label and not risk.refuse):
            found.setdefault(risk, set()).add(perm)
    return found


def _finding(where: Located, parts: tuple[PolicyRule, ...], risk: Risk, vectors: list[Vector]) -> Finding:
    sources = sorted({one.source for one in vectors})
    is_whole = all(part.is_whole for part in parts)
    every = len(frozenset[str]().union(*(part.access.sources for part in parts)))
    who = in_part(sources, 2) if is_whole else f"{counted(every, 'type')}, such as {sources[0]},"
    targets = sorted({one.target for one in vectors})
    to = "itself" if sources == targets else in_part(targets, 2)
    condition = f" It is so while {where.condition}." if where.condition else ""
    return Finding(
        id="PK017",
        severity=risk.severity,
        confidence="high" if is_whole and not where.condition else "medium",
        place=place_of(where),
        title=f"{_sentence(risk.what)} ({risk.id}): {who} on {to}",
        why=f"{_sentence(risk.why)} ({risk.reference}).{condition} {_weight(risk)}",
        fix=Fix(_advice(risk, sources)),
        evidence=tuple(one.text for one in vectors[:_SHOWN]),
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _weight(risk: Risk) -> str:
    if risk.refuse:
        return "No rule of ours gives it unless a person accepts it by name."
    if risk.severity == "low":
        return "It is common, and seldom is all of it needed."
    return "Somebody should know that it is given, and why."


def _advice(risk: Risk, sources: list[str]) -> str:
    who = sources[0] if len(sources) == 1 else "each of the domains"
    if risk.severity == "low":
        return f"Look whether {who} needs all of it."
    return (
        f"Take it out and look whether {who} still does its work: many programs try and go on without. Where it is "
        "needed, let a small domain of its own have it, and say why beside the rule."
    )
