"""Joins the records of one event: the system call, its program and the full path that a denial is about.

The kernel writes AVC before SYSCALL, CWD and PATH, ausearch the other way round, and events interleave. So denials and
their companions wait in a window of the latest events; a denial is handed on when its event leaves the window.
"""

from __future__ import annotations

import posixpath
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Callable, Optional

from polkit.audit.calls import call_text
from polkit.audit.denial import Denial, event_of, is_interpreted
from polkit.audit.devices import answer_text, node_text
from polkit.audit.heads import Claim
from polkit.audit.sockets import Address, address_in, command_in, title_in
from polkit.audit.syscalls import syscall_name
from polkit.audit.values import string, unquote

EVENTS = 512
"""So many events a window holds."""

_MOST_COMPANIONS = 64
_MOST_DENIALS = 256
_ENTRY_PERMISSIONS = frozenset(("add_name", "remove_name"))
_SOCKETS = ("_socket", "sock_file")
_FIELD = re.compile(r"""([A-Za-z_][\w-]*)=("[^"]*"|[^\s"\x1d]*)""", re.ASCII)
_RAW_NUMBER = re.compile(r"\d+\Z")


@dataclass
class _Event:
    denials: list[Denial] = field(default_factory=list)
    companions: list[tuple[Claim, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Circumstances:
    """What the companions of a denial add to it."""

    syscall: Optional[str] = None
    call: Optional[str] = None
    """The system call with the flags that decide what it asks for; None where it has none."""
    exe: Optional[str] = None
    path: Optional[str] = None
    node: Optional[str] = None
    """A device node with its numbers (``/dev/nvidia0 195:0``)."""
    answer: Optional[str] = None
    """How an ioctl ended: ``success`` or the name of the error."""
    command: Optional[str] = None
    """The command line: of the program that is started, else of the process."""
    address: Optional[str] = None
    ports: tuple[int, ...] = ()


Held = tuple[tuple[str, tuple[Denial, ...], tuple[tuple[Claim, str], ...]], ...]
"""Events in the order they began: name, denials, companions."""


class EventWindow:
    """The latest events, bounded in every direction. ``finish`` gets each denial with its circumstances, once.

    ``wanted`` says whether the circumstances of a denial are worth finding; where not, it gets empty ones.
    """

    def __init__(
        self,
        finish: Callable[[Denial, Circumstances], None],
        wanted: Callable[[Denial], bool],
        held: Held = (),
    ) -> None:
        self._finish = finish
        self._wanted = wanted
        self._events: OrderedDict[str, _Event] = OrderedDict(
            (name, _Event(list(denials), list(companions))) for name, denials, companions in held
        )

    def held(self) -> Held:
        """All that a window knows: another one that begins with it goes on where this one is."""
        return tuple((name, tuple(event.denials), tuple(event.companions)) for name, event in self._events.items())

    def denial(self, denial: Denial) -> None:
        """Take a denial in."""
        if not denial.event:
            self._finish(denial, Circumstances())
            return
        event = self._event(denial.event)
        event.denials.append(denial)
        if len(event.denials) >= _MOST_DENIALS:
            self._close(event)
            event.denials.clear()

    def companion(self, claim: Claim, text: str) -> None:
        """Take in a record of the types in heads.COMPANIONS."""
        name = event_of(claim)
        if not name:
            return
        event = self._event(name)
        if len(event.companions) < _MOST_COMPANIONS:
            event.companions.append((claim, text))

    def late_companion(self, claim: Claim, text: str) -> None:
        """Take in a companion of an event that is still waiting: of a log that goes on in another file."""
        if event_of(claim) in self._events:
            self.companion(claim, text)

    def close(self) -> None:
        """The input has ended: hand on what still waits."""
        for event in self._events.values():
            self._close(event)
        self._events.clear()

    def _event(self, name: str) -> _Event:
        event = self._events.get(name)
        if event is None:
            event = self._events[name] = _Event()
            if len(self._events) > EVENTS:
                self._close(self._events.popitem(last=False)[1])
        return event

    def _close(self, event: _Event) -> None:
        for denial in event.denials:
            found = event.companions and self._wanted(denial)
            self._finish(denial, circumstances(denial, event.companions) if found else Circumstances())


def circumstances(denial: Denial, companions: list[tuple[Claim, str]]) -> Circumstances:
    """What the other records of its event say of a denial."""
    syscall = exe = command = directory = None
    call: dict[str, str] = {}
    items: list[dict[str, str]] = []
    address: Optional[Address] = None
    for claim, text in companions:
        body = text[claim.body :]
        if claim.type == "SYSCALL":
            call = dict(_FIELD.findall(body))
            syscall, exe = _syscall(call), string(call.get("exe"))
        elif claim.type == "CWD":
            directory = string(dict(_FIELD.findall(body)).get("cwd"))
        elif claim.type == "PATH":
            items.append(dict(_FIELD.findall(body)))
        elif claim.type == "SOCKADDR":
            address = address_in(body) if denial.key.tclass.endswith(_SOCKETS) else None
        else:
            command = _command(claim, body) or command
    removed = [item for item in items if item.get("nametype") == "DELETE"]
    entry = min(removed, key=lambda item: item.get("item", ""), default={})
    path = None if denial.path else _path(denial, items, directory) or _socket_path(denial, address)
    return Circumstances(
        syscall=syscall,
        call=call_text(syscall, call, entry.get("mode")),
        exe=exe,
        path=path,
        node=node_text(denial.key.tclass, denial.path or path, denial.inode, items),
        answer=answer_text(denial.key.perms, syscall, call),
        command=command,
        address=address.text if address else None,
        ports=(address.port,) if address and address.port is not None else (),
    )


def _command(claim: Claim, body: str) -> Optional[str]:
    """The command line of an EXECVE or PROCTITLE record; a process's title is no news where it starts a program."""
    interpreted = is_interpreted(claim.stamp)
    return command_in(body, interpreted) if claim.type == "EXECVE" else title_in(body, interpreted)


def _socket_path(denial: Denial, address: Optional[Address]) -> Optional[str]:
    """The path of a socket's address, where it is the file that the denial names."""
    if address is None or address.path is None or not address.path.startswith("/"):
        return None
    return address.path if posixpath.basename(address.path) == denial.name else None


def _syscall(fields: dict[str, str]) -> Optional[str]:
    named = fields.get("SYSCALL") or fields.get("syscall", "")
    if _RAW_NUMBER.match(named):
        return syscall_name(fields.get("arch", ""), named)
    return string(unquote(named), interpreted=True)


def _path(denial: Denial, items: list[dict[str, str]], directory: Optional[str]) -> Optional[str]:
    """The full path of what was accessed: of the PATH item with the same inode, else with the same last component."""
    if not denial.name:
        return None
    # name= of these is the entry; the access is to the directory it stands in.
    to_directory = denial.key.tclass == "dir" and set(denial.key.perms) <= _ENTRY_PERMISSIONS
    named_alike: list[str] = []
    for item in items:
        path = _absolute(string(item.get("name")), directory)
        if path is None:
            continue
        if denial.key.perms == ("search",):
            # Refused on the way: the item is what was looked for, the access was to a directory above it.
            above = [way for way in _ancestors(path) if posixpath.basename(way) == denial.name]
            named_alike.extend(above if len(above) == 1 else ())
            continue
        if denial.name == "/" and denial.key.tclass == "dir" and denial.inode and item.get("inode") == denial.inode:
            return path  # the root of a mounted file system is named so
        # Of a parent, auditd may name the directory itself or the entry asked for in it.
        ways = (path, posixpath.dirname(path)) if item.get("nametype") == "PARENT" else (path,)
        for way in ways:
            if posixpath.basename(way) == denial.name:
                if denial.inode and item.get("inode") == denial.inode:
                    return way
                if not denial.inode or "inode" not in item:
                    named_alike.append(posixpath.dirname(way) if to_directory else way)
    return named_alike[0] if named_alike else None


def _ancestors(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(2, len(parts))]


def _absolute(path: Optional[str], directory: Optional[str]) -> Optional[str]:
    if not path:
        return None
    if not path.startswith("/"):
        if not directory or not directory.startswith("/"):
            return None
        path = posixpath.join(directory, path)
    return posixpath.normpath(path)
