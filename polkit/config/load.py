"""Reads polkit.toml and refuses what it does not know, with the file, the section and the key in the message."""

from __future__ import annotations

import difflib
import importlib
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import Field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable, Optional, get_type_hints

from polkit.config.names import check_module_name, check_module_version, check_release, check_target_name
from polkit.config.sections import (
    FINDING_SEVERITIES,
    SECTIONS,
    Config,
    Denied,
    EvidenceShown,
    Forbid,
    Gates,
    Minimize,
    Module,
    Review,
    Target,
    Zone,
    key_word,
)
from polkit.errors import SourceError, UsageError
from polkit.model import IDENTIFIER

DEFAULT_FILE = "polkit.toml"
_LARGEST = 1 << 20


def load_config(path: Optional[Path] = None) -> Config:
    """The configuration in ``path``; without one, that of ``./polkit.toml`` when it exists, else all defaults.

    Raises UsageError for what is no TOML, unknown or of the wrong kind, SourceError when the file can't be read.
    """
    if path is None:
        path = Path(DEFAULT_FILE)
        if not path.exists():
            return Config()
    tables = read_toml(path, "configuration")
    _known(tables, SECTIONS, f"{path}: unknown section [{{}}]")
    zones, severities = _taken_out(tables, "review", ("zones", "severity"), path)
    return Config(
        module=_section(Module, tables, "module", path),
        minimize=_section(Minimize, tables, "minimize", path),
        targets=MappingProxyType(_targets(tables, path)),
        gates=_section(Gates, tables, "gates", path),
        evidence=_section(EvidenceShown, tables, "evidence", path),
        review=_section(Review, tables, "review", path),
        zones=MappingProxyType(_zones(zones, path)),
        severities=MappingProxyType(_severities(severities, path)),
        path=str(path),
    )


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The tables of a TOML file of at most 1 MiB; ``what`` says what it should be.

    Raises SourceError when it can't be read, UsageError (with the line) for what is no TOML.
    """
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
    except OSError as error:
        raise SourceError(f"{path} can't be read: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise UsageError(f"{path} is larger than 1 MiB: that is no {what}")
    try:
        return dict(toml.loads(content.decode("utf-8")))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}: line {line}: not UTF-8") from error
    except toml.TOMLDecodeError as error:
        last = content.count(b"\n") + 1
        reason = str(error).replace("(at end of document)", f"(at line {last}, the end)")
        raise UsageError(f"{path}: not TOML: {reason}") from error
    except RecursionError as error:
        raise UsageError(f"{path}: nested too deeply") from error


def _section(kind: Callable[..., Any], tables: Mapping[str, Any], name: str, path: Path) -> Any:
    table = tables.get(name, {})
    where = f"{path}: [{name}]"
    if not isinstance(table, dict):
        raise UsageError(f"{where} is a section, not a value", hint=f"write [{name}] on a line of its own")
    return _filled(kind, table, where)


def _taken_out(tables: dict[str, Any], section: str, names: tuple[str, ...], path: Path) -> list[dict[str, Any]]:
    """Sections within a section, which the section then no longer holds."""
    table = tables.get(section, {})
    found: list[dict[str, Any]] = []
    for name in names:
        inner = table.get(name, {}) if isinstance(table, dict) else {}
        if not isinstance(inner, dict):
            raise UsageError(f"{path}: [{section}.{name}] is a section, not a value")
        found.append(inner)
    if isinstance(table, dict):
        tables[section] = {key: value for key, value in table.items() if key not in names}
    return found


def _zones(table: Mapping[str, Any], path: Path) -> dict[str, Zone]:
    for name, entry in table.items():
        if not (isinstance(entry, dict) and IDENTIFIER.match(name)):
            raise UsageError(f"{path}: [review.zones] holds sections only", "write [review.zones.NAME] for each zone")
    return {name: _filled(Zone, table[name], f"{path}: [review.zones.{name}]") for name in sorted(table)}


def _severities(table: Mapping[str, Any], path: Path) -> dict[str, str]:
    for name, value in table.items():
        if not re.match(r"PK[0-9]{3}\Z", name):
            raise UsageError(f"{path}: [review.severity] {name[:80]!r} is no finding", "their ids are PK001 and so on")
        if value not in FINDING_SEVERITIES:
            raise UsageError(f"{path}: [review.severity] {name}: expected one of {', '.join(FINDING_SEVERITIES)}")
    return {name: str(table[name]) for name in sorted(table)}


def _targets(tables: Mapping[str, Any], path: Path) -> dict[str, Target]:
    table = tables.get("targets", {})
    if not isinstance(table, dict) or not all(isinstance(entry, dict) for entry in table.values()):
        raise UsageError(f"{path}: [targets] holds sections only", hint="write [targets.NAME] for each target")
    for name in table:
        check_target_name(name, str(path))
    return {name: _filled(Target, table[name], f"{path}: [targets.{name}]") for name in sorted(table)}


def _filled(kind: Callable[..., Any], table: Mapping[str, Any], where: str) -> Any:
    """A section's dataclass from its table; every key known and every value of its key's kind."""
    keys = {key_word(key): key for key in fields(kind)}  # type: ignore[arg-type]
    _known(table, keys, f"{where} unknown key '{{}}'")
    kinds = get_type_hints(kind)
    return kind(
        **{
            keys[name].name: _value(value, keys[name], kinds[keys[name].name], f"{where} {name}")
            for name, value in table.items()
        }
    )


def _rows(kind: type, value: Any, where: str) -> tuple[Any, ...]:
    """The sections of a key that holds some, each with what it can't do without."""
    section, key = where.rsplit("] ", 1)
    section = f"{section}.{key}]"
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise UsageError(f"{section} is a section, not a value", f"write [[gates.{key}]] on a line of its own")
    found = []
    for number, row in enumerate(value, 1):
        empty = [name for name, given in row.items() if given in ([], "")]
        if empty:
            raise UsageError(f"{section} {number}: {empty[0][:80]} is empty", "leave it out, or say what it holds")
        lacking = _LACKING[kind](row)
        if lacking:
            raise UsageError(f"{section} {number}: {lacking}")
        found.append(_filled(kind, row, f"{section} {number}:"))
    return tuple(found)


def _lacks_of_forbid(row: Mapping[str, Any]) -> str:
    wanted = ("source", "target", "class", "perms")
    return "" if any(key in row for key in wanted) else f"one of {', '.join(wanted)} says what is forbidden"


def _lacks_of_denied(row: Mapping[str, Any]) -> str:
    missing = [key for key in ("source", "class", "perms") if key not in row]
    if missing:
        return f"{missing[0]} is missing"
    return "" if ("target" in row) != ("path" in row) else "either target or path says what it is on"


_LACKING: Mapping[type, Callable[[Mapping[str, Any]], str]] = {Forbid: _lacks_of_forbid, Denied: _lacks_of_denied}


def _known(given: Iterable[str], known: Iterable[str], message: str) -> None:
    names = sorted(known)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            advice = f"; did you mean '{near[0]}'?" if near else ""
            raise UsageError(message.format(name[:80]) + advice, hint=f"known are: {', '.join(names)}")


def _value(value: Any, key: Field[Any], kind: Any, where: str) -> Any:
    if key.metadata["rows"] is not None:
        return _rows(key.metadata["rows"], value, where)
    wanted, taken = _KINDS[kind]
    if not taken(value):
        raise UsageError(
            f"{where}: expected {wanted}, got {_shown(value)}", hint=_TEXT_LIST_HINT if kind == tuple[str, ...] else ""
        )
    choices, least = key.metadata["choices"], key.metadata["least"]
    if choices and value not in choices:
        raise UsageError(f"{where}: {value[:80]!r} is none of {', '.join(choices)}")
    if least is not None and not value >= least:
        raise UsageError(f"{where}: {value} is less than {least}")
    check = _CHECKS.get(key.name)
    if check is not None:
        check(value, where)
    return tuple(value) if isinstance(value, list) else value


_TEXT_LIST_HINT = 'write ["one", "two"], each text on one line'


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_KINDS: Mapping[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("text on one line", _is_text),
    Optional[str]: ("text on one line", _is_text),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number", _is_whole),
    Optional[int]: ("a whole number", _is_whole),
    Optional[float]: ("a number", lambda value: isinstance(value, float) or _is_whole(value)),
    tuple[str, ...]: (
        "a list of texts",
        lambda value: isinstance(value, list) and all(_is_text(entry) for entry in value),
    ),
}
"""What a field's type takes, in words and as a test."""


def _shown(value: Any) -> str:
    if isinstance(value, str) and not value.isprintable():
        return "text with a line break or control character"
    names = {bool: "true/false", str: "text", int: "a whole number", float: "a number", list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")


def _check_types(value: list[str], where: str) -> None:
    for name in value:
        if not IDENTIFIER.match(name):
            raise UsageError(f"{where}: {name[:80]!r} can't be a type")


def _check_weight(value: int, where: str) -> None:
    if value > 10:
        raise UsageError(f"{where}: {value} is more than 10, the most that a permission weighs")


def _check_names(value: Any, where: str) -> None:
    for name in (value,) if isinstance(value, str) else value:
        if not IDENTIFIER.match(name):
            raise UsageError(f"{where}: {name[:80]!r} can't be a name of a policy")


def _check_path(value: str, where: str) -> None:
    if value and not (value.startswith("/") and not {".", ".."} & set(value.split("/"))):
        raise UsageError(f"{where}: {value[:80]!r} is no absolute path without . and ..")


def _check_mounts(value: list[str], where: str) -> None:
    for mount in value:
        host, container, options = [*mount.split(":", 2), "", ""][:3]
        if not (host.startswith("/") and container.startswith("/")) or not re.match(r"[A-Za-z0-9,=_-]*\Z", options):
            raise UsageError(f"{where}: {mount[:80]!r} is not HOST:CTR", hint="two absolute paths with a colon between")


def _check_contact(value: str, where: str) -> None:
    if value and not re.match(r"[^<>]*[^<>\s] <[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,253}>\Z", value):
        raise UsageError(f"{where}: {value[:80]!r} names nobody", hint='write "Name <name@example.com>"')


def _check_package_version(value: str, where: str) -> None:
    if not re.match(r"([0-9]+:)?[0-9][A-Za-z0-9.+~_^-]{0,99}\Z", value):
        raise UsageError(f"{where}: {value[:80]!r} is no version of a package")


def _check_rewrites(value: list[str], where: str) -> None:
    for rule in value:
        if not re.match(r"(/[A-Za-z0-9._-]+)+:(/[A-Za-z0-9._-]+)+\Z", rule):
            raise UsageError(f"{where}: {rule[:80]!r} is not FROM:TO", hint="two absolute paths with a colon between")


_CHECKS: Mapping[str, Callable[[Any, str], object]] = {
    "name": check_module_name,
    "version": check_module_version,
    "bases": _check_types,
    "shared_domains": _check_types,
    "forbid_rules_on": _check_types,
    "flow_exclude": _check_types,
    "flow_weight": _check_weight,
    "types": _check_types,
    **dict.fromkeys(("source", "target", "classes", "perms", "besides", "tclass"), _check_names),
    "path": _check_path,
    "mounts": _check_mounts,
    "rewrite": _check_rewrites,
    "release": check_release,
    "policy_package": _check_package_version,
    "contact": _check_contact,
}
"""What a key's value must be beyond its kind."""
