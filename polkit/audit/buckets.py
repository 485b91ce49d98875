"""What plain records with the same text, or nearly the same, are counted in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple, Optional

from polkit.audit.denial import Denial
from polkit.audit.tally import EACH, Exemplar, Tally
from polkit.model import SAMPLE

Pair = tuple[bytes, bytes]
"""The levels of a record's source and target."""

_HIGHEST = (b"\xff", b"\xff")
_NAMES = 2 * SAMPLE
"""So many names of files a tally keeps of one key."""
_MANY = 4 * SAMPLE
_ROOM = 64

_FILE = re.compile(
    rb'((?: comm="[^"\n]*"| comm=[0-9A-F]+)? (?:path|name)=)"([!#-<>-\[\]-~]+)"((?: dev="[^"\n]*")? ino=)(\d+)([^"]*)\Z'
)
"""What a record says between its process and its contexts, where it is about a file: what stands before the file's
name, the name, what stands between it and the inode, the inode, the rest. Names with bytes that are written in another
way, or that could be taken for a field, are left to the slow way."""


class Bucket:
    """Denials whose bytes differ in nothing but process, time, levels that compare alike, and, of some buckets, the
    file and its inode."""

    __slots__ = ("denial", "exemplars", "files", "first", "last", "last_file", "levels", "limit", "records", "room")

    def __init__(self, denial: Denial) -> None:
        self.denial = denial
        """One of them."""
        self.records = 0
        self.first = b"\xff"
        self.last = b""
        self.exemplars = 1
        """So many were joined with their events."""
        self.room = _ROOM
        """So many more texts may be known to belong here: where each has levels or files of its own, none comes again.
        """
        self.levels: set[Pair] = set()
        self.limit = _HIGHEST
        """A pair that isn't below it is none of the smallest."""
        self.files: set[bytes] = set()
        self.last_file = b"\xff"
        """As ``limit``, for the files."""

    def take(self, pair: Pair, file: bytes) -> None:
        """Note a record's levels, and its file where these differ."""
        if pair < self.limit:
            self.levels.add(pair)
            if len(self.levels) > _MANY:
                self.forget()
        if file and file < self.last_file:
            self.files.add(file)
            if len(self.files) > _MANY:
                self.forget()

    def forget(self) -> None:
        """Keep the smallest pairs of levels and the smallest names."""
        if len(self.levels) > SAMPLE:
            pairs = sorted(self.levels)[:SAMPLE]
            self.levels, self.limit = set(pairs), pairs[-1]
        if len(self.files) > _NAMES:
            files = sorted(self.files)[:_NAMES]
            self.files, self.last_file = set(files), files[-1]

    def hand_on(self, tally: Tally) -> None:
        """Count everything."""
        if self.records:
            self.forget()
            levels = (f"{own.decode()} -> {other.decode()}" for own, other in self.levels)
            files = [file.decode() for file in self.files] or None
            first, last = milliseconds(self.first), milliseconds(self.last)
            tally.repeated(self.denial, self.records, first, last, levels, files)


class Shape(NamedTuple):
    """All that denials have in common that are counted together: the bytes around what differs, and a number for how
    their levels compare."""

    node: bytes
    ask: bytes
    mid: bytes
    source: bytes
    target: bytes
    end: bytes
    relation: int


_Kind = tuple[Shape, bytes, bytes]


class FileBuckets:
    """Buckets for denials that differ in the file, too. One counts only what the tally wants nothing more of: of each
    key the circumstances of so many denials are kept, and then none of other files."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._buckets: dict[_Kind, Bucket] = {}
        self._exemplars: dict[_Kind, Mapping[Exemplar, tuple[object, ...]]] = {}

    def begin(self, shape: Shape, denial: Denial) -> None:
        """Have a bucket for denials like this one, which its shape was read from."""
        about = _about_file(shape)
        if about is None or about.kind in self._buckets:
            return
        if (denial.path or denial.name, denial.inode) == (about.file.decode(), about.inode):
            bucket = self._buckets[about.kind] = Bucket(denial)
            bucket.exemplars = EACH

    def find(self, shape: Shape) -> tuple[Optional[Bucket], bytes]:
        """The bucket for a record, and its file; None for one that has to be joined with its event."""
        about = _about_file(shape)
        bucket = None if about is None else self._buckets.get(about.kind)
        if about is None or bucket is None:
            return None, b""
        exemplars = self._exemplars.get(about.kind)
        if exemplars is None:
            exemplars = self._tally.exemplars(bucket.denial.key)
            if len(exemplars) < SAMPLE:
                return None, b""
            self._exemplars[about.kind] = exemplars
        one, (path, name) = bucket.denial, about.path_and_name(bucket.denial)
        known = exemplars.get(Exemplar(one.comm, path, name, one.device, about.inode, one.ports))
        return (None, b"") if known is not None and len(known) < EACH else (bucket, about.file)

    def denial_of(self, shape: Shape) -> Optional[Denial]:
        """The denial of a record, read from its file and another one's bucket; None for one that has to be read."""
        about = _about_file(shape)
        bucket = None if about is None else self._buckets.get(about.kind)
        return None if about is None or bucket is None else _with_file(bucket.denial, about)

    def flush(self) -> None:
        """Hand everything on to the tally."""
        for bucket in self._buckets.values():
            bucket.hand_on(self._tally)
        self._buckets.clear()
        self._exemplars.clear()


class _About(NamedTuple):
    """The file of a record, and everything else in its shape."""

    kind: _Kind
    file: bytes
    inode: str

    def path_and_name(self, like: Denial) -> tuple[Optional[str], Optional[str]]:
        """The path, or else the name, of which a denial of its kind tells."""
        file = self.file.decode()
        return (file, None) if like.path else (None, file)


def _about_file(shape: Shape) -> Optional[_About]:
    found = _FILE.match(shape.mid)
    if found is None or b"avc:" in shape.mid:
        return None
    before, file, between, inode, rest = found.groups()
    return _About((Shape(shape[0], shape[1], before, *shape[3:]), between, rest), file, inode.decode())


def _with_file(denial: Denial, about: _About) -> Denial:
    path, name = about.path_and_name(denial)
    return replace(denial, path=path, name=name, inode=about.inode)


_EPOCH_DIGITS = 10


def stamp_of(time: int) -> bytes:
    """Milliseconds as a stamp has them, to be compared with stamps of ten digits before the point."""
    if time >= 10 ** (_EPOCH_DIGITS + 3):
        return b"\xff"
    return b"%010d.%03d" % divmod(max(time, 0), 1000)


def milliseconds(stamp: bytes) -> int:
    """The time of a stamp with ten digits before the point."""
    return int(stamp[:_EPOCH_DIGITS] + stamp[_EPOCH_DIGITS + 1 : _EPOCH_DIGITS + 4])
