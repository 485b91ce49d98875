"""Collecting: logs and ledgers into one ledger file, and what is said of it."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from polkit.audit.ledger import Ledger
from polkit.audit.ledger_file import dump
from polkit.files import check_new, write_whole
from polkit.model import Denials, InputSummary

SCHEMA = "polkit.collection/1"
STDOUT = "-"

_PIECE = 1 << 16
_ZSTD_LEVEL = 9
_GZIP_LEVEL = 6


def check_output(output: str, force: bool) -> None:
    """Refuse an output that is there already, before any log is read. Raises UsageError."""
    if output != STDOUT:
        check_new(Path(output), force)


def write_ledger(ledger: Ledger, output: str, stdout: BinaryIO) -> None:
    """Write a ledger to the file ``output``, compressed if its name ends in ``.gz`` or ``.zst``; ``-`` is ``stdout``.

    The same ledger gives the same bytes. Raises SourceError where the file can't be written.
    """
    if output == STDOUT:
        stdout.writelines(ledger_bytes(ledger))
        return
    write_whole(Path(output), ledger_bytes(ledger, Path(output).suffix))


def ledger_bytes(ledger: Ledger, suffix: str = "") -> Iterator[bytes]:
    """A ledger file's content, compressed as the suffix of its name says."""
    content = _blocks(dump(ledger))
    return {".gz": _gzipped, ".zst": _zstandard}.get(suffix, iter)(content)


def _blocks(lines: Iterable[str]) -> Iterator[bytes]:
    held = bytearray()
    for line in lines:
        # A lone surrogate (of a file name that is no UTF-8) becomes its JSON escape: backslashreplace writes just that.
        held += line.encode("utf-8", "backslashreplace") + b"\n"
        if len(held) >= _PIECE:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def _gzipped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    sink = io.BytesIO()
    # Without a name and a time in its head: the same ledger, the same bytes.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=sink, mtime=0) as packer:
        for block in blocks:
            packer.write(block)
            yield sink.getvalue()
            sink.seek(0)
            sink.truncate()
    yield sink.getvalue()


def _zstandard(blocks: Iterable[bytes]) -> Iterator[bytes]:
    import zstandard

    packer = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
    for block in blocks:
        yield packer.compress(block)
    yield packer.flush()


def collection_text(denials: Denials, output: str) -> str:
    """``polkit.collection/1`` as indented JSON with a newline at its end, in ASCII."""
    found = {"schema": SCHEMA, "output": output, "input": summary_object(denials.summary)}
    return json.dumps(found, indent=2) + "\n"


def summary_object(summary: InputSummary) -> dict[str, Any]:
    """The books of an input as plain dictionaries and lists: ``input`` of several of our JSON objects."""
    return {
        "sources": list(summary.sources),
        "bytes": summary.bytes,
        "lines": summary.lines,
        "denials": summary.denials,
        "distinct": summary.distinct,
        "accesses": summary.accesses,
        "parsed": summary.parsed,
        "records": dict(summary.records),
        "granted": summary.granted,
        "undated": summary.undated,
        "filtered": summary.filtered,
        "unparsed": [vars(one).copy() for one in summary.unparsed],
        "unlisted": summary.unlisted,
        "notes": list(summary.notes),
    }
