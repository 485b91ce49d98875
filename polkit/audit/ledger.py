"""The ledger: what was denied, counted by source so that reading something twice counts it once.

A source is known by its content (SHA-256 of the first 64 KiB, decompressed). Merging keeps, for each source, the
partial that covers more bytes; it is associative, commutative and idempotent. A log that was smaller than that when it
was read first is known again by the marks of what it has grown to; its earlier part stays in the ledger, so that
merging keeps its laws, and counts no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Optional, TypeVar

from polkit.audit.heads import AVC, OTHER, SELINUX_ERR, USER_AVC
from polkit.errors import AccountingError
from polkit.model import SAMPLE, AccessKey, Counted, Denials, Evidence, InputSummary, Unparsed

KINDS = (AVC, USER_AVC, SELINUX_ERR, OTHER)
SAMPLED = (
    *("comms", "paths", "names", "devices", "exes", "syscalls", "calls", "nodes", "answers", "commands", "addresses"),
    *("ports", "levels", "hosts"),
)
"""The fields of Evidence that are samples."""

IDENTITY = 65536
"""So many bytes of its decompressed content say which source this is."""

MARK = 12
"""Hexadecimal digits of a mark: among ten thousand small logs two are taken for one with a chance of one in 10,000."""

MOST_MARKS = 1024

LISTED = 1000
"""At most so many unparsed records are listed of a source, the first ones, and of an input; the others are counted."""

Value = TypeVar("Value", str, int)


@dataclass(frozen=True)
class Partial:
    """What was read of one source.

    ``name`` is how it was called; ``bytes`` decompressed bytes and ``lines`` newline-separated lines covered.
    ``marks`` are MARK digits for each line of the first IDENTITY bytes: of the hash of everything up to its end.
    ``records`` counts by kind: denials of AVC, USER_AVC and SELINUX_ERR (unparsed ones included, filtered ones not),
    and ``other`` audit records: those with a header that are neither a denial nor granted. The rest is as in
    InputSummary.
    """

    name: str
    bytes: int = 0
    lines: int = 0
    marks: str = ""
    records: Mapping[str, int] = field(default_factory=dict)
    granted: int = 0
    undated: int = 0
    filtered: int = 0
    counts: Mapping[AccessKey, Evidence] = field(default_factory=dict)
    unparsed: tuple[Unparsed, ...] = ()
    unlisted: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ledger:
    """Partials by source id (64 hexadecimal digits)."""

    partials: Mapping[str, Partial] = field(default_factory=dict)


def merge(*ledgers: Ledger) -> Ledger:
    """Ledgers as one; for a source in several, the partial that covers more bytes (of equals, always the same)."""
    partials: dict[str, Partial] = {}
    for source, partial in chain.from_iterable(ledger.partials.items() for ledger in ledgers):
        held = partials.get(source)
        if held is None or _preference(partial) > _preference(held):
            partials[source] = partial
    return Ledger(partials)


def outgrown(ledger: Ledger) -> frozenset[str]:
    """The sources that are the beginning of another one in the ledger: the same log, read when it was smaller."""
    marks = chain.from_iterable(
        (partial.marks[at : at + MARK] for at in range(0, len(partial.marks), MARK))
        for partial in ledger.partials.values()
    )
    starts = set(marks)
    return frozenset(
        source for source, partial in ledger.partials.items() if partial.bytes < IDENTITY and source[:MARK] in starts
    )


def _preference(partial: Partial) -> tuple[object, ...]:
    """A total order on partials: two that compare equal are equal."""
    return (
        partial.bytes,
        partial.lines,
        partial.name,
        partial.marks,
        sorted(partial.records.items()),
        (partial.granted, partial.undated, partial.filtered, partial.unlisted),
        repr(partial.unparsed),
        repr(partial.notes),
        repr(in_order(partial.counts)),
    )


def in_order(counts: Mapping[AccessKey, Evidence]) -> list[tuple[AccessKey, Evidence]]:
    """Counts in the one order everything is printed in: by types, class, permissions, then the rest of the key."""
    return sorted(counts.items(), key=lambda item: _order(item[0]))


def _order(key: AccessKey) -> tuple[str, ...]:
    numbers = (
        f"{key.xperm.kind}{key.xperm.number:06}" if key.xperm else "",
        f"{key.port.protocol}{key.port.number:05}" if key.port else "",
    )
    failure = () if key.failure is None else (key.failure.operation, *(key.failure.context or ()))
    what = (key.source.type, key.target.type, key.tclass, " ".join(key.perms))
    return (*what, *numbers, *key.source, *key.target, *key.levels, key.origin, *failure)


# ---- evidence --------------------------------------------------------------------------------------------------------


def smallest(values: Iterable[Value]) -> tuple[Value, ...]:
    """The SAMPLE smallest distinct values: a sample whose joining has a law."""
    return tuple(sorted(set(values))[:SAMPLE])


def join_evidence(one: Evidence, other: Evidence) -> Evidence:
    """The evidence of all records of both. Associative and commutative; the empty Evidence is neutral."""
    samples = {name: smallest((*getattr(one, name), *getattr(other, name))) for name in SAMPLED}
    return Evidence(
        records=one.records + other.records,
        accesses=one.accesses + other.accesses,
        first=_least(one.first, other.first),
        last=_greatest(one.last, other.last),
        permissive=one.permissive + other.permissive,
        **samples,
    )


def _least(one: Optional[int], other: Optional[int]) -> Optional[int]:
    return min((time for time in (one, other) if time is not None), default=None)


def _greatest(one: Optional[int], other: Optional[int]) -> Optional[int]:
    return max((time for time in (one, other) if time is not None), default=None)


# ---- totals ----------------------------------------------------------------------------------------------------------


def totals(ledger: Ledger) -> Denials:
    """All sources added up, ready for diagnosis. Raises AccountingError when the books don't balance."""
    gone = outgrown(ledger)
    named = sorted((partial.name, source) for source, partial in ledger.partials.items() if source not in gone)
    partials = [ledger.partials[source] for _, source in named]
    counts: dict[AccessKey, Evidence] = {}
    for partial in partials:
        problem = imbalance(partial)
        if problem:
            raise AccountingError(f"the books of {partial.name} don't balance: {problem}")
        for key, evidence in partial.counts.items():
            counts[key] = join_evidence(counts[key], evidence) if key in counts else evidence
    counted = tuple(Counted(key, evidence) for key, evidence in in_order(counts))
    summary = _summary(partials, counted)
    if summary.denials != summary.parsed + summary.unreadable:
        raise AccountingError(f"{summary.denials} denials, but {summary.parsed} parsed, {summary.unreadable} unparsed")
    return Denials(summary, counted)


def imbalance(partial: Partial) -> Optional[str]:
    """What is wrong with a partial's books, or None: every denial was counted once, every permission once."""
    parsed = sum(evidence.records for evidence in partial.counts.values())
    denials = sum(partial.records.get(kind, 0) for kind in KINDS if kind != OTHER)
    unreadable = len(partial.unparsed) + partial.unlisted
    if denials != parsed + unreadable:
        return f"{denials} denials, but {parsed} parsed and {unreadable} unparsed"
    for key, evidence in partial.counts.items():
        if evidence.accesses != evidence.records * len(key.perms):
            return f"{evidence.records} records of {len(key.perms)} permissions, but {evidence.accesses} accesses"
        if evidence.permissive > evidence.records:
            return f"{evidence.permissive} of {evidence.records} records permissive"
    if partial.undated > parsed:
        return f"{partial.undated} of {parsed} parsed denials undated"
    return None


def _summary(partials: list[Partial], counted: tuple[Counted, ...]) -> InputSummary:
    records = {kind: sum(partial.records.get(kind, 0) for partial in partials) for kind in KINDS}
    unparsed = tuple(chain.from_iterable(partial.unparsed for partial in partials))
    return InputSummary(
        sources=tuple(partial.name for partial in partials),
        bytes=sum(partial.bytes for partial in partials),
        lines=sum(partial.lines for partial in partials),
        denials=sum(number for kind, number in records.items() if kind != OTHER),
        distinct=len(counted),
        accesses=sum(count.evidence.accesses for count in counted),
        parsed=sum(count.evidence.records for count in counted),
        records=records,
        granted=sum(partial.granted for partial in partials),
        undated=sum(partial.undated for partial in partials),
        filtered=sum(partial.filtered for partial in partials),
        unparsed=unparsed[:LISTED],
        unlisted=sum(partial.unlisted for partial in partials) + len(unparsed[LISTED:]),
        notes=tuple(_notes(partials)),
    )


def _notes(partials: list[Partial]) -> Iterator[str]:
    for partial in partials:
        yield from (f"{partial.name}: {note}" for note in partial.notes)


def with_filter(partial: Partial, source_types: frozenset[str]) -> Partial:
    """A partial with only the denials whose source type is one of these; the others count as filtered."""
    kept = {key: evidence for key, evidence in partial.counts.items() if key.source.type in source_types}
    if len(kept) == len(partial.counts):
        return partial
    records = dict(partial.records)
    dropped = [(key, evidence) for key, evidence in partial.counts.items() if key not in kept]
    for key, evidence in dropped:
        records[kind_of(key)] -= evidence.records
    number = sum(evidence.records for _, evidence in dropped)
    undated = min(partial.undated, sum(evidence.records for evidence in kept.values()))
    return replace(partial, counts=kept, records=records, filtered=partial.filtered + number, undated=undated)


def kind_of(key: AccessKey) -> str:
    """The kind of record that a key is counted from."""
    if key.failure is not None:
        return SELINUX_ERR
    return USER_AVC if key.origin == "user" else AVC
