"""A review as Markdown that fits a comment on a pull request. Nothing in it may become a link, a mention or HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate, groupby

from polkit.model import safe, safe_lines
from polkit.review.catalogue import KINDS
from polkit.review.findings import SEVERITIES, Finding
from polkit.review.gating.gates import GateResult
from polkit.review.reports.facts import (
    GROUP_TITLES,
    figures,
    headline,
    other_changes,
    policy_line,
    subject,
    summary,
    what_next,
)
from polkit.review.reports.grants import Grant, grants_of, grants_since
from polkit.review.reviewing import Review

LARGEST = 65_536
"""Characters of a comment on GitHub."""
_ROOM_FOR_END = 400
_MOST_ROWS = 100
_MOST_LINES = 12
_SIGNS = {"high": "\U0001f534", "medium": "\U0001f7e0", "low": "\U0001f535", "info": "\u26aa"}
_TONES = {"bad": "\u274c", "warn": "\u26a0\ufe0f", "good": "\u2705"}
_GATES = {True: "\u2705 kept", False: "\u274c **broken**", None: "\u2754 not known"}
_PLAIN = re.compile(r"[(\"']*(?:[A-Za-z]+(?:['-][A-Za-z]+)*|\d+(?:[.,]\d+)*%?)[)\"'.,;:!?]*\Z")
"""A word that means nothing but itself to Markdown; mentions, links, references to issues and commits are none."""
_REFERENCE = re.compile(r"[(\"']*(?:[0-9a-fA-F]{7,}|GH-\d+|\d+[.)])[)\"'.,;:!?]*\Z")
_END = re.compile(r"[.,;:!?]+\Z")


def markdown(review: Review) -> str:
    """The review as GitHub's Markdown, of at most LARGEST characters; says how much was left out."""
    grants = grants_of(review)
    head = "".join(_head(review, grants))
    tail = f"\n{prose(what_next(review))}\n"
    parts = [_finding(one) for one in review.findings]
    parts += [part for part in (_gates(review.gates), _ignored(review), _since(review), _grants(grants)) if part]
    room = LARGEST - len(head) - len(tail) - _ROOM_FOR_END
    kept = sum(1 for total in accumulate(len(part) for part in parts) if total <= room)
    left = ""
    if kept < len(parts):
        findings = max(len(review.findings) - kept, 0)
        what = f"{findings} of {len(review.findings)} findings" if findings else "tables"
        left = f"\nLeft out for want of room: {what}. The text, HTML and JSON reports have everything.\n"
    return head + "".join(parts[:kept]) + left + tail


def _head(review: Review, grants: tuple[Grant, ...]) -> Iterator[str]:
    first = headline(review)
    yield f"## {_TONES[first.tone]} {code(subject(review), 100)}: {first.word}\n\n"
    yield f"{' '.join(prose(one, 400) for one in summary(review, grants))}\n\n"
    yield "| | |\n|---|---|\n"
    yield row("Policy", prose(policy_line(review), 300))
    for one in figures(review, grants):
        if one.value != "0" or one.label.startswith(("high", "medium")):
            yield row(one.label.capitalize(), f"**{one.value}**")
    for text in review.unknown:
        yield f"\n> {prose(text, 400)}\n"
    if review.findings:
        yield "\n### Findings\n"


def _finding(one: Finding) -> str:
    doubt = "" if one.confidence == "high" else f" (confidence {one.confidence})"
    lines = [
        "",
        f"{_SIGNS[one.severity]} **{one.severity}** {code(f'{one.id} {KINDS[one.id].slug}')} "
        f"in {code(one.place.text, 200)}{doubt}: {prose(one.title, 300)}",
        "",
        "<details><summary>Why, and what to do</summary>",
        "",
        prose(one.why, 800),
        "",
        *((f"**Fix:** {prose(one.fix.text, 800)}", "") if one.fix.text else ()),
        *fenced(one.fix.commands, "sh"),
        *fenced(one.fix.patch.splitlines(), "diff"),
    ]
    if one.evidence:
        lines += ["Seen:", "", *fenced(one.evidence, "")]
    return "\n".join([*lines, "</details>", ""])


def _gates(gates: Iterable[GateResult]) -> str:
    rows = [row(_GATES[one.ok], code(one.name, 100), prose(one.why, 300)) for one in gates]
    return f"\n### Gates\n\n| | Gate | |\n|---|---|---|\n{''.join(_cut(rows))}" if rows else ""


def _ignored(review: Review) -> str:
    rows = [
        row(code(one.finding.place.text, 200), f"{one.finding.id} {prose(one.finding.title, 200)}", _reason(one.reason))
        for one in review.ignored
    ]
    table = f"| Place | Finding | Reason |\n|---|---|---|\n{''.join(_cut(rows))}"
    return f"\n<details><summary>Ignored in the source: {len(rows)}</summary>\n\n{table}\n</details>\n" if rows else ""


def _reason(reason: str) -> str:
    return prose(reason, 200) or "none given"


def _grants(grants: Iterable[Grant]) -> str:
    own = [("", one) for one in grants if not one.by_policy]
    return _folded(f"What the module's own rules grant: {len(own)}", own)


def _since(review: Review) -> str:
    """What differs from the older form, rules first."""
    more, less = grants_since(review)
    rules = [("+", one) for one in more] + [("-", one) for one in less]
    others = [f"{one.sign} {one.text}" for one in other_changes(review.against)]
    text = _folded(f"Rules that differ from the older form: {len(rules)}", rules)
    if others:
        lines = "\n".join(fenced(others, "diff"))
        text += f"\n<details><summary>What else differs: {len(others)}</summary>\n\n{lines}\n</details>\n"
    return text


def _folded(title: str, grants: list[tuple[str, Grant]]) -> str:
    if not grants:
        return ""
    rows = [
        row(
            " ".join(filter(None, (sign, _SIGNS[one.risk] if one.risk else "", one.risk))),
            code(one.source),
            code(one.target),
            code(one.tclass),
            code(" ".join(one.perms), 200),
            GROUP_TITLES[one.group],
        )
        for sign, one in sorted(grants, key=lambda pair: -SEVERITIES.index(pair[1].risk or "info"))
    ]
    table = f"| Risk | Domain | Type | Class | Permissions | |\n|---|---|---|---|---|---|\n{''.join(_cut(rows))}"
    return f"\n<details><summary>{title}</summary>\n\n{table}\n</details>\n"


def _cut(rows: list[str]) -> list[str]:
    if len(rows) <= _MOST_ROWS:
        return rows
    return [*rows[:_MOST_ROWS], f"\nand {len(rows) - _MOST_ROWS} more\n"]


def prose(text: str, most: int = 1000) -> str:
    """Words of ours with names of others among them, on one line: what is no plain word becomes code."""
    words = _shortened(safe(" ".join(text.split())), most).split()
    runs = [(plain, " ".join(run)) for plain, run in groupby(words, _is_plain)]
    return " ".join(run if plain else _coded(run) for plain, run in runs)


def _is_plain(word: str) -> bool:
    return bool(_PLAIN.match(word) and not _REFERENCE.match(word))


def _coded(words: str) -> str:
    """Code, but for the punctuation after it."""
    end = _END.search(words)
    return code(words) if end is None or end.start() == 0 else code(words[: end.start()]) + end[0]


def code(text: str, most: int = 120) -> str:
    """A stranger's text as code, on one line: no mark-up, link or mention works in there (CommonMark 0.31, 6.1)."""
    shown = _shortened(safe(" ".join(text.split())), most)
    if not shown:
        return ""
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def row(*cells: str) -> str:
    """A row of a table. A bar in a cell needs a backslash, in code too (GFM, tables); one that has a backslash already
    is written as an escape, since the two backslashes would stand for one."""
    shown = (cell.replace("\\|", "\\x7c").replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(shown)} |\n"


def fenced(lines: Iterable[str], language: str) -> list[str]:
    """Lines in a block of code whose fence none of them can close; empty for none."""
    shown = [_shortened(safe_lines(line), 300) for line in lines]
    if not shown:
        return []
    longest = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    more = [f"... and {len(shown) - _MOST_LINES} more"] if len(shown) > _MOST_LINES else []
    return [fence + language, *shown[:_MOST_LINES], *more, fence, ""]


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
