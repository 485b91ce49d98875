"""PK021 and PK022: who may write a file decides what runs in the domain that it is an entry point of, or what is run
after a change in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from polkit.policy import WRITING, Powers, TargetPolicy, writers
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix, Place
from polkit.review.grants.on_policy import Names
from polkit.review.grants.stated import and_others

_SHOWN = 8
_USERS = "unpriv_userdomain"
"""Attribute of the domains of users' logins: reference policy, Fedora."""
Pair = tuple[str, str]


def find(case: Case) -> Iterator[Finding]:
    """One finding a place and kind: a macro may say it in several rules."""
    if case.names is None:
        return
    world = _Writers(case, case.names)
    rules = sorted((one for one in case.rules if one.access.tclass == "file"), key=lambda one: place_of(one.where))
    for where, parts in groupby(rules, key=lambda one: place_of(one.where)):
        new = [one for part in parts for one in part.new]
        entered = {
            (one.source, one.target): world.of(one.source, one.target) for one in new if "entrypoint" in one.perms
        }
        found = {pair: who for pair, who in entered.items() if who}
        if found:
            yield _entrypoint(where, found)
        changed = {
            (one.source, one.target): world.of(*one[:2], with_itself=True) for one in new if "execmod" in one.perms
        }
        found = {pair: who for pair, who in changed.items() if who}
        if found:
            yield _execmod(where, found)


class _Writers:
    """Who may write a type of files with the module, besides those whom nothing holds."""

    def __init__(self, case: Case, names: Names) -> None:
        self._names = names
        self._policy: TargetPolicy = names.policy if case.built is None else case.built.new
        self._is_built = case.built is not None
        self._powers = Powers(self._policy)
        self._stated: dict[str, set[str]] = {}
        for rule in case.rules:
            if rule.access.tclass == "file" and not WRITING.isdisjoint(rule.access.perms) and rule.is_whole:
                for source, target in rule.each():
                    self._stated.setdefault(target, set()).add(source)
        self._known: dict[str, frozenset[str]] = {}

    def of(self, domain: str, type_: str, with_itself: bool = False) -> tuple[str, ...]:
        """The domains that may write the type and are not trusted anyway, the domain itself first. The module's own
        others are left out, and among containers every other container: their levels keep them apart."""
        if type_ not in self._known:
            sides = (type_, *self._names.attributes(type_), *self._policy.attributes(type_))
            self._known[type_] = writers(self._policy, sides) | self._stated.get(type_, set())
        found = sorted((one for one in self._known[type_] - {domain} if self._is_less(domain, one)), key=self._order)
        itself = [domain] if with_itself and domain in self._known[type_] else []
        return (*itself, *found)

    def _is_less(self, domain: str, writer: str) -> bool:
        if self._names.is_own(writer) or self._powers.why(writer) or not self._names.is_domain(writer):
            return False
        return not (self._is_container(writer) and self._is_container(domain))

    def _order(self, domain: str) -> tuple[bool, bool, str]:
        """Containers first, then users, as those whom a reader trusts least."""
        return not self._is_container(domain), _USERS not in self._policy.attributes(domain), domain

    def _is_container(self, domain: str) -> bool:
        if self._policy.is_container_domain(domain) or domain in self._names.bases:
            return True
        members = (self._names.policy.types(attribute) for attribute in self._names.attributes(domain))
        return any(found and all(map(self._names.policy.is_container_domain, found)) for found in members)


def _who(found: Mapping[Pair, tuple[str, ...]]) -> str:
    names = list(dict.fromkeys(name for who in found.values() for name in who))
    return names[0] + and_others(len(names) - 1)


def _entrypoint(place: Place, found: Mapping[Pair, tuple[str, ...]]) -> Finding:
    (domain, type_), who = next(iter(found.items()))
    return Finding(
        id="PK021",
        severity="high",
        confidence="high",
        place=place,
        title=f"A file that {_who(found)} may write is an entry point of {domain}",
        why=(
            f"What {who[0]} writes into a file of {type_} runs in {domain} the next time that somebody starts it there."
            f" {who[0]} so comes to everything that {domain} may do."
        ),
        fix=Fix(
            f"Give the program a type of its own that only the installer may write (exec_type), label it in the .fc,"
            f" and name that type here in place of {type_}."
        ),
        evidence=tuple(
            f"allow {one}:file write of {target}, entry point of {domain}"
            for (domain, target), names in found.items()
            for one in names[:_SHOWN]
        )[: 2 * _SHOWN],
    )


def _execmod(place: Place, found: Mapping[Pair, tuple[str, ...]]) -> Finding:
    (domain, type_), who = next(iter(found.items()))
    return Finding(
        id="PK022",
        severity="high",
        confidence="high",
        place=place,
        title=f"{domain} may run modified code of {type_}, which {_who(found)} may write",
        why=(
            f"With execmod {domain} runs pages of a file after it changed them in memory, so that no check of the file"
            f" says what runs. {who[0]} may write the file besides, and so leave its code there for good."
        ),
        fix=Fix(
            f"Rebuild the library with -fPIC, so that nothing has to be changed at load time; where that can't be had,"
            f" label it textrel_shlib_t, which is not writable, and take execmod on {type_} out."
        ),
        evidence=tuple(
            f"{one} may write {target}, {domain} has execmod on it"
            for (domain, target), names in found.items()
            for one in names[:_SHOWN]
        )[: 2 * _SHOWN],
    )
