"""A rehearsal as text: a line for each step, why those that surprise do, and the sum."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from polkit.cli.output import output
from polkit.cli.safe import safe
from polkit.rehearse import Assertion, Carried, Judged, Rehearsal

_STYLES = {True: "green", False: "bold red"}


def print_rehearsal(rehearsal: Rehearsal, verbose: bool) -> None:
    """Print a rehearsal on stdout; ``verbose``: with each step's denials."""
    console = output(soft_wrap=True)
    console.print(f"{safe(rehearsal.scenario.name)}: {rehearsal.mode}, {len(rehearsal.judged)} steps")
    for judged in rehearsal.judged:
        _step(console, judged, verbose)
    _remedies(console, rehearsal.remedies, verbose)
    _assertions(console, rehearsal.assertions, verbose)
    console.print()
    failed = sum(not judged.ok for judged in rehearsal.judged)
    text = f"{len(rehearsal.judged) - failed} as expected, {failed} not; {rehearsal.denials} denials in the log"
    console.print(Text(text, _STYLES[rehearsal.ok]))
    if rehearsal.lost:
        console.print(Text(f"{rehearsal.lost} records were lost: nothing here is complete", _STYLES[False]))
    console.print(f"{rehearsal.seconds:.1f} s, of which the machine ran {rehearsal.boot_seconds:.1f} s")


def _remedies(console: Console, remedies: tuple[Carried, ...], verbose: bool) -> None:
    """How many were carried out, and each that was not."""
    if not remedies:
        return
    done = sum(one.applied for one in remedies)
    console.print(f"\nremedies of the plan: {done} carried out, {len(remedies) - done} not")
    for one in remedies:
        if verbose or not one.applied:
            said = "" if one.applied else "not carried out: "
            console.print(f"  {one.decision:<5} {one.kind:<11} {said}{safe(one.note)}")


def _assertions(console: Console, assertions: tuple[Assertion, ...], verbose: bool) -> None:
    """What must be denied: each that is not, and how often the machine was asked."""
    if not assertions:
        return
    kept = sum(one.ok is True for one in assertions)
    tried = sum(attempt.got != "untried" for one in assertions for attempt in one.tried)
    console.print(f"\nmust be denied: {kept} of {len(assertions)} are, {tried} accesses were tried")
    for one in assertions:
        if verbose or one.ok is not True:
            word = {True: "denied", False: "allowed", None: "unknown"}[one.ok]
            line = Text("  ")
            line.append(f"{word:<8}", _STYLES[one.ok is True])
            line.append(f" {safe(one.name)}: {safe(one.why)}")
            console.print(line)
        for attempt in one.tried if verbose else ():
            what = f"{attempt.operation} {safe(attempt.object)} as {attempt.domain}"
            console.print(f"{'':11}{attempt.got:<8} {what}{f' ({safe(attempt.why)})' if attempt.why else ''}")


def _step(console: Console, judged: Judged, verbose: bool) -> None:
    line = Text(f"  {judged.step.name:<15} ")
    line.append(f"{judged.got:<8}", _STYLES[judged.ok])
    line.append(f" {judged.step.operation} {safe(judged.step.object)} as {judged.domain}")
    console.print(line)
    if not judged.ok:
        console.print(f"{'':18}expected {judged.expect}: {safe(judged.step.why)}")
        if judged.detail:
            console.print(f"{'':18}{safe(judged.detail)}")
    if verbose or (not judged.ok and judged.got == "denied"):
        for record in judged.avc:
            console.print(f"{'':18}{safe(record)}")
        for cause in judged.causes:
            beside = f" (also {', '.join(cause.also)})" if cause.also else ""
            console.print(f"{'':18}{cause.cause}{beside}: {safe(cause.access)}")
    if judged.disagreement:
        console.print(Text(f"{'':18}disagreement: {safe(judged.disagreement)}", _STYLES[False]))
