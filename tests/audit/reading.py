"""Reading from bytes, so that a test shows its input; records to take apart."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Union

from polkit.audit import Ledger, ReadOptions, read_logs, totals
from polkit.model import Denials

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "avc"
LOGS = sorted(FIXTURES.rglob("*.log"))


def read_ledger(content: Union[bytes, str], options: ReadOptions = ReadOptions()) -> Ledger:  # noqa: B008
    data = content.encode() if isinstance(content, str) else content
    return read_logs(["-"], options, stdin=BytesIO(data))


def read_bytes(content: Union[bytes, str], options: ReadOptions = ReadOptions()) -> Denials:  # noqa: B008
    """The denials in ``content``, given as standard input; str stands for its UTF-8."""
    return totals(read_ledger(content, options))


def avc(
    fields: str = "", perms: str = "read", tclass: str = "file", tail: str = " permissive=0", serial: int = 1
) -> str:
    """A record of the kernel in the form of audit.log."""
    return (
        f"type=AVC msg=audit(1700000000.123:{serial}): avc:  denied  {{ {perms} }} for  pid=1 {fields} "
        f"scontext=u:r:a_t:s0 tcontext=u:object_r:b_t:s0 tclass={tclass}{tail}"
    )
