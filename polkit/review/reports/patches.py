"""Unified diffs of one file, taken apart into what is to be replaced where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@")


class Replacement(NamedTuple):
    """Lines ``first`` up to, without, ``end`` become ``text``; both count from 1, and are equal for an insertion."""

    first: int
    end: int
    text: str


def replacements(patch: str) -> tuple[Replacement, ...]:
    """What a patch does to its file, from top to bottom; empty for a text that is no patch."""
    return tuple(_replacements(patch))


def _replacements(patch: str) -> Iterator[Replacement]:
    line, first, gone, come = 0, 0, 0, list[str]()
    for text in [*patch.splitlines(), "@@"]:
        sign = text[:1]
        if line and sign in ("-", "+"):
            first = first or line
            gone += sign == "-"
            line += sign == "-"
            if sign == "+":
                come.append(text[1:])
            continue
        if gone or come:
            yield Replacement(first, first + gone, "".join(f"{one}\n" for one in come))
        first, gone, come = 0, 0, []
        if text.startswith("@@"):
            hunk = _HUNK.match(text)
            # a hunk of no lines stands after the line that it names
            line = 0 if hunk is None else int(hunk[1]) + (hunk[2] == "0")
        elif line and sign in (" ", ""):
            line += 1
