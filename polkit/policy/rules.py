"""The rules in force for one state of the booleans: type enforcement, extended permissions, what booleans would add."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Optional

from polkit.model import Xperm
from polkit.policy.facts import Facts
from polkit.policy.index import (
    Condition,
    ConditionalTable,
    RuleIndex,
    Table,
    XpermRule,
    gather,
    gather_lists,
)
from polkit.policy.interface import BooleanSet


@dataclass(frozen=True)
class Rules:
    """A policy's rules with ``truths``, the value of each condition. Types are canonical names throughout."""

    facts: Facts
    index: RuleIndex
    state: Mapping[str, bool]
    truths: tuple[bool, ...]

    def with_state(self, changes: Mapping[str, bool]) -> Rules:
        """The same rules with some booleans changed; names the policy doesn't have are passed over. The index is
        shared, so this costs less than a millisecond.
        """
        state = dict(self.state)
        state.update({name: value for name, value in changes.items() if name in state})
        return Rules(self.facts, self.index, state, self.index.truths(state))

    def bit(self, tclass: str, perm: str) -> int:
        """The bit of a permission; 0 for one the class doesn't have."""
        return self.index.bits.get(tclass, {}).get(perm, 0)

    def allowed(self, source: str, target: str, tclass: str) -> int:
        """The mask of permissions that enabled allow rules give."""
        return self._mask(self.index.allow, self.index.allow_if, source, target, tclass)

    def always_allowed(self, source: str, target: str, tclass: str) -> int:
        """The mask of permissions that allow rules outside ``if`` blocks give."""
        return gather(self.index.allow, tclass, self._sides(source), self._sides(target))

    def given_to(self, source: str, tclass: str) -> dict[str, int]:
        """What enabled allow rules give a type: from each target, as written, to the mask of permissions."""
        given: dict[str, int] = {}
        rows, rows_if = self.index.allow.get(tclass, {}), self.index.allow_if.get(tclass, {})
        for side in self._sides(source):
            for target, mask in rows.get(side, {}).items():
                given[target] = given.get(target, 0) | mask
            for target, rules in rows_if.get(side, {}).items():
                for rule in rules:
                    if self.truths[rule.condition] == rule.block:
                        given[target] = given.get(target, 0) | rule.mask
        return given

    def dontaudited(self, source: str, target: str, tclass: str) -> int:
        """The mask of permissions that enabled dontaudit rules silence."""
        return self._mask(self.index.dontaudit, self.index.dontaudit_if, source, target, tclass)

    def xperm_rules(self, source: str, target: str, tclass: str) -> list[XpermRule]:
        """The enabled rules on extended permissions, of every operation (``ioctl``, ``nlmsg``)."""
        found = gather_lists(self.index.xperms, tclass, self._sides(source), self._sides(target))
        return [rule for rule in found if self._enabled(rule.condition, rule.block)]

    def xperm_refused(self, source: str, target: str, tclass: str, xperm: Xperm) -> bool:
        """Rules on extended permissions exist for these, and no allowxperm among them lists this one.

        Any rule closes the list, one of another operation too, and one that only silences or logs (since Linux 5.11;
        before, an allowxperm only): kernel ``services_compute_xperms_drivers`` counts them all, and
        ``avc_has_extended_perms`` then refuses what ``security_compute_xperms_decision`` doesn't give.
        """
        rules = self.xperm_rules(source, target, tclass)
        return bool(rules) and not _lists(rules, "allowxperm", xperm)

    def xperm_dontaudited(self, source: str, target: str, tclass: str, xperm: Xperm) -> bool:
        """A dontauditxperm rule lists this extended permission."""
        return _lists(self.xperm_rules(source, target, tclass), "dontauditxperm", xperm)

    def booleans_for(self, source: str, target: str, tclass: str, bit: int) -> tuple[BooleanSet, ...]:
        """All sets of one boolean, else of two, that put a rule with this permission into force.

        Meant for a permission that no enabled rule gives: then it is enough to look at each disabled rule alone.
        """
        rules = gather_lists(self.index.allow_if, tclass, self._sides(source), self._sides(target))
        wanted = {(rule.condition, rule.block) for rule in rules if rule.mask & bit}
        for size in (1, 2):
            found = {settings for number, block in wanted for settings in self._settings(number, block, size)}
            if found:
                return tuple(BooleanSet(settings) for settings in sorted(found))
        return ()

    def _settings(self, number: int, block: bool, size: int) -> Iterator[tuple[tuple[str, bool], ...]]:
        """The sets of ``size`` booleans that, turned, give condition ``number`` the value ``block``."""
        condition: Condition = self.index.conditions[number]
        for names in combinations(condition.booleans, size):
            turned = {name: not self.state[name] for name in names}
            if condition.holds({**{name: self.state[name] for name in condition.booleans}, **turned}) == block:
                yield tuple(sorted(turned.items()))

    def _mask(self, table: Table, conditional: ConditionalTable, source: str, target: str, tclass: str) -> int:
        sources, targets = self._sides(source), self._sides(target)
        mask = gather(table, tclass, sources, targets)
        for rule in gather_lists(conditional, tclass, sources, targets):
            if self.truths[rule.condition] == rule.block:
                mask |= rule.mask
        return mask

    def _enabled(self, condition: Optional[int], block: bool) -> bool:
        return condition is None or self.truths[condition] == block

    def _sides(self, type_: str) -> frozenset[str]:
        """What rules may call a type: its name and its attributes."""
        return self.facts.sides.get(type_) or frozenset((type_,))


def _lists(rules: Iterable[XpermRule], kind: str, xperm: Xperm) -> bool:
    return any(rule.kind == kind and rule.operation == xperm.kind and xperm.number in rule.numbers for rule in rules)
