"""The forms in which a machine's log comes: as auditd writes it (RAW or ENRICHED), or the kernel's own.

ENRICHED is RAW with what numbers mean appended to each record, behind a separator: ``format_enrich()`` of auditd's
``src/auditd-event.c``, which asks auparse for the fields of ``auparse/typetab.h`` that hold a user, a group, a system
call, an architecture or a socket address. Users are told as in the machine, which has none but root.
"""

from __future__ import annotations

import re
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from polkit.audit import syscall_name
from polkit.rehearse.guest.audit import FIRST_MESSAGE

RAW, ENRICHED, KERNEL = "raw", "enriched", "kernel"
FORMS = (RAW, ENRICHED, KERNEL)

_SEPARATOR = "\x1d"
_FIELD = re.compile(r"(?:^| )([a-z0-9_-]+)=(\S+)")
_OWNERS = frozenset(
    (
        *("auid", "uid", "euid", "suid", "fsuid", "ouid", "oauid", "old-auid", "iuid", "id", "inode_uid", "sauid"),
        *("obj_uid", "obj_gid", "gid", "egid", "sgid", "fsgid", "ogid", "igid", "inode_gid", "new_gid"),
    )
)
_UNSET = ("-1", "4294967295")
_ARCHITECTURES = {"c000003e": "x86_64", "c00000b7": "aarch64"}
_HEAD = re.compile(r"type=(\S+) msg=audit\([\d.]+:\d+\): ?")
_LOCAL, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_FAMILIES = {
    _LOCAL: "local", _INET: "inet", 3: "ax25", 4: "ipx", 5: "atalk", _INET6: "inet6", _NETLINK: "netlink", 17: "packet",
    31: "bluetooth", 38: "alg", 40: "vsock",
}  # fmt: skip
_ADDRESS_AT = {_INET: (4, 8), _INET6: (8, 24), _NETLINK: (4, 12)}
"""Where the address stands in them (of netlink: the process), and how far they must reach."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_LEVEL = re.compile(r"<(\d+)>")
_JUDGED_BY = {"1300": "SYSCALL", "1400": "AVC", "1401": "SELINUX_ERR"}
_PRINTED = re.compile(r"\[ *\d+\.\d+\] audit: type=(\d+) (audit\(.*)")
_KERNEL_LEVELS = 8
"""Above are messages that a process wrote to /dev/kmsg: the kernel's own facility is none that it takes from there."""


@dataclass(frozen=True)
class MachineLog:
    """``log`` in its form, and ``dmesg`` beside it, as dmesg(1) prints it. ``records`` are the same events as a step is
    judged by them; ``cut`` says that the kernel's buffer was too small for its messages."""

    log: str
    dmesg: str
    records: str
    cut: bool = False


def enriched(log: str) -> str:
    """The RAW log as auditd would have written it with ``log_format = ENRICHED``."""
    return "".join(line + _meanings(line) + "\n" for line in log.split("\n") if line)


def _meanings(line: str) -> str:
    head = _HEAD.match(line)
    if head is None:
        return ""
    found = list(_told(line[head.end() :]))
    return _SEPARATOR + " ".join(found) if found else ""


def _told(fields: str) -> Iterator[str]:
    arch = ""
    for name, value in _FIELD.findall(fields):
        if name in _OWNERS:
            yield f'{name.upper()}="{_owner(value)}"'
        elif name == "arch":
            arch = value
            yield f"ARCH={_ARCHITECTURES.get(value, f'unknown-elf-type({value})')}"
        elif name == "syscall":
            yield f"SYSCALL={syscall_name(arch, value) or f'unknown-syscall({value})'}"
        elif name == "saddr":
            yield f"SADDR={_address(value)}"


def _owner(number: str) -> str:
    if number in _UNSET:
        return "unset"
    return "root" if number == "0" else f"unknown({number})"


def _address(text: str) -> str:
    """As auparse's ``print_sockaddr()`` tells it."""
    try:
        address = bytes.fromhex(text)
        (family,) = struct.unpack_from("=H", address)
    except (ValueError, struct.error):
        return "malformed-host"
    name = _FAMILIES.get(family)
    if name is None:
        return f"unknown-family({family})"
    return f"{{ saddr_fam={name} {_within(family, address)} }}"


def _within(family: int, address: bytes) -> str:
    if family == _LOCAL:
        path = address[3 if address[2:3] == b"\0" else 2 :].partition(b"\0")[0]
        return f"path={_plain(path)}"
    at = _ADDRESS_AT.get(family)
    if at is None:
        return "(unsupported)"
    if len(address) < at[1]:
        return "sockaddr len too short"
    if family == _NETLINK:
        return f"nlnk-fam={family} nlnk-pid={int.from_bytes(address[at[0] : at[0] + 4], sys.byteorder)}"
    host = socket.inet_ntop(socket.AF_INET if family == _INET else socket.AF_INET6, address[at[0] : at[1]])
    return f"laddr={host} lport={int.from_bytes(address[2:4], 'big')}"


def _plain(path: bytes) -> str:
    """A path that a record's line can hold: a process chose it."""
    return _CONTROL.sub(lambda found: f"\\{ord(found[0]):03o}", path.decode("latin-1"))


def machine_log(form: str, audit: str, messages: str) -> MachineLog:
    """The log in one form, from what the machine's audit daemon took and what its kernel printed, with the levels of
    its messages (syslog(2))."""
    dmesg = "".join(_LEVEL.sub("", line, count=1) + "\n" for line in messages.split("\n") if line)
    if form == KERNEL:
        cut = not messages.partition("\n")[0].endswith(FIRST_MESSAGE)
        return MachineLog(dmesg, dmesg, "".join(f"{line}\n" for line in _printed(messages)), cut)
    return MachineLog(enriched(audit) if form == ENRICHED else audit, dmesg, audit)


def _printed(messages: str) -> Iterator[str]:
    """The kernel's messages of events as records."""
    for line in messages.split("\n"):
        level = _LEVEL.match(line)
        if level is None or int(level[1]) >= _KERNEL_LEVELS:
            continue
        found = _PRINTED.match(line, level.end())
        if found is not None:
            yield f"type={_JUDGED_BY.get(found[1], found[1])} msg={found[2]}"
