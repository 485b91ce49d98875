"""Bundles as attackers would send them. Archives are made with Python's tarfile, which knows every trick of tar."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Optional

import zstandard

Files = dict[str, bytes]
TOP = "vllm-0.1.0"
OUTSIDE = "/tmp/polkit-escaped-from-a-bundle"
Change = Callable[[Files], None]


class Case(NamedTuple):
    """An archive made of a bundle's files, and one word or more for why it has to be refused."""

    make: Callable[[Files], bytes]
    checks: set[str]


def packed(tar: bytes, kind: str = "zst") -> bytes:
    """A tar, compressed."""
    if kind == "gz":
        return gzip.compress(tar, 6, mtime=0)
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(tar)


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, **more: Any) -> tarfile.TarInfo:
    """One header."""
    found = tarfile.TarInfo(name)
    found.type, found.size, found.mode = kind, size, 0o644
    for key, value in more.items():
        setattr(found, key, value)
    return found


def tarred(
    files: Mapping[str, bytes],
    extra: tuple[tuple[tarfile.TarInfo, bytes], ...] = (),
    top: str = TOP,
    format_: int = tarfile.USTAR_FORMAT,
) -> bytes:
    """A tar of files under one directory, and then of members of any kind."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=format_) as archive:
        for path, content in files.items():
            archive.addfile(member(f"{top}/{path}", size=len(content)), io.BytesIO(content))
        for header, content in extra:
            archive.addfile(header, io.BytesIO(content))
    return sink.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def edited(files: Files, path: str, edit: Callable[[Any], object]) -> None:
    """Change JSON in place."""
    found = json.loads(files[path])
    edit(found)
    files[path] = (json.dumps(found, indent=2) + "\n").encode()


def resealed(files: Files, statements: bool = True) -> Files:
    """Every sum anew, as an attacker would: bill, provenance, manifest, SHA256SUMS. A signature stays the old one."""
    aside = {"SHA256SUMS", "SHA256SUMS.sig"}
    if statements and "sbom.cdx.json" in files:
        named = {path for path in files if path not in {*aside, "manifest.json", "provenance.json", "sbom.cdx.json"}}

        def bill(found: Any) -> None:
            others = [one for one in found["components"] if one["type"] != "file"]
            listed = [
                {"type": "file", "name": path, "hashes": [{"alg": "SHA-256", "content": sha256(files[path])}]}
                for path in sorted(named)
            ]
            found["components"] = [*listed, *others]

        edited(files, "sbom.cdx.json", bill)
    if statements and "provenance.json" in files:
        named = {path for path in files if path not in {*aside, "manifest.json", "provenance.json"}}

        def subject(found: Any) -> None:
            found["subject"] = [{"name": path, "digest": {"sha256": sha256(files[path])}} for path in sorted(named)]

        edited(files, "provenance.json", subject)
    if "manifest.json" in files:
        sums = {path: sha256(content) for path, content in files.items() if path not in {*aside, "manifest.json"}}
        with suppress(ValueError, AttributeError, RecursionError):  # a manifest that is none stays as it is
            edited(files, "manifest.json", lambda found: found.update(files=sums))
    lines = (f"{sha256(files[path])}  {path}\n" for path in sorted(set(files) - aside))
    files["SHA256SUMS"] = "".join(lines).encode()
    return files


def flipped(content: bytes, part: float, bit: int = 0) -> bytes:
    """One bit turned, so far into the content."""
    at = min(int(len(content) * part), len(content) - 1)
    return content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]


def nth(files: Files, number: int) -> str:
    """The path of a file that a signature covers and that is not empty."""
    paths = sorted(path for path, content in files.items() if content and not path.startswith("SHA256SUMS"))
    return paths[number % len(paths)]


def changed(change: Change, checks: set[str], seal: bool = False, kind: str = "zst") -> Case:
    """Files that were changed, with sums that are the old ones or (``seal``) new ones."""

    def make(files: Files) -> bytes:
        copy = dict(files)
        change(copy)
        return packed(tarred(resealed(copy) if seal else copy), kind)

    return Case(make, checks)


def bytes_changed(change: Callable[[bytes], bytes], checks: set[str], kind: str = "zst") -> Case:
    """An archive whose bytes were changed."""
    return Case(lambda files: change(packed(tarred(files), kind)), checks)


def tar_changed(change: Callable[[bytes], bytes], checks: set[str]) -> Case:
    """A tar whose bytes were changed before it was compressed."""
    return Case(lambda files: packed(change(tarred(files))), checks)


def with_member(header: tarfile.TarInfo, checks: set[str], content: bytes = b"", format_: Optional[int] = None) -> Case:
    """One more member."""
    form = tarfile.USTAR_FORMAT if format_ is None else format_
    return Case(lambda files: packed(tarred(files, ((header, content),), format_=form)), checks)


def zeros(size: int, kind: str) -> bytes:
    """So many zero bytes, compressed as far as they go."""
    if kind == "gz":
        return gzip.compress(bytes(size), 9, mtime=0)
    packer = zstandard.ZstdCompressor(level=1).compressobj()
    block = bytes(1 << 20)
    return b"".join((*(packer.compress(block) for _ in range(size >> 20)), packer.flush()))
