"""The files that file contexts are made of, read as text: what libselinux can't be asked.

Which order they are read in, and which entry then decides, is libselinux' (libselinux/src/label_file.c): the main file,
``.homedirs``, ``.local``; the last that matches decides, those without special characters after all others. How the
main file itself is sorted is libsepol's (``precedence`` in ``polkit.module``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from heapq import merge
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.errors import SourceError
from polkit.model import Context, FileContext, parse_context
from polkit.module import KINDS, precedence
from polkit.policy.interface import FileEntry, ListedLabel

_HOMES, _LOCAL, _SUBSTITUTED = ".homedirs", ".local", ".subs"
_BESIDE = (_HOMES, _LOCAL, _SUBSTITUTED, ".subs_dist")
_NONE = "<<none>>"


class Added(NamedTuple):
    """Entries beside those of the files: modules' and an administrator's. ``mls``: contexts have levels. ``equal``: a
    path and the one as which it is labelled (semanage fcontext -e)."""

    modules: tuple[FileContext, ...] = ()
    local: tuple[FileContext, ...] = ()
    mls: bool = True
    equal: tuple[tuple[str, str], ...] = ()


NOTHING = Added()
_Precedence = tuple[bool, int, int, int, str]


class LabelLine(NamedTuple):
    """An entry: its pattern, its kind (empty for any), its context (``<<none>>`` for no label)."""

    pattern: str
    kind: str
    context: str


class _Line(NamedTuple):
    """One entry: its pattern, its kind (empty for any), its context, and the whole line."""

    pattern: str
    kind: str
    context: str
    text: str


def copy_with(file_contexts: Path, added: Added, place: Path) -> Path:
    """Write the file contexts with ``added`` among them into ``place``, with links to the files that belong to them.

    Returns the new main file. Raises SourceError when the old one can't be read.
    """
    copy = place / file_contexts.name
    _write(copy, _with_modules(file_contexts, added))
    for suffix in _BESIDE:
        beside = file_contexts.with_name(file_contexts.name + suffix)
        if suffix == _LOCAL and added.local:
            _write(copy.with_name(beside.name), _with_local(beside, added))
        elif suffix == _SUBSTITUTED and added.equal:
            lines = _substitutions(beside, added.equal)
            copy.with_name(beside.name).write_text("\n".join(lines) + "\n", "utf-8", "surrogateescape")
        elif beside.exists():
            copy.with_name(beside.name).symlink_to(beside.absolute())
    return copy


def deciding_entry(
    file_contexts: Path, added: Added, path: str, tclass: str, label: Optional[Context]
) -> Optional[FileEntry]:
    """The last entry that matches ``path`` and gives ``label``; None where none can be told.

    Python's regular expressions stand in for PCRE's here: an entry that they can't read is passed over.
    """
    kind = KINDS.get(tclass, "")
    for file, line in reversed(list(_in_order(file_contexts, added))):
        if line.kind and kind and line.kind != kind:
            continue
        given = None if line.context == _NONE else parse_context(line.context)
        if given == label and _matches(line.pattern, path):
            return FileEntry(file, line.pattern)
    return None


def listed(file_contexts: Path, added: Added) -> tuple[ListedLabel, ...]:
    """Every entry in the order of ``_in_order``."""
    return tuple(
        ListedLabel(file, line.pattern, line.kind, [*line.context.split(":", 3), "", ""][2])
        for file, line in _in_order(file_contexts, added)
    )


def lines_in_order(file_contexts: Path, homes: bool, more: Iterable[str] = ()) -> tuple[LabelLine, ...]:
    """Every entry, those that decide over others after them; the main file's, with ``more`` among them, as the module
    store sorts them, whatever their order there. ``homes``: with those of home directories."""
    beside = [
        file_contexts.with_name(file_contexts.name + suffix) for suffix in ((_HOMES,) if homes else ()) + (_LOCAL,)
    ]
    found = [line for _, line in _keyed((*_lines(file_contexts), *_lines_of(more)))]
    found += [line for path in beside for line in _lines(path)]
    exact = [precedence(line.pattern, "")[0] for line in found]
    return tuple(
        LabelLine(*line[:3]) for wanted in (False, True) for line, is_exact in zip(found, exact) if is_exact is wanted
    )


def substituted(file_contexts: Path, path: str, added: Added = NOTHING) -> str:
    """The path after ``.subs`` and then ``.subs_dist`` of these file contexts: of each the last line that fits."""
    for suffix in (_SUBSTITUTED, ".subs_dist"):
        listed = file_contexts.with_name(file_contexts.name + suffix)
        for line in reversed(_substitutions(listed, added.equal if suffix == _SUBSTITUTED else ())):
            words = line.split()
            if len(words) < 2 or words[0].startswith("#"):
                continue
            old, new = words[:2]
            if path == old or path.startswith(f"{old}/"):
                path = ("" if new == "/" else new) + path[len(old) :] or "/"
                break
    return path


def _substitutions(listed: Path, equal: tuple[tuple[str, str], ...]) -> list[str]:
    """The lines of ``.subs`` or ``.subs_dist``, those of an administrator after them."""
    return [*_text(listed).splitlines(), *(f"{path} {like}" for path, like in equal)]


def _in_order(file_contexts: Path, added: Added) -> Iterator[tuple[str, _Line]]:
    """Every entry with the name of its file, those that decide over others after them."""
    homes, local = (file_contexts.with_name(file_contexts.name + suffix) for suffix in (_HOMES, _LOCAL))
    files = (
        (file_contexts, _with_modules(file_contexts, added)),
        (homes, _lines(homes)),
        (local, _with_local(local, added)),
    )
    found = [(file.name, line) for file, lines in files for line in lines]
    for exact in (False, True):
        yield from (one for one in found if precedence(one[1].pattern, "")[0] is exact)


def _with_modules(file_contexts: Path, added: Added) -> list[_Line]:
    """The main file's entries; sorted where a module adds any, as the module store would."""
    if not added.modules:
        return list(_lines(file_contexts))
    ours = _keyed(_line(one, added.mls) for one in added.modules)
    theirs = _sorted(file_contexts, _state(file_contexts))
    return [line for _, line in merge(theirs, ours, key=lambda pair: pair[0])]


def _keyed(lines: Iterable[_Line]) -> tuple[tuple[_Precedence, _Line], ...]:
    return tuple(sorted(((precedence(line.pattern, line.kind), line) for line in lines), key=lambda pair: pair[0]))


@lru_cache(maxsize=4)
def _sorted(file_contexts: Path, state: object) -> tuple[tuple[_Precedence, _Line], ...]:
    """The entries of a file with their keys; ``state`` tells one content of it from another."""
    return _keyed(_lines(file_contexts))


def _state(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def _with_local(local: Path, added: Added) -> list[_Line]:
    """An administrator's entries in the order in which they were added (libsemanage/src/database_llist.c)."""
    return [*_lines(local), *(_line(one, added.mls) for one in added.local)]


def _write(path: Path, lines: Iterable[_Line]) -> None:
    path.write_text("".join(f"{line.text}\n" for line in lines), encoding="utf-8", errors="surrogateescape")


def _lines(path: Path) -> Iterator[_Line]:
    yield from _lines_of(_text(path).splitlines())


def _lines_of(texts: Iterable[str]) -> Iterator[_Line]:
    for text in texts:
        words = text.split()
        if len(words) in (2, 3) and not words[0].startswith("#"):
            yield _Line(words[0], words[1] if len(words) == 3 else "", words[-1], text)


def _line(entry: FileContext, mls: bool) -> _Line:
    context = f"system_u:object_r:{entry.type}" + (f":{entry.level}" if mls else "")
    words = (entry.pattern, entry.kind, context) if entry.kind else (entry.pattern, context)
    return _Line(entry.pattern, entry.kind, context, " ".join(words))


def _matches(pattern: str, path: str) -> bool:
    try:
        return re.fullmatch(pattern, path, re.DOTALL) is not None
    except re.error:
        return False


def _text(path: Path) -> str:
    """A file's text; empty where there is no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
