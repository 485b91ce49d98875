"""The compiled modules that ``--module`` names, files or directories that generate wrote, and what they declare."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from polkit.config import DEFAULT_FILE, load_config
from polkit.errors import SourceError, UsageError
from polkit.module import run_tool

_PACKAGE, _SOURCE = ".pp", ".cil"
_DECLARED = re.compile(r"\((type|typealias|boolean)\s+([A-Za-z_][A-Za-z0-9_.$-]*)[\s)]")


def module_files(named: Iterable[Path]) -> tuple[Path, ...]:
    """Each file as it is; of a directory its one ``.pp``, else its one ``.cil``, and of a module project only what has
    the module's name: optional ones may lie beside it. Raises UsageError, SourceError."""
    return tuple(_module_file(path) for path in named)


def _module_file(path: Path) -> Path:
    try:
        if not path.is_dir():
            return path
        there = sorted(path.iterdir())
        project = path / DEFAULT_FILE
        name = load_config(project).module.name if project.is_file() else None
    except OSError as error:
        raise SourceError(f"{path} can't be read: {error.strerror or error}") from error
    for suffix in (_PACKAGE, _SOURCE):
        found = [one for one in there if one.suffix == suffix and name in (None, one.stem) and one.is_file()]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(one.name for one in found[:4])
            raise UsageError(f"{path} holds several modules: {names}", "name the file with --module")
    raise UsageError(f"{path} holds no module", "name a directory that generate wrote, or a .pp or .cil file")


def declared_names(modules: Iterable[Path]) -> frozenset[tuple[str, str]]:
    """(``type``, name) and (``boolean``, name) for each that the modules' CIL declares. A module that can't be read
    declares none: the policy's build tells what is wrong with it."""
    return frozenset(
        ("boolean" if kind == "boolean" else "type", name)
        for module in modules
        for kind, name in _DECLARED.findall(_cil(module))
    )


def _cil(module: Path) -> str:
    if not module.is_file():
        return ""
    if module.suffix == _SOURCE:
        return module.read_text(encoding="utf-8", errors="replace")
    with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
        return run_tool(["pp", str(module.resolve())], Path(scratch)).output
