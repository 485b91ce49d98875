"""System calls that Python has no function for, and this process' SELinux attributes."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any, Optional, Union

libc: Any = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
libc.syscall.restype = ctypes.c_long

Word = Union[int, bytes, None, Any]
PR_SET_NAME = 15
CLONE_NEWNS = 0x20000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1, 32, 4096, 8192, 16384, 1 << 18
MNT_DETACH = 2

# x86-64 (arch/x86/entry/syscalls/syscall_64.tbl), the processor that a rehearsal is known on.
_NUMBERS = {
    "pivot_root": 155,
    "init_module": 175,
    "mq_open": 240,
    "mq_unlink": 241,
    "add_key": 248,
    "perf_event_open": 298,
    "process_vm_readv": 310,
    "bpf": 321,
    "userfaultfd": 323,
    "io_uring_setup": 425,
}


def checked(result: Any) -> int:
    """The result of a C function, or OSError with its errno when it is -1."""
    if result is None or result == -1 or result == ctypes.c_void_p(-1).value:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)


def syscall(name: str, *arguments: Word) -> int:
    """A system call by name. Raises OSError."""
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    return checked(libc.syscall(ctypes.c_long(_NUMBERS[name]), *words))


def mmap(length: int, prot: int, flags: int, descriptor: int = -1) -> int:
    """The address of a new mapping. Raises OSError."""
    return checked(libc.mmap(None, length, prot, flags, descriptor, 0))


def mount(source: str, target: str, kind: Optional[str], flags: int = 0, data: Optional[str] = None) -> None:
    """mount(2). Raises OSError."""
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    checked(libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]))


def set_name(name: str) -> None:
    """This process' name (comm)."""
    checked(libc.prctl(PR_SET_NAME, name.encode()[:15] + b"\0", 0, 0, 0))


def set_attribute(attribute: str, context: str) -> None:
    """Write one of proc_pid_attr(5): ``current`` changes this process' own context. Raises OSError."""
    descriptor = os.open(f"/proc/thread-self/attr/{attribute}", os.O_RDWR)
    try:
        os.write(descriptor, context.encode())
    finally:
        os.close(descriptor)


def pack_words(*numbers: int) -> bytes:
    """Numbers as the kernel's unsigned 32-bit words."""
    return struct.pack(f"{len(numbers)}I", *numbers)
