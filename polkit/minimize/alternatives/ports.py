"""The way to label a port with a type that the policy has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Optional

from polkit.minimize.alternatives.costs import fixed
from polkit.minimize.alternatives.ways import POLICY, Case, Way, main_changed, main_of
from polkit.minimize.grouping import Diagnosed
from polkit.minimize.own_ports import GENERIC_PORTS
from polkit.model import Cost

_CANDIDATES = 12
"""So many types with the fewest ports are compared by who may use them."""


def ports(case: Case) -> Iterator[Way]:
    """The narrowest existing type that the domain may use already: the fewest others may, then the fewest ports."""
    own = case.decision.remedy
    if case.decision.cause != "port-label" or own.kind != "port" or own.type is None or case.policy.info is None:
        return
    narrowest = _narrowest(case)
    if narrowest is None:
        return
    type_, domains = narrowest

    def change(part: Diagnosed) -> Optional[Diagnosed]:
        if not _may_use(part, type_, case):
            return None
        remedy = main_of(part).remedy
        text = f"Label {remedy.protocol} port {remedy.port} as {type_}, which {case.acting} may use already."
        commands = tuple(command.replace(f" -t {remedy.type} ", f" -t {type_} ") for command in remedy.commands)
        labelled = replace(remedy, text=text, commands=commands, type=type_, rules=(), types=())
        return main_changed(part, labelled, settles_all=True, risk=None)

    text = "It needs no rule: what the policy allows on the type's other ports it allows on this one."
    yield Way(f"port:{type_}", POLICY, change, fixed(Cost(0, domains, text)))


def _narrowest(case: Case) -> Optional[tuple[str, int]]:
    """The type and how many domains may use it; None where no labelled port would do."""
    policy, tclass, perms = case.policy, case.first.key.tclass, frozenset(case.decision.perms)
    fitting = [
        type_
        for type_ in policy.types("port_type")
        if type_ not in GENERIC_PORTS
        and policy.port_entries(type_)
        and all(_may_use(part, type_, case) for part in case.parts)
    ]
    few = sorted(fitting, key=lambda type_: (len(policy.port_entries(type_)), type_))[:_CANDIDATES]
    reached = [(case.reach.domains(policy, type_, tclass, perms), type_) for type_ in few]
    return (min(reached)[1], min(reached)[0]) if reached else None


def _may_use(part: Diagnosed, type_: str, case: Case) -> bool:
    question = case.asks_as(part.question)
    if question is None:
        return False
    verdict = question.at(type_, question.key.levels).verdict
    return verdict is not None and verdict.allowed
