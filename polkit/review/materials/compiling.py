"""A module's files as what a module store takes. Sources may be a stranger's: macros are expanded by our own run of m4,
never by ``make``, and every compiler runs under limits in an empty directory.
"""

from __future__ import annotations

import bz2
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.bundle import cil_of
from polkit.errors import CompileError, MissingDependency, SourceError
from polkit.module import Headers, build_package, definitions, find_headers, read_headers, run_tool
from polkit.module.source import (
    Call,
    FileBlock,
    FileEntry,
    Head,
    Source,
    asks_m4,
    complaints,
    expand_te,
    read_fc,
    read_te,
)
from polkit.policy import ModuleFile
from polkit.review.materials.files import LARGEST, Held, too_large

_PREFERRED = (".pp", ".pp.bz2", ".mod", ".cil", ".te")
"""Of several forms of one module: what would be installed."""
_MODULE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}(?:\.[A-Za-z0-9_-]{1,64})*\Z")
"""libsemanage's ``semanage_module_validate_name``."""
_HEAD = re.compile(r"^\s*module\s+(\S+)\s+[\w.]+\s*;", re.MULTILINE)
_MACROS = re.compile(r"^\s*policy_module\s*\(", re.MULTILINE)
_FC_MACROS = re.compile(r"\b(?:gen_context|ifn?def)\(")


class Interfaces(NamedTuple):
    """Where the interfaces that sources call are looked for: in the directory that was ``named``, else below roots."""

    roots: tuple[Path, ...] = (Path("/"),)
    named: Optional[Path] = None

    def find(self) -> Path:
        """The directory. Raises SourceError where the named one holds none, MissingDependency where no root does."""
        return find_headers(self.named, self.roots)


def forms_of(files: Iterable[Held]) -> dict[str, dict[str, Held]]:
    """The files of each module, by its name and their suffix."""
    found: dict[str, dict[str, Held]] = {}
    for one in files:
        found.setdefault(one.stem, {})[one.suffix] = one
    return found


def compiled(forms: Mapping[str, Held], mls: bool, interfaces: Interfaces) -> ModuleFile:
    """The module that its files make: of several forms the one that would be installed. ``mls``: for a policy with
    levels. ``interfaces``: where those that a source calls are looked for.

    Raises CompileError for a source that does not compile, SourceError for what can't be read as what it is called,
    MissingDependency without the compilers, or without the interfaces where some are called.
    """
    suffix = next(one for one in _PREFERRED if one in forms)
    held = forms[suffix]
    if suffix == ".te":
        return _of_source(held, forms, mls, interfaces)
    name = checked_name(held.stem, held.name)
    if suffix == ".cil":
        return ModuleFile(name, ".cil", held.content, held.text)
    content = held.content
    if suffix == ".pp.bz2":
        content = _unpacked(held)
    elif suffix == ".mod":
        labels = forms[".fc"] if ".fc" in forms else Held(f"{name}.fc", b"")
        content = _packaged(held, name, _contexts(labels, mls, interfaces))
    return _package(name, content, held.name)


def checked_name(name: str, shown: str) -> str:
    """``name``, which a module store must take for a module. Raises SourceError."""
    if not _MODULE_NAME.match(name):
        raise SourceError(
            f"{shown}: {name[:80]!r} can't name a module", "a letter, then letters, digits, _ and -: rename the file"
        )
    return name


def _package(name: str, content: bytes, shown: str) -> ModuleFile:
    try:
        return ModuleFile(name, ".pp", content, cil_of(content, name))
    except CompileError as error:
        raise CompileError(f"{shown} is no module package: {str(error)[:200]}", error.output) from None


def _unpacked(held: Held) -> bytes:
    """What a packed package holds, as distributions ship them."""
    try:
        content = bz2.BZ2Decompressor().decompress(held.content, LARGEST + 1)
    except (OSError, EOFError, ValueError):
        raise SourceError(f"{held.name}: not packed by bzip2") from None
    if len(content) > LARGEST:
        raise too_large(held.name)
    return content


def _packaged(held: Held, name: str, contexts: str) -> bytes:
    """The package of what checkmodule made."""
    with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
        room = Path(scratch)
        (room / "in.mod").write_bytes(held.content)
        (room / "in.fc").write_text(contexts, encoding="ascii")
        run = run_tool(["semodule_package", "-o", "out.pp", "-m", "in.mod", "-f", "in.fc"], room)
        if run.status != 0:
            said = (run.output.strip().splitlines() or [""])[0]
            raise CompileError(f"{held.name} is no compiled module: {said[:200]}", run.output)
        return (room / "out.pp").read_bytes()


def _of_source(te: Held, forms: Mapping[str, Held], mls: bool, interfaces: Interfaces) -> ModuleFile:
    text = _in_ascii(te.text)
    name, source = _about(te, text)
    contexts = _contexts(forms[".fc"], mls, interfaces) if ".fc" in forms else ""
    headers = None
    if source is not None and asks_m4(source):
        headers = _headers_for(forms.get(".if"), interfaces)
    try:
        content = build_package(
            name, text if headers is None else expand_te(text, te.name, headers), contexts, mls, None
        )
    except CompileError as error:
        if source is None:
            raise
        if headers is not None:
            raise _placed(error, text, source, headers, mls) from None
        content = _with_words(error, name, text, source, contexts, mls, interfaces)
    return ModuleFile(name, ".pp", content, cil_of(content, name))


def _with_words(
    error: CompileError, name: str, text: str, source: Source, contexts: str, mls: bool, interfaces: Interfaces
) -> bytes:
    """The package of a source that did not compile as it is, and calls nothing, but may have words that stand for sets
    of permissions or classes (``read_file_perms``). Raises ``error`` where it has none."""
    try:
        headers = headers_of(interfaces.find())
    except MissingDependency:
        raise error from None
    expanded = expand_te(text, source.name, headers)
    if expanded.split() == text.split():
        raise error
    try:
        return build_package(name, expanded, contexts, mls, None)
    except CompileError as again:
        raise _placed(again, text, source, headers, mls) from None


def _placed(error: CompileError, text: str, source: Source, headers: Headers, mls: bool) -> CompileError:
    """What the compiler refuses of an expanded source, told of where its author wrote it."""
    found = next(iter(complaints(text, source, headers, mls)), None)
    if found is None:
        return error
    via = f", which {found.via} stands for" if found.via else ""
    token = f" at {found.token!r}" if found.token else ""
    message = f"checkmodule refuses {source.name}:{found.line}: {found.message}{token}{via}"
    return CompileError(message[:400], error.output, error.hint)


def _about(te: Held, text: str) -> tuple[str, Optional[Source]]:
    """What a source calls itself, and its statements.

    What can't be read as a source of macros goes to checkmodule as it is, which knows none and runs nothing.
    """
    try:
        source = read_te(text, te.name)
    except SourceError:
        head = _HEAD.search(text)
        if head is None or _MACROS.search(text):
            raise
        return checked_name(head[1], te.name), None
    name = _own_name(source)
    if name is None:
        raise CompileError(
            f"{te.name} has no `module NAME VERSION;` and no `policy_module(NAME, VERSION)`",
            hint="begin the file with one of the two",
        )
    return checked_name(name, te.name), source


def _own_name(source: Source) -> Optional[str]:
    for one in source.statements:
        if isinstance(one, Head):
            return one.name
        if isinstance(one, Call) and one.name == "policy_module" and one.arguments:
            return one.arguments[0].strip()
    return None


def _headers_for(own: Optional[Held], interfaces: Interfaces) -> Headers:
    """The distribution's interfaces, and those of the module's own ``.if``."""
    headers = headers_of(interfaces.find())
    if own is None:
        return headers
    text = _in_ascii(own.text)
    read_te(text, own.name)  # it refuses what m4 would not read as it looks
    names = {one.name for one in headers.definitions}
    more = tuple(one for one in definitions(text, own.name) if one.name not in names)
    return replace(headers, definitions=(*headers.definitions, *more))


@lru_cache(maxsize=2)
def headers_of(directory: Path) -> Headers:
    """The headers of a directory, read once. Raises SourceError."""
    return read_headers(directory)


def _contexts(fc: Held, mls: bool, interfaces: Interfaces) -> str:
    """The file contexts as a module package holds them."""
    text = _in_ascii(fc.text)
    if not _FC_MACROS.search(text):
        return text
    entries = read_fc(text, fc.name)
    options = {"enable_mcs": ""}
    if any(isinstance(one, FileBlock) for one in entries):
        options = dict(headers_of(interfaces.find()).options)
    return "".join(_context_lines(entries, options, mls))


def _context_lines(entries: Iterable[FileEntry], options: Mapping[str, str], mls: bool) -> Iterable[str]:
    for one in entries:
        if isinstance(one, FileBlock):
            holds = (one.symbol in options) == (one.kind == "ifdef")
            place = 0 if holds else 1
            yield from _context_lines(one.branches[place] if len(one.branches) > place else (), options, mls)
            continue
        label = (
            "<<none>>"
            if one.context is None
            else ":".join((*one.context, *_level(one.levels, one.macro, options, mls)))
        )
        yield "\t".join(filter(None, (one.pattern, one.kind, label))) + "\n"


def _level(levels: tuple[str, ...], macro: bool, options: Mapping[str, str], mls: bool) -> tuple[str, ...]:
    """What refpolicy's ``gen_context`` (misc_macros.spt) makes of its levels: one for MLS, categories for MCS."""
    if not macro:
        return levels
    if not mls:
        return ()
    if "enable_mls" in options and "enable_mcs" not in options:
        return levels[:1] or ("s0",)
    return ("s0", *levels[1:2])


def _in_ascii(text: str) -> str:
    """Other characters can stand in comments only; the compiler sees a question mark there."""
    return text.encode("ascii", "replace").decode("ascii")
