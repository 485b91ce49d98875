"""The audit daemon of the machine: takes every record from the kernel, losing none, and writes them as auditd's RAW.

Without one the kernel prints its records itself: they are in its own buffer then (dmesg), which nothing takes from it.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from typing import Any

from .kernel import pack_words

# include/uapi/linux/audit.h
_GET, _SET, _ADD_RULE = 1000, 1001, 1011
_ENABLED, _PID, _RATE_LIMIT, _BACKLOG_LIMIT = 1, 4, 8, 16
_FILTER_EXIT, _FILTER_EXCLUDE, _ALWAYS, _SUBJ_TYPE, _EQUAL = 4, 5, 2, 15, 0x40000000
_NETLINK_AUDIT, _SO_RCVBUFFORCE = 9, 33
_REQUEST, _ACK = 1, 4
_HEADER = struct.Struct("=IHHII")
_ERROR, _END_OF_EVENT = 2, 1320
_NAMES = {
    1006: "LOGIN", 1300: "SYSCALL", 1302: "PATH", 1303: "IPC", 1304: "SOCKETCALL", 1305: "CONFIG_CHANGE",
    1306: "SOCKADDR", 1307: "CWD", 1309: "EXECVE", 1311: "IPC_SET_PERM", 1312: "MQ_OPEN", 1313: "MQ_SENDRECV",
    1314: "MQ_NOTIFY", 1315: "MQ_GETSETATTR", 1316: "KERNEL_OTHER", 1317: "FD_PAIR", 1318: "OBJ_PID", 1319: "TTY",
    1321: "BPRM_FCAPS", 1322: "CAPSET", 1323: "MMAP", 1324: "NETFILTER_PKT", 1325: "NETFILTER_CFG", 1326: "SECCOMP",
    1327: "PROCTITLE", 1328: "FEATURE_CHANGE", 1329: "REPLACE", 1330: "KERN_MODULE", 1331: "FANOTIFY",
    1332: "TIME_INJOFFSET", 1333: "TIME_ADJNTPVAL", 1334: "BPF", 1335: "EVENT_LISTENER", 1336: "URINGOP",
    1337: "OPENAT2", 1400: "AVC", 1401: "SELINUX_ERR", 1402: "AVC_PATH", 1403: "MAC_POLICY_LOAD", 1404: "MAC_STATUS",
    1405: "MAC_CONFIG_CHANGE", 1406: "MAC_UNLBL_ALLOW", 1409: "MAC_MAP_ADD", 1701: "ANOM_ABEND", 1702: "ANOM_LINK",
}  # fmt: skip
"""The names that auditd writes (audit-userspace's lib/msg_typetab.h); others become UNKNOWN[number], as it does."""
_MOST = 48 << 20
_PATIENCE, _QUIET = 3000, 5
FIRST_MESSAGE = "polkit: the log of the steps begins here"
"""The kernel's messages start with it where they are the log."""


class Link:
    """The netlink socket by which the kernel's audit is set up, and by which it gives its records to a daemon."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_AUDIT)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
        self._socket.bind((os.getpid(), 0))
        self._number = 0
        self.records: list[bytes] = []
        self.size = 0

    def start(self, harness: str, daemon: bool) -> None:
        """From now on there are records, with the calls and paths they belong to, but those of the type ``harness``:
        they come here where this is the ``daemon``, else the kernel prints them."""
        # Without a rule no system call is recorded beside a denial (kernel/auditsc.c, dummy contexts). This one names
        # a call that nothing makes.
        self._set(_RATE_LIMIT, 0)
        self._set(_BACKLOG_LIMIT, 0)  # no limit: what waits is memory, what is dropped is gone
        self._add_rule(_FILTER_EXIT, _ALWAYS, syscall=180)  # nfsservctl, which no kernel has any more
        self._add_rule(_FILTER_EXCLUDE, 0, subject=harness)
        # What this process was denied until then must be gone: the kernel would give a daemon what still waits.
        self._drain()
        if daemon:
            self._set(_PID, os.getpid())
        self._set(_ENABLED, 1)

    def collect(self, seconds: float) -> bool:
        """Take one record; False when none came in time."""
        self._socket.settimeout(seconds)
        try:
            self._take(self._socket.recv(1 << 16))
        except socket.timeout:
            return False
        return True

    def finish(self) -> dict[str, int]:
        """Take what still waits, or let the kernel print it; the kernel's own account."""
        return self._drain()

    def _drain(self) -> dict[str, int]:
        """Until nothing waits in the kernel; its account then.

        What it took from its queue last may still be on its way, and a machine on a busy host stands still for
        seconds: no time tells that it has arrived, but that both sides went on several times and nothing came.
        """
        quiet = 0
        for _ in range(_PATIENCE):
            before = len(self.records)
            while self.collect(0.01):
                pass
            status = self._status()
            quiet = quiet + 1 if status["backlog"] == 0 and len(self.records) == before else 0
            if quiet == _QUIET:
                return status
        raise OSError("the kernel's audit queue does not become empty")

    def _take(self, packet: bytes) -> None:
        _, kind, _, _, _ = _HEADER.unpack_from(packet)
        if kind < 1100 or kind == _END_OF_EVENT or self.size > _MOST:
            return
        text = packet[_HEADER.size :].rstrip(b"\0\n").replace(b"\n", b" ")
        name = _NAMES.get(kind, f"UNKNOWN[{kind}]")
        self.records.append(f"type={name} msg=".encode() + text)
        self.size += len(text)

    def _status(self) -> dict[str, int]:
        self._number += 1
        self._socket.settimeout(10)
        self._socket.sendto(_HEADER.pack(_HEADER.size, _GET, _REQUEST, self._number, 0), (0, 0))
        while True:
            packet = self._socket.recv(1 << 16)
            if _HEADER.unpack_from(packet)[1] == _GET:
                words = struct.unpack_from("8I", packet, _HEADER.size)
                return {"lost": words[6], "backlog": words[7]}
            self._take(packet)

    def _send(self, kind: int, body: bytes) -> None:
        self._number += 1
        head = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | _ACK, self._number, 0)
        self._socket.settimeout(10)
        self._socket.sendto(head + body, (0, 0))
        while True:
            packet = self._socket.recv(1 << 16)
            if _HEADER.unpack_from(packet)[1] == _ERROR:
                number = -struct.unpack_from("i", packet, _HEADER.size)[0]
                if number:
                    raise OSError(number, f"audit message {kind}: {os.strerror(number)}")
                return
            self._take(packet)

    def _set(self, what: int, value: int) -> None:
        words = {_ENABLED: 1, _PID: 3, _RATE_LIMIT: 4, _BACKLOG_LIMIT: 5}
        status = [what, *[0] * 9]
        status[words[what]] = value
        self._send(_SET, pack_words(*status))

    def _add_rule(self, filter_: int, action: int, syscall: int = -1, subject: str = "") -> None:
        mask = [0] * 64
        if syscall >= 0:
            mask[syscall // 32] = 1 << (syscall % 32)
        count = 1 if subject else 0
        fields, values, flags = [0] * 64, [0] * 64, [0] * 64
        if subject:
            fields[0], values[0], flags[0] = _SUBJ_TYPE, len(subject), _EQUAL
        body = pack_words(filter_, action, count, *mask, *fields, *values, *flags, len(subject))
        self._send(_ADD_RULE, body + subject.encode())


def run_daemon(harness: str, ready: int, out: int) -> None:
    """A process of its own: collects until SIGTERM, then writes its account and every record to ``out``."""
    ending: list[Any] = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
    daemon = Link()
    daemon.start(harness, daemon=True)
    os.write(ready, b"1")
    while not ending:
        daemon.collect(0.2)
    status = daemon.finish()
    text = b"%d %d\n" % (status["lost"], daemon.size > _MOST) + b"".join(record + b"\n" for record in daemon.records)
    os.lseek(out, 0, os.SEEK_SET)
    while text:
        text = text[os.write(out, text) :]
