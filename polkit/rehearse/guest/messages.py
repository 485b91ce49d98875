"""Operations by which processes talk: a server's sockets, netlink, queues, semaphores, named pipes."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Mapping
from typing import Any, Callable

from .kernel import checked, libc, syscall

_SIOCOUTQ = 0x5411
_HEADER = struct.Struct("=IHHII")  # nlmsghdr, netlink(7)
_ERROR, _REQUEST, _DUMP = 2, 1, 0x300
_SUBSYSTEMS = {
    "route": (0, 22, _DUMP, bytes(8)),  # RTM_GETADDR: the addresses of all interfaces, as getifaddrs(3) asks for them
    "audit": (9, 1000, 0, b""),  # AUDIT_GET
}
_NO_WAIT = 0o4000  # IPC_NOWAIT
Arguments = Mapping[str, Any]


def _do_serve(told: Arguments) -> None:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", told["port"]))
    listening.listen(8)
    listening.getsockname()
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.connect(("127.0.0.1", told["port"]))
    serving, _ = listening.accept()
    client.send(b"rehearsed")
    serving.recv(16)
    fcntl.ioctl(serving, _SIOCOUTQ, bytearray(4))
    serving.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def _do_netlink(told: Arguments) -> None:
    protocol, kind, flags, body = _SUBSYSTEMS[told["subsystem"]]
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    opened.bind((0, 0))
    opened.getsockname()
    opened.settimeout(5)
    opened.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, 1, 0) + body)
    answer = opened.recv(1 << 16)
    if _HEADER.unpack_from(answer)[1] == _ERROR:
        number = -struct.unpack_from("i", answer, _HEADER.size)[0]
        if number:
            raise OSError(number, os.strerror(number))


def _do_fifo(told: Arguments) -> None:
    os.mkfifo(told["path"], 0o600)
    descriptor = os.open(told["path"], os.O_RDWR)
    os.write(descriptor, b"rehearsed")
    os.read(descriptor, 16)


def _do_semaphore(_: Arguments) -> None:
    identifier = checked(libc.semget(0, 1, 0o1600))  # IPC_PRIVATE, IPC_CREAT
    checked(libc.semop(identifier, ctypes.c_char_p(struct.pack("Hhh", 0, 1, _NO_WAIT)), 1))
    checked(libc.semctl(identifier, 0, 0))  # IPC_RMID


def _do_message_queue(told: Arguments) -> None:
    name = ctypes.c_char_p(told["queue"].encode())
    descriptor = syscall("mq_open", name, os.O_RDWR | os.O_CREAT, 0o600, None)
    os.close(descriptor)
    syscall("mq_unlink", name)


DEEDS: dict[str, Callable[[Arguments], object]] = {
    "serve": _do_serve,
    "netlink": _do_netlink,
    "fifo": _do_fifo,
    "semaphore": _do_semaphore,
    "message-queue": _do_message_queue,
}
