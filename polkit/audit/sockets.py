"""Socket addresses of SOCKADDR records, and command lines of EXECVE and PROCTITLE records.

Sources: Linux ``include/linux/socket.h``, ``include/uapi/linux/un.h``, ``in.h`` and ``in6.h`` (``saddr=`` is the
structure in hexadecimal); audit-userspace ``auparse/interpret.c``, ``print_sockaddr`` (what ausearch -i makes of it).
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple, Optional

from polkit.audit.values import port_number, readable, string

_UNIX, _INET, _INET6 = 1, 2, 10
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){2,128}\Z")
_SADDR = re.compile(r"\bsaddr=(\{[^{}]*\}|\S+)")
_PART = re.compile(r"(\w+)=(\S+)")
_TITLE = re.compile(r"\bproctitle=(.*)", re.DOTALL)
_ARGUMENT = re.compile(r'\ba(\d{1,3})=("[^"]*"|[^\s"\x1d]*)')
_PLAIN_ARGUMENTS = re.compile(r"\ba\d{1,3}=(.*?)(?=\s+a\d{1,3}=|\s*\Z)", re.DOTALL)
_LONGEST = 256
_NAMES = r"(?:token|secret|passw(?:or)?d|passphrase|credentials?|api[-_]?key)"
_SECRET = re.compile(rf"((?:^|\s)[\w.-]*{_NAMES}(?:=|\s+))\S+", re.IGNORECASE)
_KNOWN_SECRET = re.compile(r"\b(hf_|sk-|gh[pousr]_|xox[abpr]-)[\w-]{8,}")
_USER_INFO = re.compile(r"(://)[^/\s@]+@")


class Address(NamedTuple):
    """A socket address: ``text`` for a person, and its path or port where it has one."""

    text: str
    path: Optional[str] = None
    port: Optional[int] = None


def address_in(body: str) -> Optional[Address]:
    """The address in the body of a SOCKADDR record; None for another family, or what can't be read."""
    found = _SADDR.search(body)
    if not found:
        return None
    if found[1].startswith("{"):
        return _interpreted(dict(_PART.findall(found[1])))
    return _raw(bytes.fromhex(found[1])) if _HEX.match(found[1]) else None


def _raw(data: bytes) -> Optional[Address]:
    family = int.from_bytes(data[:2], "little")
    if family == _UNIX and len(data) > 2:
        return _of_unix(data[2:])
    port = int.from_bytes(data[2:4], "big")
    if family == _INET and len(data) >= 8:
        return Address(f"{ipaddress.IPv4Address(data[4:8])}:{port}", port=port)
    if family == _INET6 and len(data) >= 24:
        return Address(f"[{ipaddress.IPv6Address(data[8:24])}]:{port}", port=port)
    return None


def _of_unix(name: bytes) -> Optional[Address]:
    if name[:1] == b"\0":
        text = name[1:].rstrip(b"\0").replace(b"\0", b"@").decode("utf-8", "backslashreplace")
        return Address(f"@{text}") if text else None
    path = name.partition(b"\0")[0].decode("utf-8", "backslashreplace")
    return Address(path, path=path)


def _interpreted(parts: dict[str, str]) -> Optional[Address]:
    path = parts.get("path")
    if path:
        return Address(readable(path), path=readable(path) if path.startswith("/") else None)
    port = port_number(parts.get("lport") or parts.get("serv") or "")
    host = parts.get("laddr") or parts.get("host")
    try:
        ip = ipaddress.ip_address(host or "")
    except ValueError:
        return None
    if port is None:
        return None
    return Address(f"[{ip}]:{port}" if ip.version == _IP6 else f"{ip}:{port}", port=port)


_IP6 = 6


def title_in(body: str, interpreted: bool) -> Optional[str]:
    """The command line in the body of a PROCTITLE record, what looks like a secret masked."""
    found = _TITLE.search(body)
    if not found:
        return None
    text = found[1].partition("\x1d")[0].strip()
    return _shown(string(text, interpreted))


def command_in(body: str, interpreted: bool) -> Optional[str]:
    """The command line in the body of an EXECVE record, what looks like a secret masked."""
    body = body.partition("\x1d")[0]
    if interpreted:
        values = [readable(value) for value in _PLAIN_ARGUMENTS.findall(body)]
    else:
        values = [string(value) or "" for _, value in _ARGUMENT.findall(body)]
    return _shown(" ".join(values))


def _shown(text: Optional[str]) -> Optional[str]:
    """A command line is evidence that leaves the host in a ledger: no password or token goes along."""
    if not text or not text.strip():
        return None
    masked = _SECRET.sub(r"\1***", " ".join(text.split()))
    return _USER_INFO.sub(r"\1***@", _KNOWN_SECRET.sub(r"\1***", masked))[:_LONGEST]
