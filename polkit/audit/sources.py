"""Turns arguments into sources: files, directories, globs, and ``-`` for standard input."""

from __future__ import annotations

import glob
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Optional

from polkit.errors import SourceError, UsageError

STDIN = "-"
_COMPRESSED = re.compile(r"\.(?:gz|bz2|xz|zst)\Z")
_NUMBERED = re.compile(r"(.*)\.(\d{1,6})\Z")
_DATED = re.compile(r"(.*)-(\d{6,14})\Z")


@dataclass(frozen=True)
class Source:
    """Something to read: ``path`` is None for standard input. A ``listed`` one was found in a directory or by a glob,
    not named. ``opener`` opens what is no file of this host; it raises OSError where it can't."""

    name: str
    path: Optional[Path]
    listed: bool = False
    opener: Optional[Callable[[], BinaryIO]] = None

    def goes_on_in(self, other: Source) -> bool:
        """Whether ``other``, the next source, is the next younger file of the same rotated set."""
        return self.path is not None and other.path is not None and age(self.path)[:2] == age(other.path)[:2]


def find_sources(arguments: Sequence[str]) -> list[Source]:
    """The sources that arguments name, rotated sets oldest first, each file once.

    Raises UsageError without arguments; SourceError for a path that doesn't exist, a directory that can't be listed
    or holds no file, and a glob that matches no file.
    """
    if not arguments:
        raise UsageError("no log was named", "name a log file, a directory, a glob, or - for standard input")
    sources: dict[str, Source] = {}
    for argument in arguments:
        for source in _of_argument(argument):
            sources.setdefault(source.name, source)
    return list(sources.values())


def _of_argument(argument: str) -> list[Source]:
    if argument == STDIN:
        return [Source(STDIN, None)]
    if "\0" in argument:
        raise SourceError("a file name can't hold a NUL character")
    path = Path(argument)
    try:
        if path.is_dir():
            return _of_directory(path)
        if path.exists():
            return [Source(argument, path)]
    except OSError as problem:
        raise SourceError(f"{argument}: {problem.strerror}") from None
    if not glob.has_magic(argument):
        raise SourceError(f"{argument}: no such file", "name a log file, a directory, a glob, or - for standard input")
    matches = [match for match in map(Path, glob.glob(argument, recursive=True)) if not match.is_dir()]  # noqa: PTH207  (absolute too)
    if not matches:
        raise SourceError(f"{argument}: no file matches")
    return [Source(str(match), match, listed=True) for match in sorted(matches, key=age)]


def _of_directory(path: Path) -> list[Source]:
    try:
        files = [entry for entry in path.iterdir() if not entry.name.startswith(".") and entry.is_file()]
    except OSError as problem:
        raise SourceError(f"{path}: {problem.strerror}") from None
    if not files:
        raise SourceError(f"{path}: holds no file")
    return [Source(str(entry), entry, listed=True) for entry in sorted(files, key=age)]


def age(path: Path) -> tuple[str, str, int, str, str]:
    """Sorts rotated sets, each oldest first: audit.log-20240101, audit.log.2.gz, audit.log.1, audit.log."""
    name = _COMPRESSED.sub("", path.name)
    dated, numbered = _DATED.match(name), _NUMBERED.match(name)
    if dated:
        return (str(path.parent), dated[1], 0, dated[2], path.name)
    if numbered:
        return (str(path.parent), numbered[1], 1, f"{999_999 - int(numbered[2]):06}", path.name)
    return (str(path.parent), name, 2, "", path.name)


@contextmanager
def opened(source: Source, stdin: Optional[BinaryIO] = None) -> Iterator[BinaryIO]:
    """The raw bytes of a source. Raises SourceError where it can't be opened or read."""
    try:
        if source.opener is not None:
            with source.opener() as stream:
                yield stream
        elif source.path is None:
            yield stdin if stdin is not None else sys.stdin.buffer
        else:
            if source.listed:
                check_regular(source.name, source.path)
            with source.path.open("rb") as stream:
                yield stream
    except OSError as problem:
        raise SourceError(
            f"{source.name}: {problem.strerror or problem}", "check that the file exists and that you may read it"
        ) from None


def check_regular(name: str, path: Path) -> None:
    """Refuse what was not named and is no file: opening a pipe that nobody writes to would wait for ever."""
    if path.exists() and not path.is_file():
        raise SourceError(f"{name}: is no regular file", "name it, to read from it")
