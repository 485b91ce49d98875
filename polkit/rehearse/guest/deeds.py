"""The operations of a step, each as few system calls as it takes. They raise OSError, or return."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import socket
import struct
from collections.abc import Mapping
from typing import Any, Callable

from . import capabilities, memory, messages, processes
from .kernel import checked, libc, mmap, mount, syscall

_PAGE = 4096
_PROT = {"read": 1, "write": 2, "exec": 4}
_SHARED, _PRIVATE = 1, 2
_ATTACH, _DETACH = 16, 17
_LONGEST_READ = 1 << 16
_MODIFIED_OR_MADE = 0x102  # IN_MODIFY, IN_CREATE
_SQPOLL = 2
Arguments = Mapping[str, Any]


def _open(path: str, flags: int, mode: int = 0o644) -> int:
    return os.open(path, flags, mode)


def _do_open(told: Arguments) -> None:
    flags = 0
    for name in told["flags"]:
        flags |= getattr(os, name)
    os.close(_open(told["path"], flags))


def _do_read(told: Arguments) -> None:
    descriptor = _open(told["path"], os.O_RDONLY)
    os.read(descriptor, _LONGEST_READ)


def _do_write(told: Arguments) -> None:
    descriptor = _open(told["path"], os.O_WRONLY | (os.O_APPEND if told.get("append") else 0))
    os.write(descriptor, b"rehearsed\n")


def _do_list(told: Arguments) -> None:
    os.listdir(told["path"])


def _do_watch(told: Arguments) -> None:
    descriptor = checked(libc.inotify_init1(os.O_CLOEXEC))
    checked(libc.inotify_add_watch(descriptor, os.fsencode(told["path"]), _MODIFIED_OR_MADE))


def _do_lock(told: Arguments) -> None:
    fcntl.flock(_open(told["path"], os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)


def _do_create(told: Arguments) -> None:
    descriptor = _open(told["path"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, told.get("mode", 0o644))
    os.write(descriptor, b"rehearsed\n")


def _do_truncate(told: Arguments) -> None:
    os.truncate(told["path"], 0)


def _do_relabel(told: Arguments) -> None:
    try:
        os.setxattr(told["path"], "security.selinux", told["context"].encode() + b"\0")
    except OSError as error:
        # A label that the policy lacks takes mac_admin; who hasn't got it hears that the label is invalid.
        if error.errno != errno.EINVAL:
            raise
        raise PermissionError(errno.EACCES, str(error)) from error


def _do_setxattr(told: Arguments) -> None:
    os.setxattr(told["path"], told["attribute"], b"rehearsed")


def _do_ioctl(told: Arguments) -> None:
    descriptor = _open(told["path"], os.O_RDWR)
    fcntl.ioctl(descriptor, told["command"], bytearray(_PAGE // 4))


def _do_mmap(told: Arguments) -> None:
    prot = 0
    for word in told["prot"]:
        prot |= _PROT[word]
    shared = bool(told.get("shared"))
    writes = shared and "write" in told["prot"]
    descriptor = _open(told["path"], os.O_RDWR if writes else os.O_RDONLY)
    mmap(_PAGE, prot, _SHARED if shared else _PRIVATE, descriptor)


def _do_exec(told: Arguments) -> None:
    path = told["path"]
    os.execve(path, [path, *told.get("arguments", ())], {"PATH": "/usr/bin:/bin", "LC_ALL": "C"})


def _bound(told: Arguments, kind: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET, kind)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind(("127.0.0.1", told["port"]))
    return opened


def _kind(told: Arguments) -> int:
    return socket.SOCK_DGRAM if told["protocol"] == "udp" else socket.SOCK_STREAM


def _do_bind(told: Arguments) -> None:
    _bound(told, _kind(told))


def _do_listen(told: Arguments) -> None:
    _bound(told, socket.SOCK_STREAM).listen(1)


def _do_connect(told: Arguments) -> None:
    opened = socket.socket(socket.AF_INET, _kind(told))
    opened.connect(("127.0.0.1", told["port"]))
    if told["protocol"] == "udp":
        opened.send(b"rehearsed")


def _do_unix_listen(told: Arguments) -> None:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    opened.bind(told["path"])
    opened.listen(1)


def _do_unix_connect(told: Arguments) -> None:
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect(told["path"])


def _do_socket(told: Arguments) -> None:
    socket.socket(getattr(socket, told["family"]), getattr(socket, told["type"]))


def _do_signal(told: Arguments) -> None:
    os.kill(told["pid"], getattr(signal, told["signal"]))


def _do_ptrace(told: Arguments) -> None:
    checked(libc.ptrace(_ATTACH, told["pid"], None, None))
    os.waitpid(told["pid"], 0x40000000)  # __WALL: it is no child of ours
    checked(libc.ptrace(_DETACH, told["pid"], None, None))


def _do_read_memory(told: Arguments) -> None:
    buffer = ctypes.create_string_buffer(16)
    here = struct.pack("LL", ctypes.addressof(buffer), 16)
    there = struct.pack("LL", told["address"], 16)  # the two were one process until it was forked: same addresses
    syscall("process_vm_readv", told["pid"], ctypes.c_char_p(here), 1, ctypes.c_char_p(there), 1, 0)


def _do_shm(told: Arguments) -> None:
    descriptor = _open(f"/dev/shm/{told['segment']}", os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(descriptor, _PAGE)
    mmap(_PAGE, 3, _SHARED, descriptor)


def _do_sysv_shm(_: Arguments) -> None:
    identifier = checked(libc.shmget(0, _PAGE, 0o1600))  # IPC_PRIVATE, IPC_CREAT
    address = checked(libc.shmat(identifier, None, 0))
    libc.shmdt(ctypes.c_void_p(address))
    checked(libc.shmctl(identifier, 0, None))  # IPC_RMID


def _do_io_uring(told: Arguments) -> None:
    flags = _SQPOLL if told.get("sqpoll") else 0
    parameters = ctypes.create_string_buffer(struct.pack("III", 0, 0, flags), 120)
    descriptor = syscall("io_uring_setup", 4, parameters)
    mmap(_PAGE, 3, _SHARED, descriptor)


def _do_userfaultfd(_: Arguments) -> None:
    syscall("userfaultfd", os.O_CLOEXEC)


def _do_perf_event(told: Arguments) -> None:
    # perf_event_open(2): a software counter (type 1) of context switches (3); without bits 5 and 6 in the kernel too.
    attributes = bytearray(112)
    struct.pack_into("IIQ", attributes, 0, 1, 112, 3)
    struct.pack_into("Q", attributes, 40, 0 if told.get("kernel") else 1 << 5 | 1 << 6)
    process, cpu = (-1, 0) if told.get("cpu") else (0, -1)
    descriptor = syscall("perf_event_open", (ctypes.c_char * 112).from_buffer(attributes), process, cpu, -1, 0)
    os.read(descriptor, 8)


def _do_bpf(_: Arguments) -> None:
    attributes = ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 4, 1), 128)  # BPF_MAP_TYPE_ARRAY
    syscall("bpf", 0, attributes, 128)


def _do_mount(told: Arguments) -> None:
    mount("tmpfs", told["path"], "tmpfs")


def _do_load_module(_: Arguments) -> None:
    syscall("init_module", ctypes.c_char_p(b"\x7fELF" + bytes(60)), 64, ctypes.c_char_p(b""))


def _do_setenforce(_: Arguments) -> None:
    descriptor = _open("/sys/fs/selinux/enforce", os.O_RDWR)
    os.write(descriptor, b"0")


DEEDS: dict[str, Callable[[Arguments], object]] = {
    **memory.DEEDS,
    **messages.DEEDS,
    **processes.DEEDS,
    "open": _do_open,
    "read": _do_read,
    "write": _do_write,
    "list": _do_list,
    "stat": lambda told: os.lstat(told["path"]),
    "readlink": lambda told: os.readlink(told["path"]),
    "statfs": lambda told: os.statvfs(told["path"]),
    "watch": _do_watch,
    "lock": _do_lock,
    "create": _do_create,
    "mkdir": lambda told: os.mkdir(told["path"]),
    "rmdir": lambda told: os.rmdir(told["path"]),
    "unlink": lambda told: os.unlink(told["path"]),
    "rename": lambda told: os.rename(told["path"], told["to"]),
    "link": lambda told: os.link(told["path"], told["to"]),
    "symlink": lambda told: os.symlink(told["to"], told["path"]),
    "truncate": _do_truncate,
    "chmod": lambda told: os.chmod(told["path"], told["mode"]),
    "chown": lambda told: os.chown(told["path"], told["uid"], -1),
    "relabel": _do_relabel,
    "setxattr": _do_setxattr,
    "ioctl": _do_ioctl,
    "mmap": _do_mmap,
    "exec": _do_exec,
    "program": _do_exec,
    "bind": _do_bind,
    "listen": _do_listen,
    "connect": _do_connect,
    "unix-listen": _do_unix_listen,
    "unix-connect": _do_unix_connect,
    "socket": _do_socket,
    "signal": _do_signal,
    "ptrace": _do_ptrace,
    "read-memory": _do_read_memory,
    "shm": _do_shm,
    "sysv-shm": _do_sysv_shm,
    "io_uring": _do_io_uring,
    "userfaultfd": _do_userfaultfd,
    "perf_event": _do_perf_event,
    "bpf": _do_bpf,
    "mount": _do_mount,
    "capability": lambda told: capabilities.use(told["capability"]),
    "load-module": _do_load_module,
    "setenforce": _do_setenforce,
}
"""Every operation of ``polkit.rehearse.operations``."""


def errno_name(number: int) -> str:
    """``EACCES`` for 13."""
    return errno.errorcode.get(number, str(number))
