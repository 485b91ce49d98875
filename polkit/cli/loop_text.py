"""A closed loop as text: what came of it, and the same by audit2allow beside it."""

from __future__ import annotations

from typing import Optional

from rich.console import Console
from rich.table import Table
from rich.text import Text

from polkit.cli.output import output
from polkit.cli.safe import safe
from polkit.minimize import Proof
from polkit.rehearse import Attacks, Loop, Peer, Phase

_GOOD, _BAD = "green", "bold red"
_NAMES = {
    "learn": "learn (a boot)",
    "generate": "make the module",
    "build": "build the policy with it",
    "serve": "run the service (a boot)",
    "attack": "attack it (a boot)",
    "prove": "prove the module",
}


def print_loop(loop: Loop, verbose: bool) -> None:
    """Print a loop on stdout; ``verbose``: with every phase of audit2allow's loop, and all remedies."""
    console = output(soft_wrap=True)
    _verdict(console, loop)
    console.print()
    _steps(console, loop, verbose)
    console.print()
    _phases(console, loop.phases, loop.seconds)
    if loop.beside:
        console.print()
        _beside(console, loop, verbose)


def _verdict(console: Console, loop: Loop) -> None:
    head = Text(f"{safe(loop.scenario.name)}: ")
    if loop.closed:
        head.append(f"the loop closed: {_count(loop.rounds, 'learning round')}, {_count(loop.boots, 'boot')}", _GOOD)
    else:
        head.append("the loop did not close: ", _BAD).append(safe(loop.stopped), _BAD)
    console.print(head)
    for note in loop.notes:
        console.print(f"note    {safe(note)}")


def _steps(console: Console, loop: Loop, verbose: bool) -> None:
    if loop.outcome is not None:
        found = loop.outcome.plan.input
        _line(console, "evidence", f"{_count(found.denials, 'denial')}, {found.distinct} distinct")
    _line(console, "module", _module(loop), bool(loop.proof is None or not loop.proof.figures.over))
    if loop.proof is not None:
        _line(console, "proof", _proof(loop.proof), loop.proof.exit_code == 0)
    if loop.served is not None:
        refused = loop.refused
        text = f"{_count(len(loop.served.judged), 'step')} enforced, {len(refused)} refused, "
        text += f"{_count(loop.denials_left, 'denial')} left"
        text += f": {', '.join(refused)}" if refused else ""
        _line(console, "service", text, loop.served.ok)
        for remedy in loop.served.remedies:
            if verbose or not remedy.applied:
                done = "done" if remedy.applied else "not done here"
                _line(console, "", f"{remedy.decision} {remedy.kind}, {done}: {safe(remedy.note)}")
    if loop.attacks is not None:
        text = _attacks(loop.attacks)
        _line(console, "attacks", text, loop.attacked is not None and loop.attacked.ok)


def _module(loop: Loop) -> str:
    info = None if loop.outcome is None else loop.outcome.plan.module
    if info is None:
        return "none is needed" if loop.closed else "none"
    parts = [f"{info.name} {info.version}: {_count(info.rules, 'rule')}"]
    if loop.proof is not None:
        parts.append(f"{_count(loop.proof.figures.granted, 'access', 'es')}, over-permission {loop.proof.figures.over}")
    where = (
        f"for {info.domain}, a domain of its own" if info.domain else f"for {', '.join(info.widened) or 'no domain'}"
    )
    return f"{', '.join(parts)}, {where}" + (f" that inherits from {info.base}" if info.base else "")


def _proof(proof: Proof) -> str:
    said = {True: "yes", False: "NO", None: "not known"}
    names = ("covered", "minimal", "contained", "safe")
    return ", ".join(f"{name} {said[getattr(proof, name)]}" for name in names)


def _attacks(attacks: Attacks) -> str:
    text = f"{attacks.refused} of {attacks.steps} refused"
    if attacks.through:
        text += f"; through: {', '.join(attacks.through)}"
    return text + (f"; failed without SELinux: {', '.join(attacks.failed)}" if attacks.failed else "")


def _line(console: Console, head: str, text: str, good: Optional[bool] = None) -> None:
    console.print(Text(f"  {head:<9} ").append(text, "" if good is None else _GOOD if good else _BAD))


def _phases(console: Console, phases: tuple[Phase, ...], seconds: float) -> None:
    for phase in phases:
        name = _NAMES.get(phase.name, phase.name)
        console.print(f"  {name:<28}{phase.seconds:7.1f} s{f'  round {phase.round}' if phase.round > 1 else ''}")
    console.print(f"  {'in all, some side by side':<28}{seconds:7.1f} s")


def _beside(console: Console, loop: Loop, verbose: bool) -> None:
    there = [peer for peer in loop.beside if peer.available]
    if not there:
        console.print(f"audit2allow is not installed: {loop.beside[0].hint}")
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    for head in ("", "polkit", *(f"audit2allow, {peer.way}" for peer in there)):
        table.add_column(head)
    for name, mine, theirs in _rows(loop, there):
        table.add_row(name, mine, *theirs)
    console.print(table, soft_wrap=False)
    console.print("dontaudit rules are off for both, which helps audit2allow.")
    for peer in there:
        if peer.stopped:
            console.print(Text(f"audit2allow, {peer.way}, stopped: {safe(peer.stopped)}", _BAD))
        if peer.note:
            console.print(f"audit2allow, {peer.way}: {safe(peer.note)}")
        if peer.attacks is not None and peer.attacks.through:
            console.print(f"audit2allow, {peer.way}, lets through: {', '.join(peer.attacks.through)}")
        if verbose:
            _phases(console, peer.phases, sum(phase.seconds for phase in peer.phases))


def _rows(loop: Loop, peers: list[Peer]) -> list[tuple[str, str, list[str]]]:
    info = None if loop.outcome is None else loop.outcome.plan.module
    figures = None if loop.proof is None else loop.proof.figures
    mine = loop.attacks
    rows = [
        ("works", _yes(loop.closed), [_yes(peer.closed) for peer in peers]),
        ("learning rounds", str(loop.rounds), [str(peer.rounds) for peer in peers]),
        ("seconds until it works", f"{loop.working_seconds:.0f}", [f"{peer.working_seconds:.0f}" for peer in peers]),
        ("rules", "0" if info is None else str(info.rules), [str(peer.statements) for peer in peers]),
        ("rules are for", _for(loop), [", ".join(peer.domains) or "nobody" for peer in peers]),
        ("over-permission", "" if figures is None else str(figures.over), [_known(p.over_permission) for p in peers]),
    ]
    if mine is not None:
        theirs = [_known(None if peer.attacks is None else len(peer.attacks.through)) for peer in peers]
        rows.append(("attacks let through", f"{len(mine.through)} of {mine.steps}", theirs))
    return rows


def _for(loop: Loop) -> str:
    info = None if loop.outcome is None else loop.outcome.plan.module
    if info is None:
        return "nobody"
    return f"{info.domain} alone" if info.domain else ", ".join(info.widened)


def _known(number: Optional[int]) -> str:
    return "not known" if number is None else str(number)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _count(number: int, what: str, plural: str = "s") -> str:
    return f"{number} {what}{'' if number == 1 else plural}"
