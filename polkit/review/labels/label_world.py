"""What the file contexts of a module do among those of a target policy: which paths get another label through which
entry, and who may then do more with them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Optional

from polkit.model import FileContext
from polkit.module import KINDS, precedence
from polkit.module.source import FileLabel, Rule
from polkit.policy import ListedLabel, TargetPolicy, assess
from polkit.review.case import Case, Labelled
from polkit.review.labels.labels_read import labels_of
from polkit.review.labels.path_patterns import PathPattern, is_path, path_pattern
from polkit.review.labels.pattern_errors import errors_of

CLASSES = {word: tclass for tclass, word in KINDS.items() if word}
"""From the word for a kind of file to its class."""
READS, WRITES = frozenset(("read",)), frozenset(("write", "append", "add_name", "remove_name"))
_GRAVITY = ("low", "medium", "high")
_GENERAL = 4
"""A directory is shared by that many entries of the policy, or more, when it is no application's own."""


class Entry(NamedTuple):
    """An entry of the module that libselinux can be asked about."""

    labelled: Labelled
    pattern: PathPattern
    type: str

    @property
    def label(self) -> FileLabel:
        """The entry as it was read."""
        return self.labelled.entry

    @property
    def tclass(self) -> str:
        """The class of files that it is for; ``file`` for one that is for any."""
        return CLASSES.get(self.label.kind, "file")

    @property
    def order(self) -> tuple[object, ...]:
        """Of two that match a path the one with the higher order decides."""
        return (*precedence(self.label.pattern, self.label.kind), self.labelled.place)

    @property
    def examples(self) -> tuple[str, ...]:
        """Paths that it is for: of one for regular files none that other examples lie below."""
        paths = self.pattern.examples
        if self.label.kind in ("", "-d"):
            return paths
        return tuple(one for one in paths if not any(other.startswith(f"{one}/") for other in paths)) or paths

    def is_for(self, kind: str) -> bool:
        """It is for files of this kind, among others perhaps; any kind is the empty word."""
        return not kind or not self.label.kind or self.label.kind == kind


class ByStart:
    """Entries by the text that their paths begin with: those for a path are found without a look at all others."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._found: dict[str, list[Entry]] = {}
        for one in entries:
            self._found.setdefault(one.pattern.start, []).append(one)

    def near(self, path: str) -> Iterator[Entry]:
        """Those that may match a path."""
        for end in range(len(path) + 1):
            yield from self._found.get(path[:end], ())


class Taken(NamedTuple):
    """A path that the policy labels by an entry of its own (``theirs``), and gets another type with the module."""

    path: str
    tclass: str
    theirs: ListedLabel
    old: str
    new: str


class Gained(NamedTuple):
    """The domains that may read, or change, what has a new label and could not before; ``severity`` is that of the
    gravest of these accesses in the catalogue of risks. ``others``: some are not of the module."""

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    severity: str
    others: bool


@dataclass(frozen=True, eq=False)
class LabelWorld:
    """The entries of a module's file contexts, and those of ``policy``, which is the target without the module."""

    case: Case
    policy: TargetPolicy
    entries: tuple[Entry, ...]

    @cached_property
    def _by_start(self) -> ByStart:
        return ByStart(self.entries)

    @cached_property
    def after(self) -> TargetPolicy:
        """The policy with the module's entries."""
        return self.policy.with_contexts(
            tuple(FileContext(one.label.pattern, one.label.kind, one.type) for one in self.entries)
        )

    @cached_property
    def _theirs(self) -> tuple[list[str], list[tuple[str, ListedLabel, PathPattern]]]:
        """The policy's entries, sorted by the text they begin with; beside them those texts alone."""
        found = [(path_pattern(one.pattern), one) for one in self.policy.file_entries()]
        ordered = sorted(((pattern.start, one, pattern) for pattern, one in found), key=lambda each: each[0])
        return [one[0] for one in ordered], ordered

    @cached_property
    def below(self) -> Mapping[str, int]:
        """How many entries of the policy begin with each directory."""
        counted: Counter[str] = Counter()
        for start, *_ in self._theirs[1]:
            parts = start.split("/")[:-1]
            counted.update("/".join(parts[:end]) or "/" for end in range(1, len(parts) + 1))
        return counted

    def beginning_with(self, text: str) -> int:
        """How many entries of the policy begin with that text."""
        starts, _ = self._theirs
        return bisect_left(starts, f"{text}\U0010ffff") - bisect_left(starts, text)

    def _near(self, pattern: PathPattern) -> Iterator[tuple[ListedLabel, PathPattern]]:
        """The policy's entries that may match a path of ``pattern``, as far as the text they begin with tells."""
        starts, ordered = self._theirs
        begin = bisect_left(starts, pattern.start)
        for start, one, theirs in ordered[begin:]:
            if not start.startswith(pattern.start):
                break
            yield one, theirs
        for end in range(len(pattern.start)):
            text = pattern.start[:end]
            place = bisect_left(starts, text)
            while place < len(starts) and starts[place] == text:
                yield ordered[place][1], ordered[place][2]
                place += 1

    def theirs_at(self, entry: Entry) -> Iterator[ListedLabel]:
        """The policy's entries that begin with the same text."""
        starts, ordered = self._theirs
        place = bisect_left(starts, entry.pattern.start)
        while place < len(starts) and starts[place] == entry.pattern.start:
            yield ordered[place][1]
            place += 1

    def decides(self, path: str, tclass: str) -> Optional[Entry]:
        """The module's entry that comes last of those that match a path."""
        kind = KINDS.get(tclass, "")
        found = (one for one in self._by_start.near(path) if one.is_for(kind) and one.pattern.matches(path))
        return max(found, key=lambda one: one.order, default=None)

    def covered(self, entry: Entry) -> Iterator[tuple[ListedLabel, str]]:
        """The policy's entries, of another type, for paths that ``entry`` matches, each with such a path."""
        for theirs, pattern in self._near(entry.pattern):
            if not entry.is_for(theirs.kind) or theirs.type == entry.type:
                continue
            path = next((one for one in pattern.examples if entry.pattern.matches(one)), None)
            if path is not None:
                yield theirs, path

    def taken(self, entry: Entry) -> Iterator[Taken]:
        """The paths that the policy has an entry of its own for, and that ``entry`` gives another type."""
        for theirs, path in self.covered(entry):
            tclass = CLASSES.get(theirs.kind) or entry.tclass
            old, new = self.policy.file_label(path, tclass), self.after.file_label(path, tclass)
            if old is None or new is None or old.type != theirs.type or not self._is(new.type, entry.type):
                continue
            if old.type != new.type and self.decides(path, tclass) is entry and not self.is_general(theirs):
                yield Taken(path, tclass, theirs, old.type, new.type)

    def inside(self, entry: Entry) -> Iterator[Taken]:
        """Paths of ``entry`` in what one entry of the policy labels for one application."""
        for path in entry.examples:
            old, new = self.policy.file_label(path, entry.tclass), self.after.file_label(path, entry.tclass)
            if old is None or new is None or old.type == new.type or not self._is(new.type, entry.type):
                continue
            theirs = self._of(path, entry.label.kind, old.type)
            if theirs is not None and not self.is_general(theirs):
                yield Taken(path, entry.tclass, theirs, old.type, new.type)

    def _of(self, path: str, kind: str, type_: str) -> Optional[ListedLabel]:
        """The policy's entry for a path and type with the longest text at its start."""
        spoken = self.policy.spoken_of(path)
        near = self._near(path_pattern(_quoted(spoken)))
        fitting = [
            (len(theirs.start), number, one)
            for number, (one, theirs) in enumerate(near)
            if one.type == type_ and (not one.kind or not kind or one.kind == kind) and theirs.matches(spoken)
        ]
        return max(fitting)[2] if fitting else None

    def is_general(self, theirs: ListedLabel) -> bool:
        """The entry is for a directory that many share (``/etc/.*``), not for one application's paths."""
        pattern = path_pattern(theirs.pattern)
        start, rest = pattern.start, pattern.plain[len(pattern.start) :]
        if start.endswith("/"):
            directory = start[:-1] or "/"
        elif rest.startswith(("(/", "/")) or rest == "(/.*)?":
            directory = start
        else:
            return False
        return self.beginning_with(f"{directory.rstrip('/')}/") >= _GENERAL and ".*" in pattern.plain

    def _is(self, one: str, other: str) -> bool:
        return one == (self.policy.type_name(other) or other)

    def holds(self, entry: Entry) -> Optional[str]:
        """An example path where the policy decides over ``entry``, if it does so for all of them."""
        reached = [path for path in entry.examples if entry.pattern.matches(self.policy.spoken_of(path))]
        asked = [(path, tclass) for path in reached for tclass in self._classes(entry)]
        for path, tclass in asked:
            label = self.after.file_label(path, tclass)
            if self.decides(path, tclass) is not entry or (label is not None and self._is(label.type, entry.type)):
                return None
        return asked[0][0] if asked else None

    def _classes(self, entry: Entry) -> tuple[str, ...]:
        return (entry.tclass,) if entry.label.kind else ("file", "dir")

    @cached_property
    def _domains(self) -> tuple[str, ...]:
        return tuple(sorted(self.policy.types("domain")))

    def gained(self, old: str, new: str, tclass: str) -> Gained:
        """Who may read or change a file that had the type ``old`` once it has ``new``."""
        after = self._after_of(new, tclass)
        reads: list[str] = []
        writes: list[str] = []
        for domain in (*self._domains, *sorted(after.keys() - set(self._domains))):
            before = self.policy.allowed(domain, old, tclass) if self.policy.type_name(domain) else frozenset()
            given = self._given(domain, new, tclass, after)
            if given & READS and not before & READS:
                reads.append(domain)
            if given & WRITES and not before & WRITES:
                writes.append(domain)
        graver = (
            (assess(domain, old, tclass, perm, self.policy))
            for perm, domains in (("read", reads), ("write", writes))
            for domain in domains
        )
        found = max((_GRAVITY.index(risk.severity) for risk in graver if risk is not None), default=0)
        others = any(self.policy.type_name(one) for one in (*reads, *writes))
        return Gained(tuple(reads), tuple(writes), _GRAVITY[found], others)

    def _given(self, domain: str, new: str, tclass: str, after: Mapping[str, frozenset[str]]) -> frozenset[str]:
        built = self.case.built
        if built is not None:
            return built.new.allowed(domain, new, tclass)
        known = self.policy.allowed(domain, new, tclass) if self.policy.type_name(new) else frozenset()
        return known | after.get(domain, frozenset())

    def _after_of(self, new: str, tclass: str) -> Mapping[str, frozenset[str]]:
        """The domains of the module's own that may do something with a type, with the permissions."""
        built = self.case.built
        if built is None:
            return written_rules(self.case, new, tclass)
        added = (one for one in built.between.types_added if one in built.new.types("domain"))
        return {domain: frozenset() for domain in added}


def written_rules(case: Case, type_: str, tclass: str) -> Mapping[str, frozenset[str]]:
    """What the module's own allow rules give on a type that they name, by their sources."""
    found: dict[str, frozenset[str]] = {}
    for one in case.statements:
        rule = one.statement
        if not isinstance(rule, Rule) or rule.kind != "allow" or tclass not in rule.classes.names:
            continue
        if type_ in rule.targets.names:
            for source in rule.sources.names:
                found[source] = found.get(source, frozenset()) | frozenset(rule.perms.names)
    return found


def label_world(case: Case) -> Optional[LabelWorld]:
    """The module's entries among those of the target policy; None without file contexts on either side."""
    policy = case.policy
    if policy is None or not policy.has_file_contexts or not labels_of(case):
        return None
    return LabelWorld(case, policy, tuple(_entries(case)))


def _entries(case: Case) -> Iterator[Entry]:
    """Those that libselinux can be given: it ends the whole look-up at an expression that does not compile."""
    labels = labels_of(case)
    broken = errors_of(one.entry.pattern for one in labels)
    for one in labels:
        label = one.entry
        if label.context is not None and label.pattern.startswith("/") and label.pattern not in broken:
            yield Entry(one, path_pattern(label.pattern), label.context[2])


def _quoted(path: str) -> str:
    return "".join(f"\\{one}" if one in ".^$?*+|[](){}\\" else one for one in path) if is_path(path) else "/"
