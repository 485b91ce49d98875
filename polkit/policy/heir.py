"""What a module's own domain was given that its base has: recomputed from the policy alone, never believed.

The own domain stands in for the base: what the base may do to something, what others may do to the base, and what it
may do to itself. The base's rules on itself give the own domain nothing on the base, and the base nothing on it, but
what attributes do that both are in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Optional

from polkit.policy.difference import AccessChange, Commands, Key, Terms
from polkit.policy.index import gather
from polkit.policy.inheritance import count_apart, profile
from polkit.policy.neverallow import Neverallow
from polkit.policy.rules import Rules
from polkit.policy.store_neverallows import Neverallows
from polkit.policy.terms import Term, implies, states_of
from polkit.policy.violations import Violation

_SILENT = re.compile(r"(dontaudit|auditallow) (\S+) (\S+):(\S+) (?:\{ )?([^}]*?)(?: \})?;(.*)\Z")


class Heir(NamedTuple):
    """A module's own domain. ``inherits`` false: it starts from nothing, and only what others may do to it is taken
    over."""

    own: str
    base: str
    inherits: bool


@dataclass
class Heirlooms:
    """The answers for one heir; ``old`` is the policy without the module, ``new`` the one with it, ``before`` the old
    one's statements."""

    heir: Heir
    old: Rules
    new: Rules
    before: frozenset[str]
    _any_state: dict[Key, frozenset[str]] = field(default_factory=dict)

    def inherited(self, change: AccessChange, by_membership: frozenset[str]) -> frozenset[str]:
        """The permissions of a gained access that the base has as well, in every state in which the heir does.

        ``by_membership``: what the heir's attributes give; nothing else counts between the heir and its base.
        """
        key = self._key(change.source, change.target, change.tclass)
        if key is None:
            return frozenset()
        perms = frozenset(change.perms)
        if {change.source, change.target} == {self.heir.own, self.heir.base}:
            perms &= by_membership
        mine, theirs = when_allowed(self.new, change[:3]), when_allowed(self.old, key)
        return frozenset(perm for perm in perms if implies(mine(perm), theirs(perm)))

    def in_any_state(self, source: str, target: str, tclass: str) -> frozenset[str]:
        """What the base has in the heir's place in some state of the booleans."""
        key = self._key(source, target, tclass)
        if key is None:
            return frozenset()
        if key not in self._any_state:
            mask = _always(self.old, key) | Terms(self.old, key).mask
            self._any_state[key] = self.old.index.perms(tclass, mask)
        return self._any_state[key]

    def commands(self, source: str, target: str, tclass: str, operation: str) -> int:
        """The set of commands that the base gets through in the heir's place in some state of the booleans."""
        key = self._key(source, target, tclass)
        if key is None:
            return 0
        found = Commands(self.old, key, operation)
        commands = 0
        for state in states_of(found.terms):
            commands |= found.allowed(state)
        return commands

    def taken(self, source: str, target: str, tclass: str, operation: str) -> int:
        """The commands that the base gets through and the heir in its place doesn't, for the booleans' defaults."""
        key = self._key(source, target, tclass)
        if key is None or {source, target} == {self.heir.own, self.heir.base}:
            return 0
        theirs = Commands(self.old, key, operation).allowed(self.old.facts.booleans)
        return theirs & ~Commands(self.new, (source, target, tclass), operation).allowed(self.new.facts.booleans)

    def has_statement(self, text: str) -> bool:
        """A statement on the heir that the old policy has on the base: a transition, a role, bounds, an audit rule."""
        words = re.split(r"([\s:;{}]+)", text)
        if self.heir.own not in words:
            return False
        if "".join(self.heir.base if word == self.heir.own else word for word in words) in self.before:
            return True
        silent = _SILENT.match(text)
        if silent is None or silent[1] != "dontaudit" or silent[6].strip():
            return False
        return self.is_silent(silent[2], silent[3], silent[4], frozenset(silent[5].split()))

    def is_silent(self, source: str, target: str, tclass: str, perms: frozenset[str]) -> bool:
        """The base's refusals of these are silent, too."""
        key = self._key(source, target, tclass)
        return key is not None and perms <= self.old.index.perms(key[2], self.old.dontaudited(*key))

    def broken_by_base(self, violation: Violation, old: Neverallows) -> bool:
        """The base breaks the very same neverallow rule without the module: no news."""
        key = self._key(violation.source, violation.target, violation.tclass)
        if key is None or violation.kind != "neverallow":
            return False
        same = next((one for one in old.rules().get(key[2], ()) if one.statement == violation.statement), None)
        return same is not None and _forbids(same, key, violation.perms)

    def _key(self, source: str, target: str, tclass: str) -> Optional[Key]:
        """The access that the base has in the heir's place; None for one that can't be inherited."""
        own, base, inherits = self.heir
        if own not in (source, target) or (source == own and not inherits):
            return None
        key = (base if source == own else source, base if target == own else target, tclass)
        known = self.old.facts.attributes
        return key if key[0] in known and key[1] in known else None


def _forbids(rule: Neverallow, key: Key, perms: tuple[str, ...]) -> bool:
    return all(rule.forbids(key[0], key[1], perm) for perm in perms)


def when_allowed(rules: Rules, key: Key) -> Callable[[str], Optional[frozenset[Term]]]:
    """For a permission of one access, the terms of which any gives it; None for always, none for never."""
    always = rules.index.perms(key[2], _always(rules, key))
    terms = Terms(rules, key)
    return lambda perm: None if perm in always else terms.of(perm)


def _always(rules: Rules, key: Key) -> int:
    sides = rules.facts.sides
    return gather(rules.index.allow, key[2], sides.get(key[0], ()), sides.get(key[1], ()))


def lacking(old: Rules, base: str, new: Rules, own: str, as_source: bool) -> int:
    """How many accesses the base has in the old policy that the own domain lacks in its place in the new one."""
    return count_apart(profile(old, base, own, as_source), profile(new, own, base, as_source))
