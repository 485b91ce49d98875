"""For each capability one system call that asks for it and for no other; capabilities(7)."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import socket
import struct
import time
from contextlib import suppress
from typing import Callable

from . import messages
from .kernel import checked, libc, pack_words, syscall


def _sys_time() -> None:
    clock = time.CLOCK_REALTIME
    time.clock_settime(clock, time.clock_gettime(clock))


def _ipc_lock() -> None:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    buffer = ctypes.create_string_buffer(4096)
    checked(libc.mlock(buffer, 4096))


def _net_admin() -> None:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, 33, 4096)  # SO_RCVBUFFORCE


def _net_bind_service() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(("127.0.0.1", 809))


def _sys_resource() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard + 1))
    except ValueError as error:  # as Python tells EPERM
        raise PermissionError(errno.EPERM, str(error)) from error


def _sys_module() -> None:
    with suppress(FileNotFoundError):  # who hears that there is no such module was let through
        checked(libc.delete_module(b"rehearsed", 0))


def _audit_control() -> None:
    messages.DEEDS["netlink"]({"subsystem": "audit"})


def _bpf() -> None:
    # A map of the kind BPF_MAP_TYPE_LRU_HASH: unlike an array it takes bpf_capable().
    syscall("bpf", 0, ctypes.create_string_buffer(pack_words(9, 4, 4, 1), 128), 128)


def _perfmon() -> None:
    # A software counter of itself that also tells of namespaces (bit 30), which takes perfmon_capable().
    attributes = ctypes.create_string_buffer(struct.pack("IIQ24xQ", 1, 112, 3, 1 << 5 | 1 << 6 | 1 << 30), 112)
    syscall("perf_event_open", attributes, 0, -1, -1, 0)


def _sys_ptrace() -> None:
    # Another process of its own, that nobody may look into: ptrace_may_access() asks for the capability.
    ready, secret = os.pipe()
    pid = os.fork()
    if pid == 0:
        libc.prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
        os.write(secret, b"1")
        time.sleep(60)
        os._exit(0)
    try:
        os.read(ready, 1)
        buffer = ctypes.create_string_buffer(8)
        vector = struct.pack("LL", ctypes.addressof(buffer), 8)
        syscall("process_vm_readv", pid, ctypes.c_char_p(vector), 1, ctypes.c_char_p(vector), 1, 0)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def _sys_boot() -> None:
    checked(libc.reboot(0x00000000))  # LINUX_REBOOT_CMD_CAD_OFF: Ctrl-Alt-Del does nothing


def use(name: str) -> None:
    """Raises OSError where it is refused."""
    uses: dict[str, Callable[[], object]] = {
        "audit_control": _audit_control,
        "bpf": _bpf,
        "ipc_lock": _ipc_lock,
        "mknod": lambda: os.mknod("/dev/shm/rehearsed", 0o20600, os.makedev(1, 3)),
        "net_admin": _net_admin,
        "net_bind_service": _net_bind_service,
        "net_raw": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "perfmon": _perfmon,
        "setgid": lambda: os.setgid(1001),
        "setuid": lambda: os.setuid(1001),
        "sys_admin": lambda: checked(libc.sethostname(b"rehearsed", 9)),
        "sys_boot": _sys_boot,
        "sys_chroot": lambda: os.chroot("/"),
        "sys_module": _sys_module,
        "sys_nice": lambda: os.setpriority(os.PRIO_PROCESS, 0, -5),
        "sys_ptrace": _sys_ptrace,
        "sys_rawio": lambda: checked(libc.ioperm(0x80, 1, 1)),
        "sys_resource": _sys_resource,
        "sys_time": _sys_time,
        "syslog": lambda: checked(libc.klogctl(8, None, 7)),  # SYSLOG_ACTION_CONSOLE_LEVEL
    }
    uses[name]()
