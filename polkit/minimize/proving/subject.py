"""The module to be proven: a ``generate`` directory, ``.te``, ``.cil`` or ``.pp``, and what it says as CIL.

It may be a stranger's: a ``.te`` is compiled by ``checkmodule`` alone, which knows no macros and runs nothing, in an
empty directory and under limits.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Optional

from polkit.config import DEFAULT_FILE, check_module_name, load_config
from polkit.errors import CompileError, SourceError, UsageError
from polkit.model import IDENTIFIER
from polkit.module import build_package, run_tool

_LARGEST = 64 << 20
_NAME = re.compile(r"^\s*module\s+(\S+)\s+[\d.]+\s*;", re.MULTILINE)
_MACROS = re.compile(r"^\s*policy_module\s*\(", re.MULTILINE)
_SUFFIXES = (".pp", ".cil", ".te")
"""In the order in which a directory's files are preferred: the first is what gets installed."""


@dataclass(frozen=True)
class Subject:
    """``file`` is what a module store takes (``NAME.pp`` or ``NAME.cil``); ``sha256`` is of the file that was named."""

    name: str
    source: Path
    sha256: str
    file: Path
    cil: str


@contextmanager
def read_subject(named: Path, mls: bool, with_labels: bool = False) -> Iterator[Subject]:
    """The module of a path; its files live as long as the block. ``mls``: the target policy has levels.
    ``with_labels``: the ``.fc`` beside a ``.te`` is part of it.

    Raises SourceError for what can't be read, UsageError for what is no module, CompileError for one that does not
    compile, MissingDependency without the compilers.
    """
    source = _module_of_directory(named) if _is_directory(named) else named
    if not source.exists():
        raise SourceError(f"there is no module {source}")
    if source.suffix not in _SUFFIXES:
        raise UsageError(f"{source} is no module", "Name a directory made by generate, or a .te, .cil or .pp file")
    content = _read(source)
    with tempfile.TemporaryDirectory(prefix="polkit-prove-") as scratch:
        name, suffix, package = _compiled(source, content, mls, _labels(source) if with_labels else "")
        file = Path(scratch) / f"{check_module_name(name, 'the module')}{suffix}"
        file.write_bytes(package)
        yield Subject(name, source, hashlib.sha256(content).hexdigest(), file, _as_cil(file, source))


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error


class Claims(NamedTuple):
    """What the plan beside a module says of it: the name that it and its types have, and what its domain inherits
    from (``none`` for nothing), None where it says nothing; and what a person chose, from keys of decisions to ids of
    alternatives. To be held against the policy, never believed."""

    name: Optional[str] = None
    base: Optional[str] = None
    choices: Mapping[str, str] = MappingProxyType({})


def claims(named: Path) -> Claims:
    """What ``plan.json`` says, where a directory of ``generate`` is named."""
    path = named / "plan.json"
    if not _is_directory(named) or not path.is_file():
        return Claims()
    try:
        plan = json.loads(_read(path))
        module, chosen = plan.get("module"), _chosen_by_a_person(plan)
        if module is None:
            return Claims(choices=chosen)
        name, domain, base = str(module["name"]), module.get("domain"), module.get("base")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SourceError(f"{path}: not a plan of generate", "Name the module's file itself") from error
    check_module_name(name, f"{path}: the module")
    if domain is None:
        return Claims(name, None, chosen)
    if base is not None and not (isinstance(base, str) and IDENTIFIER.match(base)):
        raise SourceError(f"{path}: its base is no type", "Name the module's file itself")
    return Claims(name, base or "none", chosen)


def _chosen_by_a_person(plan: Any) -> dict[str, str]:
    return {
        str(one["key"]): str(one["chosen"])
        for one in plan.get("decisions", ())
        if one.get("chosen_by") == "person" and "key" in one and "chosen" in one
    }


def declares(subject: Subject, type_: str) -> bool:
    """The module declares a type of this name."""
    return re.search(rf"\(\s*type\s+{re.escape(type_)}\s*\)", subject.cil) is not None


def rule_sources(subject: Subject) -> frozenset[str]:
    """The names, of types and attributes, that its allow rules are for, with what it puts into such attributes."""
    named = set(re.findall(r"\(\s*allowx?\s+([^\s()]+)", subject.cil))
    for attribute, members in re.findall(r"\(\s*typeattributeset\s+([^\s()]+)\s([^\n]*)", subject.cil):
        if attribute in named:
            named.update(re.findall(r"[^\s()]+", members))
    return frozenset(named)


def _module_of_directory(directory: Path) -> Path:
    """The file that would be installed, of the name in ``plan.json`` or ``polkit.toml`` (optional modules may lie
    beside a project's own), else the only one there is."""
    name = claims(directory).name or _project_name(directory)
    for suffix in _SUFFIXES:
        try:
            found = sorted(directory.glob(f"*{suffix}")) if name is None else [directory / f"{name}{suffix}"]
        except OSError as error:
            raise SourceError(f"{directory}: {error.strerror}") from error
        found = [path for path in found if path.is_file()]
        if len(found) > 1:
            raise UsageError(f"{directory} holds several modules", f"Name one: {', '.join(map(str, found[:4]))}")
        if found:
            return found[0]
    raise SourceError(f"{directory} holds no module", "generate writes none where no rule and no label is needed")


def _project_name(directory: Path) -> Optional[str]:
    config = directory / DEFAULT_FILE
    return load_config(config).module.name if config.is_file() else None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    if len(content) > _LARGEST:
        raise SourceError(f"{path}: larger than {_LARGEST >> 20} MiB, which no module is")
    return content


def _labels(source: Path) -> str:
    """The file contexts beside a ``.te``."""
    path = source.with_suffix(".fc")
    return _in_ascii(_read(path)) if source.suffix == ".te" and path.exists() else ""


def _in_ascii(content: bytes) -> str:
    """Other characters can stand in comments only; the compiler sees a question mark there."""
    return content.decode("utf-8", "replace").encode("ascii", "replace").decode("ascii")


def _compiled(source: Path, content: bytes, mls: bool, labels: str) -> tuple[str, str, bytes]:
    """The module's name, the suffix of what gets installed, and its bytes."""
    if source.suffix != ".te":
        return source.stem, source.suffix, content
    text = _in_ascii(content)
    named = _NAME.search(text)
    if named is None:
        hint = "compile it with the reference policy's Makefile, and name the .pp" if _MACROS.search(text) else ""
        raise CompileError(f"{source} has no `module NAME VERSION;` statement", hint=hint)
    name = check_module_name(named[1], "the module")
    try:
        return name, ".pp", build_package(name, text, labels, mls, None)
    except CompileError as error:
        error.hint = error.hint or (
            "plain module syntax is read (allow, type, require); macros and interfaces are not: compile such a module "
            "yourself and name the .pp"
        )
        raise


def _as_cil(file: Path, source: Path) -> str:
    if file.suffix == ".cil":
        return file.read_text(encoding="utf-8", errors="replace")
    run = run_tool(["pp", file.name], file.parent)
    if run.status != 0:
        lines = run.output.strip().splitlines()
        raise CompileError(f"{source} is no module package: {lines[0][:200] if lines else ''}", output=run.output)
    return run.output
