"""A way to deal with a decision: how each of its permissions is diagnosed where a person chooses it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Optional

from polkit.minimize.grouping import Decided, Diagnosed, Draft
from polkit.minimize.ladder import Diagnosis
from polkit.minimize.question import Finding, Question, Settings
from polkit.model import Cost, Decision, OwnDomain, Party, Remedy
from polkit.policy import TargetPolicy

Change = Callable[[Diagnosed], Optional[Diagnosed]]
"""One permission with the way's remedy; None where the way does not work for it."""

LEAVE = "leave"
NOTHING = Remedy("none", "Nothing: the access stays refused.")

TOOL, EXACT, POLICY, SHARED, RISKY, SILENT, LAST = range(7)
"""How ways are ranked: the tool's own; an exact rule; what the policy provides (booleans, labels, ports); a rule for a
shared domain; what opens something that is refused elsewhere; a rule that hides; to leave it."""


@dataclass(frozen=True)
class Case:
    """A decision of the tool's with all that a way may ask. ``parts`` are as they were before their ioctl and nlmsg
    commands were settled; ``draft`` is the decision before any risk was refused."""

    decided: Decided
    draft: Draft
    parts: tuple[Diagnosed, ...]
    domain: Optional[OwnDomain]
    settings: Settings
    reach: Reach

    @property
    def decision(self) -> Decision:
        """As the tool decided."""
        return self.decided.decision

    @property
    def first(self) -> Question:
        """Any of its questions: they have one source, target and class."""
        return self.parts[0].question

    @property
    def policy(self) -> TargetPolicy:
        """The target policy, with a domain that starts from nothing added to it."""
        return self.first.policy

    @property
    def moved(self) -> bool:
        """Its rules go to a domain of the module's own."""
        return self.domain is not None and self.first.source in self.domain.sources

    @property
    def acting(self) -> Optional[str]:
        """Whose rules of the policy the workload will have: the source's, or those of the base that its own domain
        inherits from; None where that starts from nothing."""
        if self.domain is None or not self.moved:
            return self.first.source
        return self.domain.base

    def asks_as(self, question: Question) -> Optional[Question]:
        """The question asked by the domain whose rules count; None where none do."""
        acting = self.acting
        if acting is None or acting == question.source:
            return question if acting is not None else None
        source = Party(question.access.source.user, question.access.source.role, acting)
        access = replace(question.access, source=source)
        return replace(question, access=access, verdict=self.policy.decide(access))


@dataclass
class Reach:
    """How many domains may do something to a type; each is counted once for a whole plan."""

    _known: dict[tuple[str, str, frozenset[str]], int] = field(default_factory=dict)
    _structural: dict[tuple[str, ...], int] = field(default_factory=dict)

    def structural(self, policy: TargetPolicy, attributes: tuple[str, ...]) -> int:
        """The domains that get something on a new type by the attributes it joins."""
        if attributes not in self._structural:
            self._structural[attributes] = policy.structural(attributes).domains
        return self._structural[attributes]

    def domains(self, policy: TargetPolicy, type_: str, tclass: str, perms: frozenset[str]) -> int:
        """The domains that have all of the permissions on the type by enabled rules."""
        key = (type_, tclass, perms)
        if key not in self._known:
            everybody = policy.types("domain")
            self._known[key] = sum(perms <= policy.allowed(domain, type_, tclass) for domain in everybody)
        return self._known[key]


@dataclass(frozen=True)
class Way:
    """``price``: its cost, worked out from the draft that its change leads to. ``accepts``: it takes the decision's
    risks. ``shared``: its rules are for a shared domain, so that an own one beside it needs them too."""

    id: str
    tier: int
    change: Change
    price: Callable[[Draft], Cost]
    widens: bool = False
    accepts: bool = False
    shared: bool = False


def main_changed(part: Diagnosed, remedy: Remedy, settles_all: bool = False, **changes: object) -> Diagnosed:
    """The permission with another remedy for its main cause; ``settles_all``: no other reason is left then."""
    diagnosis = part.diagnosis
    main = replace(diagnosis.main, remedy=remedy, **changes)  # type: ignore[arg-type]
    return replace(part, diagnosis=Diagnosis(main, () if settles_all else diagnosis.also))


def left(part: Diagnosed, remedy: Remedy) -> Diagnosed:
    """The permission with a remedy that grants nothing; so nothing is to be done about its other reasons either."""
    diagnosis = part.diagnosis
    main = replace(diagnosis.main, remedy=remedy, risk=None, retarget=None)
    also = tuple(replace(finding, remedy=NOTHING, risk=None) for finding in diagnosis.also)
    return replace(part, diagnosis=Diagnosis(main, also))


def main_of(part: Diagnosed) -> Finding:
    """The finding that decided."""
    return part.diagnosis.main


def counted(number: int, one: str, many: str = "") -> str:
    """``1 domain``, ``2 domains``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
