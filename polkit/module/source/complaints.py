"""What checkmodule says is wrong with a source, at the place where its author wrote it and not where m4 put it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.module.headers import Headers
from polkit.module.source.expanding import expand_te
from polkit.module.source.located import needs_m4
from polkit.module.source.render import block_frame, render_source
from polkit.module.source.statements import Block, Call, Source, Statement
from polkit.module.tools import run_tool

_APART = 1_000_000
"""Lines that one statement may grow to: the largest template of Debian's makes some thousands."""
_ERROR = re.compile(r"^[^\n]*?:(\d+):ERROR '(.*?)' at token '(.*?)' on line \d+:", re.MULTILINE | re.DOTALL)
_SECONDS = 30


class Complaint(NamedTuple):
    """A message of checkmodule, the word it stopped at (empty for the end of the text), and where that was written.

    ``via``: the interface or macro whose expansion it is about, empty for what is written out.
    """

    line: int
    column: int
    message: str
    token: str
    via: str = ""


def complaints(text: str, source: Optional[Source], headers: Optional[Headers], mls: bool) -> tuple[Complaint, ...]:
    """What checkmodule has against a ``.te``; it stops at the first mistakes. ``source``: what was read of ``text``,
    None where it could not be read; ``mls``: for a policy with levels.

    Without headers, or where the source has no macros, it is given as it is. Raises MissingDependency without the
    compiler or m4, SourceError where m4 can't come to an end, CompileError where checkmodule doesn't.
    """
    if source is None or headers is None or not needs_m4(source, headers):
        return tuple(Complaint(line, 0, *said) for line, *said in _complaints(text, mls))
    leaves: list[Statement] = []
    numbered = "".join(_numbered(source.statements, leaves))
    found: list[Complaint] = []
    for line, message, token in _complaints(expand_te(numbered, source.name, headers), mls):
        at = leaves[min(max(line // _APART - 1, 0), len(leaves) - 1)]
        found.append(Complaint(at.line, at.column, message, token, at.name if isinstance(at, Call) else ""))
    return tuple(found)


def _numbered(statements: Iterable[Statement], leaves: list[Statement]) -> Iterator[str]:
    """The source again, with a line number before each statement that tells which it is. To m4 it is a comment, to
    checkmodule (policy_scan.l) the number of the next line.
    """
    for one in statements:
        if isinstance(one, Block):
            begin, *others = block_frame(one)
            yield f"{begin}\n"
            for branch, after in zip(one.branches, others):
                yield from _numbered(branch, leaves)
                yield f"{after}\n"
        else:
            leaves.append(one)
            yield f"#line {len(leaves) * _APART}\n{render_source((one,))}"


def _complaints(text: str, mls: bool) -> Iterator[tuple[int, str, str]]:
    with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
        room = Path(scratch)
        (room / "in.te").write_text(text, encoding="ascii", errors="replace")
        run = run_tool(["checkmodule", *(["-M"] if mls else []), "-m", "-o", "out.mod", "in.te"], room, _SECONDS)
    if run.status != 0:
        for found in _ERROR.finditer(run.output):
            yield int(found[1]), " ".join(found[2].split()), found[3]
