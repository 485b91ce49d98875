"""The modules of a store that its distribution did not put there, and the policy that the store builds without them.

Layout of libsemanage: ``active/modules/PRIORITY/NAME/{lang_ext,hll,cil}``, of which ``cil`` may be missing until the
next build, and ``active/modules/disabled/NAME``. Of one name only the highest priority counts.
"""

from __future__ import annotations

import bz2
import shutil
import struct
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.errors import CompileError, PolkitError, SourceError
from polkit.module import copy_store, fast_place, run_tool
from polkit.policy.baseline import baseline_key
from polkit.policy.cache import entry_key, fetch, keep
from polkit.policy.difference import AccessChange, compare_rules
from polkit.policy.locate import PolicyFiles
from polkit.policy.store import unpack_modules
from polkit.policy.target import DISTRIBUTION, LoadedPolicy, load
from polkit.policy.whatif import build_command, first_line, root_of

_SECONDS = 300
_LARGEST = 64 << 20
_LENGTH = struct.Struct("<Q")
_PACKED = b"BZh"


@dataclass(frozen=True)
class LocalModule:
    """A module at a priority above the distribution's. ``language``: of its source, ``pp`` or ``cil``. ``shadows`` are
    lower priorities with a module of this name, which it hides; ``hidden_by`` the higher one that hides it. ``cil`` is
    None where ``problem`` says why it can't be read."""

    name: str
    priority: int
    language: str
    disabled: bool
    shadows: tuple[int, ...]
    hidden_by: Optional[int]
    cil: Optional[str]
    problem: str = ""

    @property
    def active(self) -> bool:
        """The policy is built with it."""
        return not self.disabled and self.hidden_by is None

    @property
    def hides_distribution(self) -> bool:
        """The distribution has a module of this name."""
        return any(one <= DISTRIBUTION for one in self.shadows)


class Chosen(NamedTuple):
    """A module of a store to be left out."""

    priority: int
    name: str


def local_modules(store: Path) -> tuple[LocalModule, ...]:
    """Every module above the distribution's priority, by name and then by priority, the highest first.

    Raises SourceError for a store that can't be listed.
    """
    modules = store / "active/modules"
    try:
        places: dict[str, list[int]] = {}
        for folder in modules.iterdir():
            if folder.name.isdigit():
                for path in folder.iterdir():
                    if path.is_dir() and not path.is_symlink():
                        places.setdefault(path.name, []).append(int(folder.name))
        off = modules / "disabled"
        disabled = {path.name for path in off.iterdir()} if off.is_dir() else set()
    except OSError as error:
        raise SourceError(
            f"{modules}: {error.strerror or error}", "a module store is usually readable by root only: run as root"
        ) from error
    return tuple(
        _module(modules, name, priority, sorted(found), name in disabled)
        for name, found in sorted(places.items())
        for priority in sorted(found, reverse=True)
        if priority > DISTRIBUTION
    )


def _module(modules: Path, name: str, priority: int, found: list[int], disabled: bool) -> LocalModule:
    folder = modules / str(priority) / name
    cil, problem, language = None, "", "pp"
    try:
        told = folder / "lang_ext"
        language = told.read_text("ascii", "replace").strip()[:16] if told.is_file() else language
        cil = _cil(folder, language)
    except (OSError, PolkitError) as error:
        problem = str(getattr(error, "strerror", None) or error)
    higher = [one for one in found if one > priority]
    shadows = tuple(one for one in found if one < priority)
    return LocalModule(name, priority, language, disabled, shadows, max(higher, default=None), cil, problem)


def _cil(folder: Path, language: str) -> str:
    """As the store keeps it; of a package that it has not converted yet, what its own converter says."""
    path = folder / "cil"
    if path.is_file():
        data = b"".join(unpack_modules([(path, _bounded(path))]))
        return data.decode("utf-8", "replace")
    source = folder / "hll"
    data = _bounded(source)
    if data.startswith(_PACKED):
        data = _unpacked(source, data)
    if language == "cil":
        return data.decode("utf-8", "replace")
    with tempfile.TemporaryDirectory(prefix="polkit-local-") as scratch:
        (Path(scratch) / "module.pp").write_bytes(data)
        run = run_tool(["pp", "module.pp"], Path(scratch), apart=True)
    if run.status != 0:
        raise SourceError(f"{source} is no module package")
    return run.output


def _unpacked(path: Path, data: bytes) -> bytes:
    unpacker = bz2.BZ2Decompressor()
    data = unpacker.decompress(data, _LARGEST)
    if not unpacker.eof:
        raise SourceError(f"{path}: damaged, or larger than {_LARGEST >> 20} MiB")
    return data


def _bounded(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():  # a pipe would be waited for, a link may lead anywhere
        raise SourceError(f"{path}: no file" if path.exists() else f"{path} is missing")
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise SourceError(f"{path}: larger than {_LARGEST >> 20} MiB, which no module is")
    return data


@contextmanager
def store_without(files: PolicyFiles, store: Path, left_out: Iterable[Chosen]) -> Iterator[LoadedPolicy]:
    """The policy that a store builds without some of its modules; gone after the block. Some seconds for a
    distribution's store, less where it was built before.

    Raises CompileError where it does not build (a module that stays needs one that goes), SourceError,
    MissingDependency without the tools.
    """
    with tempfile.TemporaryDirectory(prefix="polkit-without-", dir=fast_place()) as scratch:
        root, work = Path(scratch) / "root", Path(scratch) / "work"
        work.mkdir()
        copy_store(store, root, root_of(store), expand_check=False)
        modules = root / "var/lib/selinux" / store.name / "active/modules"
        for path in modules.glob("[0-9]*/*"):
            if path.is_symlink():
                path.unlink()  # is no module
        for one in left_out:
            shutil.rmtree(modules / str(one.priority) / one.name)
            if not any(modules.glob(f"[0-9]*/{one.name}")):
                (modules / "disabled" / one.name).unlink(missing_ok=True)
        yield load(_built(files, store, root, work))


def lost_without(files: PolicyFiles, store: Path, left_out: Iterable[Chosen]) -> tuple[AccessChange, ...]:
    """What the store's policy allows and would not allow without some of its modules. Raises as ``store_without``."""
    with store_without(files, store, left_out) as less:
        own = store / "active/policy.kern"
        whole = load(replace(files, policy=own) if own.is_file() else files)
        return compare_rules(whole.rules, less.rules).lost


def _built(files: PolicyFiles, store: Path, root: Path, work: Path) -> PolicyFiles:
    home = root / "etc/selinux" / store.name
    kern = root / "var/lib/selinux" / store.name / "active/policy.kern"
    contexts = home / "contexts/files/file_contexts"
    known = baseline_key(root, store.name, work)
    key = None if known is None else entry_key("without", known)
    kept = None if key is None else fetch(key)
    if kept is not None and len(kept) > _LENGTH.size:
        (length,) = _LENGTH.unpack_from(kept)
        kern.write_bytes(kept[_LENGTH.size : _LENGTH.size + length])
        contexts.parent.mkdir(parents=True, exist_ok=True)
        contexts.write_bytes(kept[_LENGTH.size + length :])
    else:
        run = run_tool(build_command(root, store.name), work, _SECONDS)
        if run.status != 0:
            said = first_line(run.output).replace(str(root), "")
            raise CompileError(f"the module store {store} does not build without them: {said}", run.output)
        if key is not None and contexts.is_file():
            policy = kern.read_bytes()
            keep(key, _LENGTH.pack(len(policy)) + policy + contexts.read_bytes())
    named = contexts if contexts.is_file() else files.file_contexts
    return PolicyFiles(kern, None, store.name, named, root / "var/lib/selinux" / store.name)
