"""A stranger's bundle, read into memory: an archive or a directory, and whatever is wrong with its form.

Nothing is unpacked to disk and nothing is run. Archives are decompressed under a bound on size and ratio, and read by
rules stricter than tar's: regular files and directories under one directory, as ``package`` writes them. Python's own
tarfile follows every extension of the format, and in releases that are still around hangs on hostile headers
(CVE-2024-6232, CVE-2025-8194).
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.errors import SourceError

MOST_BYTES = 256 << 20
"""Of everything in a bundle together, and of an archive: the largest that we ship has some MiB."""
MOST_RATIO = 200
"""Text of policies packs 10 to 40 times, that of many like targets more; beyond this it is made to fill a disk."""
_SMALL = 64 << 20
"""So much may come out of any archive, however small."""
_MOST_FILES = 4096
_MOST_DEPTH = 16
_LONGEST_PATH = 255
_BLOCK = 512
_PATH = re.compile(r"[A-Za-z0-9._/+@-]+\Z")
_OCTAL = re.compile(rb"[ \0]*([0-7]{1,12})[ \0]*\Z")
_ZSTD, _GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"
_KINDS = {
    "1": ("link", "is a hard link"),
    "2": ("link", "is a symbolic link"),
    "3": ("device", "is a character device node"),
    "4": ("device", "is a block device node"),
    "6": ("device", "is a FIFO"),
}
_HARMLESS_RECORDS = frozenset(("mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment"))
"""Records of pax(1) that change neither what a member is called nor what it holds."""


class Refusal(NamedTuple):
    """One reason not to take a bundle. ``check``: a word for what was looked at; ``path``: a file in it, or empty."""

    check: str
    path: str
    reason: str


@dataclass
class Contents:
    """What a bundle holds, by path below its own directory. ``top``: what an archive calls that directory. ``sha256``
    is the archive's. With ``refusals`` that are not empty, ``files`` need not be complete."""

    form: str
    top: Optional[str] = None
    sha256: Optional[str] = None
    files: dict[str, bytes] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)


class _Refused(Exception):
    """Reading can't go on."""

    def __init__(self, check: str, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.refusal = Refusal(check, path, reason)


def read_bundle(path: Path) -> Contents:
    """What the archive or directory ``path`` holds. Raises SourceError for what is neither or can't be opened; all that
    is wrong with what it holds is in ``refusals``."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _directory(path)
        if not stat.S_ISREG(mode):
            raise SourceError(f"{path} is neither a directory nor an archive")
        if path.stat().st_size > MOST_BYTES:
            found = Contents("archive")
            found.refusals.append(Refusal("bomb", "", f"the archive is larger than {MOST_BYTES >> 20} MiB"))
            return found
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    return read_archive(data)


def read_archive(data: bytes) -> Contents:
    """As ``read_bundle``, of an archive's bytes."""
    found = Contents("archive", sha256=hashlib.sha256(data).hexdigest())
    try:
        _members(_decompressed(data), found)
    except _Refused as error:
        found.refusals.append(error.refusal)
    return found


def without_bomb(data: bytes, most: int) -> Optional[bytes]:
    """What bzip2 data holds; None where that is not all well-formed, or more than ``most`` bytes."""
    import bz2

    unpacker = bz2.BZ2Decompressor()
    try:
        plain = unpacker.decompress(data, most + 1)
    except OSError:
        return None
    return plain if unpacker.eof and not unpacker.unused_data and len(plain) <= most else None


def bad_path(path: str) -> Optional[str]:
    """Why no file of a bundle may be called so; None where it may."""
    parts = path.split("/")
    if path.startswith("/"):
        return "is an absolute path"
    if ".." in parts:
        return "leads out of the bundle"
    if not _PATH.match(path):
        return "holds characters that no path in a bundle has"
    if "" in parts or "." in parts:
        return "is not written plainly"
    return "is too long" if len(path) > _LONGEST_PATH or len(parts) > _MOST_DEPTH else None


def _decompressed(data: bytes) -> bytes:
    bound = min(MOST_BYTES, max(_SMALL, MOST_RATIO * len(data)))
    found = bytearray()
    for block in _gunzipped(data) if data.startswith(_GZIP) else _unzstd(data):
        found += block
        if len(found) > bound:
            raise _Refused("bomb", f"the archive of {len(data)} bytes unpacks to more than {bound}")
    return bytes(found)


def _gunzipped(data: bytes) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)
    rest = data
    try:
        while rest and not unpacker.eof:
            yield unpacker.decompress(rest, 1 << 20)
            rest = unpacker.unconsumed_tail
    except zlib.error as error:
        raise _Refused("archive", f"the archive is damaged: {error}") from error
    _demand_end(unpacker.eof, unpacker.unused_data)


def _unzstd(data: bytes) -> Iterator[bytes]:
    if not data.startswith(_ZSTD):
        raise _Refused("archive", "it is neither a zstd nor a gzip archive")
    import zstandard

    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    # It has no bound of its own on what it gives back: a block of four bytes may stand for 128 KiB.
    step, position = 512, 0
    try:
        while position < len(data) and not unpacker.eof:
            yield unpacker.decompress(data[position : position + step])
            position += step
    except zstandard.ZstdError as error:
        raise _Refused("archive", f"the archive is damaged: {error}") from error
    _demand_end(unpacker.eof, unpacker.unused_data + data[position:])


def _demand_end(ended: bool, rest: bytes) -> None:
    if not ended:
        raise _Refused("archive", "the archive is cut short")
    if rest:
        raise _Refused("archive", f"{len(rest)} bytes stand after the archive's end")


class _Member(NamedTuple):
    path: str
    kind: str
    mode: int
    content: bytes


def _members(tar: bytes, found: Contents) -> None:
    """Put the members of a tar into ``found``: their paths lose the one directory that all of them are in."""
    tops, directories = set[str](), set[str]()
    for member in _each(tar):
        path = member.path[2:] if member.path.startswith("./") else member.path
        is_directory = member.kind == "5"
        if is_directory:
            path = path[:-1] if path.endswith("/") and path != "/" else path
            if path in ("", "."):
                continue  # where tar was told to begin
        refusal = _refused_member(member, path)
        if refusal is not None:
            found.refusals.append(refusal)
            continue
        top, _, inside = path.partition("/")
        tops.add(top)
        if not is_directory and not inside:
            found.refusals.append(Refusal("path", path, "is not in the one directory that a bundle is in"))
        elif is_directory:
            directories.add(inside)
        elif inside in found.files:
            found.refusals.append(Refusal("archive", inside, "is in the archive twice"))
        else:
            found.files[inside] = member.content
        if len(found.files) + len(directories) > _MOST_FILES:
            raise _Refused("bomb", f"the archive holds more than {_MOST_FILES} files")
    if len(tops) != 1:
        found.refusals.append(Refusal("archive", "", "its files are not all in one directory"))
    else:
        found.top = tops.pop()
    _check_directories(found, directories)


def _refused_member(member: _Member, path: str) -> Optional[Refusal]:
    shown = path[:_LONGEST_PATH]
    if member.kind in _KINDS:
        return Refusal(_KINDS[member.kind][0], shown, _KINDS[member.kind][1])
    if member.kind not in ("0", "5"):
        return Refusal("archive", shown, f"is of a kind that no bundle holds ({member.kind!r})")
    wrong = bad_path(path)
    if wrong is not None:
        return Refusal("path", shown, wrong)
    if member.mode & ~0o777:
        return Refusal("archive", shown, f"has mode {member.mode:o}: no file of a bundle runs as another user")
    return None


def _check_directories(found: Contents, directories: set[str]) -> None:
    """No directory that holds nothing, and nothing that is both a file and a directory."""
    needed = {path.rsplit("/", depth + 1)[0] for path in found.files for depth in range(path.count("/"))}
    found.refusals.extend(
        Refusal("additional", path, "is an empty directory, and no bundle has any")
        for path in sorted(directories - needed - {""})
    )
    found.refusals.extend(
        Refusal("archive", path, "is both a file and a directory") for path in sorted(needed & set(found.files))
    )


def _each(tar: bytes) -> Iterator[_Member]:
    """The members of a tar, POSIX ustar or GNU's, in their order (tar(5))."""
    position = 0
    while True:
        header = tar[position : position + _BLOCK]
        if len(header) < _BLOCK:
            raise _Refused("archive", "the archive ends in the middle")
        if not any(header):
            break
        member, size = _header(header)
        content = tar[position + _BLOCK : position + _BLOCK + size]
        if len(content) < size:
            raise _Refused("archive", "the archive ends in the middle of a file", member.path[:_LONGEST_PATH])
        end = position + _BLOCK + size
        position += _BLOCK + (size + _BLOCK - 1) // _BLOCK * _BLOCK
        if any(tar[end:position]):
            raise _Refused("archive", "something stands between two files of the archive")
        if member.kind == "x":
            _check_records(content)
        else:
            yield member._replace(content=content)
    if any(tar[position:]):
        raise _Refused("archive", "something stands after the end of the archive")


def _header(header: bytes) -> tuple[_Member, int]:
    magic, kind = header[257:263], header[156:157]
    if magic not in (b"ustar\0", b"ustar "):
        raise _Refused("archive", "a header in the archive is none of tar's")
    if sum(header) - sum(header[148:156]) + 8 * ord(" ") != _number(header[148:156]):
        raise _Refused("archive", "a header in the archive does not have its checksum")
    name, prefix = (_word(header[start:end]) for start, end in ((0, 100), (345, 500)))
    path = f"{prefix}/{name}" if prefix and magic == b"ustar\0" else name
    word = "0" if kind == b"\0" else kind.decode("ascii", "backslashreplace")
    size = 0 if word in "123456" else _number(header[124:136])
    return _Member(path, word, _number(header[100:108]), b""), size


def _word(field_: bytes) -> str:
    return field_.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def _number(field_: bytes) -> int:
    digits = _OCTAL.match(field_)
    if digits is None:
        raise _Refused("archive", "a header in the archive holds a number that is none")
    return int(digits[1], 8)


def _check_records(content: bytes) -> None:
    """Refuse pax records that would change the next member's name, size or kind."""
    while content:
        length, found, _ = content.partition(b" ")
        end = int(length) if found and length.isdigit() and len(length) < 8 else 0
        record = content[len(length) + 1 : end]
        word = record.partition(b"=")[0].decode("utf-8", "backslashreplace")
        if not record.endswith(b"\n") or word not in _HARMLESS_RECORDS:
            raise _Refused("archive", f"an extended header in the archive speaks of {word[:40]!r}")
        content = content[end:]


def _directory(path: Path) -> Contents:
    found = Contents("directory")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    handle = os.open(path, flags)
    try:
        _read_directory(handle, "", found, flags | os.O_NOFOLLOW)
    except _Refused as error:
        found.refusals.append(error.refusal)
    finally:
        os.close(handle)
    return found


def _read_directory(handle: int, place: str, found: Contents, flags: int) -> None:
    """Everything below an open directory; what is a link or a device is not opened."""
    names = sorted(os.listdir(handle))
    if place and not names:
        found.refusals.append(Refusal("additional", place[:-1], "is an empty directory, and no bundle has any"))
    for name in names:
        path = f"{place}{name}"
        wrong, kind = bad_path(path), os.stat(name, dir_fd=handle, follow_symlinks=False)
        if wrong is not None:
            found.refusals.append(Refusal("path", path[:_LONGEST_PATH], wrong))
        elif stat.S_ISLNK(kind.st_mode):
            found.refusals.append(Refusal("link", path, "is a symbolic link"))
        elif stat.S_ISDIR(kind.st_mode):
            inner = os.open(name, flags, dir_fd=handle)
            try:
                _read_directory(inner, f"{path}/", found, flags)
            finally:
                os.close(inner)
        elif not stat.S_ISREG(kind.st_mode):
            found.refusals.append(Refusal("device", path, "is neither a file nor a directory"))
        elif kind.st_mode & 0o7000:
            found.refusals.append(Refusal("archive", path, f"has mode {stat.S_IMODE(kind.st_mode):o}"))
        else:
            found.files[path] = _file(name, handle, _room(found.files))
    if len(found.files) > _MOST_FILES:
        raise _Refused("bomb", f"the directory holds more than {_MOST_FILES} files")


def _room(files: Mapping[str, bytes]) -> int:
    return MOST_BYTES - sum(map(len, files.values()))


def _file(name: str, handle: int, most: int) -> bytes:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=handle)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise _Refused("bomb", f"its files are larger than {MOST_BYTES >> 20} MiB together")
    return content
