"""Operations on this process' own memory: what SELinux asks before something that was written can be executed."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import Any, Callable

from .kernel import checked, libc, mmap

PAGE = 4096
_READ, _WRITE, _EXEC = 1, 2, 4
_PRIVATE, _FIXED, _ANONYMOUS = 2, 0x10, 0x20
Arguments = Mapping[str, Any]


def _executable(address: int) -> None:
    checked(libc.mprotect(ctypes.c_void_p(address - address % PAGE), ctypes.c_size_t(PAGE), _READ | _WRITE | _EXEC))


def _do_execmem(_: Arguments) -> None:
    mmap(PAGE, _READ | _WRITE | _EXEC, _PRIVATE | _ANONYMOUS)


def _do_execheap(_: Arguments) -> None:
    libc.sbrk.restype = ctypes.c_void_p
    _executable(checked(libc.sbrk(ctypes.c_long(PAGE))) + PAGE - 1)


def _do_execstack(_: Arguments) -> None:
    # Where the first thread's stack begins; the step runs in it (glibc's own name for it).
    address = ctypes.c_void_p.in_dll(libc, "__libc_stack_end").value
    assert address is not None
    _executable(address)


def _do_execmod(told: Arguments) -> None:
    descriptor = os.open(told["path"], os.O_RDONLY)
    address = mmap(PAGE, _READ | _WRITE, _PRIVATE, descriptor)
    ctypes.memset(address, 0, 1)  # a page of its own now: a relocated library looks like this
    checked(libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), _READ | _EXEC))


def _do_memfd(_: Arguments) -> None:
    descriptor = os.memfd_create("rehearsed")
    os.write(descriptor, bytes(PAGE))
    os.fstat(descriptor)  # as a loader does before it maps
    mmap(PAGE, _READ | _EXEC, _PRIVATE, descriptor)


def _do_mmap_zero(_: Arguments) -> None:
    result = libc.mmap(None, PAGE, _READ | _WRITE, _PRIVATE | _ANONYMOUS | _FIXED, -1, 0)
    if result is not None:  # None is the address 0
        checked(result)


DEEDS: dict[str, Callable[[Arguments], object]] = {
    "execmem": _do_execmem,
    "execheap": _do_execheap,
    "execstack": _do_execstack,
    "execmod": _do_execmod,
    "memfd": _do_memfd,
    "mmap-zero": _do_mmap_zero,
}
