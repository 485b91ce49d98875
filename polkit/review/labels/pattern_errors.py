"""Which patterns of file contexts are no regular expressions, by the distribution's own compiler of them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from polkit.errors import MissingDependency, PolkitError
from polkit.module import run_tool

_PLAIN = re.compile(
    r"(?:[\w/,:;=@%~!&<> '#-]|\\[^\w\s]|\.[*+?]?|\[\^?[\w.+/@:-]+\][*+?]?|\((?:[\w/.+|-]|\\[^\w\s])*[\w)]\)[*+?]?"
    r"|\(/?\[\^/\][*+]/?\)[?*]?|\(/?\.[*+]/?\)\??|\w[*+?])*",
    re.ASCII,
)
"""Patterns that need no look: no nested groups, no repeat of a repeat."""
_REFUSED = re.compile(
    r"line (\d+) has invalid regex .*?(?:REGEX back-end error: )?(?:At offset (\d+): )?([^:\n]*)$", re.M
)
_MOST = 50


def errors_of(patterns: Iterable[str]) -> dict[str, str]:
    """From each pattern that does not compile to why.

    ``sefcontext_compile`` of libselinux tells; without it Python's ``re`` does, which reads almost all that PCRE2 does.
    """
    found: dict[str, str] = {}
    unusual = []
    for pattern in dict.fromkeys(patterns):
        if _PLAIN.fullmatch(pattern) and _compiles(pattern):
            continue
        if "\n" in pattern or not pattern.isascii() or not pattern.isprintable() or " " in pattern:
            found[pattern] = "it holds what no line of file contexts can"
        else:
            unusual.append(pattern)
    try:
        found.update(_by_tool(unusual))
    except (MissingDependency, PolkitError):
        found.update((one, why) for one in unusual if (why := _python_says(one)))
    return found


def _compiles(pattern: str) -> bool:
    return not _python_says(pattern)


def _python_says(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return str(error)
    return ""


def _by_tool(patterns: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
        room = Path(scratch)
        left = list(patterns)
        while left and len(found) < _MOST:
            lines = "".join(f"{one} system_u:object_r:bin_t:s0\n" for one in left)
            (room / "in").write_text(lines, encoding="ascii")
            run = run_tool(["sefcontext_compile", "-o", "out", "in"], room)
            refused = _REFUSED.search(run.output)
            if refused is None:
                break
            found[left.pop(int(refused[1]) - 1)] = _said(refused)
    return found


def _said(refused: re.Match[str]) -> str:
    return refused[3].strip() + (f", at character {int(refused[2]) - 1}" if refused[2] else "")
