"""What a run changed in the source files of a module project, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from polkit.cli.safe import safe
from polkit.minimize import FileChange


def change_lines(changes: Iterable[FileChange], verbose: bool) -> Iterator[str]:
    """The statements that went and came, by file; the whole diff where ``verbose``."""
    for change in changes:
        yield f"{change.name}: {_counted(change)}"
        if verbose:
            yield from (f"  {safe(line)}" for line in change.diff.splitlines())
            continue
        yield from (f"  - {safe(line)}" for line in change.removed)
        yield from (f"  + {safe(line)}" for line in change.added)


def _counted(change: FileChange) -> str:
    if not change.removed and not change.added:
        return "comments only"
    return f"{len(change.added)} lines more, {len(change.removed)} less"
