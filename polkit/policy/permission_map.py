"""In which direction information flows through each permission, and how much: the permission map of setools.

The file is read here and not by ``setools.PermissionMap``, which takes 0.2 s for it. Source: the head of the file,
``setools/perm_map``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from polkit.errors import MissingDependency, SourceError

HEAVIEST = 10


class Weights(NamedTuple):
    """How much flows from the object to the subject (``read``) and the other way (``write``): 1 to 10, 0 for none."""

    read: int
    write: int


NO_FLOW = Weights(0, 0)
_DIRECTIONS = {"r": (True, False), "w": (False, True), "b": (True, True), "n": (False, False), "u": (False, False)}


@lru_cache(maxsize=1)
def permission_map() -> Mapping[str, Mapping[str, Weights]]:
    """Class -> permission -> weights. What the map does not name carries nothing, as in setools.

    Raises MissingDependency where setools has no map, SourceError for one that can't be read.
    """
    spec = find_spec("setools")
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    path = next((path for place in places if (path := Path(place) / "perm_map").is_file()), None)
    if path is None:
        raise MissingDependency(
            "the permission map of setools is not installed, so flows of information can't be followed",
            hint="install python3-setools from your distribution",
        )
    try:
        return _read(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: {error}", hint="reinstall python3-setools") from error


def _read(path: Path) -> Mapping[str, Mapping[str, Weights]]:
    found: dict[str, dict[str, Weights]] = {}
    current: dict[str, Weights] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        words = line.split("#")[0].split()
        if len(words) == 3 and words[0] == "class":
            current = found.setdefault(words[1], {})
        elif len(words) in (2, 3) and words[1] in _DIRECTIONS:
            weight = int(words[2]) if len(words) == 3 else HEAVIEST
            reads, writes = _DIRECTIONS[words[1]]
            current[words[0]] = Weights(weight if reads else 0, weight if writes else 0)
        elif words and found:
            raise ValueError(f"line {number} is neither a class nor a permission")
    if not found:
        raise ValueError("it names no class")
    return MappingProxyType(found)
