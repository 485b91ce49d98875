"""Reads a scenario's TOML. Whatever is wrong in it is told with the file, the table and the key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional, TypeVar

from polkit.config import read_toml
from polkit.errors import UsageError
from polkit.model import IDENTIFIER
from polkit.rehearse import operations as words
from polkit.rehearse.operations import DEFAULTS, OPERATIONS
from polkit.rehearse.scenario import BUSYBOX, Argument, Bystander, Listener, Scenario, Step, Thing, Workload

_MOST = 1000
"""Steps, things, listeners and processes: a VM of half a GiB holds more, a reviewer reads fewer."""
_STEP_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,14}\Z")
"""It becomes the process' name (comm), of which the kernel keeps 15 characters (TASK_COMM_LEN)."""
_LEVEL = re.compile(r"s\d{1,2}(:c\d{1,4}([.,]c\d{1,4})*)?(-s\d{1,2}(:c\d{1,4}([.,]c\d{1,4})*)?)?\Z")
_LABEL = re.compile(r"[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+(:[a-z0-9:.,-]+)?)?\Z")
_DEVICE = re.compile(r"([cb]) (\d{1,3}) (\d{1,7})\Z")
_AS_POLICY_SAYS = "file_contexts"
_Row = TypeVar("_Row")


def read_scenario(path: Path) -> Scenario:
    """The scenario in ``path``. Raises SourceError when it can't be read, UsageError for whatever is wrong in it."""
    top = _Table(read_toml(path, "scenario"), str(path))
    head = top.table("scenario")
    name = head.text("name")
    scenario = Scenario(
        file=str(path),
        name=name,
        summary=head.text("summary", ""),
        fail_fast=head.flag("fail-fast"),
        workload=_workload(top.table("workload")),
        things=tuple(_found(_thing(row), path.parent) for row in top.rows("thing")),
        listeners=tuple(_listener(row) for row in top.rows("listener")),
        processes=tuple(_bystander(row) for row in top.rows("process")),
        steps=tuple(_step(row) for row in top.rows("step")),
    )
    for table in (head, top):
        table.done()
    _check(scenario)
    return scenario


class _Table:
    """One table, from which each key is taken once; what is left at ``done`` is unknown."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = dict(values)
        self._known: set[str] = set()
        self.where = where

    def has(self, key: str) -> bool:
        return key in self._values

    def take(self, key: str, wanted: str, holds: Callable[[Any], bool], default: Any = ...) -> Any:
        self._known.add(key)
        value = self._values.pop(key, default)
        if value is ...:
            raise UsageError(f"{self.where}: {key} is missing", f"write {key} = {wanted}")
        if value is not default and not holds(value):
            raise UsageError(f"{self.where}: {key}: expected {wanted}, got {_shown(value)}")
        return value

    def text(self, key: str, default: Any = ..., wanted: str = "text on one line") -> Any:
        return self.take(key, wanted, lambda value: isinstance(value, str) and value.isprintable(), default)

    def matching(self, key: str, pattern: re.Pattern[str], wanted: str, default: Any = ...) -> Any:
        return self.take(key, wanted, lambda value: isinstance(value, str) and bool(pattern.match(value)), default)

    def word(self, key: str, choices: Iterable[str], default: Any = ...) -> Any:
        choices = tuple(choices)
        value = self.text(key, default)
        if value is not default and value not in choices:
            near = difflib.get_close_matches(value, choices, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(f"{self.where}: {key}: {value[:80]!r} is none of {', '.join(choices)}{meant}")
        return value

    def path(self, key: str, default: Any = ...) -> Any:
        return self.take(key, "an absolute path without . or ..", _is_path, default)

    def whole(self, key: str, default: Any = ..., least: int = 0, most: int = 2**32 - 1) -> Any:
        wanted = f"a whole number from {least} to {most}"
        return self.take(key, wanted, lambda value: type(value) is int and least <= value <= most, default)

    def flag(self, key: str, default: bool = False) -> bool:
        return bool(self.take(key, "true or false", lambda value: isinstance(value, bool), default))

    def texts(self, key: str, default: Any = ...) -> Any:
        value = self.take(key, 'a list of texts, ["one", "two"]', _is_texts, default)
        return tuple(value) if isinstance(value, list) else value

    def mode(self, key: str, default: Any = ...) -> Any:
        value = self.take(key, 'a mode, "0644"', lambda text: bool(re.match(r"0[0-7]{3,4}\Z", str(text))), default)
        return int(value, 8) if isinstance(value, str) else value

    def type(self, key: str, default: Any = ...) -> Any:
        return self.matching(key, IDENTIFIER, "a type", default)

    def level(self) -> Optional[str]:
        found: Optional[str] = self.matching("level", _LEVEL, 'a level, "s0:c1,c2"', None)
        return found

    def table(self, key: str) -> _Table:
        value = self.take(key, f"[{key}] on a line of its own", lambda value: isinstance(value, dict))
        return _Table(value, f"{self.where}: [{key}]")

    def rows(self, key: str) -> list[_Table]:
        wanted = f"[[{key}]] on a line of its own"
        rows = self.take(
            key, wanted, lambda value: isinstance(value, list) and all(isinstance(row, dict) for row in value), []
        )
        if len(rows) > _MOST:
            raise UsageError(f"{self.where}: more than {_MOST} [[{key}]]")
        return [_Table(row, f"{self.where}: {key} {number}") for number, row in enumerate(rows, 1)]

    def done(self) -> None:
        for key in self._values:
            near = difflib.get_close_matches(key, self._known, 1, 0.5)
            advice = f"; did you mean {near[0]!r}?" if near else ""
            known = f"known here are: {', '.join(sorted(self._known))}"
            raise UsageError(f"{self.where}: unknown key {key[:80]!r}{advice}", known)


def _is_path(value: Any) -> bool:
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable() or len(value) > 4000:
        return False
    return value == "/" or all(part not in ("", ".", "..") for part in value[1:].split("/"))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) and entry.isprintable() for entry in value)


def _shown(value: Any) -> str:
    return repr(value)[:80] if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"


def _done(table: _Table, row: _Row) -> _Row:
    table.done()
    return row


def _workload(table: _Table) -> Workload:
    return _done(
        table,
        Workload(
            domain=table.type("domain"),
            level=table.level(),
            user=table.type("user", "system_u"),
            role=table.type("role", "system_r"),
            root=table.path("root", None),
            binds=tuple(_bind(table, entry) for entry in table.texts("binds", ())),
        ),
    )


def _bind(table: _Table, entry: str) -> tuple[str, str, bool]:
    host, inside, option = [*entry.split(":"), "", ""][:3]
    if not (_is_path(host) and _is_path(inside) and option in ("", "ro")) or entry.count(":") > 2:
        raise UsageError(f"{table.where}: binds: {entry[:80]!r} is not HOST:INSIDE or HOST:INSIDE:ro")
    return host, inside, option == "ro"


def _thing(table: _Table) -> Thing:
    label = table.matching("label", _LABEL, "a type, a context, or file_contexts", _AS_POLICY_SAYS)
    device = table.matching("device", _DEVICE, 'a device, "c 1 5"', None)
    server = table.type("server", None)
    target = table.text("target", None)
    kind = "node" if device else "socket" if server else "link" if target else "file"
    kind = "dir" if table.flag("directory") else kind
    found = _DEVICE.match(device) if device else None
    path = table.path("path")
    table.where += f" ({path})"
    thing = Thing(
        path=path,
        kind=kind,
        label=None if label == _AS_POLICY_SAYS else label,
        level=table.level(),
        mode=table.mode("mode", None),
        content=table.take("content", "text", lambda value: isinstance(value, str), None),
        copy=table.text("copy", None),
        size=table.whole("size", None, most=64 << 20),
        target=target,
        major=int(found[2]) if found else 0,
        minor=int(found[3]) if found else 0,
        block=bool(found) and device.startswith("b"),
        stand_in=table.flag("stand-in"),
        server=server,
    )
    given = [word for word in ("content", "copy", "size", "target", "server") if getattr(thing, word) is not None]
    if len(given) + bool(device) + (kind == "dir") > 1:
        raise UsageError(
            f"{table.where}: one of content, copy, size, device, target, server or directory says what it is"
        )
    return _done(table, thing)


def _found(thing: Thing, folder: Path) -> Thing:
    """Files to copy lie beside the scenario, wherever it is run from."""
    if thing.copy is None or thing.copy == BUSYBOX:
        return thing
    return replace(thing, copy=str(folder / thing.copy))


def _listener(table: _Table) -> Listener:
    protocol = table.word("protocol", words.PROTOCOLS, "tcp")
    return _done(table, Listener(table.whole("port", least=1, most=65535), protocol, table.type("domain")))


def _bystander(table: _Table) -> Bystander:
    name = table.matching("name", _STEP_NAME, "a name: small letters, digits, _ and -, at most 15")
    return _done(table, Bystander(name, table.type("domain"), table.level()))


def _step(table: _Table) -> Step:
    name = table.matching("name", _STEP_NAME, "a name: small letters, digits, _ and -, at most 15")
    table.where += f" ({name})"
    operation = table.word("do", OPERATIONS)
    kinds = {**OPERATIONS[operation].needs, **OPERATIONS[operation].takes}
    arguments: dict[str, Argument] = {}
    for key, kind in kinds.items():
        value = _argument(table, key, kind, operation)
        if value is not None:
            arguments[key] = value
    return _done(
        table,
        Step(
            name=name,
            operation=operation,
            arguments=arguments,
            expect=table.word("expect", ("allowed", "denied")),
            why=table.text("why"),
            domain=table.type("domain", None),
            level=table.level(),
        ),
    )


def _argument(table: _Table, key: str, kind: str, operation: str) -> Optional[Argument]:
    default: Any = ... if key in OPERATIONS[operation].needs else DEFAULTS.get(key)
    value: Any
    if kind == words.PATH:
        value = table.path(key, default)
    elif kind == words.WHOLE:
        value = table.whole(key, default, most=65535 if key == "port" else 2**32 - 1)
    elif kind == words.FLAG:
        value = table.flag(key)
    elif kind == words.MODE:
        value = table.mode(key, default)
    elif kind == words.TEXTS:
        value = table.texts(key, default)
        for word in value or ():
            if key in words.CHOICES and word not in words.CHOICES[key]:
                raise UsageError(f"{table.where}: {key}: {word[:80]!r} is none of {', '.join(words.CHOICES[key])}")
    elif key in words.CHOICES:
        value = table.word(key, words.CHOICES[key], default)
    elif key == "label":
        value = table.matching(key, _LABEL, "a type or a context", default)
    elif key == "into":
        value = table.type(key, default)
    elif key in ("segment", "queue"):
        value = table.matching(key, re.compile(r"[A-Za-z0-9_.-]{1,64}\Z"), "a name without /", default)
    else:
        value = table.text(key, default)
    found: Optional[Argument] = value
    return found


def _check(scenario: Scenario) -> None:
    """What one table can't tell: names that occur twice or lead nowhere, an empty scenario."""
    if not scenario.steps:
        raise UsageError(f"{scenario.file}: there is no [[step]]")
    for what, names in (
        ("step", [step.name for step in scenario.steps]),
        ("thing", [thing.path for thing in scenario.things]),
        ("process", [process.name for process in scenario.processes]),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(f"{scenario.file}: two of [[{what}]] are called {twice[0]}")
    processes = {process.name for process in scenario.processes}
    for step in scenario.steps:
        process = step.arguments.get("process")
        if process is not None and process not in processes:
            known = ", ".join(sorted(processes)) or "none"
            raise UsageError(f"{scenario.file}: step {step.name}: there is no [[process]] {process}", f"known: {known}")
