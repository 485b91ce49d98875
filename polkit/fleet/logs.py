"""From arguments to the logs of a fleet: local paths as everywhere, and URLs of any file system that fsspec knows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from polkit.audit import Source, age, find_sources
from polkit.errors import MissingDependency, PolkitError, SourceError, UsageError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?:://|::)")
_MAGIC = re.compile(r"[*?\[]")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s'\"]*@|\?[^\s'\"]*")
_LONGEST_MESSAGE = 300


@dataclass(frozen=True)
class Log:
    """A log to read: ``number`` is its place among those asked for, ``name`` what the ledger calls it.

    ``where`` is its path; of a remote one the path within the file system that ``url`` leads to. ``size`` is given
    where the log can be read from any offset on. A ``listed`` one was found in a directory or by a glob, not named.
    """

    number: int
    name: str
    where: str
    url: Optional[str] = None
    size: Optional[int] = None
    listed: bool = False
    younger: Optional[Log] = None
    """The next file of a rotated set, in which its last events may go on."""


def find_logs(arguments: Sequence[str]) -> list[Log]:
    """The logs that arguments name, each once. Raises what ``polkit.audit.find_sources`` does; UsageError for standard
    input and unknown protocols; MissingDependency for one whose package is not installed."""
    if not arguments:
        raise UsageError("no log was named", "name logs that the workers can read: paths, globs, URLs")
    found: dict[str, Log] = {}
    for argument in arguments:
        for log in _of_url(argument) if _URL.match(argument) else _of_path(argument):
            found.setdefault(log.name, log)
    logs = [replace(log, number=number) for number, log in enumerate(found.values())]
    return [
        replace(log, younger=after) if after is not None and goes_on(log, after) else log
        for log, after in zip(logs, (*logs[1:], None))
    ]


def goes_on(log: Log, other: Log) -> bool:
    """Whether ``other`` is the next younger file of the same rotated set."""
    return log.url == other.url and source_of(log).goes_on_in(source_of(other))


def source_of(log: Log) -> Source:
    """A log as ``polkit.audit`` names it. A remote one can't be opened by its path."""
    return Source(log.name, Path(log.where), log.listed)


def _of_path(argument: str) -> Iterator[Log]:
    for source in find_sources([argument]):
        if source.path is None:
            raise UsageError(
                "standard input can't be read by workers", "name logs that they can read, or leave out --on"
            )
        path = source.path
        size = path.stat().st_size if path.is_file() else None
        yield Log(0, source.name, str(path.absolute()), None, size, source.listed)


def _of_url(argument: str) -> Iterator[Log]:
    shown = scrubbed(argument)
    system, path = file_system(argument)
    try:
        entries, listed = _entries(system, path)
    except FileNotFoundError:
        raise SourceError(f"{shown}: no such file", "name a log, a directory or a glob") from None
    except Exception as problem:  # noqa: BLE001  (each file system raises what its own library raises)
        raise SourceError(
            f"{shown}: {said(problem)}", "can this machine list it? see docs/fleet.md, Credentials"
        ) from None
    if not entries:
        raise SourceError(f"{shown}: no file matches")
    chained = "::" + "::".join(shown.split("::")[1:]) if "::" in argument else ""
    for where, entry in sorted(entries.items(), key=lambda item: age(Path(item[0]))):
        name = scrubbed(str(system.unstrip_protocol(where))) + chained
        yield Log(0, name, where, argument, _size_to_split(system, where, entry), listed)


def _entries(system: Any, path: str) -> tuple[Mapping[str, Mapping[str, Any]], bool]:
    """The files of a path by their paths, and whether they were found rather than named."""
    if _MAGIC.search(path) and not system.exists(path):
        found = system.glob(path, detail=True)
        return {where: entry for where, entry in found.items() if entry.get("type") == "file"}, True
    entry = system.info(path)
    if entry.get("type") != "directory":
        return {path: entry}, False
    inside = {str(one["name"]): one for one in system.ls(path, detail=True)}
    return {
        where: one
        for where, one in inside.items()
        if one.get("type") == "file" and not where.rpartition("/")[2].startswith(".")
    }, True


def _size_to_split(system: Any, where: str, entry: Mapping[str, Any]) -> Optional[int]:
    """A file's size, where its file system reads from any offset on; a web server may not."""
    size = entry.get("size")
    if not isinstance(size, int) or (over_http(system) and not _gives_ranges(system, where)):
        return None
    return size


def over_http(system: Any) -> bool:
    """Whether a file system is a web server."""
    return "http" in ((system.protocol,) if isinstance(system.protocol, str) else system.protocol)


def _gives_ranges(system: Any, where: str) -> bool:
    try:
        with system.open(where, "rb") as file:
            file.seek(1)
            return len(file.read(1)) == 1
    except Exception:  # noqa: BLE001  (each file system raises what its own library raises)
        return False


def file_system(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path within it. Raises as ``find_logs`` does."""
    import fsspec.core

    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as problem:
        raise MissingDependency(
            f"{scrubbed(url)}: {said(problem)}", "install that package here and on every worker, e.g. pip install s3fs"
        ) from None
    except Exception as problem:  # noqa: BLE001  (each file system raises what its own library raises)
        raise UsageError(f"{scrubbed(url)}: {said(problem)}", "name a path or a URL that fsspec knows") from None
    return system, str(path)


def scrubbed(text: str) -> str:
    """A URL or a message without what may hold secrets: user and password, and the query (of a signed URL)."""
    return _CREDENTIALS.sub("", text)


def said(problem: BaseException) -> str:
    """What a foreign library's error says, in one line and without secrets."""
    if isinstance(problem, PolkitError):
        return str(problem)
    strerror = problem.strerror if isinstance(problem, OSError) else None
    words = " ".join((strerror or str(problem) or type(problem).__name__).split())
    return scrubbed(words)[:_LONGEST_MESSAGE]
