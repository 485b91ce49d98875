"""A review as SARIF 2.1.0, the form that code scanning reads.

Static Analysis Results Interchange Format (SARIF) 2.1.0, OASIS Standard; tested against its schema.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from polkit import __version__
from polkit.model import safe
from polkit.review.catalogue import KINDS, Kind
from polkit.review.findings import Finding, Place
from polkit.review.gating.gates import GateResult
from polkit.review.reports.facts import subject
from polkit.review.reports.patches import replacements
from polkit.review.reviewing import Review

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"high": "error", "medium": "warning", "low": "note", "info": "note"}
_SCORES = {"high": "8.0", "medium": "5.5", "low": "3.0", "info": "0.0"}
"""GitHub sorts security findings by this: high is from 7.0, medium from 4.0."""
_GATES = "gate/"


def sarif(review: Review) -> str:
    """The review as SARIF text: findings, ignored ones as suppressed, broken gates. In ASCII, with a line end."""
    broken = [gate for gate in review.gates if gate.ok is False]
    used = {one.id for one in review.findings} | {one.finding.id for one in review.ignored}
    rules = [_rule(kind) for id_, kind in KINDS.items() if id_ in used]
    rules += [_gate_rule(kind) for kind in sorted({gate.kind for gate in broken})]
    order = {rule["id"]: place for place, rule in enumerate(rules)}
    lines = {one.name: one.text.splitlines() for one in review.materials.sources}
    results = list(_results(review, lines)) + [_gate(gate, review.materials.shown) for gate in broken]
    for result in results:
        result["ruleIndex"] = order[result["ruleId"]]
    run = {
        "tool": {"driver": {"name": "polkit", "version": __version__, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(review)],
        "results": results,
        "properties": {"module": safe(subject(review)), "build": review.build},
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(kind: Kind) -> dict[str, Any]:
    return {
        "id": kind.id,
        "name": "".join(word.capitalize() for word in kind.slug.split("-")),
        "shortDescription": {"text": kind.summary},
        "help": {
            "text": f"polkit's page docs/findings/{kind.id}.md explains {kind.slug}, with a bad and a good example.",
        },
        "defaultConfiguration": {"level": _LEVELS[kind.severity]},
        "properties": {"tags": ["security", "selinux"], "security-severity": _SCORES[kind.severity]},
    }


def _gate_rule(kind: str) -> dict[str, Any]:
    return {
        "id": _GATES + kind,
        "shortDescription": {"text": f"The gate {kind} of polkit.toml is broken."},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["security", "selinux"], "security-severity": _SCORES["high"]},
    }


def _results(review: Review, lines: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    seen: Counter[str] = Counter()
    for one in review.findings:
        yield _result(one, review, lines, seen)
    for ignored in review.ignored:
        result = _result(ignored.finding, review, lines, seen)
        reason = safe(ignored.reason) or "no reason given"
        yield {**result, "suppressions": [{"kind": "inSource", "status": "accepted", "justification": reason}]}


def _result(one: Finding, review: Review, lines: dict[str, list[str]], seen: Counter[str]) -> dict[str, Any]:
    text = [f"{one.title.rstrip('.')}.", one.why, one.fix.text, *(f"# {command}" for command in one.fix.commands)]
    result: dict[str, Any] = {
        "ruleId": one.id,
        "level": _LEVELS[one.severity],
        "message": {"text": safe(" ".join(part for part in text if part))},
        "locations": [_location(one.place, one.evidence)],
        "partialFingerprints": {"polkitFinding/v1": _fingerprint(one, lines, seen)},
        "properties": {
            "severity": one.severity,
            "confidence": one.confidence,
            "evidence": [safe(line) for line in one.evidence],
        },
    }
    changes = replacements(one.fix.patch)
    if changes and one.place.file in lines:
        result["fixes"] = [
            {
                "description": {"text": safe(one.fix.text) or "Mend it."},
                "artifactChanges": [
                    {
                        "artifactLocation": {"uri": uri(one.place.file)},
                        "replacements": [_replacement(*change) for change in changes],
                    }
                ],
            }
        ]
    return result


def _replacement(first: int, end: int, text: str) -> dict[str, Any]:
    region = {"startLine": first, "startColumn": 1, "endLine": end, "endColumn": 1}
    return {"deletedRegion": region, **({"insertedContent": {"text": text}} if text else {})}


def _location(place: Place, evidence: Iterable[str] = ()) -> dict[str, Any]:
    region = {"startLine": place.line, **({"startColumn": place.column} if place.column else {})}
    physical: dict[str, Any] = {"artifactLocation": {"uri": uri(place.file)}}
    if place.line:
        physical["region"] = region
    first = next(iter(evidence), None)
    return {"physicalLocation": physical, **({} if first is None else {"message": {"text": safe(first)}})}


def _fingerprint(one: Finding, lines: dict[str, list[str]], seen: Counter[str]) -> str:
    """The same as long as the finding is, wherever its line moves: made of what the line says, not of its number."""
    text = lines.get(one.place.file, [])
    written = " ".join(text[one.place.line - 1].split()) if 0 < one.place.line <= len(text) else one.title
    known = "\0".join((one.id, one.place.file.rpartition("/")[2], written))
    seen[known] += 1
    digest = hashlib.sha256(f"{known}\0{seen[known]}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def _gate(gate: GateResult, shown: str) -> dict[str, Any]:
    text = f"{gate.name}: {gate.why}" if gate.why else gate.name
    place = gate.place or Place(shown)
    known = hashlib.sha256(f"{gate.kind}\0{gate.name}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return {
        "ruleId": _GATES + gate.kind,
        "level": "error",
        "message": {"text": safe(text)},
        "locations": [_location(place, gate.accesses)],
        "partialFingerprints": {"polkitGate/v1": known},
        "properties": {"accesses": [safe(line) for line in gate.accesses]},
    }


def _invocation(review: Review) -> dict[str, Any]:
    notes = [{"level": "note", "message": {"text": safe(text)}} for text in review.unknown]
    return {"executionSuccessful": True, "exitCode": review.exit_code, "toolExecutionNotifications": notes}


def uri(file: str) -> str:
    """A file as a reference relative to the current directory where it lies in it, else a file: URI.

    What is no path (``git:REV:PATH``, a member of a package) is written as if it were a relative one.
    """
    path = Path(file)
    if path.is_absolute() and not path.is_relative_to(Path.cwd()):
        return "file://" + _quoted(path)
    return _quoted(path.relative_to(Path.cwd()) if path.is_absolute() else path)


def _quoted(path: Path) -> str:
    return quote(path.as_posix().encode("utf-8", "surrogateescape"))
