"""What ``polkit diff`` prints for people. Every name may be a stranger's."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from textwrap import wrap
from typing import Optional

from polkit.cli.safe import safe
from polkit.review import GROUPS, Difference, Entry, Group, Witness, grouped

_MOST = 20
_WIDTH = 100
_VERDICTS = {
    "equivalent": "{b} allows what {a} allows",
    "less-permissive": "{b} allows less than {a}",
    "more-permissive": "{b} allows more than {a}",
    "incomparable": "each allows, or handles, something that the other does not",
}
_TITLES = {
    "more": ("between types that existed before", "from a new domain", "onto a new type"),
    "less": ("between types that stay", "from a domain that is gone", "onto a type that is gone"),
}
_WAYS = {"more": "B alone: ", "less": "A alone: "}


def diff_lines(found: Difference, verbose: bool) -> Iterator[str]:
    """The verdict in one word, its witnesses, then everything that differs."""
    most = 1 << 30 if verbose else _MOST
    word = found.verdict.replace("-", " ")
    yield safe(f"{word}: {_VERDICTS[found.verdict].format(a=found.a.path, b=found.b.path)}")
    both = set(found.relation.more).intersection(found.relation.less)
    yield from _witness_lines(found.witness, both)
    if found.witness is not None and found.counter is not None and found.counter.text != found.witness.text:
        yield from _witness_lines(found.counter, both, told=found.witness)
    yield from _rule_lines("Allowed by B alone", "more", found.added, most)
    yield from _rule_lines("Allowed by A alone", "less", found.removed, most)
    for where, steps in zip("BA", found.transitions):
        yield from _section(f"Domain transitions of {where} alone", (one.text for one in steps), most)
    for where, commands in (("B", found.commands_added), ("A", found.commands_removed)):
        yield from _section(f"Commands let through by {where} alone", (one.text for one in commands), most)
    yield from _other_lines(found, most)
    if found.found.labels_added is None:
        yield "Labels were not compared: one of the two has no file contexts beside it."


def _witness_lines(witness: Optional[Witness], both: Container[str], told: Optional[Witness] = None) -> Iterator[str]:
    """``told``: a witness whose story stands there already."""
    if witness is None:
        return
    way = "B handles otherwise: " if witness.entry is None and witness.text in both else _WAYS[witness.way]
    yield safe(f"  {way}{witness.text}")
    risk, known = (None if one is None or one.entry is None else one.entry.risk for one in (witness, told))
    if risk is not None:
        yield safe(f"    {risk.severity} risk ({risk.id}): {risk.what}; {risk.why}")
        if risk.story and risk != known:
            yield from wrap(safe(risk.story), _WIDTH, initial_indent="    ", subsequent_indent="    ")


def _rule_lines(title: str, way: str, entries: Sequence[Entry], most: int) -> Iterator[str]:
    if not entries:
        return
    yield ""
    yield f"{title}: {_accesses(sum(len(entry.perms) for entry in entries))}"
    for group, words in zip(GROUPS, _TITLES[way]):
        inside = grouped(entries, group)
        if inside:
            yield f"  {words} ({_accesses(sum(one.accesses for one in inside))})"
            yield from _cut([safe(f"    {_group_in_words(one)}") for one in inside], most)


def _group_in_words(group: Group) -> str:
    perms = group.perms[0] if len(group.perms) == 1 else f"{{ {' '.join(group.perms)} }}"
    condition = f" while {group.condition}" if group.condition else ""
    text = f"allow {group.source} {group.target}:{group.tclass} {perms}{condition}"
    if group.expanded:
        named = f"; most sensitive: {', '.join(group.sensitive)}" if group.sensitive else ""
        sources, targets = _types(group.sources), _types(group.targets)
        text += f" -- {_accesses(group.accesses)} from {sources} to {targets}{named}"
    return text if group.risk is None else f"{text} [{group.risk.severity}: {group.risk.id}]"


def _other_lines(found: Difference, most: int) -> Iterator[str]:
    between, relation = found.found, found.relation
    yield from _section("Types of B alone", between.types_added, most)
    yield from _section("Types of A alone", between.types_removed, most)
    yield from _section("Attributes joined", (f"{type_}: {name}" for type_, name in between.joined), most)
    yield from _section("Attributes left", (f"{type_}: {name}" for type_, name in between.left), most)
    commands = {one.text for one in found.commands_added}
    commands |= {f"no longer: {one.text}" for one in found.commands_removed}
    both = [one for one in relation.more if one in set(relation.less)]
    for title, reasons in (
        ("B allows more for", [one for one in relation.more if one not in both and one not in commands]),
        ("B allows less for", [one for one in relation.less if one not in both and one not in commands]),
        ("B handles otherwise", both),
        ("Changes what is logged or named, not what is allowed", relation.silent),
    ):
        yield from _section(title, reasons, most)


def _section(title: str, items: Iterable[str], most: int) -> Iterator[str]:
    lines = [safe(f"  {item}") for item in items]
    if lines:
        yield ""
        yield f"{title}:"
        yield from _cut(lines, most)


def _cut(lines: Sequence[str], most: int) -> Iterator[str]:
    yield from lines[:most]
    if len(lines) > most:
        indent = " " * (len(lines[0]) - len(lines[0].lstrip()))
        yield f"{indent}and {len(lines) - most} more (-v lists them, --format json has each access)"


def _types(number: int) -> str:
    return "1 type" if number == 1 else f"{number:,} types"


def _accesses(number: int) -> str:
    return f"{number:,} access" if number == 1 else f"{number:,} accesses"
