"""What ``polkit review --host`` prints for people: each local module with its verdict, then the commands."""

from __future__ import annotations

from itertools import groupby

from rich.console import Console
from rich.text import Text

from polkit.cli.output import output, print_wrapped
from polkit.cli.safe import safe
from polkit.review import HostModule, HostReview

_WORDS = {
    "unneeded": "NOBODY NEEDS IT ANY MORE",
    "empty": "EMPTY",
    "disabled": "SWITCHED OFF",
    "hidden": "HIDDEN BY ANOTHER PRIORITY",
    "repeated": "REPEATED BY OTHERS",
    "boolean": "A BOOLEAN WOULD DO",
    "partly": "PARTLY NEEDED",
    "needed": "NEEDED",
    "unreadable": "CAN'T BE READ",
}
_STYLES = {"partly": "yellow", "boolean": "yellow", "needed": "green", "unreadable": "bold red"}
_KINDS = {"unneeded": "allowed already", "boolean": "by boolean", "needed": "needed"}
_SHOWN = 3


def print_host_review(found: HostReview, verbose: bool) -> None:
    """Print a review of local modules on stdout; ``verbose``: every rule and finding."""
    console = output(soft_wrap=False)
    print_wrapped(console, "store  ", found.store, "bold")
    number = len(found.modules)
    removable = sum(bool(one.commands) for one in found.modules)
    dangerous = sum(bool(one.dangerous) for one in found.modules)
    text = f"{number} local modules; {removable} could be removed, {dangerous} allow what is dangerous."
    print_wrapped(console, "", text if number else "There is no local module.", "")
    for note in found.notes:
        print_wrapped(console, "note   ", note, "bold")
    for verdict, modules in groupby(found.modules, lambda one: one.verdict):
        console.print()
        console.print(Text(_WORDS[verdict], _STYLES.get(verdict, "cyan")))
        for one in modules:
            _module(console, one, verbose)
    _commands(console, found)


def _module(console: Console, one: HostModule, verbose: bool) -> None:
    print_wrapped(console, f"  {safe(one.name)} ({one.module.priority})  ", one.why, "bold")
    shown = 1 << 30 if verbose else _SHOWN
    listed = one.rules if verbose or one.verdict in ("partly", "boolean") else ()
    for rule in listed[:shown]:
        kind = _KINDS.get(rule.kind, f"in {rule.by}")
        by = f": {rule.by}" if rule.kind == "boolean" else ""
        print_wrapped(console, f"    {kind:<16}", f"{rule.text}{by}", "")
    if len(listed) > shown:
        console.print(f"    ... {len(listed) - shown} more rules (-v)")
    findings = one.findings if verbose else one.dangerous
    for finding in findings[:shown]:
        print_wrapped(console, f"    {finding.severity:<7}{finding.id}    ", finding.title, "bold red")
    if len(findings) > shown:
        console.print(f"    ... {len(findings) - shown} more findings (-v)")


def _commands(console: Console, found: HostReview) -> None:
    commands = [command for one in found.modules for command in one.commands]
    if not commands:
        return
    console.print()
    if found.lost == ():
        text = "To clean up. Without the removable modules the policy allows the same: both were built and compared."
    elif found.lost is None:
        text = "To clean up, one at a time: what the policy allows without all of them was not compared."
    else:
        text = (
            f"Look twice before you clean up: {len(found.lost)} accesses would be lost without the removable modules."
        )
    print_wrapped(console, "", text, "")
    for command in commands:
        console.print(f"  {safe(command)}", soft_wrap=True)
    for lost in (found.lost or ())[:_SHOWN]:
        text = f"allow {lost.source} {lost.target}:{lost.tclass} {{ {' '.join(lost.perms)} }}"
        print_wrapped(console, "    lost: ", text, "red")
