"""``generate`` into a module project: the generated part of each source file is put in anew, the rest is kept."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from polkit.config import DEFAULT_FILE, Config
from polkit.errors import SourceError
from polkit.model import ModuleSource
from polkit.module import (
    OLDEST,
    build_package,
    empty_module,
    parts,
    says_something,
    splice,
)

_SOURCES = ("te", "fc", "if")
_REQUIRE = re.compile(r"^\s*require \{.*?\}\s*$", re.MULTILINE | re.DOTALL)
"""A require block, as far as a summary needs to know one: its classes hold braces of their own, on one line."""


@dataclass(frozen=True)
class FileChange:
    """A source file that was changed: its lines that are no comments, gone and new, and all of it as a unified diff."""

    name: str
    removed: tuple[str, ...]
    added: tuple[str, ...]
    diff: str


def project_of(directory: Optional[Path]) -> Optional[Path]:
    """The ``polkit.toml`` of a directory that is a module project; None for any other."""
    if directory is None:
        return None
    path = directory / DEFAULT_FILE
    try:
        return path if path.is_file() else None
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error


def settle_in(
    scratch: Path, project: Path, config: Config, name: str, version: str, source: Optional[ModuleSource]
) -> tuple[FileChange, ...]:
    """Put what was written by hand in ``project`` around what was generated into ``scratch``, and compile both.

    Of a module that has to go out as CIL nothing is generated in ``.te`` and ``.fc``: ``package`` adds what these say.
    Returns what changes. Raises CompileError where the two do not go together; nothing in ``project`` is touched then.
    """
    old = {suffix: _read(project / f"{name}.{suffix}") for suffix in _SOURCES}
    new = {suffix: _merged(scratch, name, version, suffix, old[suffix]) for suffix in _SOURCES}
    as_cil = (scratch / f"{name}.cil").exists()
    for suffix, text in new.items():
        if text is not None:
            (scratch / f"{name}.{suffix}").write_text(text, encoding="utf-8")
    te = new["te"] or (old["te"] if as_cil else None)
    if te is not None and says_something(te):
        levels = source.mls if source is not None else True
        package = build_package(name, ascii_only(te), ascii_only(new["fc"] or ""), levels, oldest_format(config))
        if not as_cil:  # else it was compiled to see whether what was written by hand is right
            (scratch / f"{name}.pp").write_bytes(package)
    changes = (_change(f"{name}.{suffix}", old[suffix] or "", text) for suffix, text in new.items() if text is not None)
    return tuple(one for one in changes if one.diff)


def oldest_format(config: Config) -> int:
    """The module format that every target of a project reads."""
    return min((one.policydb for one in config.targets.values() if one.policydb is not None), default=OLDEST)


def ascii_only(text: str) -> str:
    """A text as the compilers take it. What is no ASCII can stand in comments only; they see a question mark there."""
    return text.encode("ascii", "replace").decode("ascii")


def _merged(scratch: Path, name: str, version: str, suffix: str, old: Optional[str]) -> Optional[str]:
    """One source file with its generated part anew; None for one that is not generated and that nobody generated."""
    generated = _read(scratch / f"{name}.{suffix}")
    if generated is None:
        held = parts(old or "", f"{name}.{suffix}").generated
        if held is None or suffix == "if":
            return None
        generated = empty_module(name, version) if suffix == "te" else ""
    return splice(old or "", generated, f"{name}.{suffix}")


def _read(path: Path) -> Optional[str]:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8") from error
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error


def _change(name: str, old: str, new: str) -> FileChange:
    before, after = Counter(_statements(old)), Counter(_statements(new))
    diff = difflib.unified_diff(old.splitlines(), new.splitlines(), f"a/{name}", f"b/{name}", lineterm="")
    removed, added = before - after, after - before
    return FileChange(name, _in_order(removed, old), _in_order(added, new), "\n".join(diff))


def _statements(text: str) -> Iterable[str]:
    """The lines that say something: no comments, and of a block only what is in it."""
    lines = (line.strip() for line in _REQUIRE.sub("", text).splitlines())
    return (line for line in lines if line and line != "}" and not line.startswith(("#", "optional {")))


def _in_order(wanted: Counter[str], text: str) -> tuple[str, ...]:
    found, left = [], Counter(wanted)
    for line in _statements(text):
        if left[line] > 0:
            left[line] -= 1
            found.append(line)
    return tuple(found)
