"""A closed loop as ``polkit.loop/1``, and what is written of one to a directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional

from polkit.files import write_whole
from polkit.minimize import proof_summary, proof_text
from polkit.rehearse.loop import Loop
from polkit.rehearse.loop_parts import Attacks, Phase
from polkit.rehearse.loop_peer import TOOL, Peer
from polkit.rehearse.results import check_directory, write_results

SCHEMA = "polkit.loop/1"
FILE, PROOF = "loop.json", "proof.json"
_KEPT = (FILE, PROOF, "evidence", "serving", "attacks", "audit2allow")


def loop_object(loop: Loop) -> dict[str, Any]:
    """The object that ``--format json`` prints; docs/schemas/polkit.loop-1.schema.json."""
    return {
        "schema": SCHEMA,
        "ok": loop.ok,
        "closed": loop.closed,
        "stopped": loop.stopped,
        "scenario": loop.scenario.name,
        "rounds": loop.rounds,
        "boots": loop.boots,
        "evidence": {"denials": 0, "distinct": 0, "accesses": 0} if loop.outcome is None else _evidence(loop),
        "module": _module(loop),
        "steps": 0 if loop.served is None else len(loop.served.judged),
        "refused": list(loop.refused),
        "denials_left": loop.denials_left,
        "remedies": [] if loop.served is None else [vars(one).copy() for one in loop.served.remedies],
        "proof": None if loop.proof is None else proof_summary(loop.proof),
        "attacks": _attacks(loop.attacks),
        "seconds": round(loop.seconds, 2),
        "working_seconds": round(loop.working_seconds, 2),
        "phases": _phases(loop.phases),
        "beside": [_peer(peer) for peer in loop.beside],
        "notes": list(loop.notes),
    }


def loop_text(loop: Loop) -> str:
    """The same as text."""
    return json.dumps(loop_object(loop), indent=2) + "\n"


def _evidence(loop: Loop) -> dict[str, int]:
    assert loop.outcome is not None
    found = loop.outcome.plan.input
    return {"denials": found.denials, "distinct": found.distinct, "accesses": found.accesses}


def _module(loop: Loop) -> Optional[dict[str, Any]]:
    info = None if loop.outcome is None else loop.outcome.plan.module
    if info is None:
        return None
    return {
        "name": info.name,
        "version": info.version,
        "domain": info.domain,
        "base": info.base,
        "statements": info.rules,
        "accesses": None if loop.proof is None else loop.proof.figures.granted,
        "over_permission": info.over_permission if loop.proof is None else loop.proof.figures.over,
        "widened": list(info.widened),
    }


def _attacks(attacks: Optional[Attacks]) -> Optional[dict[str, Any]]:
    if attacks is None:
        return None
    return {
        "steps": attacks.steps,
        "refused": attacks.refused,
        "through": list(attacks.through),
        "failed": list(attacks.failed),
    }


def _phases(phases: tuple[Phase, ...]) -> list[dict[str, Any]]:
    return [
        {"name": one.name, "round": one.round, "boots": one.boots, "seconds": round(one.seconds, 2)} for one in phases
    ]


def _peer(peer: Peer) -> dict[str, Any]:
    return {
        "tool": TOOL,
        "way": peer.way,
        "available": peer.available,
        "hint": peer.hint,
        "closed": peer.closed,
        "stopped": peer.stopped,
        "note": peer.note,
        "rounds": peer.rounds,
        "boots": peer.boots,
        "statements": peer.statements,
        "accesses": peer.accesses,
        "domains": list(peer.domains),
        "over_permission": peer.over_permission,
        "refused": list(peer.refused),
        "denials_left": peer.denials_left,
        "attacks": _attacks(peer.attacks),
        "working_seconds": round(peer.working_seconds, 2),
        "phases": _phases(peer.phases),
    }


def check_loop_directory(directory: Path, force: bool) -> None:
    """UsageError where a loop that was kept would be overwritten, SourceError where none can be written."""
    check_directory(directory, force, _KEPT)


def write_loop(loop: Loop, directory: Path) -> None:
    """Write ``loop.json``, ``proof.json`` and what each enforced run gave, beside the evidence and the module that the
    loop left there. Raises SourceError."""
    if loop.served is not None:
        write_results(loop.served, directory / "serving")
    if loop.attacked is not None:
        write_results(loop.attacked, directory / "attacks")
    if loop.proof is not None:
        write_whole(directory / PROOF, [proof_text(loop.proof).encode()])
    write_whole(directory / FILE, [loop_text(loop).encode()])
