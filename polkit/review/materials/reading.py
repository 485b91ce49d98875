"""What is put before the reviewer: the modules of a path as a module store takes them, and their sources as written.

All of it may be a stranger's. Nothing of it is run, and no path that it names is written to.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.bundle import SUFFIXES as BUNDLES
from polkit.bundle import Released, read_released, released_module
from polkit.config import load_config
from polkit.errors import PolkitError, SourceError, UsageError
from polkit.policy import ModuleFile
from polkit.review.materials.compiling import Interfaces, compiled, forms_of
from polkit.review.materials.files import SUFFIXES, Held, of_directory, suffix_of, with_partners
from polkit.review.materials.packages import PACKAGES, of_package
from polkit.review.materials.revisions import PREFIX, of_revision

_PROJECT = "polkit.toml"
_KINDS = {".te": "te", ".fc": "fc", ".if": "if", ".cil": "cil"}
_HOW = "name a .te, .cil, .pp or .mod file, a directory, a bundle, a package, git:REV:PATH or a policy"


class HostSide(NamedTuple):
    """What a bundle sets on the host beside its module: one line each for a port or a boolean."""

    ports: frozenset[str] = frozenset()
    booleans: frozenset[str] = frozenset()


NOTHING = HostSide()


@dataclass(frozen=True)
class SourceText:
    """A source as it is written: ``name`` is where it lies, ``kind`` te, fc, if or cil."""

    name: str
    kind: str
    text: str


@dataclass(frozen=True)
class Materials:
    """What a path holds. ``shown``: as it was named. ``kind``: te, cil, pp, mod, directory, project, bundle, rpm, deb
    or git. Where ``problem`` says why a source is no module, ``modules`` is empty; the sources are there."""

    shown: str
    kind: str
    sources: tuple[SourceText, ...]
    modules: tuple[ModuleFile, ...]
    host: HostSide = NOTHING
    problem: Optional[PolkitError] = None


def read_materials(
    spec: str,
    mls: bool,
    target: Optional[str] = None,
    roots: tuple[Path, ...] = (Path("/"),),
    headers: Optional[Path] = None,
) -> Materials:
    """The modules and sources of a ``.te`` (with the ``.fc`` and ``.if`` beside it), ``.cil``, ``.pp``, ``.pp.bz2`` or
    ``.mod`` file, a directory with some of them, a module project, an RPM or Debian package, ``git:REV:PATH``, or what
    a bundle has for ``target``.

    ``mls``: it is for a policy with levels. ``roots``: where the interfaces that sources call are looked for, first
    the policy's own root, unless ``headers`` names their directory. Raises SourceError for what can't be read,
    UsageError for what is none of these and for a bundle with several targets, CompileError for a file that is not what
    it is called, MissingDependency without the compilers.
    """
    interfaces = Interfaces(roots, headers)
    if spec.startswith(PREFIX):
        files, own = of_revision(spec)
        return gathered(spec, "git", files, mls, interfaces, own is not None)
    path = Path(spec)
    is_directory = _is_directory(path)
    if _is_bundle(path, is_directory):
        return _of_bundle(path, target)
    if is_directory:
        own = _own_name(path)
        files = of_directory(path, own)
        return gathered(spec, "directory" if own is None else "project", files, mls, interfaces, own is not None)
    if path.suffix in PACKAGES:
        return gathered(spec, path.suffix[1:], of_package(path, target), mls, interfaces)
    suffix = suffix_of(path.name)
    if not suffix:
        raise UsageError(f"{spec} is no module", _HOW)
    kind = {".pp.bz2": "pp"}.get(suffix, suffix[1:])
    return gathered(spec, kind, with_partners(path), mls, interfaces)


def gathered(
    shown: str, kind: str, files: tuple[Held, ...], mls: bool, interfaces: Interfaces, from_source: bool = False
) -> Materials:
    """What the files of one place come to. ``from_source``: a compiled form beside a source does not count.

    Raises as ``read_materials``; what is wrong with a source is in ``problem``.
    """
    sources = tuple(SourceText(one.name, _KINDS[one.suffix], one.text) for one in files if one.suffix in _KINDS)
    modules, problem = [], None
    for forms in forms_of(files).values():
        kept = {".te": forms[".te"], **_labels(forms)} if from_source and ".te" in forms else forms
        if not kept.keys() - {".fc", ".if"}:
            continue
        try:
            modules.append(compiled(kept, mls, interfaces))
        except PolkitError as error:
            if not sources:
                raise
            problem = problem or error
    if not modules and problem is None:
        raise _no_module(shown, files)
    return Materials(shown, kind, sources, () if problem else tuple(modules), NOTHING, problem)


def _labels(forms: dict[str, Held]) -> dict[str, Held]:
    return {suffix: forms[suffix] for suffix in (".fc", ".if") if suffix in forms}


def _no_module(shown: str, files: tuple[Held, ...]) -> SourceError:
    if not files:
        return SourceError(f"{shown} holds no module", f"nothing there ends with {', '.join(SUFFIXES[:5])}")
    kinds = sorted({one.suffix for one in files})
    return SourceError(
        f"{shown} holds {' and '.join(kinds)} alone: interfaces and labels are no module", "the .te is missing"
    )


def _is_directory(path: Path) -> bool:
    """Raises SourceError for what is not there, UsageError for a pipe or a device."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise UsageError(f"{path} is neither a file nor a directory", _HOW)
    return stat.S_ISDIR(mode)


def _own_name(directory: Path) -> Optional[str]:
    """Of a module project the module that its polkit.toml names: its optional modules lie beside it."""
    config = directory / _PROJECT
    name = load_config(config).module.name if config.is_file() else None
    return name if name is not None and any((directory / f"{name}{one}").is_file() for one in SUFFIXES[:5]) else None


def _is_bundle(path: Path, is_directory: bool) -> bool:
    if is_directory:
        return all((path / name).is_file() for name in ("manifest.json", "SHA256SUMS"))
    return path.name.endswith(tuple(BUNDLES.values()))


def _of_bundle(path: Path, target: Optional[str]) -> Materials:
    found = read_released(path)
    if target is None and len(found.targets) != 1:
        raise UsageError(f"{path} has {len(found.targets)} targets", _which(found))
    name = next(iter(found.targets)) if target is None else target
    if name not in found.targets:
        raise UsageError(f"{path} has no target {name!r}", _which(found))
    side = found.targets[name]
    ports = frozenset(f"{protocol} {number} {type_}" for (protocol, number), type_ in side.ports.items())
    booleans = frozenset(f"{boolean} {'on' if value else 'off'}" for boolean, value in side.booleans.items())
    held = (Held(where, content) for where, content in sorted(found.files.items()))
    sources = tuple(
        SourceText(one.name, _KINDS[one.suffix], one.text)
        for one in held
        if one.suffix in _KINDS and one.name.startswith(f"targets/{name}/")
    )
    return Materials(str(path), "bundle", sources, released_module(found, side), HostSide(ports, booleans))


def _which(found: Released) -> str:
    return f"name one with --target: {', '.join(sorted(found.targets)[:8])}"
