"""A policy source after m4: interfaces and macros expanded under our own prelude, never by ``make``."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

from polkit.errors import CompileError, SourceError
from polkit.module.expansion import prelude, run_m4
from polkit.module.headers import Headers
from polkit.module.source.limits import LARGEST, refuse_misleading, refuse_outsized, refuse_reaching_out
from polkit.module.tools import ToolRun

LARGEST_EXPANDED = 16 << 20
"""Characters. The largest of Debian's modules, sysadm, has 2.6 million after m4."""


def expand_te(text: str, name: str, headers: Headers, largest: int = LARGEST) -> str:
    """``text`` with the macros of ``headers`` expanded, as checkmodule takes it; a macro nobody defines stays a call.

    ``name`` is what messages call the source. Raises SourceError for a text that ``read_te`` would refuse for what m4
    would do with it, for one whose quotes don't end, that grows too large or that m4 does not come to an end with;
    MissingDependency without m4.
    """
    refuse_outsized(text, name, largest)
    refuse_reaching_out(text, name)
    refuse_misleading(text, name)
    mark = new_mark()
    try:
        run = run_m4(f"{prelude(headers)}{mark}\n{text}\n{mark}\n")
    except CompileError as error:
        raise SourceError(f"{name}:1: {error}") from None
    parts = run.output.split(mark)
    if run.status != 0 or len(parts) != 3:
        raise SourceError(f"{name}:1: m4 can't expand it: {_complaint(run)}")
    if len(parts[1]) > LARGEST_EXPANDED:
        raise SourceError(f"{name}:1: its macros make {len(parts[1])} characters; no module has {LARGEST_EXPANDED}")
    return parts[1]


def new_mark() -> str:
    """Text that nobody can have guessed and that m4 leaves alone."""
    return f"@@{secrets.token_hex(8)}@"


def expand_marked(text: str, mark: str, lines: Sequence[int], name: str, headers: Headers) -> list[tuple[int, str]]:
    """What m4 makes of each piece of ``text`` that it reaches, with the piece's number.

    A piece begins with ``mark`` (``new_mark``), its number and ``@``; ``lines`` says at which line of the source
    ``name`` it stands.
    Raises SourceError with the line where m4 ended before its end or made too much of it, MissingDependency without m4.
    """
    try:
        run = run_m4(f"{prelude(headers)}{text}{mark}{len(lines)}@\n")
    except CompileError as error:
        raise SourceError(f"{name}:{lines[0] if lines else 1}: {error}") from None
    parts = re.split(rf"{mark}(\d+)@\n?", run.output)
    numbers = [int(number) for number in parts[1::2]]
    last = min(numbers[-1] if numbers else 0, len(lines) - 1)
    at = f"{name}:{lines[last] if lines else 1}"
    if run.status != 0 or not numbers or numbers[-1] != len(lines) or sorted(set(numbers)) != numbers:
        raise SourceError(f"{at}: m4 can't expand it: {_complaint(run)}")
    if len(run.output) > LARGEST_EXPANDED:
        raise SourceError(f"{at}: the macros make {len(run.output)} characters; no module has {LARGEST_EXPANDED}")
    return list(zip(numbers[:-1], parts[2::2]))


def _complaint(run: ToolRun) -> str:
    said = (run.complaints.strip().splitlines() or ["a quote or parenthesis does not end"])[0]
    return re.sub("[^ -~]", "?", said)[:200]
