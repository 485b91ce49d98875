"""PK043: the module's name is another in its file's name, its head or its polkit.toml, or another module has it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from polkit.config import load_config
from polkit.errors import PolkitError
from polkit.module import PRIORITY
from polkit.module.source import Head, Located
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix, Place

_DISTRIBUTION = 100
"""The priority of a distribution's own modules; semodule(8)."""


def find(case: Case) -> Iterator[Finding]:
    """Names that differ, and modules that one of this name hides or is hidden by."""
    heads = [one for one in case.statements if isinstance(one.statement, Head)]
    for one in heads:
        yield from _file(one)
    yield from _project(case, heads)
    place = place_of(heads[0]) if heads else Place(case.file, 1)
    for name in dict.fromkeys((*(one.name for one in case.modules), *(_name(one) for one in heads))):
        yield from _elsewhere(case, name, place)


def _name(one: Located) -> str:
    assert isinstance(one.statement, Head)
    return one.statement.name


def _file(one: Located) -> Iterator[Finding]:
    stem, suffix = posixpath.splitext(posixpath.basename(one.file))
    if suffix == ".te" and stem != _name(one):
        yield _differs(
            place_of(one),
            f"The file is called {stem}, the module {_name(one)}",
            f"A module store goes by the name of the package's file, and compiled from this source it is {stem}: "
            f"`semodule -r {_name(one)}` then finds nothing to remove, and an update can end up beside the old one.",
            f"Rename the file to {_name(one)}.te, or the module to {stem}.",
        )


def _project(case: Case, heads: list[Located]) -> Iterator[Finding]:
    named = _of_project(case)
    if named is None:
        return
    own = next((one for one in heads if posixpath.basename(one.file) == f"{named}.te"), None)
    if own is not None and _name(own) == named:
        return
    own = own or next(iter(heads), None)
    if own is not None and (_name(own) != named):
        yield _differs(
            place_of(own),
            f"polkit.toml calls the module {named}, the source {_name(own)}",
            f"Packages, gates and what is installed go by the name in polkit.toml. Whoever looks for {_name(own)} on a "
            f"host finds no module of that name.",
            f"Write one name in both: module {named} in the source, or name = {_name(own)!r} in polkit.toml.",
        )


def _of_project(case: Case) -> Optional[str]:
    path = Path(case.materials.shown) / "polkit.toml"
    try:
        return load_config(path).module.name if path.is_file() else None
    except (PolkitError, OSError):
        return None


def _differs(place: Place, title: str, why: str, fix: str) -> Finding:
    return Finding("PK043", "medium", "high", place, title, why, Fix(fix))


def _elsewhere(case: Case, name: str, place: Place) -> Iterator[Finding]:
    """Of modules of one name a store uses the one with the highest priority."""
    policy = case.policy
    priorities = () if policy is None else policy.module_priorities(name)
    lower = [one for one in priorities if one < PRIORITY]
    higher = [one for one in priorities if one > PRIORITY]
    if lower:
        whose = "the distribution's" if _DISTRIBUTION in lower else "another"
        yield Finding(
            "PK043",
            "high",
            "high",
            place,
            f"The policy has a module {name} at priority {lower[-1]}, which this one would hide",
            f"Of modules of one name a store uses the one with the highest priority, so installed at {PRIORITY} this "
            f"one takes the place of {whose} {name}. All rules and labels of that are gone while this one is there.",
            Fix("Give the module a name of its own."),
            tuple(f"priority {one}: {name}" for one in priorities),
        )
    if higher:
        yield Finding(
            "PK043",
            "medium",
            "high",
            place,
            f"The policy has a module {name} at priority {higher[0]}, which would hide this one",
            f"Of modules of one name a store uses the one with the highest priority, so installed at {PRIORITY} this "
            "one changes nothing.",
            Fix(
                "Remove the other one first, or give this one a name of its own.",
                tuple(f"semodule -X {one} -r {name}" for one in higher),
            ),
            tuple(f"priority {one}: {name}" for one in priorities),
        )
