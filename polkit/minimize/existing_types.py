"""Existing types for directories and ports: taken only where they fit exactly.

Exactly means: the policy gives each domain of the evidence on the type what was observed there and nothing more, and
gives no other domain anything that it does not have on the present label. A type for all containers never fits one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Optional

from polkit.minimize.question import Settings
from polkit.policy import TargetPolicy


@dataclass(frozen=True)
class Wanted:
    """What a type must give: from (domain, class) to the permissions observed; the types that the objects have now;
    and the classes in which nothing else may be given."""

    perms: Mapping[tuple[str, str], frozenset[str]]
    present: frozenset[str]
    classes: frozenset[str]

    @property
    def domains(self) -> frozenset[str]:
        """The domains of the evidence."""
        return frozenset(domain for domain, _ in self.perms)


def fitting_type(wanted: Wanted, policy: TargetPolicy, settings: Settings) -> Optional[str]:
    """The first type of files that fits, by name; None where none does."""
    return _first(sorted(policy.types("file_type") - wanted.present), wanted, policy, settings)


def fitting_port_type(wanted: Wanted, policy: TargetPolicy, settings: Settings) -> Optional[str]:
    """The first type of ports that fits and has no other port, by name; None where none does."""
    free = [type_ for type_ in policy.types("port_type") if not policy.port_entries(type_)]
    return _first(sorted(free), wanted, policy, settings)


def _first(types: Iterable[str], wanted: Wanted, policy: TargetPolicy, settings: Settings) -> Optional[str]:
    if policy.info is None or not wanted.perms or _is_replaced(wanted.domains, policy, settings):
        return None
    return next(
        (type_ for type_ in types if _gives_exactly(type_, wanted, policy) and _nobody_gains(type_, wanted, policy)),
        None,
    )


def _is_replaced(domains: Iterable[str], policy: TargetPolicy, settings: Settings) -> bool:
    """A domain of the module's own stands in for one of them: the policy's rules are not that one's."""
    shared = (one in settings.shared or policy.shared_because(one) is not None for one in domains)
    return not settings.extend and any(shared)


def _gives_exactly(type_: str, wanted: Wanted, policy: TargetPolicy) -> bool:
    """What dontaudit rules hid on the present label may be given too: a relabel would take it along."""
    for (domain, tclass), observed in wanted.perms.items():  # nearly every type fails here
        given = policy.allowed(domain, type_, tclass)
        hidden = (policy.dontaudited(domain, one, tclass) for one in wanted.present)
        if not observed <= given or not given <= observed.union(*hidden):
            return False
    others = ((domain, tclass) for domain in wanted.domains for tclass in wanted.classes)
    return not any(
        policy.allowed(domain, type_, tclass) for domain, tclass in others if (domain, tclass) not in wanted.perms
    )


def _nobody_gains(type_: str, wanted: Wanted, policy: TargetPolicy) -> bool:
    return not any(
        policy.allowed(domain, type_, tclass) - policy.allowed(domain, present, tclass)
        for domain in policy.types("domain") - wanted.domains
        for tclass in wanted.classes
        for present in wanted.present
    )
