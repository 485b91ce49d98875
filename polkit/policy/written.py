"""Which domains may write a type of files, and what one may both write and execute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from polkit.policy.index import gather, gather_lists
from polkit.policy.interface import TargetPolicy
from polkit.policy.rules import Rules
from polkit.policy.target import rules_of

WRITING = frozenset(("write", "append"))
"""Permissions of a file that change what it holds."""
EXECUTING = frozenset(("execute", "execute_no_trans"))
"""Permissions by which what a file holds is run; kernel ``file_map_prot_check`` asks ``execute`` of a mapping, too."""


def given_between(policy: TargetPolicy, sources: Iterable[str], targets: Iterable[str], tclass: str) -> frozenset[str]:
    """The permissions that enabled rules of a loaded policy give from any of some names to any of others: a type with
    its attributes, also one that the policy does not have yet."""
    rules, sources, targets = rules_of(policy), frozenset(sources), frozenset(targets)
    mask = gather(rules.index.allow, tclass, sources, targets)
    for rule in gather_lists(rules.index.allow_if, tclass, sources, targets):
        if rules.truths[rule.condition] == rule.block:
            mask |= rule.mask
    return rules.index.perms(tclass, mask)


def writers(policy: TargetPolicy, names: Iterable[str]) -> frozenset[str]:
    """The types that may write files of a type, given with its attributes, by enabled rules of a loaded policy."""
    rules, wanted = rules_of(policy), frozenset(names)
    found: set[str] = set()
    for source, target in _written(rules, "write", "append"):
        if target in wanted:
            found.update(rules.facts.members(source))
    return frozenset(found)


def written_and_executed(policy: TargetPolicy, names: Iterable[str]) -> frozenset[str]:
    """The types of files that a domain, given with its attributes, may write and execute by enabled rules."""
    rules, wanted = rules_of(policy), frozenset(names)
    halves: list[set[str]] = []
    for perms in (WRITING, EXECUTING):
        targets = {target for source, target in _written(rules, *perms) if source in wanted}
        halves.append({member for target in targets for member in rules.facts.members(target)})
    return frozenset(halves[0] & halves[1])


def _written(rules: Rules, *perms: str) -> Iterator[tuple[str, str]]:
    """Source and target, as written, of the enabled rules that give one of some permissions of files."""
    mask = sum(rules.bit("file", perm) for perm in perms)
    for source, targets in rules.index.allow.get("file", {}).items():
        for target, given in targets.items():
            if given & mask:
                yield source, target
    for source, targets_if in rules.index.allow_if.get("file", {}).items():
        for target, found in targets_if.items():
            if any(rule.mask & mask and rules.truths[rule.condition] == rule.block for rule in found):
                yield source, target
