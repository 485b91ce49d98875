"""A review of a host's local modules as ``polkit.host-review/1`` (docs/schemas/polkit.host-review-1.schema.json)."""

from __future__ import annotations

from typing import Any

from polkit import __version__
from polkit.policy import AccessChange
from polkit.review.findings import Finding
from polkit.review.hosts.host import REMOVABLE, HostModule, HostReview, RuleVerdict
from polkit.review.json_text import json_text
from polkit.review.reports.as_json import finding_object

SCHEMA = "polkit.host-review/1"


def host_review_object(found: HostReview) -> dict[str, Any]:
    """The review as what ``--format json`` prints."""
    return {
        "schema": SCHEMA,
        "toolkit": __version__,
        "store": found.store,
        "policy": None if found.policy is None else {"sha256": found.policy.sha256, "version": found.policy.version},
        "modules": [_module(one) for one in found.modules],
        "commands": [command for one in found.modules for command in one.commands],
        "lost": None if found.lost is None else [_lost(one) for one in found.lost],
        "notes": list(found.notes),
        "exit_code": found.exit_code,
    }


def host_review_text(found: HostReview) -> str:
    """The same as text."""
    return json_text(host_review_object(found))


def _module(one: HostModule) -> dict[str, Any]:
    module = one.module
    return {
        "name": module.name,
        "priority": module.priority,
        "language": module.language,
        "disabled": module.disabled,
        "shadows": list(module.shadows),
        "hidden_by": module.hidden_by,
        "verdict": one.verdict,
        "removable": one.verdict in REMOVABLE,
        "why": one.why,
        "rules": [_rule(rule) for rule in one.rules],
        "other": list(one.other),
        "findings": [_finding(finding) for finding in one.findings],
        "commands": list(one.commands),
    }


def _rule(one: RuleVerdict) -> dict[str, Any]:
    return {"text": one.text, "line": one.line, "kind": one.kind, "by": one.by or None, "also": list(one.also)}


def _finding(one: Finding) -> dict[str, Any]:
    """Without its file and its patch: the place is in the module that the finding stands with, as the store has it."""
    left_out = ("file", "column", "patch")
    return {key: value for key, value in finding_object(one).items() if key not in left_out}


def _lost(one: AccessChange) -> dict[str, Any]:
    return {
        "source": one.source,
        "target": one.target,
        "class": one.tclass,
        "perms": list(one.perms),
        "condition": one.condition or None,
    }
