"""The host that the workload finds: a file system with what the scenario put there, listeners, other processes."""

from __future__ import annotations

import ctypes
import fcntl
import mmap as shared_memory
import os
import signal
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any, Optional

from . import kernel
from .kernel import mount, set_attribute

_NEW = "/world"
_LABEL = "security.selinux"
_PATIENCE = 1000
MARK = ctypes.create_string_buffer(b"memory of another process", 64)
"""What ``read-memory`` reads: every process here is a fork of this one, so it lies at one address in all."""


def build(plan: Mapping[str, Any], content: str) -> None:
    """Make the new file system with every thing of the plan, and make it this process' root."""
    # As a disk's: fs_t is what file systems with labels of their own are, and every file type may stand on it.
    options = "mode=0755" + (f",fscontext={plan['filesystem']}" if plan["filesystem"] else "")
    os.mkdir(_NEW)
    mount("tmpfs", _NEW, "tmpfs", 0, options)
    os.umask(0)
    for thing in plan["things"]:
        _make(thing, content)
    for folder in ("proc", "sys"):
        mount(f"/{folder}", f"{_NEW}/{folder}", None, kernel.MS_MOVE)
    os.chdir(_NEW)
    mount(".", "/", None, kernel.MS_MOVE)
    os.chroot(".")
    os.chdir("/")
    os.umask(0o022)


def _make(thing: Mapping[str, Any], content: str) -> None:
    path, kind = _NEW + thing["path"].rstrip("/"), thing["kind"]
    if kind == "dir":
        os.makedirs(path, 0o755, exist_ok=True)
    elif kind == "link":
        os.symlink(thing["target"], path)
    elif kind == "node":
        os.mknod(path, thing["type"] | 0o600, os.makedev(thing["major"], thing["minor"]))
    elif kind == "file":
        _write(path, thing, content)
    else:
        return  # a socket: its server makes it
    _finish(path, thing)


def _finish(path: str, thing: Mapping[str, Any]) -> None:
    if thing["kind"] != "link":
        os.chmod(path, thing["mode"])
    if thing["context"]:
        os.setxattr(path, _LABEL, thing["context"].encode() + b"\0", follow_symlinks=False)


def _write(path: str, thing: Mapping[str, Any], content: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if thing.get("size"):
            os.ftruncate(descriptor, thing["size"])
        elif thing.get("file"):
            source = os.open(f"{content}/{thing['file']}", os.O_RDONLY)
            while block := os.read(source, 1 << 20):
                os.write(descriptor, block)
            os.close(source)
        else:
            os.write(descriptor, thing.get("content", "").encode())
    finally:
        os.close(descriptor)


def start_network() -> None:
    """The loopback interface up: SIOCSIFFLAGS with IFF_UP."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fcntl.ioctl(opened, 0x8914, struct.pack("16sH14s", b"lo", 1, b""))
    opened.close()


def serve(plan: Mapping[str, Any]) -> list[socket.socket]:
    """The sockets of other domains, as theirs; they stay open as long as the list."""
    opened: list[socket.socket] = []
    for thing in plan["things"]:
        if thing["kind"] == "socket":
            set_attribute("sockcreate", thing["server"])
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listening.bind(thing["path"])
            listening.listen(64)
            _finish(thing["path"], thing)
            opened.append(listening)
    for listener in plan["listeners"]:
        set_attribute("sockcreate", listener["context"])
        udp = listener["protocol"] == "udp"
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", listener["port"]))
        if not udp:
            listening.listen(64)
        opened.append(listening)
    if opened:
        set_attribute("sockcreate", "")
    return opened


class Bystanders:
    """Processes of other domains, by name; one that a step ended is started again."""

    def __init__(self, wanted: list[Mapping[str, Any]]) -> None:
        self._wanted = {process["name"]: process for process in wanted}
        self._running: dict[str, int] = {}

    def pid(self, name: str) -> int:
        """The process' id; it is there and in its domain."""
        if name in self._running and os.waitpid(self._running[name], os.WNOHANG)[0]:
            del self._running[name]
        if name not in self._running:
            self._running[name] = self._start(self._wanted[name])
        return self._running[name]

    @staticmethod
    def _start(process: Mapping[str, Any]) -> int:
        # Told by a store to memory, which asks SELinux for nothing.
        ready = shared_memory.mmap(-1, 4096)
        pid = os.fork()
        if pid:
            for _ in range(_PATIENCE):
                if ready[0]:
                    return pid
                time.sleep(0.01)
            raise OSError(f"process {process['name']} could not become {process['context']}")
        try:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1):
                signal.signal(number, signal.SIG_IGN)
            kernel.set_name(process["name"])
            set_attribute("current", process["context"])
            ready[0] = 1
            while True:
                signal.pause()
        finally:
            os._exit(1)


def enter_root(root: Optional[Mapping[str, Any]]) -> None:
    """A mount namespace of this process' own, with ``root`` as /; the host is out of reach then."""
    if root is None:
        return
    kernel.checked(kernel.libc.unshare(kernel.CLONE_NEWNS))
    top = root["path"]
    mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    mount(top, top, None, kernel.MS_BIND | kernel.MS_REC)
    for host, inside, read_only in (*root["binds"], *((f"/{part}", f"/{part}", False) for part in root["host"])):
        mount(host, top + inside, None, kernel.MS_BIND | kernel.MS_REC)
        if read_only:
            mount(host, top + inside, None, kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY)
    os.chdir(top)
    # pivot_root(2): with one directory for both, the old root comes to lie on the new one.
    kernel.syscall("pivot_root", ctypes.c_char_p(b"."), ctypes.c_char_p(b"."))
    kernel.checked(kernel.libc.umount2(b".", kernel.MNT_DETACH))
    os.chdir("/")
