"""Counts what is read of one source, in bounded memory, and gives its Partial at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Optional

from polkit.audit.denial import Denial
from polkit.audit.events import Circumstances
from polkit.audit.heads import OTHER
from polkit.audit.ledger import KINDS, LISTED, SAMPLED, Partial, kind_of, smallest
from polkit.audit.times import parse_when
from polkit.errors import UsageError
from polkit.model import SAMPLE, AccessKey, Evidence, Unparsed

LONGEST_TEXT = 200
"""Characters kept of the text of an unparsed record."""

_LONGEST_VALUE = 4096

POLICY_LOAD = "policy-load"
"""What ``--since`` takes in place of a time."""


@dataclass(frozen=True)
class ReadOptions:
    """What to count: denials from ``since`` up to, not including, ``until`` (milliseconds since the epoch), of these
    source types (all when empty). Denials without a full date pass ``since`` and ``until``.

    ``since_policy_load``: only what a host wrote after its last load of a policy. ``loads`` are those loads once they
    have been found: the host as its records name it (else empty), and the time.
    """

    since: Optional[int] = None
    until: Optional[int] = None
    source_types: frozenset[str] = frozenset()
    since_policy_load: bool = False
    loads: Mapping[str, int] = field(default_factory=dict)


def read_options(since: Optional[str], until: Optional[str], sources: Iterable[str] = ()) -> ReadOptions:
    """The options for what a user typed after ``--since`` (a time, or ``policy-load``), ``--until`` and ``--source``.

    Raises UsageError for what is no time, and for an end before the beginning.
    """
    now = int(time.time() * 1000)
    at_load = since == POLICY_LOAD
    first = parse_when(since, now) if since and not at_load else None
    end = parse_when(until, now) if until else None
    if first is not None and end is not None and first > end:
        raise UsageError(f"--since {since} is later than --until {until}")
    return ReadOptions(first, end, frozenset(sources), at_load)


class _Sample:
    """The SAMPLE smallest distinct values of those added."""

    def __init__(self) -> None:
        self._values: set[str] = set()

    def add(self, value: Optional[str]) -> None:
        if value:
            self._values.add(value[:_LONGEST_VALUE])
            if len(self._values) > 4 * SAMPLE:
                self._values = set(smallest(self._values))

    def include(self, other: _Sample) -> None:
        self._values = set(smallest((*self._values, *other._values)))

    def values(self) -> tuple[str, ...]:
        return smallest(self._values)


def _chosen(choose: Callable[[int, int], int], one: Optional[int], other: Optional[int]) -> Optional[int]:
    return choose(one, other) if one is not None and other is not None else one if other is None else other


@dataclass
class _Count:
    records: int = 0
    permissive: int = 0
    first: Optional[int] = None
    last: Optional[int] = None
    comms: _Sample = field(default_factory=_Sample)
    paths: _Sample = field(default_factory=_Sample)
    names: _Sample = field(default_factory=_Sample)
    devices: _Sample = field(default_factory=_Sample)
    exes: _Sample = field(default_factory=_Sample)
    syscalls: _Sample = field(default_factory=_Sample)
    calls: _Sample = field(default_factory=_Sample)
    nodes: _Sample = field(default_factory=_Sample)
    answers: _Sample = field(default_factory=_Sample)
    commands: _Sample = field(default_factory=_Sample)
    addresses: _Sample = field(default_factory=_Sample)
    levels: _Sample = field(default_factory=_Sample)
    hosts: _Sample = field(default_factory=_Sample)
    ports: set[int] = field(default_factory=set)

    def add(self, denial: Denial, about: Circumstances) -> None:
        self.records += 1
        self.permissive += denial.permissive
        self.first = _chosen(min, self.first, denial.time)
        self.last = _chosen(max, self.last, denial.time)
        path = denial.path or about.path
        self.comms.add(denial.comm)
        self.paths.add(path)
        self.names.add(None if path else denial.name)
        self.devices.add(denial.device)
        self.exes.add(about.exe)
        self.syscalls.add(about.syscall)
        self.calls.add(about.call)
        self.nodes.add(about.node)
        self.answers.add(about.answer)
        self.commands.add(about.command)
        self.addresses.add(about.address)
        self.levels.add(denial.levels)
        self.hosts.add(denial.host)
        self.ports.update(denial.ports or about.ports)

    def include(self, other: _Count) -> None:
        """Count all that was counted there."""
        self.records += other.records
        self.permissive += other.permissive
        self.first = _chosen(min, self.first, other.first)
        self.last = _chosen(max, self.last, other.last)
        for name in SAMPLED:
            if name != "ports":
                getattr(self, name).include(getattr(other, name))
        self.ports |= other.ports

    def evidence(self, perms: int) -> Evidence:
        return Evidence(
            records=self.records,
            accesses=self.records * perms,
            first=self.first,
            last=self.last,
            permissive=self.permissive,
            comms=self.comms.values(),
            paths=self.paths.values(),
            names=self.names.values(),
            devices=self.devices.values(),
            exes=self.exes.values(),
            syscalls=self.syscalls.values(),
            calls=self.calls.values(),
            nodes=self.nodes.values(),
            answers=self.answers.values(),
            commands=self.commands.values(),
            addresses=self.addresses.values(),
            ports=smallest(self.ports),
            levels=self.levels.values(),
            hosts=self.hosts.values(),
        )


class Tally:
    """The running counts of one source."""

    def __init__(self, name: str, options: ReadOptions) -> None:
        self._name = name
        self._options = options
        self._counts: dict[AccessKey, _Count] = {}
        self._records = dict.fromkeys(KINDS, 0)
        self._unparsed: list[Unparsed] = []
        self._granted = self._undated = self._filtered = self._unlisted = 0

    def wants_circumstances(self, denial: Denial) -> bool:
        """The first SAMPLE records of a key are joined with the other records of their events; that costs time."""
        count = self._counts.get(denial.key)
        return count is None or count.records < SAMPLE

    def denial(self, denial: Denial, about: Circumstances) -> None:
        """Count a denial, or leave it out by the options."""
        if not self.selects(denial):
            self._filtered += 1
            return
        self._records[kind_of(denial.key)] += 1
        self._undated += denial.time is None
        self._counts.setdefault(denial.key, _Count()).add(denial, about)

    def unparsed(self, line: int, kind: str, reason: str, text: str) -> None:
        """Count a denial that can't be read. ``text`` is bytes read as Latin-1."""
        self._records[kind] += 1
        if len(self._unparsed) >= LISTED:
            self._unlisted += 1
            return
        shown = text[:LONGEST_TEXT].encode("latin-1").decode("utf-8", "backslashreplace")[:LONGEST_TEXT]
        self._unparsed.append(Unparsed(self._name, line, reason, shown))

    def granted(self) -> None:
        """Count an ``avc: granted`` record."""
        self._granted += 1

    def other(self) -> None:
        """Count an audit record of another kind."""
        self._records[OTHER] += 1

    def include(self, other: Tally, lines: int) -> None:
        """Count all that was counted there, of a part of the source that ``lines`` lines stand before."""
        for key, counted in other._counts.items():
            self._counts.setdefault(key, _Count()).include(counted)
        for kind, number in other._records.items():
            self._records[kind] += number
        places = LISTED - len(self._unparsed)
        self._unparsed += [replace(one, source=self._name, line=one.line + lines) for one in other._unparsed[:places]]
        self._unlisted += other._unlisted + len(other._unparsed[places:])
        self._granted += other._granted
        self._undated += other._undated
        self._filtered += other._filtered

    def partial(self, size: int, lines: int, notes: list[str]) -> Partial:
        """Everything counted. ``size`` in decompressed bytes."""
        return Partial(
            name=self._name,
            bytes=size,
            lines=lines,
            records=self._records,
            granted=self._granted,
            undated=self._undated,
            filtered=self._filtered,
            counts={key: count.evidence(len(key.perms)) for key, count in self._counts.items()},
            unparsed=tuple(sorted(self._unparsed, key=lambda record: (record.line, record.reason, record.text))),
            unlisted=self._unlisted,
            notes=tuple(notes),
        )

    def selects(self, denial: Denial) -> bool:
        """Whether the options let a denial count."""
        options = self._options
        if options.source_types and denial.key.source.type not in options.source_types:
            return False
        if denial.time is None:
            return True
        return (
            (options.since is None or denial.time >= options.since)
            and (options.until is None or denial.time < options.until)
            and denial.time >= options.loads.get(denial.host or "", denial.time)
        )
