"""The machine's first file system: a cpio archive of the form that the kernel unpacks (``newc``).

Documentation/driver-api/early-userspace/buffer-format.rst. Written here, so that neither cpio(1) nor root is needed.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Union

Entries = dict[str, Union[bytes, str]]
"""From absolute paths to the content of a file, or, as text, to where a symbolic link leads."""


def cpio(entries: Entries, executable: frozenset[str]) -> Iterator[bytes]:
    """The archive's bytes; directories are added, and nothing depends on time or user."""
    for number, (path, mode, content) in enumerate(_members(entries, executable), 1):
        yield _member(path.lstrip("/"), mode, content, number)
    yield _member("TRAILER!!!", 0, b"", 0)


def _members(entries: Entries, executable: frozenset[str]) -> Iterator[tuple[str, int, bytes]]:
    directories = {str(parent) for path in entries for parent in PurePosixPath(path).parents} - {"/"}
    for path in sorted(directories):
        yield path, stat.S_IFDIR | 0o755, b""
    for path in sorted(entries):
        content = entries[path]
        if isinstance(content, str):
            yield path, stat.S_IFLNK | 0o777, content.encode()
        else:
            yield path, stat.S_IFREG | (0o755 if path in executable else 0o644), content


def _member(name: str, mode: int, content: bytes, number: int) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
