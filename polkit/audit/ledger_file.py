"""The ledger as text, ``polkit.ledger/1``: one JSON object a line.

The first line is ``{"schema": "polkit.ledger/1"}``. Each source then has a ``source`` line, followed by its ``count``
and ``unparsed`` lines; the last line is ``{"end": N}`` with the number of lines before it, so that a cut file shows.
Values that equal their default are left out. A ledger from elsewhere is input like any log: every value is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Optional

from polkit.audit.ledger import (
    KINDS,
    LISTED,
    MARK,
    MOST_MARKS,
    SAMPLED,
    Ledger,
    Partial,
    imbalance,
    in_order,
    merge,
    smallest,
)
from polkit.errors import SourceError
from polkit.model import IDENTIFIER, SAMPLE, AccessKey, Evidence, Failure, LevelRelations, Party, Port, Unparsed, Xperm

SCHEMA = "polkit.ledger/1"

_FIRST_LINE = re.compile(rb'\s*\{\s*"schema"\s*:\s*"polkit\.ledger/')
_SOURCE_ID = re.compile(r"[0-9a-f]{64}\Z")
_MARKS = re.compile(rf"(?:[0-9a-f]{{{MARK}}}){{0,{MOST_MARKS}}}\Z")
_OUTCOMES = frozenset(("equal", "dominates", "dominated", "incomparable", "unknown"))
_XPERM_KINDS = frozenset(("ioctl", "nlmsg"))
_PROTOCOLS = frozenset(("tcp", "udp", "dccp", "sctp"))
_OPERATIONS = frozenset(("compute_sid", "bounded_transition", "validate_transition"))
_ORIGINS = frozenset(("kernel", "user"))
_PARTY = 3
_MOST = 1 << 63
_LONGEST_STRING = 1 << 14
_MOST_PERMS = 64

Object = dict[str, object]


def is_ledger(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a ledger (of any version)."""
    return _FIRST_LINE.match(head) is not None


# ---- writing ---------------------------------------------------------------------------------------------------------


def dump(ledger: Ledger) -> Iterator[str]:
    """The lines of a ledger file, without line ends. The same ledger gives the same lines."""
    number = 0
    for line in _objects(ledger):
        yield json.dumps(line, ensure_ascii=False, separators=(",", ":"), sort_keys=False)
        number += 1
    yield json.dumps({"end": number}, separators=(",", ":"))


def _objects(ledger: Ledger) -> Iterator[Object]:
    yield {"schema": SCHEMA}
    for source, partial in sorted(ledger.partials.items()):
        yield {"source": source, **_partial_object(partial)}
        for key, evidence in in_order(partial.counts):
            yield {"count": _key_object(key), "evidence": _non_default(evidence)}
        for record in partial.unparsed:
            yield {"unparsed": [record.source, record.line, record.reason, record.text]}


def _partial_object(partial: Partial) -> Object:
    records = {kind: partial.records[kind] for kind in KINDS if partial.records.get(kind)}
    return {**_non_default(partial, leave_out=("counts", "unparsed", "records")), "records": records}


def _non_default(value: object, leave_out: tuple[str, ...] = ()) -> Object:
    result: Object = {}
    for field in fields(value):  # type: ignore[arg-type]
        content = getattr(value, field.name)
        if field.name not in leave_out and not (content == field.default and type(content) is type(field.default)):
            result[field.name] = list(content) if isinstance(content, tuple) else content
    return result


def _key_object(key: AccessKey) -> Object:
    result: Object = {
        "source": list(key.source),
        "target": list(key.target),
        "class": key.tclass,
        "perms": list(key.perms),
        "levels": list(key.levels),
        "origin": key.origin,
    }
    if key.xperm:
        result["xperm"] = list(key.xperm)
    if key.port:
        result["port"] = list(key.port)
    if key.failure:
        context = key.failure.context
        result["failure"] = [key.failure.operation, None if context is None else list(context)]
    return result


# ---- reading ---------------------------------------------------------------------------------------------------------


class _Damaged(Exception):
    """A line is not what it should be; ``str`` says how."""


def load(lines: Iterable[str], name: str = "ledger") -> Ledger:
    """The ledger in the lines of a file called ``name``. Raises SourceError, with the line, for a damaged one."""
    builder = _Builder()
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            builder.line(_parsed(line), number)
        return builder.finished()
    except _Damaged as problem:
        raise SourceError(
            f"{name}, line {number}: {problem}", "the ledger is damaged; collect it again from its logs"
        ) from None


def _parsed(line: str) -> Object:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise _Damaged("no JSON object") from None
    if not isinstance(value, dict):
        raise _Damaged("no JSON object")
    return value


class _Builder:
    """Puts a ledger together line by line."""

    def __init__(self) -> None:
        self._ledger = Ledger()
        self._source: Optional[str] = None
        self._head: Object = {}
        self._counts: dict[AccessKey, Evidence] = {}
        self._unparsed: list[Unparsed] = []
        self._begun = self._ended = False

    def line(self, line: Object, number: int) -> None:
        if self._ended:
            raise _Damaged("a line after the end")
        if not self._begun:
            if line.get("schema") != SCHEMA:
                raise _Damaged(f"not {SCHEMA}, which is what this version reads")
            self._begun = True
        elif "source" in line:
            self._close_source()
            self._source, self._head = _text(line, "source", _SOURCE_ID), line
        elif "end" in line:
            self._close_source()
            if line["end"] != number - 1:
                raise _Damaged(f"the end speaks of {str(line['end'])[:20]} lines before it")
            self._ended = True
        elif self._source is None:
            raise _Damaged("a count before any source")
        elif "count" in line:
            key = _key(_object(line, "count"))
            if key in self._counts:
                raise _Damaged("a key is counted twice for one source")
            self._counts[key] = _evidence(_object(line, "evidence"))
        else:
            self._unparsed.append(_unparsed(line))
            if len(self._unparsed) > LISTED:
                raise _Damaged(f"more than {LISTED} unparsed records of one source")

    def finished(self) -> Ledger:
        if not self._ended:
            raise _Damaged("the file ends early")
        return self._ledger

    def _close_source(self) -> None:
        if self._source is None:
            return
        head = self._head
        partial = Partial(
            name=_string(head.get("name", "")),
            bytes=_number(head, "bytes"),
            lines=_number(head, "lines"),
            marks=_text(head, "marks", _MARKS) if "marks" in head else "",
            records=_records(_object(head, "records")),
            granted=_number(head, "granted"),
            undated=_number(head, "undated"),
            filtered=_number(head, "filtered"),
            counts=self._counts,
            unparsed=tuple(self._unparsed),
            unlisted=_number(head, "unlisted"),
            notes=tuple(_string(note) for note in _list(head, "notes")),
        )
        problem = imbalance(partial)
        if problem:
            raise _Damaged(f"the books of the source before it don't balance: {problem}")
        self._ledger = merge(self._ledger, Ledger({self._source: partial}))
        self._source, self._counts, self._unparsed = None, {}, []


def _records(line: Object) -> Mapping[str, int]:
    if not set(line) <= set(KINDS):
        raise _Damaged("records of an unknown kind")
    return {kind: _number(line, kind) for kind in KINDS}


def _key(line: Object) -> AccessKey:
    perms = tuple(_identifier(perm) for perm in _list(line, "perms"))
    if not 0 < len(perms) <= _MOST_PERMS or list(perms) != sorted(set(perms)):
        raise _Damaged("permissions missing, repeated or out of order")
    return AccessKey(
        source=_party(line.get("source")),
        target=_party(line.get("target")),
        tclass=_identifier(line.get("class")),
        perms=perms,
        xperm=_xperm(line),
        port=_port(line),
        levels=_levels(line),
        failure=_failure(line),
        origin=_one_of(line.get("origin"), _ORIGINS),
    )


def _xperm(line: Object) -> Optional[Xperm]:
    if "xperm" not in line:
        return None
    kind, number = _pair(line, "xperm")
    return Xperm(_one_of(kind, _XPERM_KINDS), _integer(number, 0xFFFF))


def _port(line: Object) -> Optional[Port]:
    if "port" not in line:
        return None
    protocol, number = _pair(line, "port")
    return Port(_one_of(protocol, _PROTOCOLS), _integer(number, 0xFFFF))


def _failure(line: Object) -> Optional[Failure]:
    if "failure" not in line:
        return None
    operation, context = _pair(line, "failure")
    return Failure(_one_of(operation, _OPERATIONS), None if context is None else _party(context))


def _levels(line: Object) -> LevelRelations:
    outcomes = [_one_of(outcome, _OUTCOMES) for outcome in _list(line, "levels")]
    if len(outcomes) != len(LevelRelations._fields):
        raise _Damaged("not six outcomes of level comparisons")
    return LevelRelations(*outcomes)


def _evidence(line: Object) -> Evidence:
    samples: dict[str, tuple[str, ...]] = {}  # all but ports
    for name in SAMPLED:
        values = _list(line, name)
        if len(values) > SAMPLE:
            raise _Damaged(f"more than {SAMPLE} {name}")
        if name != "ports":
            samples[name] = smallest(_string(value) for value in values)
    return Evidence(
        records=_number(line, "records"),
        accesses=_number(line, "accesses"),
        first=_optional_number(line, "first"),
        last=_optional_number(line, "last"),
        permissive=_number(line, "permissive"),
        ports=smallest(_integer(value, 0xFFFF) for value in _list(line, "ports")),
        **samples,
    )


def _unparsed(line: Object) -> Unparsed:
    values = _list(line, "unparsed")
    if len(values) != len(fields(Unparsed)):
        raise _Damaged("neither a source, a count, an unparsed record nor the end")
    source, number, reason, text = values
    return Unparsed(_string(source), _integer(number, _MOST), _string(reason), _string(text))


# ---- checked values --------------------------------------------------------------------------------------------------


def _object(line: Object, name: str) -> Object:
    value = line.get(name, {})
    if not isinstance(value, dict):
        raise _Damaged(f"{name} is no object")
    return value


def _list(line: Object, name: str) -> list[object]:
    value = line.get(name, [])
    if not isinstance(value, list):
        raise _Damaged(f"{name} is no list")
    return value


def _pair(line: Object, name: str) -> tuple[object, object]:
    values = _list(line, name)
    if len(values) != 2:
        raise _Damaged(f"{name} is no pair")
    return values[0], values[1]


def _integer(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise _Damaged(f"{str(value)[:20]} is no number from 0 to {most}")
    return value


def _number(line: Object, name: str) -> int:
    return _integer(line.get(name, 0), _MOST)


def _optional_number(line: Object, name: str) -> Optional[int]:
    return _number(line, name) if name in line else None


def _string(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_STRING:
        raise _Damaged("a text is missing or too long")
    return value


def _text(line: Object, name: str, form: re.Pattern[str]) -> str:
    value = _string(line.get(name))
    if not form.match(value):
        raise _Damaged(f"{name} is malformed")
    return value


def _identifier(value: object) -> str:
    text = _string(value)
    if not IDENTIFIER.match(text):
        raise _Damaged(f"{text[:40]!r} is no identifier")
    return text


def _one_of(value: object, words: frozenset[str]) -> str:
    text = _string(value)
    if text not in words:
        raise _Damaged(f"{text[:40]!r} is none of {', '.join(sorted(words))}")
    return text


def _party(value: object) -> Party:
    if not isinstance(value, list) or len(value) != _PARTY:
        raise _Damaged("not user, role and type")
    return Party(*(_identifier(part) for part in value))
