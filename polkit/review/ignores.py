"""Findings that a comment in the source silences: ``# polkit: ignore[PK012] reason``, in CIL after a semicolon.

It counts for the findings on its own line; on a line of its own, for those on the next line that is no comment. What a
comment silences is counted and shown with its reason; a stranger's comments can be left unheeded (``--no-ignore``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from polkit.review.case import Case
from polkit.review.catalogue import KINDS
from polkit.review.findings import Finding, Fix, Ignored, Place
from polkit.review.materials.reading import SourceText
from polkit.review.patches import unified

_MARKS = {"cil": ";"}
_IDS = re.compile(r"[\s,]+")


@dataclass
class _Comment:
    """An ignore comment: the line it counts for, what it names, and which of that silenced something."""

    source: SourceText
    line: int
    column: int
    about: int
    ids: tuple[str, ...]
    reason: str
    silenced: set[str] = field(default_factory=set)


def split(findings: Iterable[Finding], case: Case) -> tuple[list[Finding], list[Ignored]]:
    """The findings that stand, and those that a comment silences; comments that are of no use are findings (PK042)."""
    comments = [comment for text in case.sources for comment in _comments(text)]
    by_line: dict[tuple[str, int], list[_Comment]] = {}
    for one in comments:
        by_line.setdefault((one.source.name, one.about), []).append(one)
    kept: list[Finding] = []
    ignored: list[Ignored] = []
    for finding in findings:
        here = by_line.get((finding.place.file, finding.place.line), [])
        comment = next((one for one in here if finding.id in one.ids), None)
        if comment is None:
            kept.append(finding)
        else:
            comment.silenced.add(finding.id)
            ignored.append(Ignored(finding, comment.reason))
    kept += (_as_settled(one, case) for comment in comments for one in _idle(comment, case))
    return kept, ignored


def _comments(text: SourceText) -> Iterator[_Comment]:
    """The comments of a source that ask to ignore something."""
    mark = _MARKS.get(text.kind, "#")
    asking = re.compile(rf"{mark}[{mark} \t]*polkit:[ \t]*ignore\b[ \t]*(?:\[([^\]\n]*)\])?[ \t]*([^\n]*)")
    lines = text.text.split("\n")
    for number, line in enumerate(lines, 1):
        found = asking.search(line)
        if found is not None:
            own = not line[: found.start()].strip()
            ids = tuple(dict.fromkeys(one for one in _IDS.split(found[1] or "") if one))
            about = _next(lines, number, mark) if own else number
            yield _Comment(text, number, found.start() + 1, about, ids, found[2].strip())


def _next(lines: list[str], number: int, mark: str) -> int:
    """The next line that is no comment; 0 where an empty line or the end comes first."""
    while number < len(lines):
        line = lines[number].strip()
        number += 1
        if not line.startswith(mark):
            return number if line else 0
    return 0


def _as_settled(finding: Finding, case: Case) -> Finding:
    severity = case.config.severities.get(finding.id)
    return finding if severity is None else finding.with_severity(severity)


def _idle(comment: _Comment, case: Case) -> Iterator[Finding]:
    """What is wrong with a comment. Whether one is idle is known only where every check could look."""
    unheard = [one for one in comment.ids if one not in KINDS]
    if not comment.ids:
        yield _finding(
            comment, "An ignore comment names no finding", "Write the ids in brackets: ignore[PK012] reason."
        )
    if unheard:
        yield _finding(comment, f"There is no finding {', '.join(unheard)}", "Correct the id; `docs/findings` has all.")
    if comment.ids and not comment.reason:
        yield _finding(comment, "An ignore comment gives no reason", "Say behind the brackets why it is right here.")
    idle = [one for one in comment.ids if one in KINDS and one not in comment.silenced]
    if idle and case.built is not None:
        yield _finding(
            comment,
            f"An ignore comment silences no {', '.join(idle)} here",
            "Take it out, or move it to the line of the finding or right above it.",
            "" if comment.silenced or unheard else _without(comment),
        )


def _finding(comment: _Comment, title: str, fix: str, patch: str = "") -> Finding:
    why = (
        "A reader takes such a comment for a decision that somebody made about this line. One that silences nothing, "
        "or does not say why, hides the next finding that comes up there."
    )
    place = Place(comment.source.name, comment.line, comment.column)
    return Finding("PK042", KINDS["PK042"].severity, "high", place, title, why, Fix(fix, (), patch))


def _without(comment: _Comment) -> str:
    """The source without the comment, and without its line where nothing else stands there."""
    lines = comment.source.text.split("\n")
    kept = lines[comment.line - 1][: comment.column - 1].rstrip()
    lines[comment.line - 1 : comment.line] = [kept] if kept else []
    return unified(comment.source, "\n".join(lines))
