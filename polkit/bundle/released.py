"""Bundles that were released before: found beside a new one, and read without unpacking them anywhere."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from polkit.bundle.archive import SUFFIXES
from polkit.bundle.paths import Entry
from polkit.bundle.targets import cil_of
from polkit.bundle.unpacking import read_bundle
from polkit.config import MODULE_VERSION
from polkit.errors import CompileError, SourceError, UsageError
from polkit.model import IDENTIFIER
from polkit.module import KINDS
from polkit.policy import ModuleFile

_PATTERN = re.compile(r"/[!#-~]*\Z")
_CONTEXT = re.compile(r"(?:<<none>>|(?:[A-Za-z0-9_.-]+:){2}[A-Za-z0-9_.-]+(?::[a-z0-9:,.-]+)?)\Z")
MANIFEST, SUMS = "manifest.json", "SHA256SUMS"

Number = tuple[int, int, int]
"""A version as it compares: major, minor, patch."""


@dataclass(frozen=True)
class Side:
    """What one target gets of one version: the path of its module, its own domain and the base of that, entries of file
    contexts, ports by (protocol, number), booleans."""

    module: Optional[str] = None
    domain: Optional[str] = None
    base: Optional[str] = None
    contexts: tuple[Entry, ...] = ()
    ports: Mapping[tuple[str, int], str] = field(default_factory=dict)
    booleans: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Released:
    """A bundle that exists: what it calls itself, where it lies, and its files by their paths in it."""

    name: str
    version: str
    place: Path
    files: Mapping[str, bytes]
    targets: Mapping[str, Side]

    @property
    def number(self) -> Number:
        """Its version, to be compared."""
        return number_of(self.version)


def number_of(version: str) -> Number:
    """A version as it compares; what it leaves out is 0. Raises UsageError for what is none."""
    if not MODULE_VERSION.match(version):
        raise UsageError(f"{version[:40]!r} is no version", "write major.minor.patch in digits")
    major, minor, patch = (*map(int, version.split(".")), 0, 0)[:3]
    return major, minor, patch


def releases_in(places: Iterable[Path], name: str) -> dict[Number, Path]:
    """The bundles of a module in some directories, by version; a bundle's directory goes before its archive, an earlier
    place before a later one. Raises SourceError for a place that can't be looked at."""
    ends = "|".join(map(re.escape, SUFFIXES.values()))
    pattern = re.compile(rf"{re.escape(name)}-([0-9]{{1,9}}(?:\.[0-9]{{1,9}}){{0,2}})({ends})?\Z")
    found: dict[Number, Path] = {}
    for place in places:
        try:
            entries = sorted(place.iterdir()) if place.is_dir() else []
        except OSError as error:
            raise SourceError(f"{place}: {error.strerror}") from error
        named = [(match, path) for path in entries if (match := pattern.match(path.name))]
        for match, path in sorted(named, key=lambda pair: (bool(pair[0][2]), pair[1])):
            if path.is_dir() or match[2]:
                found.setdefault(number_of(match[1]), path)
    return found


def read_released(path: Path, name: Optional[str] = None) -> Released:
    """The bundle of module ``name`` (any where None) in a directory or archive. Its sums are held against its files.

    Raises SourceError for what can't be read, is damaged or is no bundle, UsageError for one of another module.
    """
    found = read_bundle(path)
    if found.refusals:
        _, where, reason = found.refusals[0]
        raise SourceError(" ".join(filter(None, (f"{path}:", where, reason))), "name another with --against")
    _check_sums(path, found.files)
    try:
        manifest = json.loads(found.files[MANIFEST])
        called, version = str(manifest["name"]), str(manifest["version"])
        if manifest["schema"] != "polkit.bundle/1":
            raise ValueError("another schema")
        number_of(version)
        targets = {str(target): side_of(entry) for target, entry in manifest["targets"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, re.error, UsageError) as error:
        raise SourceError(f"{path}: its {MANIFEST} is none of a bundle") from error
    if name is not None and called != name:
        raise UsageError(f"{path} is a bundle of another module ({called[:64]!r})", "name one of this module")
    return Released(called, version, path, found.files, targets)


def released_module(released: Released, side: Side) -> tuple[ModuleFile, ...]:
    """The module that a target of a bundle gets; none where it gets none. Raises SourceError where the bundle lacks it
    or has something else in its place, MissingDependency without the converter."""
    if side.module is None:
        return ()
    content = released.files.get(side.module)
    if content is None:
        raise SourceError(f"{released.place}: it lacks {side.module[:200]!r}")
    if side.module.endswith(".cil"):
        return (ModuleFile(released.name, ".cil", content, content.decode("utf-8", "replace")),)
    try:
        return (ModuleFile(released.name, ".pp", content, cil_of(content, released.name)),)
    except CompileError as error:
        raise SourceError(f"{released.place}: {side.module[:200]!r} is no module package") from error


def side_of(entry: Mapping[str, Any]) -> Side:
    """A target's side as its entry in a manifest has it. Raises KeyError, TypeError, ValueError for what is no such
    entry, re.error for a file context whose pattern is none."""
    if entry["module"] is None:
        return Side()
    return Side(
        str(entry["module"]),
        _name(entry["domain"]),
        _name(entry["base"]),
        tuple(_entry(one) for one in entry["contexts"]),
        {(str(one["protocol"]), int(one["port"])): str(one["type"]) for one in entry["ports"]},
        {str(name): bool(value) for name, value in dict(entry["booleans"]).items()},
    )


def _entry(one: Mapping[str, Any]) -> Entry:
    """An entry of file contexts, which libselinux will be asked about: it crashes on what is none."""
    found = Entry(str(one["pattern"]), str(one["kind"]), str(one["context"]))
    if not (_PATTERN.match(found.pattern) and found.kind in KINDS.values() and _CONTEXT.match(found.context)):
        raise ValueError("no file context")
    re.compile(found.pattern)
    return found


def _name(value: Any) -> Optional[str]:
    """A type's name, or none. Raises ValueError for anything else."""
    if value is not None and not (isinstance(value, str) and IDENTIFIER.match(value)):
        raise ValueError("no type")
    return value


def _check_sums(path: Path, files: Mapping[str, bytes]) -> None:
    """Every file that SHA256SUMS lists is there and is what it was."""
    lines = files.get(SUMS, b"").decode("utf-8", "replace").splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    if MANIFEST not in sums:
        raise SourceError(f"{path}: no bundle: it has no {SUMS} that lists a {MANIFEST}")
    wrong = [name for name, digest in sums.items() if _digest(files.get(name)) != digest]
    if wrong:
        hint = "get it again, or name another with --against"
        raise SourceError(f"{path}: damaged: {wrong[0]!r} is not what its {SUMS} says", hint)


def _digest(content: Optional[bytes]) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()
