"""File contexts as a target looks them up, and what of them a script has to relabel.

libselinux puts a path through ``file_contexts.subs_dist`` before it looks for an entry (selabel_file(5)), so an entry
that names the alias never matches: ``/run`` where a release says ``/run /var/run``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Optional

_LITERAL = re.compile(r"[^.^$?*+|\[\](){}\\]*")
_TREE = "(/.*)?"
_ESCAPE = re.compile(r"\[?\\(x[0-9a-f]{2}|.)\]?|\[([^\\])\]|([.^$?*+|\[\](){}\\])")


class Entry(NamedTuple):
    """A line of ``.fc``: a pattern, a kind as in file_contexts(5) or empty, and a context."""

    pattern: str
    kind: str
    context: str


class Place(NamedTuple):
    """What to relabel for an entry: ``kind`` is tree, file, or pattern (then ``path`` is the directory to look in)."""

    kind: str
    path: str
    pattern: str


def entries(fc: str) -> tuple[Entry, ...]:
    """The entries of a ``.fc``, in their order."""
    found = []
    for line in fc.splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            found.append(Entry(words[0], words[1] if len(words) > 2 else "", words[-1]))
    return tuple(found)


def rewritten(fc: str, rewrite: Callable[[str], str]) -> str:
    """A ``.fc`` whose patterns begin where ``rewrite`` says of the literal path they begin with."""
    return "".join(_line(line, rewrite) for line in fc.splitlines(keepends=True))


def by_prefix(rules: Iterable[str]) -> Callable[[str], str]:
    """What ``[targets.NAME] rewrite`` (``FROM:TO`` each) makes of a path: the longest FROM that covers it counts."""
    pairs = sorted((tuple(rule.split(":", 1)) for rule in rules), key=lambda pair: -len(pair[0]))

    def rewrite(path: str) -> str:
        for start, instead in pairs:
            if path == start or path.startswith(start + "/"):
                return instead + path[len(start) :]
        return path

    return rewrite


def places(fc: str) -> tuple[Place, ...]:
    """What the entries of a ``.fc`` label, sorted and without repeats."""
    return tuple(sorted(set(_places(entries(fc)))))


def _places(found: Iterable[Entry]) -> Iterator[Place]:
    for entry in found:
        tree = entry.pattern.endswith(_TREE)
        path = _plain(entry.pattern[: -len(_TREE)] if tree else entry.pattern)
        if path is not None:
            yield Place("tree" if tree else "file", path, "")
        else:
            yield Place("pattern", _head(entry.pattern) or "/", entry.pattern)


def _line(line: str, rewrite: Callable[[str], str]) -> str:
    if not line.startswith("/"):
        return line
    head = _head(line.split(maxsplit=1)[0])
    new = rewrite(head) if head else head
    return new + line[len(head) :]


def _head(pattern: str) -> str:
    """The directories, or the whole path, that a pattern begins with and that stand there literally."""
    literal = _LITERAL.match(pattern)
    text = literal[0] if literal is not None else ""
    rest = pattern[len(text) :]
    return text if not rest or rest.startswith("(/") else text.rpartition("/")[0]


def _plain(pattern: str) -> Optional[str]:
    """The one path that a pattern without special characters matches; None for a pattern with any."""
    found, end = [], 0
    for match in _ESCAPE.finditer(pattern):
        escaped, alone, special = match.groups()
        if special:
            return None
        found.append(pattern[end : match.start()])
        end = match.end()
        text = alone or escaped
        if len(text) == 3:  # \xNN
            code = int(text[1:], 16)
            if not 0x20 <= code < 0x7F:
                return None
            text = chr(code)
        elif escaped and text.isalnum():
            return None
        found.append(text)
    return "".join((*found, pattern[end:]))
