"""Rules in plain words, for somebody who decides about them and writes none."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NOUNS = {
    "file": "files",
    "dir": "directories",
    "lnk_file": "symbolic links",
    "chr_file": "character devices",
    "blk_file": "block devices",
    "sock_file": "socket files",
    "fifo_file": "named pipes",
    "process": "processes",
    "capability": "capabilities",
    "capability2": "capabilities",
    "cap_userns": "capabilities in a user namespace",
    "tcp_socket": "TCP sockets",
    "udp_socket": "UDP sockets",
    "unix_stream_socket": "unix stream sockets",
    "unix_dgram_socket": "unix datagram sockets",
    "filesystem": "file systems",
    "bpf": "BPF programs",
    "system": "the system",
}
_VERBS = (
    ("read", "getattr ioctl lock open read search watch watch_reads nlmsg_read recv_msg"),
    ("map into memory", "map"),
    ("write", "append write setattr nlmsg_write send_msg"),
    ("make and remove", "add_name create link remove_name rename reparent rmdir unlink"),
    ("execute", "execute execute_no_trans entrypoint transition dyntransition"),
    ("bind to", "name_bind node_bind"),
    ("connect to", "name_connect connectto connect"),
    ("signal", "sigchld sigkill signal signull sigstop"),
    ("relabel", "relabelfrom relabelto"),
)
_KINDS = {
    "allowx": "may send only the commands",
    "dontaudit": "is refused, without a record,",
    "dontauditx": "is refused, without a record, the commands",
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")
_CONTROL = re.compile(r"[^ -~]")


def sentence(kind: str, source: str, target: str, tclass: str, perms: Iterable[str]) -> str:
    """One rule as a line of Markdown: who may do what to what, with the permissions themselves."""
    perms = tuple(perms)
    whose = f"its own {noun(tclass)}" if target == "self" else f"{code(target)} {noun(tclass)}"
    listed = code(joined(perms))
    if kind != "allow":
        return f"{code(source)} {_KINDS.get(kind, kind)} {listed} on {whose}"
    return f"{code(source)} may {verbs(perms)} {whose}: {listed}"


def joined(perms: Iterable[str]) -> str:
    """Permissions on one line; of commands their operation once (``ioctl 0x4601 0x4603-0x4604``)."""
    groups: dict[str, list[str]] = {}
    for perm in perms:
        operation, _, number = perm.partition(" ")
        groups.setdefault(operation, []).extend([number] if number else [])
    return " ".join(" ".join((operation, *numbers)) for operation, numbers in groups.items())


def noun(tclass: str) -> str:
    """A class in the plural."""
    return _NOUNS.get(tclass, f"objects of class {code(tclass)}")


def verbs(perms: Iterable[str]) -> str:
    """What permissions come to, coarsely: ``read, write``."""
    left = set(perms)
    words = [word for word, of in _VERBS if left.intersection(of.split())]
    known = {perm for _, of in _VERBS for perm in of.split()}
    return ", ".join((*words, "use")) if left - known else ", ".join(words)


def code(text: str) -> str:
    """Text in a code span; nothing in it ends the span or the line."""
    return f"`{_CONTROL.sub('?', text).replace('`', '?')}`"


def plain(text: str) -> str:
    """Text for Markdown in which nothing means anything."""
    return _MARKDOWN.sub(r"\\\1", _CONTROL.sub("?", text))
