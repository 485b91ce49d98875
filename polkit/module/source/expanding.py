"""A policy source after m4: interfaces and macros expanded under our own prelude, never by ``make``."""

from __future__ import annotations

import re
import secrets

from polkit.errors import CompileError, SourceError
from polkit.module.expansion import prelude, run_m4
from polkit.module.headers import Headers
from polkit.module.source.limits import LARGEST, refuse_misleading, refuse_outsized, refuse_reaching_out

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
    mark = f"@@{secrets.token_hex(8)}@"
    try:
        run = run_m4(f"{prelude(headers)}{mark}\n{text}\n{mark}\n")
    except CompileError as error:
        raise SourceError(f"{name}:1: {error}") from None
    parts = run.output.split(mark)
    if run.status != 0 or len(parts) != 3:
        said = (run.complaints.strip().splitlines() or ["a quote or parenthesis does not end"])[0]
        raise SourceError(f"{name}:1: m4 can't expand it: {re.sub('[^ -~]', '?', said)[:200]}")
    if len(parts[1]) > LARGEST_EXPANDED:
        raise SourceError(f"{name}:1: its macros make {len(parts[1])} characters; no module has {LARGEST_EXPANDED}")
    return parts[1]
