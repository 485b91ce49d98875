"""A proof as ``polkit.proof/1``, the JSON that others rely on (docs/schemas/polkit.proof-1.schema.json)."""

from __future__ import annotations

import json
from typing import Any

from polkit.minimize.proving.proof import Extra, Proof, Uncovered
from polkit.policy import AccessChange, Violation, XpermChange

SCHEMA = "polkit.proof/1"


def proof_text(proof: Proof) -> str:
    """The proof as indented JSON with a newline at its end, in ASCII."""
    return json.dumps(proof_object(proof), indent=2) + "\n"


def proof_object(proof: Proof) -> dict[str, Any]:
    """The proof as plain dictionaries and lists."""
    figures = proof.figures
    return {
        "schema": SCHEMA,
        "module": {"name": proof.module, "sha256": proof.sha256},
        "policy": {"sha256": proof.policy.sha256},
        "build": proof.build,
        "input": {
            "sources": list(proof.input.sources),
            "denials": proof.input.denials,
            "distinct": proof.input.distinct,
            "accesses": proof.input.accesses,
            "unparsed": proof.input.unreadable,
        },
        **proof_summary(proof),
        "held_out_under_permission": figures.held_out_under_permission,
        "needed": figures.needed,
        "granted": figures.granted,
        "over_permission": figures.over,
        "dontaudited": figures.dontaudited,
        "remedied_elsewhere": dict(figures.remedied_elsewhere),
        "boolean_grants": figures.boolean_grants,
        "inherited": None if figures.inherited is None else dict(vars(figures.inherited)),
        "structural": figures.structural,
        "uncovered": [_uncovered(one) for one in proof.uncovered],
        "extra": [_extra(one) for one in proof.extra],
        "lost": [
            *(_change(one) for one in proof.lost),
            *(_commands(one) for one in proof.lost_xperms),
            *({"statement": text} for text in proof.removed),
        ],
        "gained_domains": [dict(vars(one)) for one in proof.gained_domains],
        "joined": [{"type": type_, "attribute": attribute} for type_, attribute in proof.joined],
        "violations": [*(_violation(one) for one in proof.violations), *map(_gate, proof.gates)],
        "notes": list(proof.notes),
    }


def proof_summary(proof: Proof) -> dict[str, Any]:
    """The four statements and the two figures that stand for them, where a proof is one part of something else."""
    return {
        "covered": proof.covered,
        "minimal": proof.minimal,
        "contained": proof.contained,
        "safe": proof.safe,
        "completeness": proof.figures.completeness,
        "over_permission_rate": proof.figures.over_permission_rate,
    }


def _uncovered(one: Uncovered) -> dict[str, Any]:
    if one.statement:
        return {"decision": one.decision, "statement": one.statement, "reason": one.reason}
    return {
        "decision": one.decision,
        "source": one.source,
        "target": one.target,
        "class": one.tclass,
        "perm": one.perm,
        "xperm": one.xperm or None,
        "reason": one.reason,
    }


def _extra(one: Extra) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": one.kind}
    if one.source:
        found.update(source=one.source, target=one.target)
    if one.tclass:
        found["class"] = one.tclass
    if one.perms:
        found["perms"] = list(one.perms)
    if one.xperms:
        found["xperms"] = _ranges(one.xperms)
    if one.text:
        found["text"] = one.text
    return found


def _change(one: AccessChange) -> dict[str, Any]:
    return {
        "source": one.source,
        "target": one.target,
        "class": one.tclass,
        "perms": list(one.perms),
        "condition": one.condition or None,
    }


def _commands(one: XpermChange) -> dict[str, Any]:
    return {
        "source": one.source,
        "target": one.target,
        "class": one.tclass,
        "perms": [one.operation],
        "xperms": _ranges(one.numbers),
        "condition": None,
    }


def _ranges(numbers: tuple[tuple[int, int], ...]) -> list[str]:
    return [f"0x{first:04x}" if first == last else f"0x{first:04x}-0x{last:04x}" for first, last in numbers]


def _violation(one: Violation) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "severity": "high",
        "text": one.text,
        "source": one.source or None,
        "target": one.target or None,
        "class": one.tclass or None,
        "perms": list(one.perms),
    }


def _gate(text: str) -> dict[str, Any]:
    none: dict[str, Any] = {"source": None, "target": None, "class": None, "perms": []}
    return {"kind": "gate", "severity": "high", "text": text, **none}
