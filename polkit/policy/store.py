"""The module store: the CIL of every enabled module, as ``semodule`` would take it.

Layout of libsemanage: ``active/modules/PRIORITY/NAME/cil`` (bzip2 or plain), ``active/modules/disabled/NAME``. Of one
name only the highest priority counts.
"""

from __future__ import annotations

import bz2
import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Union

from polkit.errors import SourceError

_COMMENT = re.compile(rb";[^\n]*")
_TOKEN = re.compile(rb'\s*(?:([()])|("[^"]*")|([^\s()"]+))')
_STRING = re.compile(rb'"[^"]*"')
_OPTIONAL = re.compile(rb"\(\s*optional\s")
_REQUIRED = re.compile(rb"\(\s*typeattributeset\s+cil_gen_require\s+\(?([^()]*)\)?\s*\)")
_PAREN = re.compile(rb"[()]")
_STEP = [1 if byte == ord("(") else -1 for byte in range(256)]
_ATTRIBUTE = re.compile(rb"\(\s*typeattribute\s+([^\s()]+)\s*\)")
_NOT_PARENS = bytes(set(range(256)) - set(b"()"))
_LARGEST = 256 * 1024 * 1024
"""A module that unpacks to more is refused; a distribution's whole policy is some 25 MB of CIL."""
_REMEMBERED = 512
"""Of so many modules the text is unpacked, and the blocks are found, but once in a run: a store and its copies, with
one module more, are read several times over."""


@dataclass(frozen=True)
class OptionalBlock:
    """Where an ``(optional ...)`` block stands, and the types it needs; inner blocks have their own."""

    start: int
    end: int
    required: frozenset[str]


Expression = Union[str, tuple["Expression", ...]]
"""A CIL statement or part of one: a word, or a list."""


def enabled_modules(store: Path) -> dict[str, Path]:
    """From the name of each enabled module to its directory. Raises SourceError when the store can't be listed."""
    modules = store / "active/modules"
    try:
        disabled = (
            {path.name for path in (modules / "disabled").iterdir()} if (modules / "disabled").is_dir() else set()
        )
        priorities = sorted(
            (path for path in modules.iterdir() if path.name.isdigit()), key=lambda path: int(path.name)
        )
        found = {path.name: path for priority in priorities for path in sorted(priority.iterdir()) if path.is_dir()}
    except OSError as error:
        raise _unreadable(modules, error) from error
    return {name: path for name, path in sorted(found.items()) if name not in disabled}


def _unreadable(modules: Path, error: OSError) -> SourceError:
    return SourceError(f"{modules}: {error.strerror or error}", hint="a module store is usually readable by root only")


def module_priorities(store: Path, name: str) -> tuple[int, ...]:
    """At which priorities the store holds a module of this name, a disabled one too. Raises SourceError when the store
    can't be looked at."""
    modules = store / "active/modules"
    try:
        found = [path for path in modules.iterdir() if path.name.isdigit() and (path / name).is_dir()]
    except OSError as error:
        raise _unreadable(modules, error) from error
    return tuple(sorted(int(path.name) for path in found))


def read_modules(store: Path) -> Iterator[bytes]:
    """The CIL of each enabled module, without comments. Raises SourceError for one that can't be read.

    A module that is still a ``.pp`` (``hll`` without ``cil``: ``ignore-module-cache``) has no CIL and is passed over.
    """
    return unpack_modules(read_packed(store))


def read_packed(store: Path) -> Iterator[tuple[Path, bytes]]:
    """The CIL file of each enabled module, as it lies there. Raises SourceError for one that can't be read."""
    for directory in enabled_modules(store).values():
        path = directory / "cil"
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror or error}") from error
        yield path, data


def store_attributes(store: Path) -> frozenset[str]:
    """The type attributes that the store's modules declare. Raises SourceError for a module that can't be read."""
    found = {name for text in read_modules(store) for name in _ATTRIBUTE.findall(text)}
    return frozenset(name.decode("ascii", "replace") for name in found)


def modules_digest(packed: Iterable[tuple[Path, bytes]]) -> str:
    """SHA-256 of the modules by name: of what counts in a store, and of nothing else."""
    digest = hashlib.sha256()
    for path, data in packed:
        digest.update(f"{path.parent.name}/{len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def unpack_modules(packed: Iterable[tuple[Path, bytes]]) -> Iterator[bytes]:
    """The CIL in such files, without comments. Raises SourceError for a damaged one."""
    for path, data in packed:
        try:
            yield unpacked_text(data)
        except (OSError, ValueError) as error:
            raise SourceError(f"{path}: damaged, or larger than {_LARGEST >> 20} MiB") from error


@lru_cache(maxsize=_REMEMBERED)
def unpacked_text(data: bytes) -> bytes:
    """The text of a module's CIL, packed or not. Raises OSError or ValueError for what does not unpack."""
    text = data
    if data.startswith(b"BZh"):
        unpacker = bz2.BZ2Decompressor()
        text = unpacker.decompress(data, _LARGEST)
        if not unpacker.eof:
            raise ValueError
    return _COMMENT.sub(b"", text) if b";" in text else text


@lru_cache(maxsize=_REMEMBERED)
def optional_blocks(data: bytes) -> list[OptionalBlock]:
    """The optional blocks of a module's CIL, inner ones too, as its compiler would see them.

    Requirements are ``(typeattributeset cil_gen_require NAME)`` statements, which is how a ``.pp`` becomes CIL.
    """
    text = _STRING.sub(_without_parens, data) if b'"' in data else data
    starts = [found.start() for found in _OPTIONAL.finditer(text)]
    if not starts:
        return []
    places = [found.start() for found in _PAREN.finditer(text)]
    depths = list(accumulate(map(_STEP.__getitem__, text.translate(None, _NOT_PARENS))))
    required: dict[tuple[int, int], set[str]] = {}
    for start in starts:
        begun = bisect_left(places, start)
        with suppress(ValueError):  # a block that never ends is none
            required[start, places[depths.index(depths[begun] - 1, begun)] + 1] = set()
    _gather_required(text, required)
    blocks = (OptionalBlock(start, end, frozenset(names)) for (start, end), names in required.items())
    return sorted(blocks, key=lambda block: block.end)


def _without_parens(string: re.Match[bytes]) -> bytes:
    return string[0].replace(b"(", b"_").replace(b")", b"_")


def _gather_required(text: bytes, blocks: dict[tuple[int, int], set[str]]) -> None:
    """Give each block, of those in the order they begin, what is required in it and in no inner one."""
    waiting = iter(blocks)
    behind = next(waiting, None)
    around: list[tuple[int, int]] = []
    for found in _REQUIRED.finditer(text):
        while behind is not None and behind[0] < found.start():
            around.append(behind)
            behind = next(waiting, None)
        while around and around[-1][1] < found.start():
            around.pop()
        if around:
            blocks[around[-1]].update(found[1].decode("ascii", "replace").split())


def parse_at(data: bytes, start: int) -> Expression:
    """The expression that begins at ``start``. Raises SourceError when it doesn't end."""
    stack: list[list[Expression]] = []
    position = start
    while found := _TOKEN.match(data, position):
        position = found.end()
        paren = found[1]
        if paren == b"(":
            stack.append([])
            continue
        if paren == b")":
            if not stack:
                break
            item: Expression = tuple(stack.pop())
        else:
            item = (found[2] or found[3]).decode("ascii", "replace")
        if not stack:
            return item
        stack[-1].append(item)
    raise SourceError("a module's CIL ends in the middle of a statement")
