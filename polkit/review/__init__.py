"""The reviewer's side: what a module really grants and what is wrong with it, what differs between two modules, bundles
or policies, and which of the two allows more.
"""

from __future__ import annotations

from polkit.review.catalogue import KINDS, Kind
from polkit.review.differences.diff import GROUPS, Difference, Entry, Group, Witness, diff, grouped
from polkit.review.differences.diff_json import diff_object, diff_text
from polkit.review.differences.meaning import Relation
from polkit.review.findings import CONFIDENCES, SEVERITIES, Finding, Fix, Ignored, Place
from polkit.review.gating.gates import GateResult
from polkit.review.hosts.host import REMOVABLE, VERDICTS, HostModule, HostReview, RuleVerdict, review_host
from polkit.review.hosts.host_json import host_review_object, host_review_text
from polkit.review.materials.inputs import Compared
from polkit.review.materials.reading import HostSide, Materials, SourceText, read_materials
from polkit.review.reports import (
    Grant,
    figures,
    grants_of,
    grants_since,
    headline,
    html,
    markdown,
    other_changes,
    policy_line,
    review_json,
    review_object,
    sarif,
    summary,
    what_next,
)
from polkit.review.reviewing import Review, ReviewRequest, review

__all__ = [
    "CONFIDENCES",
    "GROUPS",
    "KINDS",
    "REMOVABLE",
    "SEVERITIES",
    "VERDICTS",
    "Compared",
    "Difference",
    "Entry",
    "Finding",
    "Fix",
    "GateResult",
    "Grant",
    "Group",
    "HostModule",
    "HostReview",
    "HostSide",
    "Ignored",
    "Kind",
    "Materials",
    "Place",
    "Relation",
    "Review",
    "ReviewRequest",
    "RuleVerdict",
    "SourceText",
    "Witness",
    "diff",
    "diff_object",
    "diff_text",
    "figures",
    "grants_of",
    "grants_since",
    "grouped",
    "headline",
    "host_review_object",
    "host_review_text",
    "html",
    "markdown",
    "other_changes",
    "policy_line",
    "read_materials",
    "review",
    "review_host",
    "review_json",
    "review_object",
    "sarif",
    "summary",
    "what_next",
]
