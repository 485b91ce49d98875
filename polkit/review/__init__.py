"""The reviewer's side: what a module really grants and what is wrong with it, what differs between two modules, bundles
or policies, and which of the two allows more.
"""

from __future__ import annotations

from polkit.review.catalogue import KINDS, Kind
from polkit.review.diff import GROUPS, Difference, Entry, Group, Witness, diff, grouped
from polkit.review.diff_json import diff_object, diff_text
from polkit.review.findings import CONFIDENCES, SEVERITIES, Finding, Fix, Ignored, Place
from polkit.review.gates import GateResult
from polkit.review.inputs import Compared
from polkit.review.materials import HostSide, Materials, SourceText, read_materials
from polkit.review.meaning import Relation
from polkit.review.reports import (
    Grant,
    figures,
    grants_of,
    headline,
    html,
    markdown,
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
    "SEVERITIES",
    "Compared",
    "Difference",
    "Entry",
    "Finding",
    "Fix",
    "GateResult",
    "Grant",
    "Group",
    "HostSide",
    "Ignored",
    "Kind",
    "Materials",
    "Place",
    "Relation",
    "Review",
    "ReviewRequest",
    "SourceText",
    "Witness",
    "diff",
    "diff_object",
    "diff_text",
    "figures",
    "grants_of",
    "grouped",
    "headline",
    "html",
    "markdown",
    "policy_line",
    "read_materials",
    "review",
    "review_json",
    "review_object",
    "sarif",
    "summary",
    "what_next",
]
