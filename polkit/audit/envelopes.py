"""Takes records out of what carries them: JSON objects of the usual shippers, and entries of the journal.

A shipper's object is searched for strings that hold records, whatever their fields are called. An entry of the journal
(``journalctl -o json`` or ``-o export``) says apart from its MESSAGE what the record's own header would say: its type,
time, serial and host, from which the line is put together that auditd would have written.

Sources: systemd.journal-fields(7); systemd src/journal/journald-audit.c (MESSAGE is the type's name and the text).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Optional

from polkit.audit.heads import START

_MOST_NESTING = 64
_HOST_KEYS = ("_HOSTNAME", "hostname", "host", "node_name", "nodename", "node")
_HOST = re.compile(r"[A-Za-z0-9][\w.-]{0,252}\Z", re.ASCII)
_TYPE = re.compile(r"[A-Z][A-Z0-9_]{0,63}\Z", re.ASCII)
_NUMBER = re.compile(r"\d{1,19}\Z", re.ASCII)
_WORDS = ("audit", "avc:", "SELINUX_ERR")
_STRING = rb'"(?:[^"\\\x00-\x1f]|\\.)*"'
_LITERAL = re.compile(_STRING)
_MEMBER = re.compile(rb"\s*" + _STRING + rb"\s*:\s*(" + _STRING + rb"),?\s*\Z")


def may_be_entry(line: bytes) -> bool:
    """Whether a line may be an entry of the journal in JSON, whose message need not begin like any record."""
    return line.startswith(b"{") and b'"MESSAGE"' in line and b'"_TRANSPORT"' in line


def texts_in(line: bytes) -> Optional[list[bytes]]:
    """The texts in a line of JSON that may hold records; None for a line that is none, or has none in it.

    The line is a JSON object, has one at its end (a container runtime's or a shipper's own prefix before it), or is
    a part of one where a string holds the record (a paste of a pretty-printed object).
    """
    brace = line.find(b"{")
    if brace >= 0 and not line[:brace].strip():
        return _in_object(line)
    member = _MEMBER.match(line)
    if member:
        return _in_object(b"[" + member[1] + b"]")
    if brace < 0 and b"\\" not in line:
        return None
    first = START.search(line)
    return _around(line, first.start(), brace) if first else None


def _around(line: bytes, start: int, brace: int) -> Optional[list[bytes]]:
    """What JSON holds the place where a record begins: an object from ``brace`` on, or a string."""
    found = _in_object(line[brace:]) if -1 < brace < start else None
    if found is None and (b'\\"' in line or b"\\u" in line):
        for literal in _LITERAL.finditer(line):
            if literal.start() < start < literal.end():
                return _in_object(b"[" + literal[0] + b"]")
    return found


def _in_object(line: bytes) -> Optional[list[bytes]]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    texts: list[str] = []
    values: list[tuple[object, str]] = [(value, "")]
    depth = 0
    while values and depth < _MOST_NESTING:
        deeper: list[tuple[object, str]] = []
        for item, host in values:
            if isinstance(item, str):
                if any(word in item for word in _WORDS):
                    texts.append(f"{host} {item}" if host and item.startswith("type=") else item)
            elif isinstance(item, dict):
                entry = _journal_entry(item)
                known = _host(item) or host
                deeper.extend((inner, known) for inner in (item.values() if entry is None else [entry]))
            elif isinstance(item, list):
                deeper.extend((inner, host) for inner in item)
        values, depth = deeper, depth + 1
    return [text.encode("utf-8", "surrogatepass") for text in dict.fromkeys(texts)] or None


def _host(item: Mapping[str, object]) -> Optional[str]:
    """The host that an object names: stood before a record of audit.log, as ``oc adm node-logs`` has it."""
    kubernetes = item.get("kubernetes")
    for place in (item, kubernetes if isinstance(kubernetes, dict) else {}):
        for key in _HOST_KEYS:
            value = place.get(key)
            if isinstance(value, str) and _HOST.match(value):
                return value
    return None


# ---- the journal -----------------------------------------------------------------------------------------------------


def _journal_entry(item: Mapping[str, object]) -> Optional[str]:
    """The line of an entry of the journal; None where the object is none, or holds no message."""
    if "__CURSOR" not in item and "_TRANSPORT" not in item:
        return None
    fields = {name: value for name, value in item.items() if isinstance(value, str)}
    message = item.get("MESSAGE")
    if isinstance(message, list):  # bytes that are not all text
        try:
            fields["MESSAGE"] = bytes(message).decode("utf-8", "surrogateescape")
        except (TypeError, ValueError):
            return None
    return entry_line(fields)


def entry_line(fields: Mapping[str, str]) -> Optional[str]:
    """The line that auditd or syslog would have written for an entry of the journal; None without a message."""
    message = fields.get("MESSAGE")
    if message is None:
        return None
    host = fields.get("_HOSTNAME", "")
    host = host if _HOST.match(host) else ""
    stamp = fields.get("_SOURCE_REALTIME_TIMESTAMP") or fields.get("__REALTIME_TIMESTAMP", "")
    seconds = f"{int(stamp) // 1_000_000}.{int(stamp) // 1000 % 1000:03}" if _NUMBER.match(stamp) else ""
    kind, serial = fields.get("_AUDIT_TYPE_NAME", ""), fields.get("_AUDIT_ID", "")
    if _TYPE.match(kind) and _NUMBER.match(serial) and seconds:
        text = message[len(kind) :].lstrip() if message.startswith(f"{kind} ") else message
        return f"{f'node={host} ' if host else ''}type={kind} msg=audit({seconds}:{serial}): {text}"
    tag = "kernel" if fields.get("_TRANSPORT") == "kernel" else "audit"
    return f"{host} {tag}: {message}" if host else message


ENTRY = b"__CURSOR="
"""How an entry begins."""
LONGEST_ENTRY = 1 << 17
"""Bytes. What goes on for longer is no entry."""

_LENGTH = 8


def without_export(lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, those of an entry of ``journalctl -o export`` replaced by the one line it stands for.

    Source: systemd.io/JOURNAL_EXPORT_FORMATS: ``NAME=value``, or ``NAME``, a line end, the length of the value in
    eight bytes (little endian), the value and a line end; an empty line ends an entry.
    """
    entry: Optional[_Entry] = None
    for number, line in lines:
        if entry is None:
            if line.startswith(ENTRY):
                entry = _Entry(number, len(line))
            else:
                yield number, line
        elif not entry.takes(number, line):
            yield from entry.lines()
            entry = None
            if line:
                yield number, line
    if entry is not None:
        yield from entry.lines()


class _Entry:
    """An entry under construction. One that is no entry gives its lines back as they are."""

    def __init__(self, number: int, size: int) -> None:
        self._number = number
        self._size = size
        self._kept: list[tuple[int, bytes]] = []
        self._fields: dict[str, str] = {}
        self._name: Optional[str] = None
        self._value = b""
        self._wanted = 0

    def takes(self, number: int, line: bytes) -> bool:
        """Take the next line in; False where it is none of this entry's."""
        self._size += len(line) + 1
        if self._size > LONGEST_ENTRY:
            return False
        if self._name is not None:
            self._kept.append((number, line))
            self._take_binary(line)
            return True
        name, equals, value = line.partition(b"=")
        if not re.match(rb"[A-Z_][A-Z0-9_]{0,63}\Z", name):
            return False
        self._kept.append((number, line))
        if name == b"MESSAGE":
            self._number = number
        if equals:
            self._fields[name.decode()] = value.decode("utf-8", "surrogateescape")
        else:
            self._name, self._value, self._wanted = name.decode(), b"", 0
        return True

    def _take_binary(self, line: bytes) -> None:
        assert self._name is not None
        self._value += line + b"\n"
        if not self._wanted and len(self._value) >= _LENGTH:
            self._wanted = _LENGTH + int.from_bytes(self._value[:_LENGTH], "little")
        if self._wanted and len(self._value) > self._wanted:
            self._fields[self._name] = self._value[_LENGTH : self._wanted].decode("utf-8", "surrogateescape")
            self._name = None

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """What the entry stands for."""
        line = entry_line(self._fields) if self._name is None else None
        if line is None:
            yield from self._kept
            return
        for part in line.encode("utf-8", "surrogateescape").split(b"\n"):
            yield self._number, part
