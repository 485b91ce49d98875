"""What is inside a package: its payload, decompressed within bounds, and the members of the cpio or tar that it is."""

from __future__ import annotations

import bz2
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from typing import Callable, Union

_MOST_UNPACKED, _SMALL, _MOST_RATIO = 1 << 30, 64 << 20, 200
"""A package may hold large programs beside its module. What small packages unpack to is bounded by ratio."""
_MOST_MEMBERS = 200_000
_LONGEST_PATH = 4096
_STEP = 1 << 20
_MEMORY = 256 << 20
_BZIP2, _GZIP, _ZSTD = b"BZh", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_LZMA = (b"\xfd7zXZ\0", b"\x5d\0\0")
_NEWC = re.compile(rb"07070[12]([0-9A-Fa-f]{104})\Z")
_CPIO_END = "TRAILER!!!"
_OCTAL = re.compile(rb"[ \0]*([0-7]{1,12})[ \0]*\Z")
_BLOCK = 512
_REGULAR, _KIND = 0o100000, 0o170000
Wanted = Callable[[str, int], bool]


class DamagedError(Exception):
    """The stream is not what its format says, or larger than any package with a module."""


class Reader:
    """A packed stream, unpacked as far as it is read. Raises DamagedError beyond its bound and at a premature end."""

    def __init__(self, packed: bytes) -> None:
        self._blocks = _unpacked(packed)
        self._held = bytearray()
        self._left = min(_MOST_UNPACKED, max(_SMALL, _MOST_RATIO * len(packed)))

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        while len(self._held) < size:
            self._more()
        found = bytes(self._held[:size])
        del self._held[:size]
        return found

    def skip(self, size: int) -> None:
        """Pass over ``size`` bytes."""
        while size > len(self._held):
            size -= len(self._held)
            self._held.clear()
            self._more()
        del self._held[:size]

    def _more(self) -> None:
        try:
            block = next(self._blocks, b"")
        except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError, MemoryError) as error:
            raise DamagedError(f"its content is damaged ({str(error)[:80]})") from None
        if not block:
            raise DamagedError("its content is cut short")
        self._left -= len(block)
        if self._left < 0:
            raise DamagedError("it unpacks to more than any package with a module")
        self._held += block


def _unpacked(packed: bytes) -> Iterator[bytes]:
    """Blocks that are not empty, until the end of the first stream."""
    if packed.startswith(_GZIP):
        yield from _inflated(packed)
    elif packed.startswith(_ZSTD):
        yield from _unzstd(packed)
    elif packed.startswith((*_LZMA, _BZIP2)):
        unpacker: Union[lzma.LZMADecompressor, bz2.BZ2Decompressor]
        unpacker = bz2.BZ2Decompressor() if packed.startswith(_BZIP2) else lzma.LZMADecompressor(memlimit=_MEMORY)
        rest = packed
        while not unpacker.eof and (rest or not unpacker.needs_input):
            block = unpacker.decompress(rest, _STEP)
            rest = b""
            if block:
                yield block
    else:
        yield packed or b""


def _inflated(packed: bytes) -> Iterator[bytes]:
    unpacker, rest = zlib.decompressobj(wbits=31), packed
    while rest and not unpacker.eof:
        block = unpacker.decompress(rest, _STEP)
        rest = unpacker.unconsumed_tail
        if block:
            yield block


def _unzstd(packed: bytes) -> Iterator[bytes]:
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(io.BytesIO(packed))
    try:
        while block := reader.read(_STEP):
            yield block
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from None


def members_of_cpio(reader: Reader, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    """Path and content of those regular files in an archive of the "new" format (cpio(5)) that ``wanted`` (asked with
    path and size) holds for."""
    for _ in range(_MOST_MEMBERS):
        found = _NEWC.match(reader.read(110))
        if found is None:
            raise DamagedError("its content is no cpio archive")
        fields = [int(found[1][at : at + 8], 16) for at in range(0, 104, 8)]
        mode, size, length = fields[1], fields[6], fields[11]
        if not 0 < length <= _LONGEST_PATH:
            raise DamagedError("a path in it is longer than any")
        path = _path(reader.read(length))
        reader.skip(-(110 + length) % 4)
        if path == _CPIO_END:
            return
        if mode & _KIND == _REGULAR and wanted(path, size):
            yield path, reader.read(size)
            reader.skip(-size % 4)
        else:
            reader.skip(size + -size % 4)
    raise DamagedError(f"it holds more than {_MOST_MEMBERS} files")


def members_of_tar(reader: Reader, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    """The same of a tar, ustar or GNU's, which is what dpkg takes (deb(5))."""
    long_path = None
    for _ in range(_MOST_MEMBERS):
        header = reader.read(_BLOCK)
        if not any(header):
            return
        magic, kind = header[257:263], header[156:157]
        if magic not in (b"ustar\0", b"ustar ") or sum(header) - sum(header[148:156]) + 256 != _octal(header[148:156]):
            raise DamagedError("its content is no tar archive")
        size = _octal(header[124:136])
        if kind in b"LK":
            if size > _LONGEST_PATH:
                raise DamagedError("a path in it is longer than any")
            name = _path(reader.read(size))
            reader.skip(-size % _BLOCK)
            long_path = name if kind == b"L" else long_path
            continue
        if kind not in b"0\x001234567" or kind == b"":
            raise DamagedError("its content is a tar archive of a form that no package has")
        prefix = _path(header[345:500]) if magic == b"ustar\0" else ""
        path = long_path or "/".join(filter(None, (prefix, _path(header[:100]))))
        long_path = None
        if kind not in b"0\x007":
            continue  # a directory, a link or a device: no content follows
        if wanted(path, size):
            yield path, reader.read(size)
            reader.skip(-size % _BLOCK)
        else:
            reader.skip(size + -size % _BLOCK)
    raise DamagedError(f"it holds more than {_MOST_MEMBERS} files")


def _path(field: bytes) -> str:
    """A path as people write it, without the place where the archive begins."""
    return field.split(b"\0", 1)[0].decode("utf-8", "replace").removeprefix("./").lstrip("/")


def _octal(field: bytes) -> int:
    digits = _OCTAL.match(field)
    if digits is None:
        raise DamagedError("a header in it holds a number that is none")
    return int(digits[1], 8)
