"""What ``polkit review`` prints for people: the verdict first, then every finding, gravest first, then what to do."""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import groupby
from typing import Callable

from rich.console import Console
from rich.text import Text

from polkit.cli.output import output, print_wrapped
from polkit.cli.safe import safe
from polkit.review import (
    KINDS,
    SEVERITIES,
    Finding,
    GateResult,
    Grant,
    Review,
    grants_of,
    grants_since,
    headline,
    html,
    markdown,
    other_changes,
    policy_line,
    review_json,
    sarif,
    summary,
    what_next,
)

_SHOWN = 4
_LISTED = 10
_WIDTH = 100
_STYLES = {"high": "bold red", "medium": "yellow", "low": "cyan", "info": "dim"}
_TONES = {"bad": "bold red", "warn": "bold yellow", "good": "bold green"}
_FORMATS: dict[str, Callable[[Review], str]] = {
    "json": review_json,
    "markdown": markdown,
    "sarif": sarif,
    "html": html,
}


def review_as(found: Review, format_: str, verbose: bool) -> str:
    """The report in one of the formats; text is without colour, as for a file."""
    if format_ != "text":
        return _FORMATS[format_](found)
    held = io.StringIO()
    _print(Console(file=held, width=_WIDTH, highlight=False, markup=False, emoji=False, no_color=True), found, verbose)
    return held.getvalue()


def print_review(found: Review, verbose: bool) -> None:
    """Print a review on stdout; ``verbose``: every access that a finding rests on."""
    _print(output(soft_wrap=False), found, verbose)


def _print(console: Console, found: Review, verbose: bool) -> None:
    shown = 1 << 30 if verbose else _SHOWN
    first = headline(found)
    print_wrapped(console, f"{first.word}: ", first.text, _TONES[first.tone])
    console.print()
    print_wrapped(console, "module  ", _module(found), "bold")
    print_wrapped(console, "policy  ", policy_line(found), "bold")
    print_wrapped(console, "grants  ", " ".join(summary(found, grants_of(found))), "bold")
    for text in found.unknown:
        print_wrapped(console, "note    ", text, "bold")
    for severity, findings in groupby(found.findings, lambda one: one.severity):
        console.print()
        console.print(Text(severity.upper(), _STYLES[severity]))
        for one in findings:
            _finding(console, one, shown)
    _lists(console, found, 1 << 30 if verbose else _LISTED)
    _gates(console, found.gates, shown)
    _ignored(console, found)
    console.print()
    print_wrapped(console, "", what_next(found), "", "bold")


def _module(found: Review) -> str:
    shown = found.materials.shown
    return shown if found.name in ("", shown) else f"{found.name} ({shown})"


def _finding(console: Console, one: Finding, shown: int) -> None:
    console.print()
    doubt = "" if one.confidence == "high" else f"  (confidence {one.confidence})"
    place = safe(one.place.text)
    console.print(Text.assemble("  ", (place, "bold"), f"  {one.id} {KINDS[one.id].slug}{doubt}"), soft_wrap=True)
    print_wrapped(console, "    ", one.title, "", _STYLES[one.severity])
    print_wrapped(console, "    Why  ", one.why, "dim")
    if one.fix.text:
        print_wrapped(console, "    Fix  ", one.fix.text, "dim")
    for command in one.fix.commands:
        print_wrapped(console, "         # ", command, "", "bold")
    for line in one.fix.patch.splitlines():
        style = {"+": "green", "-": "red"}.get(line[:1], "dim")
        console.print(Text(f"         {safe(line.expandtabs())}", style), soft_wrap=True)
    for number, line in enumerate(one.evidence[:shown]):
        print_wrapped(console, "    Seen " if number == 0 else "         ", line, "dim")
    if len(one.evidence) > shown:
        print_wrapped(console, "         ", f"and {len(one.evidence) - shown} more (-v or the JSON has all)")


def _lists(console: Console, found: Review, shown: int) -> None:
    """What is newly allowed and changed, and what differs from the older form."""
    own = [one for one in grants_of(found) if not one.by_policy]
    own.sort(key=lambda one: -SEVERITIES.index(one.risk or "info"))
    rules = [("", one) for one in own]
    _list(console, "Allowed by the module's own rules", [*map(_grant, rules)], shown)
    _list(
        console, "What else it changes", [(f"{one.sign} {one.text}", "") for one in other_changes(found.change)], shown
    )
    if found.against is not None:
        more, less = grants_since(found)
        since = [_grant((f"{sign} ", one)) for sign, rows in (("+", more), ("-", less)) for one in rows]
        since += [(f"{one.sign} {one.text}", "") for one in other_changes(found.against)]
        _list(console, f"Beside {found.against.a.path}: {found.against.verdict.replace('-', ' ')}", since, shown)


def _grant(signed: tuple[str, Grant]) -> tuple[str, str]:
    """A grant as a line, and its style."""
    sign, one = signed
    perms = one.perms[0] if len(one.perms) == 1 else f"{{ {' '.join(one.perms)} }}"
    condition = f" while {one.condition}" if one.condition else ""
    risk = f" [{one.risk}: {one.risk_id}]" if one.risk else ""
    text = f"{sign}allow {one.source} {one.target}:{one.tclass} {perms}{condition}{risk}"
    return text, _STYLES[one.risk] if one.risk else ""


def _list(console: Console, title: str, lines: list[tuple[str, str]], shown: int) -> None:
    if not lines:
        return
    console.print()
    console.print(Text(safe(title), "bold"), soft_wrap=True)
    for text, style in lines[:shown]:
        print_wrapped(console, "  ", text, "", style)
    if len(lines) > shown:
        print_wrapped(console, "  ", f"and {len(lines) - shown} more (-v or the JSON has all)")


def _gates(console: Console, gates: Iterable[GateResult], shown: int) -> None:
    words = {True: ("kept  ", "green"), False: ("BROKEN", "bold red"), None: ("?     ", "yellow")}
    for number, gate in enumerate(gates):
        if number == 0:
            console.print()
            console.print(Text("Gates", "bold"))
        word, style = words[gate.ok]
        print_wrapped(console, f"  {word} ", f"{gate.name}: {gate.why}" if gate.why else gate.name, style)
        for line in gate.accesses[:shown]:
            print_wrapped(console, "         ", line)
        if len(gate.accesses) > shown:
            print_wrapped(console, "         ", f"and {len(gate.accesses) - shown} more (-v or the JSON has all)")


def _ignored(console: Console, found: Review) -> None:
    if not found.ignored:
        return
    console.print()
    console.print(Text(f"Ignored in the source: {len(found.ignored)}", "bold"))
    for one in found.ignored:
        reason = one.reason or "no reason given"
        print_wrapped(
            console, "  ", f"{one.finding.place.text} {one.finding.id} {one.finding.title} ({reason})", "", "dim"
        )
