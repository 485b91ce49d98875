"""A large audit.log in two halves at the same time, on two processors.

The second half is counted in a process of its own and then added to the first: what is kept of a log is what is kept of
its parts, put together in their order (``Tally.include``). It begins at a line that begins a record; of the events that
reach over that place the first half reads the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Callable, NamedTuple, Optional

from polkit.audit.blocks import BLOCK, as_utf8, is_plain
from polkit.audit.events import EventWindow
from polkit.audit.lanes import HEADS, REACH, count_content, tell_rest
from polkit.audit.ledger_file import is_ledger
from polkit.audit.tally import ReadOptions, Tally
from polkit.errors import SourceError
from polkit.other_process import Send, other_process, received

SMALLEST = 1 << 25
"""Bytes. Less isn't worth a second process."""


def middle(path: Path) -> Optional[int]:
    """Where a file is parted: a line near its middle that begins a record. None for one that is read in one go: small,
    compressed, of another form than audit.log. Raises OSError."""
    if not path.is_file():
        return None
    size = path.stat().st_size
    if size < SMALLEST:
        return None
    with path.open("rb") as stream:
        head = stream.read(BLOCK)
        if not is_plain(head) or is_ledger(head) or not is_audit_log(head):
            return None
        stream.seek(size // 2)
        data = stream.read(BLOCK)
    places = [at for at in map(data.find, HEADS) if at >= 0]
    return size // 2 + min(places) + 1 if places else None


def is_audit_log(head: bytes) -> bool:
    """Whether every line begins a record: then none goes on in the next line, and events begin with their denials."""
    lines = head.count(b"\n")
    return lines > 0 and lines - 1 <= sum(head.count(start) for start in HEADS) <= lines


class _Counted(NamedTuple):
    tally: Tally
    size: int
    lines: int


Behind = Callable[[EventWindow], None]
"""Tells a window what stands behind a half of its last events."""


def count_halves(
    path: Path, place: int, tally: Tally, options: ReadOptions, progress: Callable[[int], None], behind: Behind
) -> tuple[int, int]:
    """Count a file that is parted at ``place`` into ``tally``; how many bytes and lines it has. ``progress`` gets each
    number of bytes read, ``behind`` is for the second half.

    Raises OSError where the file can't be read, SourceError where the second process comes to harm.
    """

    def second(send: Send) -> _Counted:
        return _count(path, place, None, Tally("", options), options, lambda size: None, behind)

    with other_process(second) as answers:
        # The other half goes on meanwhile: what was read is twice what was read here.
        first = _count(path, 0, place, tally, options, lambda size: progress(2 * size), _begun(path, place))
        try:
            other: _Counted = received(answers)
        except EOFError:
            raise SourceError(f"{path}: the process that read its second half ended early", "try again") from None
    progress(other.size - first.size)
    tally.include(other.tally, first.lines)
    return first.size + other.size, first.lines + other.lines


def _count(
    path: Path,
    begin: int,
    end: Optional[int],
    tally: Tally,
    options: ReadOptions,
    progress: Callable[[int], None],
    behind: Behind,
) -> _Counted:
    size = 0

    def blocks(stream: BinaryIO) -> Iterator[bytes]:
        nonlocal size
        while True:
            block = stream.read(BLOCK if end is None else min(BLOCK, end - begin - size))
            if not block:
                return
            size += len(block)
            progress(len(block))
            yield block

    window = EventWindow(tally.denial, tally.wants_circumstances)
    with path.open("rb") as stream:
        stream.seek(begin)
        content = blocks(stream) if begin else as_utf8(blocks(stream))
        lines = count_content(content, tally, window, options)
    behind(window)
    window.close()
    return _Counted(tally, size, lines)


def _begun(path: Path, place: int) -> Behind:
    def behind(window: EventWindow) -> None:
        with path.open("rb") as stream:
            stream.seek(place)
            tell_rest(stream.read(REACH), window)

    return behind
