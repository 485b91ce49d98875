"""A source as a stream of decompressed blocks of bytes, whatever it was compressed or encoded with."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zlib
from collections.abc import Generator, Iterable, Iterator
from typing import IO, BinaryIO, Callable, Optional, cast

BLOCK = 1 << 18
_ZSTD_STEP = 1 << 10
"""Compressed bytes fed to zstd at once: a kilobyte of it can hold no more than 32 MiB."""
_ZSTD_WINDOW = 1 << 27

_MAGIC = 6
"""Bytes of the longest of these."""
_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_UTF8_BOM = codecs.BOM_UTF8
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class _Peeked:
    """A stream whose first bytes were read already, for readers that want a file. Never seeks."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            size = BLOCK
        head, self._head = self._head[:size], self._head[size:]
        return head + self._stream.read(size - len(head)) if len(head) < size else head

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def decompressed(stream: BinaryIO, note: Callable[[str], None]) -> Iterator[bytes]:
    """The content of ``stream`` in blocks, decompressed by its first bytes (gzip, bzip2, xz, zstd; else as it is).

    Where the compressed data ends early or is damaged, gives what could be read, and says so through ``note``.
    Raises OSError where the stream itself can't be read.
    """
    head = stream.read(_MAGIC)
    peeked = cast("IO[bytes]", _Peeked(head, stream))
    try:
        if head.startswith(_GZIP):
            yield from _by_read1(gzip.GzipFile(fileobj=peeked, mode="rb").read1)
        elif head.startswith(_BZIP2):
            yield from _by_read1(bz2.BZ2File(peeked).read1)
        elif head.startswith(_XZ):
            yield from _by_read1(lzma.LZMAFile(peeked).read1)  # noqa: SIM115  (the stream is the caller's)
        elif head.startswith(_ZSTD):
            yield from _zstd(peeked.read)
        else:
            yield from iter(lambda: peeked.read(BLOCK), b"")
    except EOFError:
        note("the compressed data ends early; read up to there")
    except (zlib.error, lzma.LZMAError, gzip.BadGzipFile, _DamagedZstd) as problem:
        note(f"the compressed data is damaged ({problem}); read up to there")
    except OSError as problem:
        if problem.errno is not None or not head.startswith(_BZIP2):
            raise
        note("the compressed data is damaged; read up to there")


def _by_read1(read1: Callable[[int], bytes]) -> Iterator[bytes]:
    return iter(lambda: read1(BLOCK), b"")


class _DamagedZstd(Exception):
    """What zstandard says of damaged data."""


def _zstd(read: Callable[[int], bytes]) -> Iterator[bytes]:
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    begun = False
    for piece in iter(lambda: read(_ZSTD_STEP), b""):
        data = piece
        while data:
            if reader.eof:  # another frame follows
                reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
            begun = True
            try:
                content = reader.decompress(data)
            except zstandard.ZstdError as problem:
                raise _DamagedZstd(str(problem)) from None
            data = reader.unused_data if reader.eof else b""
            yield from (content[at : at + BLOCK] for at in range(0, len(content), BLOCK))
    if begun and not reader.eof:
        raise EOFError


def is_plain(head: bytes) -> bool:
    """Whether what begins with ``head`` is read as it is: not compressed, and not in UTF-16."""
    return not head.startswith((_GZIP, _BZIP2, _XZ, _ZSTD, *_UTF16))


def as_utf8(blocks: Iterable[bytes]) -> Generator[bytes, None, None]:
    """Blocks without a byte order mark; UTF-16 (known by its mark) turned into UTF-8, a lone half replaced."""
    decoder: Optional[codecs.IncrementalDecoder] = None
    head: Optional[bytes] = b""
    for block in blocks:
        data = block
        if head is not None:
            head += block
            if len(head) < len(_UTF8_BOM):
                continue
            decoder, data = _decoder(head)
            head = None
        yield decoder.decode(data).encode("utf-8") if decoder else data
    if head:
        decoder, head = _decoder(head)
        yield decoder.decode(head, final=True).encode("utf-8") if decoder else head
    elif decoder:
        yield decoder.decode(b"", final=True).encode("utf-8")


def _decoder(head: bytes) -> tuple[Optional[codecs.IncrementalDecoder], bytes]:
    for mark, encoding in _UTF16.items():
        if head.startswith(mark):
            return codecs.getincrementaldecoder(encoding)(errors="replace"), head[len(mark) :]
    return None, head[len(_UTF8_BOM) :] if head.startswith(_UTF8_BOM) else head
