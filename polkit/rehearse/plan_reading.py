"""What a plan asks of an administrator besides rules, from a plan or from its ``plan.json``.

The file is a stranger's: every key that is used is looked at, and what is wrong is told with the file and the key.
Nothing in it is ever run; ``remedies.py`` reads the few commands that it knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from polkit.errors import SourceError, UsageError
from polkit.model import IDENTIFIER, REMEDIES, Decision, Plan, Remedy

SCHEMA = "polkit.plan/1"
BY_HAND = tuple(kind for kind in REMEDIES if kind not in ("allow", "none", "refuse"))
"""The kinds of remedies that somebody has to carry out: an allow is the module's, the others change nothing."""
FILE = "plan.json"
_LARGEST = 64 << 20
_MOST = 100_000
_ID = re.compile(r"[DP][1-9][0-9]{0,6}\Z")


@dataclass(frozen=True)
class AskedRemedy:
    """One remedy of one decision. ``commands`` are shell lines as the plan has them; ``settings`` of booleans;
    ``paths`` and ``levels`` the evidence's (paths as the workload sees them; "source -> target")."""

    decision: str
    kind: str
    target: str
    tclass: str
    commands: tuple[str, ...] = ()
    settings: tuple[tuple[str, bool], ...] = ()
    type: Optional[str] = None
    paths: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()


def remedies_of(plan: Plan) -> tuple[AskedRemedy, ...]:
    """What the decisions of a plan, the predicted ones too, ask somebody to carry out."""
    return tuple(
        _asked(decision, remedy)
        for decision in (*plan.decisions, *plan.predicted)
        for remedy in (decision.remedy, *decision.also_remedies)
        if remedy.kind in BY_HAND
    )


def _asked(decision: Decision, remedy: Remedy) -> AskedRemedy:
    return AskedRemedy(
        decision=decision.id,
        kind=remedy.kind,
        target=decision.target,
        tclass=decision.tclass,
        commands=remedy.commands,
        settings=remedy.options[0].settings if remedy.kind == "boolean" else (),
        type=remedy.type,
        paths=decision.evidence.paths,
        levels=decision.evidence.levels,
    )


def read_plan(path: Path) -> tuple[AskedRemedy, ...]:
    """The same from a file, or from the module directory that holds it.

    Raises SourceError for what can't be read, UsageError for what is no plan.
    """
    try:
        file = path / FILE if path.is_dir() else path
        with file.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
    except OSError as error:
        hint = "name the plan.json that generate wrote, or its directory"
        raise SourceError(f"plan {path} can't be read: {error.strerror or error}", hint) from error
    if len(content) > _LARGEST:
        raise UsageError(f"{file} is larger than {_LARGEST >> 20} MiB: no plan")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is no JSON", "name the plan.json that generate wrote, or its directory") from error
    top = _Object(found, str(file), "")
    if top.take("schema", lambda value: isinstance(value, str), "a text") != SCHEMA:
        raise UsageError(f"{file}: schema: not {SCHEMA}", "name the plan.json that generate wrote, or its directory")
    decisions = (*top.objects("decisions"), *top.objects("predicted", optional=True))
    return tuple(asked for decision in decisions for asked in _read_decision(decision))


def _read_decision(decision: _Object) -> Iterator[AskedRemedy]:
    id_ = decision.take("id", _matches(_ID), "D1, D2, ... or P1, P2, ...")
    target = decision.take("target", _matches(IDENTIFIER), "a type")
    tclass = decision.take("class", _matches(IDENTIFIER), "a class")
    evidence = decision.object("evidence")
    paths, levels = evidence.texts("paths"), evidence.texts("levels")
    for remedy in (decision.object("remedy"), *decision.objects("also_remedies")):
        kind = remedy.take("kind", lambda value: value in REMEDIES, f"one of {', '.join(REMEDIES)}")
        if kind in BY_HAND:
            type_ = remedy.take("type", lambda value: value is None or _is(IDENTIFIER, value), "a type or null", None)
            settings = remedy.settings() if kind == "boolean" else ()
            commands = remedy.texts("commands", optional=True)
            yield AskedRemedy(id_, kind, target, tclass, commands, settings, type_, paths, levels)


class _Object:
    """One JSON object; ``key`` is where it stands in its file."""

    def __init__(self, value: Any, file: str, key: str) -> None:
        if not isinstance(value, Mapping):
            raise UsageError(f"{file}: {key or 'the whole'}: expected an object")
        self._value, self._file, self._key = value, file, key

    def take(self, name: str, holds: Callable[[Any], bool], wanted: str, default: Any = ...) -> Any:
        value = self._value.get(name, default)
        if value is ...:
            raise UsageError(f"{self._file}: {self._at(name)} is missing", f"expected {wanted}")
        if value is not default and not holds(value):
            raise UsageError(f"{self._file}: {self._at(name)}: expected {wanted}, got {_shown(value)}")
        return value

    def object(self, name: str) -> _Object:
        return _Object(self.take(name, lambda _: True, "an object"), self._file, self._at(name))

    def objects(self, name: str, optional: bool = False) -> list[_Object]:
        wanted = f"a list of at most {_MOST} objects"
        values = self.take(name, _is_list, wanted, () if optional else ...)
        return [_Object(value, self._file, f"{self._at(name)}[{number}]") for number, value in enumerate(values)]

    def texts(self, name: str, optional: bool = False) -> tuple[str, ...]:
        def holds(value: Any) -> bool:
            return _is_list(value) and all(isinstance(one, str) for one in value)

        return tuple(self.take(name, holds, "a list of texts", () if optional else ...))

    def settings(self) -> tuple[tuple[str, bool], ...]:
        def holds(value: Any) -> bool:
            return isinstance(value, Mapping) and all(
                _is(IDENTIFIER, name) and isinstance(on, bool) for name, on in value.items()
            )

        found: Mapping[str, bool] = self.take("settings", holds, "booleans with true or false")
        return tuple(sorted(found.items()))

    def _at(self, name: str) -> str:
        return f"{self._key}.{name}" if self._key else name


def _is(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and bool(pattern.match(value))


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: _is(pattern, value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _MOST


def _shown(value: Any) -> str:
    return ascii(value)[:80] if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"
