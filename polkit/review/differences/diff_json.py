"""A difference as ``polkit.diff/1`` (docs/schemas/polkit.diff-1.schema.json)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional

from polkit.policy import DomainStep, Risk, XpermChange
from polkit.review.differences.diff import Difference, Entry, Witness
from polkit.review.differences.relabels import Relabel
from polkit.review.json_text import json_text
from polkit.review.materials.inputs import Compared

SCHEMA = "polkit.diff/1"


def diff_object(found: Difference) -> dict[str, Any]:
    """The difference as what ``json`` writes."""
    between = found.found
    return {
        "schema": SCHEMA,
        "a": _side(found.a),
        "b": _side(found.b),
        "policy": found.policy,
        "build": found.build,
        "verdict": found.verdict,
        "witness": _witness(found.witness),
        "counter_witness": _witness(found.counter),
        "decided_by": {"more": list(found.relation.more), "less": list(found.relation.less)},
        "figures": {
            "accesses_added": sum(len(entry.perms) for entry in found.added),
            "accesses_removed": sum(len(entry.perms) for entry in found.removed),
        },
        "added": _rules(found.added, found.commands_added),
        "removed": _rules(found.removed, found.commands_removed),
        "transitions": {
            way: [
                {"source": one.source, "target": one.target, "entry": one.entry or None, "how": one.how}
                for one in steps
            ]
            for way, steps in zip(("added", "removed"), found.transitions)
        },
        "statements": {"added": list(between.added), "removed": list(between.removed)},
        "types": {"added": list(between.types_added), "removed": list(between.types_removed)},
        "attributes": {"joined": _joins(between.joined), "left": _joins(between.left)},
        "booleans": [
            {"name": one.name, "was": one.was, "is": not one.was, "accesses_more": one.more, "accesses_less": one.less}
            for one in between.defaults
        ],
        "constraints": {
            way: [{"type": type_, "class": one.tclass, "text": one.text} for type_, one in constraints]
            for way, constraints in (("weaker", between.weaker), ("stricter", between.stricter))
        },
        "labels": None
        if between.labels_added is None or between.labels_removed is None
        else {
            "added": list(between.labels_added),
            "removed": list(between.labels_removed),
            "changes": [_relabel(one) for one in found.labels or ()],
        },
        "host": {
            what: {"added": sorted(new - old), "removed": sorted(old - new)}
            for what, old, new in zip(("ports", "booleans"), found.a.host, found.b.host)
        },
    }


def diff_text(found: Difference) -> str:
    """The difference as JSON text, indented, in ASCII, with a line end."""
    return json_text(diff_object(found))


def _side(side: Compared) -> dict[str, Any]:
    names = [one.name for one in side.modules]
    return {"path": side.path, "kind": side.kind, "sha256": side.sha256, "modules": names}


def _rules(entries: Iterable[Entry], commands: Iterable[XpermChange]) -> list[dict[str, Any]]:
    return [*map(_rule, entries), *map(_command_rule, commands)]


def _rule(entry: Entry) -> dict[str, Any]:
    written = {"source": entry.written_source, "target": entry.written_target}
    return {
        "kind": "allow",
        "source": entry.source,
        "target": entry.target,
        "class": entry.tclass,
        "perms": list(entry.perms),
        "condition": entry.condition or None,
        "group": entry.group,
        "written": written,
        "risk": _risk(entry.risk, entry.risky),
    }


def _command_rule(change: XpermChange) -> dict[str, Any]:
    return {
        "kind": "allowxperm",
        "source": change.source,
        "target": change.target,
        "class": change.tclass,
        "perms": [change.operation],
        "condition": None,
        "commands": [[f"0x{first:04x}", f"0x{last:04x}"] for first, last in change.numbers],
    }


def _risk(risk: Optional[Risk], perm: str) -> Optional[dict[str, Any]]:
    if risk is None:
        return None
    return {
        "id": risk.id,
        "severity": risk.severity,
        "what": risk.what,
        "why": risk.why,
        "story": risk.story or None,
        "perm": perm,
    }


def _witness(witness: Optional[Witness]) -> Optional[dict[str, Any]]:
    if witness is None:
        return None
    entry = witness.entry
    rule = None if entry is None else {**_rule(entry), "perms": [witness.perm]}
    return {"way": witness.way, "text": witness.text, "rule": rule}


def _step(step: DomainStep) -> dict[str, Any]:
    return {"source": step.source, "target": step.target, "entry": step.entry or None, "how": step.how}


def _relabel(one: Relabel) -> dict[str, Any]:
    effect = one.effect
    return {
        "entry": one.line,
        "is_new": one.is_new,
        "was": one.old or None,
        "is": one.new or None,
        "way": one.way,
        "domains": None if effect is None else {"more": dict(effect.more), "less": dict(effect.less)},
        "enters": None if effect is None else effect.enters,
    }


def _joins(joins: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"type": type_, "attribute": attribute} for type_, attribute in joins]
