"""Writes a module to a directory and compiles it: ``.te`` and ``.fc`` to ``.pp``, or CIL where that is needed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from polkit.errors import CompileError, SourceError
from polkit.model import ModuleSource
from polkit.module.cil import render_cil
from polkit.module.fc import render_fc
from polkit.module.te import needs_cil, render_te
from polkit.module.tools import ToolRun, run_tool

OLDEST = 19
"""The module format that RHEL 7 and 8 still read. Nothing written here needs a newer one: extended permissions came
with 18 (libsepol/include/sepol/policydb/policydb.h, MOD_POLICYDB_VERSION_XPERMS_IOCTL), type bounds with 9."""


@dataclass(frozen=True)
class CompiledModule:
    """What was written: the names of the files, and the module format.

    Where the module went out as CIL, ``policydb`` is None and ``cil_reason`` says why: then there is no ``.pp``, and
    only a module store can tell whether the text is right (``link_check``).
    """

    files: tuple[str, ...]
    policydb: Optional[int]
    cil_reason: Optional[str] = None


def write_module(source: ModuleSource, directory: Path, attributes: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Write ``NAME.te`` and ``NAME.fc``, or ``NAME.cil``, without compiling; returns the names.

    ``directory`` is made when missing; files in it are replaced, each in one step. Raises CompileError for a module
    that can't be written, SourceError when the directory can't.
    """
    texts = _texts(source, attributes)
    return _write(directory, {name: text.encode() for name, text in texts.items()})


def compile_module(
    source: ModuleSource,
    directory: Path,
    attributes: frozenset[str] = frozenset(),
    policydb: Optional[int] = None,
) -> CompiledModule:
    """Write ``NAME.te``, ``NAME.fc`` and ``NAME.pp`` (or ``NAME.cil``) to ``directory``; nothing when compiling fails.

    ``attributes``: which foreign names are type attributes. ``policydb``: the module format of the oldest target,
    ``OLDEST`` when None. The same source gives the same bytes, whatever the place, the time and its comments.
    Raises CompileError with the compiler's output, MissingDependency without compilers, SourceError.
    """
    texts = _texts(source, attributes)
    files = {name: text.encode() for name, text in texts.items()}
    reason = needs_cil(source)
    if reason is not None:
        return CompiledModule(_write(directory, files), None, reason)
    version = OLDEST if policydb is None else policydb
    te, fc = texts[f"{source.name}.te"], texts[f"{source.name}.fc"]
    files[f"{source.name}.pp"] = build_package(source.name, te, fc, source.mls, version)
    return CompiledModule(_write(directory, files), version)


def build_package(name: str, te: str, fc: str, mls: bool, policydb: Optional[int]) -> bytes:
    """The ``.pp`` of a module's two texts. Comments of ``fc`` stay out: log text is no part of what gets installed.

    ``policydb``: the module format; the compiler's newest when None.
    Raises CompileError with the compiler's output when it refuses, MissingDependency.
    """
    contexts = "".join(line + "\n" for line in fc.split("\n") if line and not line.startswith("#"))
    with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
        room = Path(scratch)
        (room / f"{name}.te").write_text(te, encoding="ascii")
        (room / f"{name}.fc").write_text(contexts, encoding="ascii")
        levels = ["-M"] if mls else []
        version = [] if policydb is None else ["-c", str(policydb)]
        checkmodule = ["checkmodule", *levels, "-m", *version, "-o", f"{name}.mod", f"{name}.te"]
        _demand(run_tool(checkmodule, room), f"checkmodule refuses module {name}")
        package = ["semodule_package", "-o", f"{name}.pp", "-m", f"{name}.mod", "-f", f"{name}.fc"]
        _demand(run_tool(package, room), f"semodule_package refuses module {name}")
        return (room / f"{name}.pp").read_bytes()


def _demand(run: ToolRun, message: str) -> None:
    if run.status != 0:
        lines = [line.strip() for line in run.output.splitlines() if line.strip()]
        first = lines[0] if lines else f"it ended with status {run.status}"
        raise CompileError(f"{message}: {first[:200]}", output=run.output)


def _texts(source: ModuleSource, attributes: frozenset[str]) -> dict[str, str]:
    if not source.access:
        raise CompileError(f"module {source.name} says nothing: it has no rule, type or file context")
    if needs_cil(source) is not None:
        return {f"{source.name}.cil": render_cil(source)}
    return {f"{source.name}.te": render_te(source, attributes), f"{source.name}.fc": render_fc(source)}


def _write(directory: Path, files: dict[str, bytes]) -> tuple[str, ...]:
    """Each file under a temporary name first, then renamed: a reader never sees half a file."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            unfinished = directory / f".{name}.tmp"
            unfinished.write_bytes(content)
            unfinished.replace(directory / name)
    except OSError as error:
        raise SourceError(f"{directory} can't be written: {error.strerror}") from error
    return tuple(files)
