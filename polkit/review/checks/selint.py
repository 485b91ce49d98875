"""PK041: what SELint, where it is installed, has to say of the sources.

It runs on copies, in an empty directory and under limits, with our settings instead of the host's: what it would look
up in this host's policy (users, roles, types, classes, permissions) other checks look up in the target's.
"""

from __future__ import annotations

import posixpath
import re
import tempfile
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Optional

from polkit.errors import PolkitError
from polkit.module import run_tool
from polkit.review.case import Case
from polkit.review.findings import Finding, Fix, Place
from polkit.review.materials.reading import SourceText

EQUIVALENTS = MappingProxyType(
    {
        "W-001": ("PK002", "PK003"),
        "W-002": ("PK002", "PK003"),
        "W-003": ("PK007",),
        "W-004": ("PK032", "PK036"),
        "W-005": ("PK004",),
        "W-008": ("PK009",),
        "W-009": ("PK043",),
        "W-012": ("PK003",),
        "C-008": ("PK003",),
        "E-002": ("PK001", "PK032", "PK036"),
        "E-010": ("PK001", "PK004"),
        "S-003": ("PK001",),
    }
)
"""Findings of ours that say the same of a line; then SELint's is left out."""
NOT_ASKED = MappingProxyType(
    {
        "C-001": "the order of statements is a matter of taste",
        "C-006": "the order of a require block is, too",
        "S-001": "a module that compiles alone requires what it uses",
        "S-006": "checkmodule alone takes no other head",
        "S-002": "labels with the policy's types are what PK030 judges",
        "W-010": "PK004 knows the interfaces of the target policy",
        "W-011": "PK003 knows its names",
        "E-003": "PK034 knows its users",
        "E-004": "PK034 knows its roles",
        "E-005": "PK034 knows its types",
        "E-007": "PK003 knows its permissions",
        "E-008": "PK003 knows its classes",
        "F-001": "PK001 has what can't be read; SELint also refuses `optional { }`, which checkmodule takes",
        "F-002": "it is about SELint itself",
    }
)
"""SELint's findings that are none here, and why."""
_TASTE = "not ordered"
"""What C-005 says of permissions in another order than the alphabet's; that one is there twice it says, too."""
_SEVERITIES = {"X": "info", "C": "info", "S": "info", "W": "low", "E": "medium", "F": "high"}
_GROUPS = {
    "X": "an extra check",
    "C": "a convention",
    "S": "style",
    "W": "a warning",
    "E": "an error",
    "F": "a fatal error",
}
_SAID = re.compile(r"^(\S+?\.(?:te|if|fc)):\s*(\d+): \(([XCSWEF])\): (.*) \(([XCSWEF]-\d{3})\)$", re.MULTILINE)
_ASKED_IN = ("te", "if", "fc")
_PLAIN = re.compile(r"[A-Za-z0-9][\w.-]{0,100}\Z", re.ASCII)
_SECONDS, _MOST, _LONGEST = 20, 500, 300


class Said(NamedTuple):
    """One line of SELint's."""

    id: str
    line: int
    text: str


def find(case: Case) -> Iterator[Finding]:
    """Its findings in our words; none where it is not installed, or ends without a word."""
    sources = [one for one in case.sources if one.kind in _ASKED_IN]
    if not sources or version() is None:
        return
    for source, said in _asked(sources):
        yield Finding(
            "PK041",
            _SEVERITIES[said.id[0]],
            "medium",
            Place(source.name, said.line),
            f"{said.text} (SELint {said.id})",
            f"SELint holds this for {_GROUPS[said.id[0]]} by the conventions of the reference policy. It reads the "
            "source alone, and does not know the target policy.",
            Fix(f"See {said.id} in SELint's README; `selint-disable: {said.id}` in a comment there silences it."),
            (f"selint {said.id}",),
        )


@lru_cache(maxsize=1)
def version() -> Optional[str]:
    """SELint's version; None where it is not installed or does not run."""
    try:
        with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
            run = run_tool(["selint", "--version"], Path(scratch), _SECONDS)
    except PolkitError:
        return None
    found = re.search(r"SELint (\d[\w.]*)", run.output)
    return found[1] if found and run.status == 0 else None


def _asked(sources: list[SourceText]) -> list[tuple[SourceText, Said]]:
    """What it says of each source. The syntax errors of one file end its run, so a file that has some is asked alone
    and then left out."""
    with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
        room = Path(scratch)
        names = dict(_named(sources))
        for name, source in names.items():
            (room / name).parent.mkdir(exist_ok=True)
            (room / name).write_text(source.text, encoding="utf-8", errors="replace")
        off = " , ".join(sorted(NOT_ASKED.keys() - {"F-001", "F-002"}))
        (room / "selint.conf").write_text(
            f'severity = "convention"\ndisable = {{ {off} }}\nassume_users = {{ system_u }}\n'
            'assume_roles = { object_r }\nordering_rules = "refpolicy-lax"\n',
            encoding="ascii",
        )
        left = list(names)
        while left:
            said = _run(room, left)
            unread = {name for name, one in said if one.id.startswith("F-")}
            if not unread:
                told = [(names[name], one) for name, one in said if name in names and one.id not in NOT_ASKED]
                return [(source, one) for source, one in told if _TASTE not in one.text][:_MOST]
            left = [name for name in left if name not in unread]
    return []


def _run(room: Path, names: list[str]) -> list[tuple[str, Said]]:
    try:
        run = run_tool(["selint", "-c", "selint.conf", "--color=off", "--full-path", *names], room, _SECONDS)
    except PolkitError:
        return []
    found = []
    for name, line, _, text, id_ in _SAID.findall(run.output):
        short = posixpath.relpath(name, str(room)) if name.startswith("/") else posixpath.normpath(name)
        found.append((short, Said(id_, int(line), text[:_LONGEST])))
    return found


def _named(sources: list[SourceText]) -> Iterator[tuple[str, SourceText]]:
    """Where each is copied to: by its own name, which SELint compares with the module's."""
    for number, one in enumerate(sources):
        name = posixpath.basename(one.name)
        yield f"{number}/{name if _PLAIN.match(name) else f'source.{one.kind}'}", one


def without_doubles(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings without those of SELint that another one of the same line says, too."""
    found = list(findings)
    ours = {(one.place.file, one.place.line, one.id) for one in found if one.id != "PK041"}
    for one in found:
        same = EQUIVALENTS.get(one.evidence[0].removeprefix("selint "), ()) if one.id == "PK041" else ()
        if not any((one.place.file, one.place.line, each) in ours for each in same):
            yield one
