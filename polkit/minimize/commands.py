"""Whether rules list the observed ioctl or nlmsg commands, or give them all: settled for every remedy, with the reason.

One allowxperm closes the lists for its source, target and class: a command that another rule gave is refused from then
on, an ioctl as well as an nlmsg. So commands are listed where nothing is taken away by it, and everywhere else the rule
is left whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple, Optional

from polkit.minimize.grouping import Diagnosed
from polkit.minimize.ladder import Diagnosis
from polkit.minimize.question import Finding
from polkit.model import SELF, AvRule, OwnDomain, Remedy, XpermRule
from polkit.policy import OPERATIONS, TargetPolicy

_ASKS_FOR_NLMSG = "netlink_xperm"
"""The capability of a policy whose kernel asks for ``nlmsg`` and the type of the message (Linux 6.13)."""


class _Place(NamedTuple):
    """Where one operation (``ioctl``, ``nlmsg``) is granted."""

    source: str
    target: str
    tclass: str
    operation: str


def settle_commands(
    diagnosed: Iterable[Diagnosed], domain: Optional[OwnDomain], policy: TargetPolicy
) -> tuple[Diagnosed, ...]:
    """Every finding with its rules on commands kept or left out, its ``xperm_note``, and what was asked for it.

    ``domain``: the module's own one that rules may be for; it has the rules of its base. An existing domain keeps what
    it gets in any state of the booleans on a type that exists. A domain or type of the module's own has nothing to lose
    by a boolean that is off: there the commands are listed, and the note says that the boolean does not add to them.
    """
    listed = tuple(diagnosed)
    findings = [finding for one in listed for finding in (one.diagnosis.main, *one.diagnosis.also)]
    settling = _Settling(
        policy,
        domain,
        {declared.name: declared.attributes for finding in findings for declared in finding.remedy.types},
        {
            place[:3]: place.operation
            for finding in findings
            if finding.remedy.any_command
            for place in _whole(finding.remedy)
        },
    )
    return tuple(_settled(one, settling) for one in listed)


class _Answer(NamedTuple):
    """Whether the observed commands may be listed, what a reader should know of it, and what the policy said."""

    keep: bool
    note: str = ""
    asked: str = ""


class _Settling(NamedTuple):
    policy: TargetPolicy
    domain: Optional[OwnDomain]
    new_types: Mapping[str, tuple[str, ...]]
    unknown: Mapping[tuple[str, str, str], str]
    """By source, target and class: the operation of which some record does not tell the command."""

    def answer(self, place: _Place) -> _Answer:
        """How to write an operation at one place."""
        if place[:3] in self.unknown:
            return _Answer(False, self._unknown(place, self.unknown[place[:3]]))
        every = f"every {place.operation} command"
        if self.policy.info is None:
            note = f"Where rules give {place.source} {every} there already, this list takes the others away: no policy "
            return _Answer(True, note + "was asked.")
        who, target = self._in_policy(place)
        asked = f"would a list of {place.source}'s commands on {place.target}:{place.tclass} take any away? "
        given = [
            (operation, found)
            for operation in (place.operation, *(one for one in OPERATIONS if one != place.operation))
            for found in [self.policy.unlimited(who, target, place.tclass, operation, self.new_types)]
            if found is not None
        ]
        if not given:
            return _Answer(True, "", asked + "no")
        operation, found = next((one for one in given if one[1].now), given[0])
        every = f"every {operation} command"
        where = f" where {found.condition} holds" if found.condition else ""
        asked += f"{who} has {every} there{where}"
        if found.now or not self._nothing_to_lose(place):
            note = f"{who} has {every} there{where}: a list would take the others away, so all are allowed."
            return _Answer(False, note, asked)
        return _Answer(True, f"{who} has {every} there{where}; {place.source} keeps to those listed.", asked)

    def _unknown(self, place: _Place, operation: str) -> str:
        told = f"A record does not tell which {operation} command it was"
        source, target = self._in_policy(place)
        if self.policy.has_xperm_rule(source, target, place.tclass):
            return f"{told}, and {source} has a list of them there: what is not on it stays refused."
        return f"{told}: all are allowed."

    def _in_policy(self, place: _Place) -> tuple[str, str]:
        """The source and target whose rules in the policy count: a base's, where the module's domain inherits them."""
        source = place.source
        if self.domain is not None and self.domain.base is not None and source == self.domain.name:
            source = self.domain.base
        return source, source if place.target == SELF else place.target

    def _nothing_to_lose(self, place: _Place) -> bool:
        """The source or the target is the module's own: nobody runs in it, or uses it, yet."""
        own_domain = self.domain is not None and place.source == self.domain.name
        return own_domain or (place.target != SELF and self.policy.type_name(place.target) is None)


def _settled(one: Diagnosed, settling: _Settling) -> Diagnosed:
    main, *also = (_finding(finding, settling) for finding in (one.diagnosis.main, *one.diagnosis.also))
    return replace(one, diagnosis=Diagnosis(main, tuple(also)), unsettled=one.diagnosis)


def _finding(finding: Finding, settling: _Settling) -> Finding:
    places = tuple(dict.fromkeys((*_listed(finding.remedy), *_whole(finding.remedy))))
    if not places:
        return finding
    answers = [settling.answer(place) for place in places]
    remedy = finding.remedy
    notes = [answer.note for answer in answers if answer.note]
    if not all(answer.keep for answer in answers):
        rules = tuple(rule for rule in remedy.rules if not isinstance(rule, XpermRule))
        notes = [answer.note for answer in answers if not answer.keep]
        remedy = replace(remedy, rules=rules, any_command=True) if rules else _no_rule(notes)
    elif any(place.operation == "nlmsg" for place in places):
        notes.append("Rules on nlmsg commands install with libsepol 3.8 or newer.")
    if any(place.operation == "nlmsg" for place in places) and not settling.policy.has_capability(_ASKS_FOR_NLMSG):
        notes.append(
            f"This policy lacks the capability {_ASKS_FOR_NLMSG}: its kernel asks for nlmsg_read and its like."
        )
    asked = tuple(answer.asked for answer in answers if answer.asked)
    note = " ".join(dict.fromkeys(notes))
    return replace(finding, remedy=replace(remedy, xperm_note=note), asked=(*finding.asked, *asked))


def _no_rule(notes: Iterable[str]) -> Remedy:
    """A list that is closed in this state of the booleans and open in another: to add to it would close it in both."""
    return Remedy("refuse", f"No rule can add the command alone. {' '.join(notes)}")


def _listed(remedy: Remedy) -> Iterator[_Place]:
    """Where a remedy lists commands."""
    for rule in remedy.rules:
        if isinstance(rule, XpermRule) and rule.kind == "allowxperm":
            yield _Place(rule.source, rule.target, rule.tclass, rule.operation)


def _whole(remedy: Remedy) -> Iterator[_Place]:
    """Where a remedy gives an operation whole, because the record does not tell the command."""
    if remedy.any_command:
        for rule in remedy.rules:
            if isinstance(rule, AvRule) and rule.kind == "allow":
                for operation in OPERATIONS:
                    if operation in rule.perms:
                        yield _Place(rule.source, rule.target, rule.tclass, operation)
