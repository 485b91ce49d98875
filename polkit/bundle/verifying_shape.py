"""The manifest of a stranger's bundle, as JSON that has the shape of polkit.bundle/1 or is not taken at all.

Only what is asked of it later is looked at here: docs/schemas/polkit.bundle-1.schema.json says the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional

from polkit.bundle.manifest import SCHEMA
from polkit.bundle.unpacking import Refusal
from polkit.config import MODULE_NAME, MODULE_VERSION
from polkit.config.names import TARGET_NAME

_LARGEST = 32 << 20
"""Of a file of JSON: a module with ten thousand rules has a manifest of some MiB."""


class Each(NamedTuple):
    """The shape of an object whose keys are names: of each key, and of each value."""

    key: Callable[[str], object]
    value: Any


@dataclass
class Findings:
    """What is found out about a bundle, in the order in which it is."""

    refusals: list[Refusal] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def refuse(self, check: str, path: str, reason: str) -> None:
        """One more reason not to take it."""
        self.refusals.append(Refusal(check, path, reason))


def _any_name(text: str) -> bool:
    return True


_NAMES = [str]
_CLASSES = Each(_any_name, _NAMES)
_REQUIRES = {"types": _NAMES, "attributes": _NAMES, "roles": _NAMES, "booleans": _NAMES, "permissions": _CLASSES}
_TARGET = {
    "policydb": int,
    "policy": (None, {"sha256": str, "mls": bool}),
    "module": (None, str),
    "domain": (None, str),
    "base": (None, str),
    "types": _NAMES,
    "joins": [{"attribute": str, "type": str}],
    "statements": _NAMES,
    "requires": {**_REQUIRES, "optional": _NAMES},
    "ports": [{"protocol": str, "port": int, "type": str}],
    "booleans": Each(_any_name, bool),
    "contexts": [{"pattern": str, "kind": str, "context": str}],
    "proof": (None, {"build": str}),
    "failed": _NAMES,
}
_GRANT = {
    "kind": str,
    "source": str,
    "target": str,
    "class": str,
    "perms": _NAMES,
    "origin": str,
    "condition": (None, str),
    "optional": bool,
    "targets": _NAMES,
}
_MANIFEST = {
    "schema": str,
    "name": str,
    "version": str,
    "toolkit": {"name": str, "version": str},
    "files": Each(_any_name, str),
    "targets": Each(TARGET_NAME.match, _TARGET),
    "requires": _REQUIRES,
    "grants": [_GRANT],
    "optional": [{"name": str, "path": str}],
}


def read_json(content: bytes) -> Any:
    """JSON of a stranger. Raises ValueError for what is none, and for an object that says the same key twice: what
    reads the first and what reads the last would take it for different things."""
    if len(content) > _LARGEST:
        raise ValueError(f"it is larger than {_LARGEST >> 20} MiB")
    try:
        found = json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # half a character is no text
        return found
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_manifest(content: bytes, findings: Findings) -> Optional[dict[str, Any]]:
    """The manifest, None where it is none."""
    path = "manifest.json"
    try:
        manifest = read_json(content)
    except ValueError as error:
        findings.refuse("manifest", path, f"is no JSON: {error}"[:200])
        return None
    misfit = next(_misfits(manifest, _MANIFEST, "manifest"), None)
    if misfit is None and manifest["schema"] != SCHEMA:
        misfit = "schema"
    if misfit is None and not (MODULE_NAME.match(manifest["name"]) and MODULE_VERSION.match(manifest["version"])):
        misfit = "name or version"
    if misfit is not None:
        findings.refuse("manifest", path, f"is not what {SCHEMA} says: {misfit}"[:200])
        return None
    found: dict[str, Any] = manifest
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it says a key twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _misfits(value: Any, shape: Any, where: str) -> Iterator[str]:
    """Where a value does not have a shape. A tuple holds alternatives."""
    if isinstance(shape, Each):
        parts = _parts(value, dict.fromkeys(value, shape.value) if isinstance(value, dict) else {}, where)
        fits = isinstance(value, dict) and all(map(shape.key, value))
    elif isinstance(shape, tuple):
        parts = iter(())
        fits = any(next(_misfits(value, one, where), None) is None for one in shape)
    elif isinstance(shape, list):
        inner = value if isinstance(value, list) else []
        parts = (found for index, one in enumerate(inner) for found in _misfits(one, shape[0], f"{where}[{index}]"))
        fits = isinstance(value, list)
    elif isinstance(shape, dict):
        fits = isinstance(value, dict) and set(shape) <= set(value)
        parts = _parts(value, shape if fits else {}, where)
    else:
        parts = iter(())
        fits = value is None if shape is None else type(value) is shape
    if fits:
        yield from parts
    else:
        yield where


def _parts(value: Any, shapes: Mapping[str, Any], where: str) -> Iterator[str]:
    return (found for key, shape in shapes.items() for found in _misfits(value[key], shape, f"{where}.{key}"))
