"""What an event tells of a device: which numbers its node has, and what whatever stands behind it answered an ioctl.

Sources: Linux ``kernel/auditsc.c`` (``audit_log_name``: ``rdev=%02x:%02x``, hexadecimal; ``audit_log_exit``:
``success= exit=``); audit-userspace ``auparse/interpret.c`` (``print_exit``: the error's name and, in parentheses,
its text).
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Mapping
from typing import Optional

from polkit.audit.values import unquote

SUCCESS = "success"

_CLASSES = frozenset(("chr_file", "blk_file"))
_NUMBERS = re.compile(r"([0-9a-fA-F]{1,4}):([0-9a-fA-F]{1,5})\Z")
_ERROR = re.compile(r"-(\d{1,4})\Z")
_NAMED_ERROR = re.compile(r"(E[A-Z0-9]{1,18})(?:\(|\Z)", re.ASCII)


def node_text(
    tclass: str, path: Optional[str], inode: Optional[str], items: Iterable[Mapping[str, str]]
) -> Optional[str]:
    """``/dev/nvidia0 195:0`` for the device node that a denial is about, when a PATH record of its event has the node's
    inode; numbers are decimal here, as ``ls -l`` has them. None where no record tells."""
    if tclass not in _CLASSES or not path or not inode:
        return None
    for item in items:
        found = _NUMBERS.match(item.get("rdev", ""))
        if found and item.get("inode") == inode:
            major, minor = int(found[1], 16), int(found[2], 16)
            return f"{path} {major}:{minor}" if major or minor else None
    return None


def answer_text(perms: tuple[str, ...], syscall: Optional[str], fields: Mapping[str, str]) -> Optional[str]:
    """``success``, or the name of the error that an ioctl ended with (``ENOTTY``); None for another system call, and
    where the record does not tell."""
    if "ioctl" not in perms or syscall != "ioctl":
        return None
    if unquote(fields.get("success", "")) == "yes":
        return SUCCESS
    ended = unquote(fields.get("exit", ""))
    number = _ERROR.match(ended)
    if number:
        return errno.errorcode.get(int(number[1]))
    named = _NAMED_ERROR.match(ended)
    return named[1] if named else None
