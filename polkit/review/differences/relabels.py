"""What a change of file contexts comes to: which paths get another label, and who may use them then.

Of each entry that came, went or changed the paths are told by example: those of its own pattern and, where other
entries overlap with it, those that both match (``PathPattern``). Which entry decides for a path is worked out on all
entries of either side, as libselinux does: the last that matches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Optional

from polkit.model import parse_context
from polkit.module import KINDS
from polkit.policy import OBJECTS, Between, LabelEffect, LabelLine, label_effect
from polkit.review.labels.path_patterns import PathPattern, path_pattern

_MOST_CHANGES = 300
_MOST_PATHS = 200
"""Of one entry. With more, as with more changes, nothing is told of it."""
_CLASSES = {word: tclass for tclass, word in KINDS.items() if word}
_NONE = "<<none>>"


class Relabel(NamedTuple):
    """A change of labels. ``line``: the entry. ``old`` and ``new``: the types that its paths had and have, the same one
    where nothing changes; ``way``: more, less, both or neither, for who may use them. ``effect`` where the types
    alone decide that."""

    line: str
    is_new: bool
    old: str
    new: str
    way: str
    effect: Optional[LabelEffect] = None

    @property
    def text(self) -> str:
        """``/srv/x(/.*)?: var_t -> foo_t; 3 domains more may write it``."""
        words = self.line.split()
        if not self.old:
            return f"label {self.line}" if self.is_new else f"no longer: label {self.line}"
        where = " ".join(words[:-1])
        if self.old == self.new:
            return f"label {where}: {self.new}, as it is without this entry"
        return "; ".join((f"label {where}: {self.old} -> {self.new}", *counted(self.effect)))


def counted(effect: Optional[LabelEffect]) -> Iterator[str]:
    """How many domains may do what more, and less."""
    if effect is None:
        return
    for words, numbers in (("more may", effect.more), ("fewer may", effect.less)):
        said = [f"{number} {use}" for use, number in numbers.items() if number]
        if said:
            first, *rest = said
            number, use = first.split()
            noun = "domain" if number == "1" else "domains"
            yield ", ".join((f"{number} {noun} {words} {use} it", *rest))
    if effect.enters:
        yield "who executes it enters another domain"


def relabels(found: Between) -> Optional[tuple[Relabel, ...]]:
    """Each entry that came or went with what it does to the labels of its paths; None where labels were not compared.

    An entry whose paths can't be told, or whose level, role or user changes, counts both ways.
    """
    if found.labels_added is None or found.labels_removed is None:
        return None
    lines = [(line, True) for line in found.labels_added] + [(line, False) for line in found.labels_removed]
    if found.label_lines is None or len(lines) > _MOST_CHANGES:
        return tuple(_unknown(line, is_new) for line, is_new in lines)
    old, new = _Side(found.label_lines[0]), _Side(found.label_lines[1])
    work = _Work(found, old, new)
    replaced = {_place(line) for line in found.labels_added}
    return tuple(
        one
        for line, is_new in lines
        if is_new or _place(line) not in replaced  # what takes its place says it
        for one in work.of(line, is_new)
    )


def _place(line: str) -> str:
    return line.rpartition(" ")[0]


def _unknown(line: str, is_new: bool) -> Relabel:
    return Relabel(line, is_new, "", "", "both")


class _Side:
    """The entries of one policy."""

    def __init__(self, lines: tuple[LabelLine, ...]) -> None:
        self._lines = [(path_pattern(line.pattern).start, line) for line in reversed(lines)]
        self._known: dict[tuple[str, str], Optional[str]] = {}

    def label(self, path: str, kind: str) -> Optional[str]:
        """The context of a path for files of one kind; None where no entry matches."""
        key = (path, kind)
        if key not in self._known:
            self._known[key] = next(
                (
                    line.context
                    for start, line in self._lines
                    if path.startswith(start) and line.kind in ("", kind) and path_pattern(line.pattern).matches(path)
                ),
                None,
            )
        return self._known[key]

    def near(self, pattern: PathPattern) -> Iterator[PathPattern]:
        """The patterns that may match some of the same paths."""
        for start, line in self._lines:
            if start.startswith(pattern.start) or pattern.start.startswith(start):
                yield path_pattern(line.pattern)


@dataclass(frozen=True)
class _Work:
    found: Between
    old: _Side
    new: _Side

    def of(self, line: str, is_new: bool) -> Iterator[Relabel]:
        words = line.split()
        kind = words[1] if len(words) == 3 else ""
        changes = self._changes(path_pattern(words[0]), kind)
        if changes is None:
            yield _unknown(line, is_new)
            return
        if not changes:
            label = parse_context(words[-1])
            yield Relabel(line, is_new, *(2 * (words[-1] if label is None else label.type,)), "neither")
        for before, after in sorted(changes):
            yield self._judged(line, is_new, before, after, (_CLASSES[kind],) if kind else OBJECTS)

    def _changes(self, pattern: PathPattern, kind: str) -> Optional[set[tuple[str, str]]]:
        """The contexts that paths of the pattern have before and after, where they differ; None where that can't be
        told."""
        if pattern.text.startswith("HOME_") or not pattern.examples:
            return None
        paths = dict.fromkeys(pattern.examples)
        for side in (self.old, self.new):
            for other in side.near(pattern):
                paths.update(dict.fromkeys(_common(pattern, other)))
                if len(paths) > _MOST_PATHS:
                    return None
        kinds = (kind,) if kind else tuple(_CLASSES)
        labels = {(self.old.label(path, one), self.new.label(path, one)) for path in paths for one in kinds}
        changed = {(before, after) for before, after in labels if before != after}
        known = {(before, after) for before, after in changed if before is not None and after is not None}
        return known if len(known) == len(changed) else None

    def _judged(self, line: str, is_new: bool, before: str, after: str, classes: tuple[str, ...]) -> Relabel:
        one, other = parse_context(before), parse_context(after)
        if one is None or other is None:
            return _unknown(line, is_new)
        effect = label_effect(self.found, one.type, other.type, classes)
        if effect is None:
            return Relabel(line, is_new, one.type, other.type, "both")
        if one._replace(type="") != other._replace(type="") or effect.enters:
            return Relabel(line, is_new, one.type, other.type, "both", effect)
        way = {(True, True): "both", (True, False): "more", (False, True): "less", (False, False): "neither"}
        return Relabel(line, is_new, one.type, other.type, way[effect.gives, effect.takes], effect)


def _common(one: PathPattern, other: PathPattern) -> Iterator[str]:
    """Examples of paths that both match: those of either, and the ends of one's below the other's beginning."""
    for path in other.examples:
        if one.matches(path):
            yield path
    if other.start == other.plain or len(other.start) >= len(one.start):
        return
    base = one.start.rstrip("/")
    for path in other.examples:
        parts = path[len(other.start) :].strip("/").split("/")
        for begin in range(len(parts)):
            deeper = f"{base}/{'/'.join(parts[begin:])}"
            if one.matches(deeper) and other.matches(deeper):
                yield deeper
