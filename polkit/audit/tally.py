"""Counts what is read of one source, in bounded memory, and gives its Partial at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import NamedTuple, Optional

from polkit.audit.denial import Denial
from polkit.audit.events import Circumstances
from polkit.audit.heads import OTHER
from polkit.audit.ledger import KINDS, LISTED, Partial, kind_of, smallest
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
    """The ``most`` smallest distinct values of those added."""

    def __init__(self, most: int = SAMPLE) -> None:
        self._most = most
        self._values: set[str] = set()

    def add(self, value: Optional[str]) -> None:
        if value:
            self._values.add(value[:_LONGEST_VALUE])
            if len(self._values) > 4 * self._most:
                self._values = set(sorted(self._values)[: self._most])

    def include(self, other: _Sample) -> None:
        for value in other._values:
            self.add(value)

    def values(self, without: Container[str] = ()) -> tuple[str, ...]:
        kept = sorted(self._values)[: self._most]
        return smallest(value for value in kept if value not in without)


def _chosen(choose: Callable[[int, int], int], one: Optional[int], other: Optional[int]) -> Optional[int]:
    return choose(one, other) if one is not None and other is not None else one if other is None else other


EACH = 2
"""Of each exemplar so many denials are joined with their events: what it was about may be done by several calls."""


class Exemplar(NamedTuple):
    """What tells denials of one key apart, as far as their circumstances go."""

    comm: Optional[str]
    path: Optional[str]
    name: Optional[str]
    device: Optional[str]
    inode: Optional[str]
    ports: tuple[int, ...]


def _exemplar(denial: Denial) -> Exemplar:
    return Exemplar(denial.comm, denial.path, denial.name, denial.device, denial.inode, denial.ports)


@dataclass
class _Count:
    """The first SAMPLE distinct exemplars keep the circumstances of their first denials; everything else is added up.

    What is kept of a log is what is kept of its parts, put together in their order.
    """

    records: int = 0
    permissive: int = 0
    first: Optional[int] = None
    last: Optional[int] = None
    exemplars: dict[Exemplar, tuple[Circumstances, ...]] = field(default_factory=dict)
    comms: _Sample = field(default_factory=_Sample)
    paths: _Sample = field(default_factory=_Sample)
    names: _Sample = field(default_factory=lambda: _Sample(2 * SAMPLE))
    """Twice as many: those of exemplars whose path is known are left out at the end."""
    devices: _Sample = field(default_factory=_Sample)
    levels: _Sample = field(default_factory=_Sample)
    hosts: _Sample = field(default_factory=_Sample)
    ports: set[int] = field(default_factory=set)

    def wants(self, denial: Denial) -> bool:
        known = self.exemplars.get(_exemplar(denial))
        return len(self.exemplars) < SAMPLE if known is None else len(known) < EACH

    def add(self, denial: Denial, about: Circumstances) -> None:
        if self.wants(denial):
            exemplar = _exemplar(denial)
            self.exemplars[exemplar] = (*self.exemplars.get(exemplar, ()), about)
        self.repeat(denial, 1, denial.time, denial.time)
        self.levels.add(denial.levels)

    def repeat(
        self,
        denial: Denial,
        number: int,
        first: Optional[int],
        last: Optional[int],
        files: Optional[Iterable[str]] = None,
    ) -> None:
        """Count so many denials that differ from this one in nothing but time, levels and these files."""
        self.records += number
        self.permissive += number if denial.permissive else 0
        self.first = _chosen(min, self.first, first)
        self.last = _chosen(max, self.last, last)
        self.comms.add(denial.comm)
        self.devices.add(denial.device)
        for file in (denial.path or denial.name,) if files is None else files:
            (self.paths if denial.path else self.names).add(file)
        self.hosts.add(denial.host)
        self.ports.update(denial.ports)

    def include(self, other: _Count) -> None:
        """Count all that was counted there, of what stands behind all that was counted here."""
        self.records += other.records
        self.permissive += other.permissive
        self.first = _chosen(min, self.first, other.first)
        self.last = _chosen(max, self.last, other.last)
        for exemplar, about in other.exemplars.items():
            known = self.exemplars.get(exemplar)
            if known is not None or len(self.exemplars) < SAMPLE:
                self.exemplars[exemplar] = (*(known or ()), *about)[:EACH]
        for name in ("comms", "paths", "names", "devices", "levels", "hosts"):
            getattr(self, name).include(getattr(other, name))
        self.ports |= other.ports

    def evidence(self, perms: int) -> Evidence:
        joined = [(exemplar, about) for exemplar, several in self.exemplars.items() for about in several]
        about_all = [about for _, about in joined]
        placed = {exemplar.name or "" for exemplar, about in joined if about.path}
        paths = chain(self.paths.values(), (about.path for about in about_all))
        ports = chain(self.ports, *(about.ports for exemplar, about in joined if not exemplar.ports))
        return Evidence(
            records=self.records,
            accesses=self.records * perms,
            first=self.first,
            last=self.last,
            permissive=self.permissive,
            comms=self.comms.values(),
            paths=_smallest(paths),
            names=self.names.values(without=placed),
            devices=self.devices.values(),
            exes=_smallest(about.exe for about in about_all),
            syscalls=_smallest(about.syscall for about in about_all),
            calls=_smallest(about.call for about in about_all),
            nodes=_smallest(about.node for about in about_all),
            answers=_smallest(about.answer for about in about_all),
            commands=_smallest(about.command for about in about_all),
            addresses=_smallest(about.address for about in about_all),
            ports=smallest(ports),
            levels=self.levels.values(),
            hosts=self.hosts.values(),
        )


def _smallest(values: Iterable[Optional[str]]) -> tuple[str, ...]:
    return smallest(value[:_LONGEST_VALUE] for value in values if value)


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
        """Of each key the first denials that differ in what they are about are joined with the other records of their
        events; that costs time."""
        count = self._counts.get(denial.key)
        return count is None or count.wants(denial)

    def denial(self, denial: Denial, about: Circumstances) -> None:
        """Count a denial, or leave it out by the options."""
        if not self.selects(denial):
            self._filtered += 1
            return
        self._records[kind_of(denial.key)] += 1
        self._undated += denial.time is None
        self._counts.setdefault(denial.key, _Count()).add(denial, about)

    def exemplars(self, key: AccessKey) -> Mapping[Exemplar, tuple[Circumstances, ...]]:
        """The exemplars of a key with the circumstances found, as they are being counted; once SAMPLE, always these."""
        count = self._counts.get(key)
        return {} if count is None else count.exemplars

    def repeated(
        self,
        denial: Denial,
        number: int,
        first: Optional[int],
        last: Optional[int],
        levels: Iterable[str],
        files: Optional[Iterable[str]] = None,
    ) -> None:
        """Count so many more denials that differ from one that was counted in nothing but time, levels and, where some
        are given, the path or name of the file. All that ``exemplars`` wants has been counted."""
        if self._options.source_types and denial.key.source.type not in self._options.source_types:
            self._filtered += number
            return
        self._records[kind_of(denial.key)] += number
        count = self._counts.setdefault(denial.key, _Count())
        count.repeat(denial, number, first, last, files)
        for pair in levels:
            count.levels.add(pair)

    def filtered(self, number: int) -> None:
        """Count denials that the options leave out."""
        self._filtered += number

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

    def other(self, number: int = 1) -> None:
        """Count audit records of another kind."""
        self._records[OTHER] += number

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
