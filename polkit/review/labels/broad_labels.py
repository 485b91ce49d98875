"""PK031: an entry of file contexts that takes in a directory which many share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Optional

from polkit.review.case import Labelled
from polkit.review.findings import Finding, Fix
from polkit.review.labels.label_world import Entry, LabelWorld
from polkit.review.labels.path_patterns import PathPattern, path_pattern

_TOP = (
    "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/root", "/run",
    "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var",
)  # fmt: skip
"""The directories of hier(7) right below the root."""
_SHARED = (
    "/etc/systemd", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/local", "/usr/local/bin",
    "/usr/local/lib", "/usr/sbin", "/usr/share", "/var/cache", "/var/lib", "/var/log", "/var/run", "/var/spool",
    "/var/tmp", "/var/www",
)  # fmt: skip
"""Those of hier(7) one deeper that programs of all kinds have files in."""
_MANY, _SEVERAL = 20, 4
"""So many entries of the policy below a directory make it one that many share, or several."""
_NAME = "zq0"
"""A name that no entry of a policy is about."""
_EARLY = re.compile(r"\(?(?:\.|\[\^/\])[*+]")
_HOME_WORDS = ("HOME_DIR", "HOME_ROOT")


class _Breadth(NamedTuple):
    severity: str
    what: str


def too_broad(labelled: Labelled, world: Optional[LabelWorld]) -> Optional[Finding]:
    """The finding for an entry that matches far more than one application's files; None for one that doesn't.

    ``world`` is None without a policy: then the directories of hier(7) count alone.
    """
    label = labelled.entry
    pattern = path_pattern(label.pattern)
    found = _breadth(label.pattern, pattern, world)
    if found is None:
        return None
    type_ = "<<none>>" if label.context is None else label.context[2]
    facts, evidence = ("", ()) if world is None else _facts(labelled, world)
    return Finding(
        "PK031",
        found.severity,
        "high",
        labelled.place,
        f"{label.pattern} matches {found.what}",
        f"After the next relabel every file there that no entry with more text in its pattern holds is {type_}, and "
        f"whoever may use {type_} may use it. {facts}".strip(),
        Fix(
            "Name the application's own directory, at least one level deeper, and make a type of the module's own for "
            "it."
        ),
        evidence,
    )


def _breadth(text: str, pattern: PathPattern, world: Optional[LabelWorld]) -> Optional[_Breadth]:
    if _takes_in(pattern, ""):
        return _Breadth("high", "every file of the host")
    if text.startswith(_HOME_WORDS):
        return _of_homes(text, pattern)
    if not _may_take_in(pattern, world):
        return _early(pattern, world)
    top = [one for one in _tops(world) if _takes_in(pattern, one)]
    if top:
        return _Breadth("high", f"all of {_listed(top)}")
    shared = sorted(one for one in _deeper(world) if _takes_in(pattern, one))
    if shared:
        outer = [one for one in shared if not any(one.startswith(f"{other}/") for other in shared)]
        most = max(_below(world, one) for one in outer)
        return _Breadth("high" if most >= _MANY else "medium", f"all of {_listed(outer)}")
    return _early(pattern, world)


def _of_homes(text: str, pattern: PathPattern) -> Optional[_Breadth]:
    home = "/home" if text.startswith("HOME_ROOT") else "/home/x"
    return (
        _Breadth("high", "everything that users keep in their home directories") if _takes_in(pattern, home) else None
    )


def _early(pattern: PathPattern, world: Optional[LabelWorld]) -> Optional[_Breadth]:
    """An unlimited repeat right after a directory that many share: every directory below it is searched for a name."""
    rest = pattern.plain[len(pattern.start) :]
    directory = pattern.start.rstrip("/")
    if not pattern.start.endswith("/") or not _EARLY.match(rest):
        return None
    if not any(one.startswith(f"{directory}/{_ANY}/") for one in pattern.examples for _ANY in ("x", "xx")):
        return None
    if not directory:
        return _Breadth("high", "files of that name anywhere on the host")
    top = directory.count("/") == 1
    if directory in _TOP or _below(world, directory) >= (_SEVERAL if top else _MANY):
        return _Breadth("medium", f"files of that name in every directory below {directory}")
    return None


def _takes_in(pattern: PathPattern, directory: str) -> bool:
    """It matches what lies in a directory, and what lies deeper, whatever the names."""
    return all(pattern.matches(f"{directory}/{one}") for one in (_NAME, f"{_NAME}/{_NAME}"))


def _may_take_in(pattern: PathPattern, world: Optional[LabelWorld]) -> bool:
    """A directory that many share begins with the text that the pattern begins with."""
    known = any(f"{one}/".startswith(pattern.start) for one in (*_TOP, *_SHARED))
    return known or (world is not None and world.beginning_with(pattern.start) >= _SEVERAL)


def _tops(world: Optional[LabelWorld]) -> tuple[str, ...]:
    if world is None:
        return _TOP
    known = (one for one, count in world.below.items() if one.count("/") == 1 and one != "/" and count >= _SEVERAL)
    return tuple(sorted({*_TOP, *known}))


def _deeper(world: Optional[LabelWorld]) -> Iterator[str]:
    if world is None:
        yield from _SHARED
    else:
        yield from (one for one, count in world.below.items() if one.count("/") > 1 and count >= _SEVERAL)
        yield from (one for one in _SHARED if world.below.get(one, 0) < _SEVERAL)


def _below(world: Optional[LabelWorld], directory: str) -> int:
    """How many entries of the policy lie in a directory; without a policy, those of hier(7) count as many."""
    if world is None:
        return _MANY if directory in _SHARED else 0
    return world.beginning_with(f"{directory}/")


def _facts(labelled: Labelled, world: LabelWorld) -> tuple[str, tuple[str, ...]]:
    """How many entries of the policy lie inside, and for which of them this one decides."""
    entry = next((one for one in world.entries if one.labelled is labelled), None)
    if entry is None:
        return "", ()
    covered = list(world.covered(entry))
    taken = [(theirs, path) for theirs, path in covered if _decides(world, entry, path, theirs.kind)]
    if not covered:
        return "", ()
    count = f"{len(covered)} {'entry' if len(covered) == 1 else 'entries'}"
    said = f"The policy has {count} for paths inside, and loses {len(taken) or 'none'} of them to this one."
    held = [f"{path}: {theirs.type}, with the module {entry.type}" for theirs, path in taken]
    kept = [f"{path}: {theirs.type} stays" for theirs, path in covered if (theirs, path) not in taken]
    return said, (*held[:6], *kept[: 6 - min(len(held), 4)])


def _decides(world: LabelWorld, entry: Entry, path: str, kind: str) -> bool:
    tclass = {"-d": "dir"}.get(kind, entry.tclass)
    old, new = world.policy.file_label(path, tclass), world.after.file_label(path, tclass)
    return new is not None and new.type == entry.type and (old is None or old.type != new.type)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
