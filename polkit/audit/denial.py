"""What a record means: the access that was refused, and what it tells about the circumstances."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Optional

from polkit.audit import heads
from polkit.audit.reading import STABLE, Reading, Unreadable, read
from polkit.audit.refusal import refused_access
from polkit.audit.times import date_time, stamp_time
from polkit.audit.values import port, port_number, readable, string, unquote, xperm
from polkit.audit.vocabulary import CLASSES
from polkit.model import IDENTIFIER, AccessKey, Context, parse_context, relate

LONGEST_RECORD = 65536
"""Bytes. The kernel's longest is 8,970 (MAX_AUDIT_MESSAGE_LENGTH); auditd's ENRICHED part and wrappers add to it."""

_EPOCH_STAMP = re.compile(r"\d+\.\d+:\d+\Z")
_CATEGORIES_APART = re.compile(r"(:c\d{1,5}(?:\.c\d{1,5})?) (c\d{1,5}(?:[.,]c\d{1,5})*)\Z", re.ASCII)
"""A level whose first comma ausearch -i turned into a blank, as it does where two blanks stand before the field.

Source: audit-userspace src/ausearch-report.c, output_interpreted_node.
"""
_ONLY_HOST = re.compile(r"[A-Za-z0-9][\w.-]{0,252} \Z", re.ASCII)
_HOST = re.compile(
    r"(?:^|\s)([A-Za-z0-9][\w.-]{0,252})\s+(?:kernel(?::|\s+-)|audit(?:\[\d+\]|d)?:|auditd?\[\d+\]:|audispd:)", re.ASCII
)
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")

_context = lru_cache(maxsize=16384)(parse_context)
_relate = lru_cache(maxsize=16384)(relate)


@dataclass(frozen=True)
class Denial:
    """One refused access as one record tells it. ``time`` is milliseconds since the epoch.

    ``event`` (node and stamp) names the event it is a record of; empty where the form of the log has no serial.
    """

    key: AccessKey
    kind: str
    time: Optional[int]
    permissive: bool
    levels: str
    comm: Optional[str] = None
    path: Optional[str] = None
    name: Optional[str] = None
    device: Optional[str] = None
    inode: Optional[str] = None
    ports: tuple[int, ...] = ()
    host: Optional[str] = None
    event: str = ""


def parse_denial(prefix: str, text: str, claim: heads.Claim) -> Denial:
    """The denial in a record whose head claims one. Raises Unreadable."""
    whole = len(text) <= LONGEST_RECORD
    text = text[:LONGEST_RECORD]  # what follows on an overlong line is no part of the record
    _check_text(text)
    reading = read(prefix, text, claim)
    if not (whole or reading.closed):
        raise Unreadable("longer than any record")
    fields = _unique(reading)
    if claim.kind == heads.SELINUX_ERR:
        key, levels = _refusal_key(reading, fields)
    else:
        key, levels = _access_key(reading, fields, claim)
    interpreted = is_interpreted(claim.stamp)
    path = string(fields.get("path"), interpreted)
    return Denial(
        key=key,
        kind=claim.kind,
        time=time_of(prefix, claim),
        permissive=reading.permissive == "1",
        levels=levels,
        comm=string(fields.get("comm"), interpreted),
        path=path,
        name=None if path else string(fields.get("name") or fields.get("anonclass"), interpreted),
        device=string(fields.get("dev"), interpreted=True),
        inode=fields.get("ino"),
        ports=_ports(key, fields),
        host=host_of(prefix, text, claim),
        event=event_of(claim),
    )


def is_interpreted(stamp: str) -> bool:
    """Whether a record with this stamp has been interpreted by ausearch -i, which writes a date."""
    return bool(stamp) and not _EPOCH_STAMP.match(stamp)


def event_of(claim: heads.Claim) -> str:
    """What the records of one event have in common; empty where the header has no serial."""
    return f"{claim.node} {claim.stamp}" if ":" in claim.stamp else ""


def _check_text(text: str) -> None:
    at = text.find("\0")
    if at >= 0:
        raise Unreadable(f"holds a NUL byte at column {at + 1}")
    if not text.isascii():
        try:
            text.encode("latin-1").decode("utf-8")
        except UnicodeDecodeError as problem:
            byte = ord(text[problem.start])
            raise Unreadable(f"holds the byte 0x{byte:02x}, which is no text, at column {problem.start + 1}") from None


def _unique(reading: Reading) -> dict[str, str]:
    """Fields by name, the first of each. A second one that decides means that somebody forged one of them."""
    fields: dict[str, str] = {}
    for name, value in reading.fields:
        if fields.setdefault(name, value) != value and name in STABLE:
            counts = Counter(name for name, _ in reading.fields)
            raise Unreadable(f"{name}= stands in it {counts[name]} times, and they differ")
    return fields


def _access_key(reading: Reading, fields: dict[str, str], claim: heads.Claim) -> tuple[AccessKey, str]:
    _check_present(fields, "scontext", "tcontext", "tclass")
    source, target = _required_context(fields, "scontext"), _required_context(fields, "tcontext")
    tclass = _class(reading, fields)
    perms = tuple(sorted(set(reading.perms)))
    if not perms:
        raise Unreadable("names no permission")
    for perm in perms:
        if not IDENTIFIER.match(perm):
            raise Unreadable(f"{perm[:40]!r} is no permission")
    key = AccessKey(
        source=source.party,
        target=target.party,
        tclass=tclass,
        perms=perms,
        xperm=xperm(perms, fields),
        port=port(perms, tclass, fields),
        levels=_relate(source.level, target.level),
        failure=None,
        origin=_origin(fields, claim),
    )
    return key, _level_pair(source, target)


def _refusal_key(reading: Reading, fields: dict[str, str]) -> tuple[AccessKey, str]:
    operation = readable(unquote(fields["op"]))
    needed = refused_access(operation, fields)
    names = (needed.source, needed.target, *((needed.third,) if needed.third else ()))
    _check_present(fields, *names, *(() if needed.tclass else ("tclass",)))
    source, target = _required_context(fields, needed.source), _required_context(fields, needed.target)
    if source.level and not target.level:
        raise Unreadable(f"cut off in {needed.target}=")
    tclass = needed.tclass or _class(reading, fields)
    third = _required_context(fields, needed.third).party if needed.third else None
    key = AccessKey(
        source=source.party,
        target=target.party,
        tclass=tclass,
        perms=(needed.permission(tclass),),
        xperm=None,
        port=None,
        levels=_relate(source.level, target.level),
        failure=needed.failure(third),
        origin="kernel",
    )
    return key, _level_pair(source, target)


def _check_present(fields: dict[str, str], *names: str) -> None:
    missing = [name for name in names if name not in fields]
    if missing and {"ssid", "tsid"} & fields.keys():
        raise Unreadable("names its contexts by numbers (ssid, tsid) that only the kernel that wrote it knew")
    if missing:
        raise Unreadable(f"cut off or damaged: has no {missing[0]}=")


def _required_context(fields: dict[str, str], name: str) -> Context:
    text = string(fields[name]) or fields[name]
    context = _context(_CATEGORIES_APART.sub(r"\1,\2", text))
    if context is None:
        raise Unreadable(f"{name}={fields[name][:60]} is no security context")
    return context


def _class(reading: Reading, fields: dict[str, str]) -> str:
    value = unquote(fields["tclass"])
    if not IDENTIFIER.match(value):
        raise Unreadable(f"tclass={value[:40]} is no identifier")
    # Kernels before 3.16 wrote nothing after the class, so that nothing shows whether it is whole.
    if not reading.closed and reading.fields[-1][0] == "tclass" and value not in CLASSES:
        raise Unreadable(f"cut off in its class, or of a class without a known name: {value[:40]}")
    return value


def _level_pair(source: Context, target: Context) -> str:
    return f"{source.level} -> {target.level}" if source.level and target.level else ""


def _origin(fields: dict[str, str], claim: heads.Claim) -> str:
    if claim.kind == heads.USER_AVC:
        return "user"
    # Without a header (dbus-daemon's own line in the journal): the kernel always writes the process, user space never.
    return "kernel" if claim.type == "1400" or claim.body or "pid" in fields else "user"


def time_of(prefix: str, claim: heads.Claim) -> Optional[int]:
    """When a record was written, in milliseconds since the epoch; None where neither it nor its line says."""
    if claim.stamp:
        return stamp_time(claim.stamp)
    date = _ISO_DATE.search(prefix)
    return date_time(prefix[date.start() : date.start() + 40]) if date else None


def host_of(prefix: str, text: str, claim: heads.Claim) -> Optional[str]:
    """The host that wrote a record, as it or its line says; else None."""
    if claim.node:
        return readable(claim.node)
    # In the journal's form the tag after the host ("audit[42]:") is where the record itself begins.
    found = _HOST.search(prefix + "audit:" if text.startswith("audit") else prefix)
    if found:
        return found[1]
    # The node's name before a record of its audit.log: oc adm node-logs.
    return prefix[:-1] if text.startswith("type=") and _ONLY_HOST.match(prefix) else None


def _ports(key: AccessKey, fields: dict[str, str]) -> tuple[int, ...]:
    if key.port:
        return (key.port.number,)
    numbers = (port_number(unquote(fields[name])) for name in ("src", "dest") if name in fields)
    return tuple(number for number in numbers if number is not None)
