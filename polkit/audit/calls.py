"""System calls with the arguments that decide what they ask for: ``openat(O_RDWR|O_CREAT)``, ``mmap(PROT_READ)``.

A SYSCALL record holds its first four arguments: as hexadecimal numbers (RAW and ENRICHED), or in words where
``ausearch -i`` wrote it. Both give the same text here; of the flags only those are kept that change which permissions
the kernel asks for, so that there are few distinct texts.

Sources: Linux ``include/uapi/asm-generic/fcntl.h``, ``arch/arm64/include/uapi/asm/fcntl.h``, ``mman-common.h``;
audit-userspace ``auparse/interpret.c`` and its tables (``open-flagtab.h``, ``prottab.h``, ``mmaptab.h``,
``accesstab.h``), which know x86's numbers alone and use them for every machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Optional

_NUMBER = re.compile(r"(?:0x)?([0-9a-fA-F]{1,16})\Z")
_WORDS = re.compile(r"[A-Z_0-9]{1,32}(?:\|[A-Z_0-9]{1,32}){0,31}\Z", re.ASCII)
_OCTAL = re.compile(r"[0-7]{1,11}\Z")

_X86_64, _AARCH64 = "x86_64", "aarch64"
_MACHINES = {"c000003e": _X86_64, "c00000b7": _AARCH64, _X86_64: _X86_64, _AARCH64: _AARCH64}
"""By ``arch=`` as a number (AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64) and as a word."""

_ACCMODE = 3
_MODES = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_RDWR")
_OPEN_FLAGS = {
    "O_CREAT": 0o100,
    "O_TRUNC": 0o1000,
    "O_APPEND": 0o2000,
    "O_PATH": 0o10000000,
    "O_TMPFILE": 0o20000000,
}
_DIRECTORY = {_X86_64: 0o200000, _AARCH64: 0o40000}
_PROTECTIONS = {"PROT_READ": 1, "PROT_WRITE": 2, "PROT_EXEC": 4}
_MAPPINGS = {"MAP_SHARED": 1, "MAP_PRIVATE": 2, "MAP_ANONYMOUS": 0x20}
_ACCESSES = {"R_OK": 4, "W_OK": 2, "X_OK": 1}
_REMOVEDIR = 0x200

_INTERPRETED = {
    "O_RDONLY": 0,
    "O_WRONLY": 1,
    "O_RDWR": 2,
    "__O_TMPFILE": _OPEN_FLAGS["O_TMPFILE"],
    "O_DIRECT": 0o40000,
    "O_DIRECTORY": 0o200000,
    "PROT_NONE": 0,
    "MAP_FILE": 0,
    "F_OK": 0,
    **_OPEN_FLAGS,
    **_PROTECTIONS,
    **_MAPPINGS,
    **_ACCESSES,
}
"""The number behind each of auparse's words, those left out that are no matter here."""


def _open_words(bits: int, machine: str) -> Iterator[str]:
    yield _MODES[bits & _ACCMODE]
    yield from _among(bits, _OPEN_FLAGS)
    if bits & _DIRECTORY[machine]:
        yield "O_DIRECTORY"


def _protection_words(bits: int, _machine: str) -> Iterator[str]:
    yield from _among(bits, _PROTECTIONS)
    if not bits & 7:
        yield "PROT_NONE"


def _mapping_words(bits: int, _machine: str) -> Iterator[str]:
    yield from _among(bits, _MAPPINGS)


def _access_words(bits: int, _machine: str) -> Iterator[str]:
    yield from _among(bits, _ACCESSES)


def _removal_words(bits: int, _machine: str) -> Iterator[str]:
    if bits & _REMOVEDIR:
        yield "dir"


def _among(bits: int, flags: Mapping[str, int]) -> Iterator[str]:
    yield from (word for word, bit in flags.items() if bits & bit)


_Words = Callable[[int, str], Iterator[str]]

_ARGUMENTS: Mapping[str, tuple[tuple[str, _Words], ...]] = {
    "open": (("a1", _open_words),),
    "openat": (("a2", _open_words),),
    "open_by_handle_at": (("a2", _open_words),),
    "mq_open": (("a1", _open_words),),
    "mmap": (("a2", _protection_words), ("a3", _mapping_words)),
    "mprotect": (("a2", _protection_words),),
    "pkey_mprotect": (("a2", _protection_words),),
    "access": (("a1", _access_words),),
    "faccessat": (("a2", _access_words),),
    "faccessat2": (("a2", _access_words),),
    "unlinkat": (("a2", _removal_words),),
}
_FIXED = {"creat": ("O_WRONLY", "O_CREAT", "O_TRUNC")}
_ON_ENTRIES = frozenset(("unlink", "unlinkat", "rename", "renameat", "renameat2", "mq_unlink"))
"""Calls on an entry of a directory, of which the event's PATH record tells what it is."""

_FILE_TYPES = {1: "fifo_file", 2: "chr_file", 4: "dir", 6: "blk_file", 8: "file", 10: "lnk_file", 12: "sock_file"}
_FILE_WORDS = {
    "fifo": "fifo_file",
    "character": "chr_file",
    "dir": "dir",
    "block": "blk_file",
    "file": "file",
    "link": "lnk_file",
    "socket": "sock_file",
}


def call_text(name: Optional[str], fields: Mapping[str, str], entry_mode: Optional[str] = None) -> Optional[str]:
    """A system call with what decides of its arguments; None where nothing of them does, or they can't be read.

    ``name`` is the call's, ``fields`` are the SYSCALL record's, ``entry_mode`` is ``mode=`` of the PATH record of the
    entry that the call removes or renames: its class stands among the words (``rename(dir)``).
    """
    machine = _MACHINES.get(fields.get("arch", ""))
    if name is None or machine is None:
        return None
    words = list(_FIXED.get(name, ()))
    for argument, read in _ARGUMENTS.get(name, ()):
        bits = _bits(fields.get(argument, ""))
        if bits is None:
            return None
        words.extend(read(bits, machine))
    if name in _ON_ENTRIES and not words:
        kind = _file_class(entry_mode or "")
        words.extend((kind,) if kind else ())
    return f"{name}({'|'.join(words)})" if words else None


def _bits(value: str) -> Optional[int]:
    """An argument as a number: hexadecimal digits, or auparse's words; None for what is neither."""
    number = _NUMBER.match(value)
    if number:
        return int(number[1], 16)
    if not _WORDS.match(value):
        return None
    known = [_INTERPRETED[word] for word in value.split("|") if word in _INTERPRETED]
    bits = 0
    for one in known:
        bits |= one
    return bits if known else None


def _file_class(mode: str) -> Optional[str]:
    """The object class of a file by its mode: ``0100644``, or ``file,644`` as ``ausearch -i`` has it."""
    if _OCTAL.match(mode):
        return _FILE_TYPES.get(int(mode, 8) >> 12)
    return _FILE_WORDS.get(mode.partition(",")[0])
