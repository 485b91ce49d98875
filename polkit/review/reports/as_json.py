"""A review as ``polkit.review/1`` (docs/schemas/polkit.review-1.schema.json)."""

from __future__ import annotations

from typing import Any, Optional

from polkit import __version__
from polkit.review.catalogue import KINDS
from polkit.review.checks import selint
from polkit.review.differences.diff import Difference
from polkit.review.differences.diff_json import diff_object
from polkit.review.findings import SEVERITIES, Finding
from polkit.review.gating.gates import GateResult
from polkit.review.grants.shares import Shares
from polkit.review.json_text import json_text
from polkit.review.reports.facts import by_severity, headline, other_changes, summary
from polkit.review.reports.grants import Grant, grants_of, own_types
from polkit.review.reviewing import Review

SCHEMA = "polkit.review/1"


def review_object(review: Review) -> dict[str, Any]:
    """The review as what ``json`` writes."""
    grants = grants_of(review)
    first = headline(review)
    return {
        "schema": SCHEMA,
        "toolkit": __version__,
        "module": _module(review),
        "policy": None if review.policy is None else dict(vars(review.policy)),
        "selint": selint.version(),
        "build": review.build,
        "verdict": review.verdict,
        "headline": {"tone": first.tone, "word": first.word, "text": first.text},
        "summary": list(summary(review, grants)),
        "exit_code": review.exit_code,
        "figures": _figures(review, grants),
        "shares": _shares(review.shares),
        "findings": [finding_object(one) for one in review.findings],
        "ignored": len(review.ignored),
        "ignored_findings": [{**finding_object(one.finding), "reason": one.reason} for one in review.ignored],
        "gates": [_gate(one) for one in review.gates],
        "types": sorted(own_types(review)),
        "grants": [_grant(one) for one in grants],
        "changes": [{"sign": one.sign, "text": one.text} for one in other_changes(review.change)],
        "against": _against(review.against),
        "unknown": list(review.unknown),
    }


def review_json(review: Review) -> str:
    """The review as JSON text, indented, in ASCII, with a line end."""
    return json_text(review_object(review))


def _module(review: Review) -> dict[str, Any]:
    shown = review.materials
    return {
        "path": shown.shown,
        "kind": shown.kind,
        "name": review.name or None,
        "modules": [one.name for one in shown.modules],
        "sources": [one.name for one in shown.sources],
        "problem": None if shown.problem is None else str(shown.problem),
    }


def _figures(review: Review, grants: tuple[Grant, ...]) -> dict[str, Any]:
    counts, change = by_severity(review.findings), review.change
    return {
        "findings": {severity: counts[severity] for severity in SEVERITIES},
        "accesses_added": None if change is None else sum(row.accesses for row in grants),
        "accesses_removed": None if change is None else sum(len(entry.perms) for entry in change.removed),
    }


def finding_object(one: Finding) -> dict[str, Any]:
    """A finding as it stands in a review's object."""
    return {
        "id": one.id,
        "slug": KINDS[one.id].slug,
        "severity": one.severity,
        "confidence": one.confidence,
        "file": one.place.file,
        "line": one.place.line or None,
        "column": one.place.column or None,
        "title": one.title,
        "why": one.why,
        "fix": one.fix.text,
        "commands": list(one.fix.commands),
        "patch": one.fix.patch or None,
        "evidence": list(one.evidence),
    }


def _gate(one: GateResult) -> dict[str, Any]:
    place = None if one.place is None else {"file": one.place.file, "line": one.place.line or None}
    return {
        "name": one.name,
        "kind": one.kind,
        "ok": one.ok,
        "why": one.why,
        "place": place,
        "accesses": list(one.accesses),
    }


def _grant(one: Grant) -> dict[str, Any]:
    return {
        "source": one.source,
        "target": one.target,
        "class": one.tclass,
        "perms": list(one.perms),
        "condition": one.condition or None,
        "group": one.group or None,
        "by_policy": one.by_policy,
        "accesses": one.accesses,
        "sources": one.sources,
        "targets": one.targets,
        "risk": {"severity": one.risk, "id": one.risk_id} if one.risk else None,
        "place": None if one.place is None else {"file": one.place.file, "line": one.place.line or None},
    }


def _shares(found: Optional[Shares]) -> Optional[dict[str, Any]]:
    if found is None:
        return None
    own = sum(len(entry.perms) for entry in found.own)
    return {
        "bases": dict(sorted(found.bases.items())),
        "like_base": found.like_base,
        "by_policy": found.by_policy,
        "own": own,
    }


def _against(found: Optional[Difference]) -> Optional[dict[str, Any]]:
    return None if found is None else diff_object(found)
