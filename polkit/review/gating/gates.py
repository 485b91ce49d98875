"""The rules that a project sets itself in ``polkit.toml`` ``[gates]``, held against a module under review."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Optional

from polkit.config import RISK_LEVELS, Denied, Forbid
from polkit.minimize import Forbidden, allow_text, gate_name
from polkit.policy import assess
from polkit.review.case import Case
from polkit.review.findings import Place
from polkit.review.gating.denied import Answer, Asked, still_denied
from polkit.review.gating.evidenced import unasked
from polkit.review.grants.newly import Grant, Newly

_MOST = 20
"""Of the accesses that break a gate so many are listed."""


@dataclass(frozen=True)
class GateResult:
    """One gate: ``kind`` is its key in polkit.toml, ``ok`` None where it can't be told; ``accesses`` are those that
    break it, the last of many says how many more there are."""

    name: str
    kind: str
    ok: Optional[bool]
    why: str
    place: Optional[Place] = None
    accesses: tuple[str, ...] = ()


def hold(case: Case) -> tuple[GateResult, ...]:
    """Every gate of the project, held against the case: what it forbids, what must still be refused, then the others.

    A gate that can't break, because no name in it exists, is none: ``ok`` is None then, too.
    """
    gates = case.config.gates
    granted = Newly(case)
    return (
        *(
            _forbid(gate, gate_name(gate.title, "forbid", number), granted)
            for number, gate in enumerate(gates.forbid, 1)
        ),
        *(
            _denied(gate, gate_name(gate.title, "denied", number), granted)
            for number, gate in enumerate(gates.denied, 1)
        ),
        *_max_risk(granted),
        *_rules_on(granted),
        *_to_shared(granted),
        *_over_permission(granted),
    )


def _forbid(gate: Forbid, name: str, granted: Newly) -> GateResult:
    unknown, idle = _unknown((gate.source, gate.target, gate.besides), granted)
    if idle:
        return GateResult(name, "forbid", None, f"It can't break: {unknown}.")
    forbidden = Forbidden(gate, granted.names)
    hits = []
    for one in granted.every:
        if one.structural and one.target not in gate.target:
            continue  # no module that has a type of files can do without
        perms = forbidden.perms(one.source, one.target, one.tclass, one.perms)
        if perms:
            hit = granted.new(one._replace(perms=perms))
            hit = hit if one.source in gate.source else granted.beyond_base(hit)
            hits += [hit] if hit.perms else []
    note = f" Note: {unknown}." if unknown else ""
    return _concluded(name, "forbid", hits, granted, f"The module allows none of it.{note}", note)


def _denied(gate: Denied, name: str, granted: Newly) -> GateResult:
    unknown, idle = _unknown((gate.source, gate.target, gate.besides), granted)
    if idle:
        return GateResult(name, "denied", None, f"It can't break: {unknown}.")
    case = granted.case
    asked = Asked(granted.policy, granted.changed, granted.names, granted.every, case.policy is not None)
    found: Answer = still_denied(gate, asked, case.labels)
    place = found.place
    if place is None and found.broken:
        place = next((where for one in found.broken if (where := granted.place(one)) is not None), None)
    note = f" Note: {unknown}." if unknown else ""
    return GateResult(name, "denied", found.ok, f"{found.why}{note}", place, _listed(found.broken))


def _max_risk(granted: Newly) -> Iterator[GateResult]:
    worst = granted.case.config.gates.max_risk
    if worst is None:
        return
    above = RISK_LEVELS[RISK_LEVELS.index(worst) + 1 :]
    hits: list[Grant] = []
    names: set[str] = set()
    for one in granted.by_own_rules:
        risks = [(perm, assess(*one[:3], perm, granted.policy)) for perm in one.perms]
        perms = tuple(perm for perm, risk in risks if risk is not None and risk.severity in above)
        if perms:
            hits.append(one._replace(perms=perms))
            names.update(risk.id for perm, risk in risks if risk is not None and perm in perms)
    said = f" Risks: {', '.join(sorted(names))}." if names else ""
    yield _concluded("max_risk", "max_risk", hits, granted, f"No access is a graver risk than {worst}.", said)


def _rules_on(granted: Newly) -> Iterator[GateResult]:
    types = granted.case.config.gates.forbid_rules_on
    if types:
        named = granted.names.types(types)
        hits = [one for one in granted.by_own_rules if one.target in named]
        yield _concluded("forbid_rules_on", "forbid_rules_on", hits, granted, "No rule is on one of these types.")


def _to_shared(granted: Newly) -> Iterator[GateResult]:
    """Rules of the module for a domain that was there before, and in which unrelated workloads run. What may be done to
    a new domain as to its base is no such rule."""
    config = granted.case.config
    if not config.gates.no_new_grants_to_shared:
        return
    if granted.case.policy is None:
        yield GateResult(
            "no_new_grants_to_shared", "no_new_grants_to_shared", None, "No policy tells which are shared."
        )
        return
    shared = {
        source
        for source in {one.source for one in granted.by_own_rules} - granted.own.keys()
        if source in config.minimize.shared_domains or granted.policy.shared_because(source) is not None
    }
    hits = [one for one in granted.by_own_rules if one.source in shared]
    name = "no_new_grants_to_shared"
    yield _concluded(name, name, hits, granted, "No rule is for a shared domain.")


def _over_permission(granted: Newly) -> Iterator[GateResult]:
    most = granted.case.config.gates.max_over_permission
    if most is None:
        return
    name = "max_over_permission"
    found = unasked(granted)
    if found.number is None:
        yield GateResult(name, name, None, found.why)
    elif found.number > most:
        place = next((where for one in found.accesses if (where := granted.place(one)) is not None), None)
        why = f"{found.number} accesses are newly allowed that no evidence asks for, and {most:g} may be: {found.why}"
        yield GateResult(name, name, False, why, place, _listed(found.accesses))
    else:
        yield GateResult(name, name, True, f"{found.number} accesses without evidence: {found.why}")


def _concluded(name: str, kind: str, hits: list[Grant], granted: Newly, kept: str, said: str = "") -> GateResult:
    if not hits:
        return GateResult(name, kind, True, kept)
    hits = sorted(hits, key=lambda one: (one.standing, bool(one.condition), one))
    place = next((where for one in hits if (where := granted.place(one)) is not None), Place(granted.case.file))
    number = sum(len(one.perms) for one in hits)
    first = _text(hits[0])
    more = f", and {number - len(hits[0].perms)} more accesses" if len(hits) > 1 else ""
    why = f"{first} is newly allowed{more}.{said}"
    return GateResult(name, kind, False, why, place, _listed(hits))


def _unknown(lists: Iterable[tuple[str, ...]], granted: Newly) -> tuple[str, bool]:
    """A few words on names that no type is or is in, with the module; and whether the gate can't break for it: all
    names of one of its first lists are such."""
    if granted.case.policy is None:
        return "", False
    lists = tuple(lists)
    unknown = {
        name: granted.changed.nearest("type", name) for listed in lists for name in granted.names.unknown(listed)
    }
    idle = any(listed and set(listed) <= unknown.keys() for listed in lists[:2])
    words = (f"{name} (nearest: {', '.join(nearest)})" if nearest else name for name, nearest in unknown.items())
    return (f"no type of the policy or the module is {'; '.join(words)}" if unknown else ""), idle


def _text(grant: Grant) -> str:
    return allow_text(*grant[:4], grant.condition)


def _listed(hits: Iterable[Grant]) -> tuple[str, ...]:
    texts = list(dict.fromkeys(map(_text, hits)))
    return tuple(texts[:_MOST]) + ((f"and {len(texts) - _MOST} more",) if len(texts) > _MOST else ())
