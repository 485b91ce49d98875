"""A review as one HTML page that needs nothing else: no network, and no script to be read."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from polkit import __version__
from polkit.model import safe_lines
from polkit.review.catalogue import KINDS
from polkit.review.reports.drawing import draw
from polkit.review.reports.facts import (
    GROUP_TITLES,
    VERDICTS,
    figures,
    headline,
    not_own,
    other_changes,
    policy_line,
    subject,
    summary,
    what_next,
)
from polkit.review.reports.grants import Grant, grants_of, grants_since, own_grants, own_types
from polkit.review.reports.reach import RISKS, reach_of
from polkit.review.reviewing import Review

if TYPE_CHECKING:
    import jinja2

_MOST_ROWS = 3000
"""Rows of a table: a browser sorts so many without a pause."""
_MOST_EDGES = 400
_MOST_SINCE = 300
_SIGNS = {"high": "\u25b2", "medium": "\u25c6", "low": "\u25cf", "info": "\u25cb", "": ""}
_TEMPLATES = files("polkit.review.reports") / "templates"


def html(review: Review) -> str:
    """The review as HTML text. Every name in it is escaped, and would run nowhere: the page's own Content Security
    Policy lets through one style and one script, by their hashes (CSP Level 3, 2.3.1)."""
    style, script = (_read(name) for name in ("page.css", "page.js"))
    grants = grants_of(review)
    csp = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
    return _template().render(
        {**_facts(review, grants), **_tables(review, grants)},
        style=style,
        script=script,
        csp=f"{csp}base-uri 'none'; form-action 'none'",
        version=__version__,
        kinds=KINDS,
        signs=_SIGNS,
        groups=GROUP_TITLES,
        verdicts=VERDICTS,
        gravity={risk: place for place, risk in enumerate(RISKS)},
    )


def _facts(review: Review, grants: tuple[Grant, ...]) -> dict[str, Any]:
    """What the page begins with."""
    return {
        "review": review,
        "subject": subject(review),
        "headline": headline(review),
        "summary": summary(review, grants),
        "figures": figures(review, grants),
        "policy_line": policy_line(review),
        "what_next": what_next(review),
    }


def _tables(review: Review, grants: tuple[Grant, ...]) -> dict[str, Any]:
    """The graph and the tables, as long as a browser can be asked to show them, and how much was left out."""
    reach = reach_of(own_grants(review), own_types(review))
    more, less = grants_since(review)
    return {
        "drawing": draw(reach),
        "not_drawn": not_own(review),
        "edges": reach.edges[:_MOST_EDGES],
        "more_edges": max(len(reach.edges) - _MOST_EDGES, 0),
        "grants": sorted(grants, key=_by_weight)[:_MOST_ROWS],
        "more_grants": max(len(grants) - _MOST_ROWS, 0),
        "changes": other_changes(review.change),
        "since": [(sign, one) for sign, rows in (("+", more), ("-", less)) for one in rows[:_MOST_SINCE]],
        "more_since": sum(max(len(rows) - _MOST_SINCE, 0) for rows in (more, less)),
        "changes_since": other_changes(review.against),
    }


def _by_weight(one: Grant) -> tuple[bool, int]:
    """The module's own rules first, the gravest first; else as they come."""
    return one.by_policy, -RISKS.index(one.risk)


def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("polkit.review.reports", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        finalize=_visible,
    )
    return environment.get_template("page.html.j2")


def _visible(value: Any) -> Any:
    """Nothing invisible, and nothing that turns the direction of reading, comes from a name; lines and tabs stay."""
    return safe_lines(value) if type(value) is str else value


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
