"""Decodes the values of fields: hexadecimal strings, commands, ports. Text is bytes read as Latin-1 until decoded."""

from __future__ import annotations

import re
from typing import Optional

from polkit.audit.reading import Unreadable
from polkit.audit.vocabulary import IOCTLS
from polkit.model import Port, Xperm

_HEX = re.compile(r"(?:[0-9A-F]{2})+\Z")
_PROTOCOLS = {"tcp_socket": "tcp", "udp_socket": "udp", "dccp_socket": "dccp", "sctp_socket": "sctp"}
_ABSENT = ("", "(null)", "?", "(none)")
_CONNECTS = "name_connect"
_BINDS = "name_bind"
_HIGHEST_PORT = 65535


def readable(text: str) -> str:
    """Latin-1 text as what its bytes say in UTF-8; a byte that isn't UTF-8 becomes ``\\xNN``."""
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "backslashreplace")


def unquote(value: str) -> str:
    """A value without its quotes."""
    return value[1:-1] if value[:1] == '"' and value[-1:] == '"' and len(value) > 1 else value


def string(value: Optional[str], interpreted: bool = False) -> Optional[str]:
    """A string field decoded; None where the record says there is none.

    The kernel writes a string in quotes, or as hexadecimal where it holds a blank, a quote or a control character
    (``audit_log_untrustedstring``). In an ``interpreted`` record that has been undone already.
    """
    if value is None or value in _ABSENT:
        return None
    if value[0] == '"':
        return readable(unquote(value))
    if not interpreted and _HEX.match(value):
        return bytes.fromhex(value).rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "backslashreplace")
    return readable(value)


def xperm(perms: tuple[str, ...], fields: dict[str, str]) -> Optional[Xperm]:
    """The extended permission that a record names; None where its permissions have none or an old kernel names none.

    Raises Unreadable for a command we can't read: leaving it out would stand for every command there is.
    """
    if "ioctl" in perms and "ioctlcmd" in fields:
        return Xperm("ioctl", _ioctl(unquote(fields["ioctlcmd"])))
    if "nlmsg" in perms and "nl-msgtype" in fields:
        number = unquote(fields["nl-msgtype"])
        if not re.match(r"[0-9]{1,5}\Z", number) or int(number) > 0xFFFF:
            raise Unreadable(f"nl-msgtype={number[:40]} is no message type")
        return Xperm("nlmsg", int(number))
    return None


def _ioctl(text: str) -> int:
    # Hexadecimal with or without 0x: kernels before 4.14 printed %hx. A record holds the low 16 bits of the command.
    if re.match(r"(?:0[xX])?[0-9A-Fa-f]{1,8}\Z", text):
        return int(text, 16) & 0xFFFF
    if text in IOCTLS:
        return IOCTLS[text]
    raise Unreadable(f"ioctlcmd={text[:40]} is no command we know the number of")


def port(perms: tuple[str, ...], tclass: str, fields: dict[str, str]) -> Optional[Port]:
    """The port whose label was asked about (name_bind, name_connect); None for other permissions. Raises Unreadable."""
    names = ("src", "lport") if _BINDS in perms else ("dest", "fport") if _CONNECTS in perms else ()
    protocol = _PROTOCOLS.get(tclass)
    for name in names:
        if name in fields and protocol:
            number = port_number(unquote(fields[name]))
            if number is None:
                raise Unreadable(f"{name}={fields[name][:40]} is no port")
            return Port(protocol, number)
    return None


def port_number(text: str) -> Optional[int]:
    """A port as a number from 0 to 65535, or None."""
    if re.match(r"[0-9]{1,5}\Z", text) and int(text) <= _HIGHEST_PORT:
        return int(text)
    return None
