"""A review as a report: JSON, Markdown, SARIF and HTML, and the facts that each of them begins with."""

from __future__ import annotations

from polkit.review.reports.as_json import review_json, review_object
from polkit.review.reports.facts import figures, headline, other_changes, policy_line, summary, what_next
from polkit.review.reports.grants import Grant, grants_of, grants_since
from polkit.review.reports.html import html
from polkit.review.reports.markdown import markdown
from polkit.review.reports.sarif import sarif

__all__ = [
    "Grant",
    "figures",
    "grants_of",
    "grants_since",
    "headline",
    "html",
    "markdown",
    "other_changes",
    "policy_line",
    "review_json",
    "review_object",
    "sarif",
    "summary",
    "what_next",
]
