"""What it means that a file or port has another type: which domains may do more with it, which less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

from polkit.policy.between import Between
from polkit.policy.interface import TargetPolicy
from polkit.policy.parity import weaker_than
from polkit.policy.rules import Rules
from polkit.policy.target import LoadedPolicy
from polkit.policy.terms import term_of, text_of

OBJECTS = ("file", "dir", "lnk_file", "chr_file", "blk_file", "sock_file", "fifo_file")
"""The classes of what has a path."""
FILE_USES = {
    "write": frozenset(("write", "append", "add_name", "remove_name")),
    "read": frozenset(("read",)),
    "execute": frozenset(("execute", "execute_no_trans", "entrypoint")),
}
"""What is done with files."""
PORT_USES = {"bind": frozenset(("name_bind",)), "connect": frozenset(("name_connect",))}
"""What is done with ports."""
_Given = frozenset[tuple[str, str, str]]
"""(class, permission, condition), the condition empty where it is given always."""


class LabelEffect(NamedTuple):
    """For objects whose type becomes another: of each use (write, read and execute of files, bind and connect of
    ports), how many domains of both policies may make it then and could not before, and the other way round. ``gives``
    and ``takes``: some domain may do anything at all that it could not, or a constraint lets it; it may not any more.
    ``enters``: who executes one enters another domain."""

    more: Mapping[str, int]
    less: Mapping[str, int]
    gives: bool
    takes: bool
    enters: bool


def label_effect(
    found: Between,
    old: str,
    new: str,
    classes: tuple[str, ...] = OBJECTS,
    uses: Mapping[str, frozenset[str]] = FILE_USES,
) -> Optional[LabelEffect]:
    """What changes where objects of ``classes`` have the type ``new`` in the new policy that had ``old`` in the old
    one; None where a policy does not know its type. ``uses``: the permissions that each word of ``LabelEffect`` stands
    for."""
    before, after = _rules(found.old), _rules(found.new)
    one, other = before.facts.canonical(old), after.facts.canonical(new)
    if one not in before.facts.sides or other not in after.facts.sides:
        return None
    had, has = _reached(before, one, classes), _reached(after, other, classes)
    both = before.facts.attributes.keys() & after.facts.attributes.keys()
    gained = {domain: given for domain in both if (given := _beyond(has.get(domain), had.get(domain)))}
    lost = {domain: given for domain in both if (given := _beyond(had.get(domain), has.get(domain)))}
    sides = before.facts.sides[one], after.facts.sides[other]
    return LabelEffect(
        more=_counted(gained, uses),
        less=_counted(lost, uses),
        gives=bool(gained) or any(text.tclass in classes for text in weaker_than(before, *sides)),
        takes=bool(lost) or any(text.tclass in classes for text in weaker_than(after, *reversed(sides))),
        enters="file" in classes and _entered(found, 0, sides[0]) != _entered(found, 1, sides[1]),
    )


def _rules(policy: TargetPolicy) -> Rules:
    assert isinstance(policy, LoadedPolicy)  # only such are compared
    return policy.rules


def _reached(rules: Rules, target: str, classes: tuple[str, ...]) -> dict[str, _Given]:
    """What each domain may do with a type."""
    sides, index = rules.facts.sides[target], rules.index
    found: dict[str, set[tuple[str, str, str]]] = {}

    def give(source: str, given: set[tuple[str, str, str]]) -> None:
        for domain in rules.facts.members(source):
            found.setdefault(domain, set()).update(given)

    for tclass in classes:
        bits = index.bits.get(tclass, {})
        for source, by_target in index.allow.get(tclass, {}).items():
            mask = 0
            for side in sides & by_target.keys():
                mask |= by_target[side]
            if mask:
                give(source, {(tclass, perm, "") for perm, bit in bits.items() if mask & bit})
        for source, rows in index.allow_if.get(tclass, {}).items():
            for side in sides & rows.keys():
                for rule in rows[side]:
                    text = text_of((term_of(rules, rule.condition, rule.block),))
                    give(source, {(tclass, perm, text) for perm, bit in bits.items() if rule.mask & bit})
    return {domain: frozenset(given) for domain, given in found.items()}


def _beyond(one: Optional[_Given], other: Optional[_Given]) -> _Given:
    """What one gives and the other does not, neither in the same states of the booleans nor always."""
    if one is None or one == other:
        return frozenset()
    had = other or frozenset()
    return frozenset(each for each in one - had if (*each[:2], "") not in had)


def _counted(found: Mapping[str, _Given], uses: Mapping[str, frozenset[str]]) -> dict[str, int]:
    perms = [{perm for _, perm, _ in given} for given in found.values()]
    return {use: sum(not wanted.isdisjoint(each) for each in perms) for use, wanted in uses.items()}


def _entered(found: Between, which: int, sides: frozenset[str]) -> frozenset[tuple[str, str]]:
    """From whom to where one comes by executing a file with these sides."""
    entered = set()
    for statement in found.process_transitions[which]:
        _, source, rest = statement.rstrip(";").split(None, 2)
        target, _, result = rest.partition(":process ")
        if target in sides:
            entered.add((source, result))
    return frozenset(entered)
