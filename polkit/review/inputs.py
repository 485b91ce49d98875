"""What is compared: a whole policy, a module in any of its forms, or a module as a bundle has it for one target.

All but policies may be a stranger's: sources are compiled by ``checkmodule``, which knows no macros and runs nothing,
packages are read within limits of size, bundles are not unpacked.
"""

from __future__ import annotations

import bz2
import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.bundle import SUFFIXES, Released, cil_of, read_released, released_module
from polkit.config import check_module_name, load_config
from polkit.errors import SourceError, UsageError
from polkit.minimize import read_subject
from polkit.policy import ModuleFile, PolicyFiles, locate

_LARGEST = 64 << 20
_PACKED, _PROJECT = ".pp.bz2", "polkit.toml"
_POLICY_MAGIC = (0xF97CFF8C).to_bytes(4, "little")
"""Of a kernel policy: libsepol ``policydb.h``."""


class HostSide(NamedTuple):
    """What a bundle sets on the host beside its module: one line each for a port or a boolean."""

    ports: frozenset[str] = frozenset()
    booleans: frozenset[str] = frozenset()


NOTHING = HostSide()


@dataclass(frozen=True)
class Compared:
    """One of the two: ``kind`` is policy, module or bundle, ``sha256`` of the policy, or of the module as it would be
    installed (None for a bundle whose target gets none). ``files`` are those of a policy."""

    path: Path
    kind: str
    sha256: Optional[str]
    files: Optional[PolicyFiles] = None
    modules: tuple[ModuleFile, ...] = ()
    host: HostSide = NOTHING


def is_policy(path: Path) -> bool:
    """Whether a path is a binary policy or a root with one. Raises SourceError for what is not there or is closed,
    UsageError for a pipe or a device: the one that waits for a writer would never be read."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return (path / "etc/selinux").is_dir()
        if not stat.S_ISREG(mode):
            raise UsageError(f"{path} is neither a file nor a directory", "name a module, a bundle or a policy")
        with path.open("rb") as file:
            return file.read(len(_POLICY_MAGIC)) == _POLICY_MAGIC
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def read_policy(path: Path) -> Compared:
    """A whole policy. Raises SourceError for what is none."""
    files = locate(str(path))
    try:
        return Compared(path, "policy", hashlib.sha256(files.policy.read_bytes()).hexdigest(), files)
    except OSError as error:
        raise SourceError(f"{files.policy}: {error.strerror}") from error


def read_module(path: Path, mls: bool, target: Optional[str] = None) -> Compared:
    """A module: a ``.te`` (with the ``.fc`` beside it), ``.cil``, ``.pp`` or ``.pp.bz2``, a directory of ``generate``,
    or what a bundle has for ``target``. ``mls``: it is for a policy with levels.

    Raises SourceError for what can't be read, UsageError for what is none of these and for a bundle with several
    targets, CompileError for a source that does not compile, MissingDependency without the compilers.
    """
    if _is_bundle(path):
        return _of_bundle(path, target)
    if path.name.endswith(_PACKED):
        return _of_package(path)
    with read_subject(_source_of(path), mls, with_labels=True) as subject:
        content = subject.file.read_bytes()
        module = ModuleFile(subject.name, subject.file.suffix, content, subject.cil)
    return Compared(path, "module", hashlib.sha256(content).hexdigest(), None, (module,))


def _source_of(path: Path) -> Path:
    """Of a module project the source that its polkit.toml names: its optional modules lie beside it. Else the path."""
    config = path / _PROJECT
    if not config.is_file():
        return path
    name = load_config(config).module.name
    source = None if name is None else path / f"{name}.te"
    return path if source is None or not source.is_file() else source


def _of_package(path: Path) -> Compared:
    """A packed module package, as distributions ship them."""
    name = check_module_name(path.name[: -len(_PACKED)], "the module")
    try:
        content = path.read_bytes()
        unpacked = bz2.BZ2Decompressor().decompress(content, _LARGEST + 1)
    except (OSError, EOFError, ValueError) as error:
        raise SourceError(f"{path}: {getattr(error, 'strerror', None) or 'not packed by bzip2'}") from error
    if len(unpacked) > _LARGEST:
        raise SourceError(f"{path}: larger than {_LARGEST >> 20} MiB, which no module is")
    module = ModuleFile(name, ".pp", unpacked, cil_of(unpacked, name))
    return Compared(path, "module", hashlib.sha256(unpacked).hexdigest(), None, (module,))


def _is_bundle(path: Path) -> bool:
    try:
        if path.is_dir():
            return all((path / name).is_file() for name in ("manifest.json", "SHA256SUMS"))
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    return path.name.endswith(tuple(SUFFIXES.values()))


def _of_bundle(path: Path, target: Optional[str]) -> Compared:
    found = read_released(path)
    if target is None and len(found.targets) != 1:
        raise UsageError(f"{path} has {len(found.targets)} targets", _which(found))
    name = next(iter(found.targets)) if target is None else target
    if name not in found.targets:
        raise UsageError(f"{path} has no target {name!r}", _which(found))
    side = found.targets[name]
    modules = released_module(found, side)
    digest = hashlib.sha256(modules[0].content).hexdigest() if modules else None
    ports = frozenset(f"{protocol} {number} {type_}" for (protocol, number), type_ in side.ports.items())
    booleans = frozenset(f"{boolean} {'on' if value else 'off'}" for boolean, value in side.booleans.items())
    return Compared(path, "bundle", digest, None, modules, HostSide(ports, booleans))


def _which(found: Released) -> str:
    return f"name one with --target: {', '.join(sorted(found.targets)[:8])}"
