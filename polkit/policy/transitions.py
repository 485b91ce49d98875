"""Which type a new object gets, and a process by what it executes: a policy's type transitions.

Read from the binary policy when first asked for (a pass over its rules: half a second for a distribution's), since most
questions never come to it. Source: the SELinux Notebook, "type_transition"; kernel ``security_compute_sid``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from polkit.policy.binary import open_policy
from polkit.policy.index import Condition, make_condition
from polkit.policy.protocols import SetoolsModule, import_setools

_Placed = tuple[str, Optional[Condition], bool]
_Table = dict[tuple[str, str, str], list[_Placed]]


class Transitions:
    """The type transitions of the policy in ``path`` that are not for a file of one name only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._table: Optional[_Table] = None

    def of(self, source: str, target: str, tclass: str, booleans: Mapping[str, bool]) -> Optional[str]:
        """The type that ``source`` gives a new object of the class in ``target``, or a new process by executing it, in
        this state of the booleans; None where no rule says so. Raises SourceError when the file can't be read any more.
        """
        if self._table is None:
            self._table = _read(self._path)
        for type_, condition, block in self._table.get((source, target, tclass), ()):
            if condition is None or condition.holds(booleans) == block:
                return type_
        return None


def _read(path: Path) -> _Table:
    setools = import_setools()
    table: _Table = {}
    for rule in open_policy(path).terules():
        found: Any = rule
        if found.ruletype.name == "type_transition" and not _is_named(found, setools):
            key = (found.source.name, found.target.name, found.tclass.name)
            table.setdefault(key, []).append((found.default.name, *_place(found, setools)))
    return table


def _is_named(rule: Any, setools: SetoolsModule) -> bool:
    try:
        return bool(rule.filename)
    except (setools.exception.TERuleNoFilename, AttributeError):
        return False


def _place(rule: Any, setools: SetoolsModule) -> tuple[Optional[Condition], bool]:
    try:
        conditional = rule.conditional
    except setools.exception.RuleNotConditional:
        return None, True
    return make_condition(map(str, conditional.expression())), bool(rule.conditional_block)
