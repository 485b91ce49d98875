"""The files of modules in an RPM or a Debian package, read into memory.

No script of a package is run, no file is written, and no path in it is more than a name. The package, what it unpacks
to, the memory of the decompressor and the files that are kept are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from polkit.errors import SourceError, UsageError
from polkit.review.materials.files import LARGEST, Held, bounded, read_whole, suffix_of, too_large
from polkit.review.materials.streams import DamagedError, Reader, members_of_cpio, members_of_tar

PACKAGES = (".rpm", ".deb")
_LARGEST_PACKAGE = 256 << 20
_LEAD, _HEADER, _ARCHIVE = b"\xed\xab\xee\xdb", b"\x8e\xad\xe8\x01", b"!<arch>\n"
_LEAD_SIZE, _HEADER_SIZE, _ENTRY_SIZE, _AR_SIZE = 96, 16, 16, 60
_DATA = re.compile(rb"data\.tar(?:\.\w+)?/? *\Z")


def of_package(path: Path, target: Optional[str] = None) -> tuple[Held, ...]:
    """The files of modules in a package, by their paths in it.

    Of a module that is there once for each of several policies, the files that lie in a directory called ``target``
    count. Raises SourceError for what is damaged or larger than any package with a module, UsageError where there is
    something to choose.
    """
    content = read_whole(path, _LARGEST_PACKAGE)
    try:
        found = tuple(bounded(_files(path, content), str(path)))
    except DamagedError as error:
        raise SourceError(f"{path}: {error}", "get the package again") from None
    return _one_each(path, found, target)


def _files(path: Path, content: bytes) -> Iterator[Held]:
    def wanted(name: str, size: int) -> bool:
        if suffix_of(name) and size > LARGEST:
            raise too_large(f"{path}: {name}")
        return bool(suffix_of(name))

    if content.startswith(_LEAD):
        found = members_of_cpio(Reader(content[_payload_of_rpm(content) :]), wanted)
    elif content.startswith(_ARCHIVE):
        found = members_of_tar(Reader(_data_of_deb(content)), wanted)
    else:
        raise DamagedError(f"no {path.suffix[1:]} package")
    for name, inside in found:
        yield Held(name, inside)


def _payload_of_rpm(content: bytes) -> int:
    """Where the payload begins: after the lead, the signatures (filled up to 8 bytes) and the header (RPM's format.md,
    "RPM V4 package format")."""
    at = _after_header(content, _LEAD_SIZE)
    return _after_header(content, at + -at % 8)


def _after_header(content: bytes, at: int) -> int:
    if content[at : at + 4] != _HEADER:
        raise DamagedError("its header is none of an RPM")
    entries, size = (int.from_bytes(content[at + 8 + part : at + 12 + part], "big") for part in (0, 4))
    end = at + _HEADER_SIZE + _ENTRY_SIZE * entries + size
    if end >= len(content):
        raise DamagedError("it is cut short")
    return end


def _data_of_deb(content: bytes) -> bytes:
    """The member of the ar archive that holds the files (deb(5), ar(5))."""
    at = len(_ARCHIVE)
    while at + _AR_SIZE <= len(content):
        header = content[at : at + _AR_SIZE]
        digits = header[48:58].strip()
        if header[58:] != b"`\n" or not digits.isdigit():
            raise DamagedError("a header in it is none of ar's")
        at += _AR_SIZE
        size = int(digits)
        if _DATA.match(header[:16]):
            return content[at : at + size]
        at += size + size % 2
    raise DamagedError("it holds no files (data.tar)")


def _one_each(path: Path, files: tuple[Held, ...], target: Optional[str]) -> tuple[Held, ...]:
    """Of files with one name the one that counts; with the same content they are one."""
    named: dict[tuple[str, str], list[Held]] = {}
    for one in files:
        named.setdefault((one.stem, one.suffix), []).append(one)
    kept = []
    for (stem, suffix), several in named.items():
        chosen = [one for one in several if target in one.name.split("/")[:-1]] or several
        if len({one.content for one in chosen}) > 1:
            places = ", ".join(sorted(one.name.rpartition("/")[0] for one in chosen)[:6])
            hint = "name the last directory of one with --target"
            raise UsageError(f"{path} holds {stem}{suffix} several times: in {places}", hint)
        kept.append(chosen[0])
    return tuple(kept)
