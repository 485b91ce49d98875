"""What a refused system call would have asked for next: a table, one row a fact, with the source of each.

A row says: when one of ``calls`` (with such flags) is refused one of ``perms`` on one of ``classes``, then ``asks``
come next. ``certain`` rows are what the kernel asks for within the same call; the others what a program that makes the
call goes on to ask for, kept to what it is of no use without. Nothing is here that a call does not tell: no ioctl or
nlmsg command, no port, no type of another program's object.

Sources: Linux 6.1 ``fs/namei.c``, ``fs/open.c``, ``fs/exec.c``, ``security/selinux/hooks.c``; what programs do next was
read in glibc 2.36 and CPython 3.11, and held against the recorded logs (``script/bench rounds``).
"""

from __future__ import annotations

from dataclasses import dataclass

SAME, ENTRY, SELF = "same", "entry", "self"
"""On which object: the refused one; an entry of the refused directory, made by this program; the program's own (its
sockets, itself)."""


@dataclass(frozen=True)
class Ask:
    """Permissions of a class on an object. ``tclass`` empty: the refused object's class."""

    of: str
    tclass: str
    perms: frozenset[str]
    without_transition: bool = False
    """Only where executing the object does not change the domain."""


@dataclass(frozen=True)
class Row:
    """See above. A call has all of ``flags``, one of ``one_of`` where there are any, and none of ``without``."""

    calls: frozenset[str]
    classes: frozenset[str]
    perms: frozenset[str]
    asks: tuple[Ask, ...]
    source: str
    certain: bool
    flags: frozenset[str] = frozenset()
    one_of: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()

    def fits(self, call: str, words: frozenset[str], tclass: str) -> bool:
        """Whether the row speaks of a call with these flags that was refused something on this class."""
        return (
            call in self.calls
            and tclass in self.classes
            and self.flags <= words
            and self.without.isdisjoint(words)
            and (not self.one_of or not self.one_of.isdisjoint(words))
        )


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _same(perms: str) -> Ask:
    return Ask(SAME, "", _words(perms))


def _entry(tclass: str, perms: str) -> Ask:
    return Ask(ENTRY, tclass, _words(perms))


def _self(perms: str, tclass: str = "") -> Ask:
    return Ask(SELF, tclass, _words(perms))


def _row(
    calls: str,
    refused: str,
    *asks: Ask,
    source: str,
    certain: bool = True,
    flags: str = "",
    one_of: str = "",
    without: str = "",
) -> Row:
    """``refused`` is ``CLASS... : PERMISSION...``."""
    classes, _, perms = refused.partition(":")
    return Row(
        calls=_words(calls),
        classes=_words(classes),
        perms=_words(perms),
        asks=asks,
        source=source,
        certain=certain,
        flags=_words(flags),
        one_of=_words(one_of),
        without=_words(without),
    )


_OPEN = "open openat open_by_handle_at creat mq_open"
_FILES = "file chr_file blk_file fifo_file"
_OPENED = f"{_FILES} : read write append open create"
_READING, _WRITING = "O_RDONLY O_RDWR", "O_WRONLY O_RDWR"
_IN_DIRECTORY, _FROM_DIRECTORY = "dir : write add_name", "dir : write remove_name"
_STREAMS = "tcp_socket unix_stream_socket sctp_socket vsock_socket"
_SOCKETS = (
    f"{_STREAMS} unix_dgram_socket udp_socket rawip_socket packet_socket icmp_socket dccp_socket alg_socket "
    "netlink_socket netlink_route_socket netlink_tcpdiag_socket netlink_audit_socket netlink_generic_socket "
    "netlink_kobject_uevent_socket"
)
_NETLINK_MESSAGES = "netlink_route_socket netlink_tcpdiag_socket netlink_xfrm_socket netlink_audit_socket"

_OPENING = (
    # may_open asks by the access mode, then selinux_file_open asks the same again with `open`.
    _row(_OPEN, _OPENED, _same("read open"), one_of=_READING, without="O_PATH", source="may_open, selinux_file_open"),
    _row(
        _OPEN,
        _OPENED,
        _same("write open"),
        one_of=_WRITING,
        without="O_PATH O_APPEND",
        source="may_open, selinux_file_open",
    ),
    _row(
        _OPEN,
        _OPENED,
        _same("append open"),
        one_of=_WRITING,
        flags="O_APPEND",
        without="O_PATH",
        source="file_mask_to_av: MAY_APPEND takes the place of MAY_WRITE",
    ),
    _row(
        _OPEN,
        _OPENED,
        _same("getattr"),
        one_of=f"{_READING} {_WRITING}",
        without="O_PATH",
        certain=False,
        source="fopen(3) and open() of Python stat what they opened",
    ),
    _row(
        _OPEN,
        "dir : read open",
        _same("read open"),
        one_of="O_RDONLY",
        without="O_PATH",
        source="may_open, selinux_file_open",
    ),
    _row(
        _OPEN,
        "dir : read open",
        _same("getattr search"),
        one_of="O_RDONLY",
        without="O_PATH",
        certain=False,
        source="opendir(3) stats what it opened; what is listed is then looked up",
    ),
    _row("truncate", "file : write", _same("write open"), source="vfs_truncate, selinux_inode_setattr"),
    _row(
        "access faccessat faccessat2",
        f"{_FILES} : read",
        _same("read open getattr"),
        flags="R_OK",
        certain=False,
        source="a program that asks whether it may read goes on to read",
    ),
    _row(
        "access faccessat faccessat2",
        f"{_FILES} : write",
        _same("write open"),
        flags="W_OK",
        certain=False,
        source="a program that asks whether it may write goes on to write",
    ),
    _row("inotify_add_watch", "file dir : read watch", _same("read watch"), source="inotify_find_inode"),
)

_MADE = "may_create: write and search, then add_name and search on the directory, then create on the new object"
_MAKING = (
    _row(
        _OPEN,
        _IN_DIRECTORY,
        _same("write add_name search"),
        _entry("file", "create open"),
        flags="O_CREAT",
        source=f"{_MADE}; selinux_file_open",
    ),
    _row(_OPEN, _IN_DIRECTORY, _entry("file", "read"), flags="O_CREAT", one_of=_READING, source="selinux_file_open"),
    _row(
        _OPEN,
        _IN_DIRECTORY,
        _entry("file", "write"),
        flags="O_CREAT",
        one_of=_WRITING,
        without="O_APPEND",
        source="selinux_file_open",
    ),
    _row(_OPEN, _IN_DIRECTORY, _entry("file", "append"), flags="O_CREAT O_APPEND", source="selinux_file_open"),
    _row(
        _OPEN,
        _IN_DIRECTORY,
        _entry("file", "getattr"),
        flags="O_CREAT",
        certain=False,
        source="fopen(3) and open() of Python stat what they opened",
    ),
    _row("mkdir mkdirat", _IN_DIRECTORY, _same("write add_name search"), _entry("dir", "create"), source=_MADE),
    _row(
        "symlink symlinkat", _IN_DIRECTORY, _same("write add_name search"), _entry("lnk_file", "create"), source=_MADE
    ),
    _row("bind", _IN_DIRECTORY, _same("write add_name search"), _entry("sock_file", "create"), source=_MADE),
    _row("mknod mknodat", _IN_DIRECTORY, _same("write add_name search"), source=_MADE),
    _row("link linkat", _IN_DIRECTORY, _same("write add_name search"), source="may_link"),
)

_REMOVED = "may_delete: write and search, then remove_name and search on the directory, then the entry itself"
_UNLINK, _RENAME = "unlink unlinkat", "rename renameat renameat2"
_REMOVING = (
    _row(f"{_UNLINK} rmdir mq_unlink", _FROM_DIRECTORY, _same("write remove_name search"), source=_REMOVED),
    _row("rmdir", _FROM_DIRECTORY, _entry("dir", "rmdir"), source=_REMOVED),
    _row("unlinkat", _FROM_DIRECTORY, _entry("dir", "rmdir"), flags="dir", source=_REMOVED),
    _row("mq_unlink", _FROM_DIRECTORY, _entry("file", "unlink"), source=_REMOVED),
    *(
        _row(_UNLINK, _FROM_DIRECTORY, _entry(kind, "unlink"), flags=kind, source=_REMOVED)
        for kind in ("file", "lnk_file", "sock_file", "fifo_file")
    ),
    _row(
        _RENAME,
        "dir : write remove_name add_name",
        _same("write remove_name add_name search"),
        source="may_rename: both directories, then the entry itself",
    ),
    *(
        _row(_RENAME, "dir : write remove_name add_name", _entry(kind, "rename"), flags=kind, source="may_rename")
        for kind in ("file", "dir", "lnk_file", "sock_file")
    ),
)

_MAPPED = "file chr_file blk_file anon_inode : map read write execute"
_MAPPING = (
    _row("mmap", _MAPPED, _same("map read"), source="selinux_mmap_file; file_map_prot_check: whatever the flags"),
    _row("mmap", _MAPPED, _same("write"), flags="PROT_WRITE MAP_SHARED", source="file_map_prot_check"),
    _row("mmap", _MAPPED, _same("execute"), flags="PROT_EXEC", source="file_map_prot_check"),
    _row(
        "mprotect pkey_mprotect",
        "process : execheap execstack",
        _same("execmem"),
        flags="PROT_EXEC",
        source="selinux_file_mprotect, then file_map_prot_check",
    ),
    _row(
        "mprotect pkey_mprotect",
        "file : execmod",
        _self("execmem", "process"),
        flags="PROT_WRITE PROT_EXEC",
        source="selinux_file_mprotect, then file_map_prot_check",
    ),
    _row(
        "execve execveat",
        "file : execute read open execute_no_trans map",
        _same("execute read open map"),
        Ask(SAME, "", frozenset(("execute_no_trans",)), without_transition=True),
        source="do_open_execat, selinux_bprm_creds_for_exec, elf_map",
    ),
)

_CONVERSING = (
    _row(
        "socket",
        f"{_SOCKETS} : create",
        _same("read write getattr getopt setopt"),
        certain=False,
        source="a socket is set up, written and read, and its name asked for",
    ),
    _row(
        "socket",
        f"{_NETLINK_MESSAGES} : create",
        _same("bind nlmsg_read"),
        certain=False,
        source="getifaddrs(3): bind, a request, its answer",
    ),
    _row(
        "sendto sendmsg write",
        f"{_NETLINK_MESSAGES} : write nlmsg_read nlmsg_write",
        _self("write read"),
        certain=False,
        source="a netlink request has an answer",
    ),
    _row(
        "connect",
        f"{_SOCKETS} : connect name_connect",
        _self("read write getattr getopt"),
        certain=False,
        source="a connection is written and read; its error is asked for with getsockopt(2)",
    ),
    _row(
        "bind",
        f"{_STREAMS} : bind name_bind node_bind",
        _self("listen accept"),
        certain=False,
        source="a server binds in order to listen and accept",
    ),
    _row("listen", f"{_STREAMS} : listen", _same("accept"), certain=False, source="a server listens to accept"),
    _row(
        "accept accept4",
        f"{_STREAMS} : accept",
        _same("read write getattr"),
        certain=False,
        source="the accepted socket has the listening one's type",
    ),
    _row(
        "shmget semget",
        "shm sem : create",
        _same("unix_read unix_write read write"),
        certain=False,
        source="shmat(2), semop(2): ipcperms, then selinux_shm_shmat, selinux_sem_semop",
    ),
)

_KERNEL_OBJECTS = (
    _row("perf_event_open", "perf_event : open", _same("read"), certain=False, source="an event is opened to be read"),
    _row("bpf", "bpf : map_create", _same("map_read map_write"), source="bpf_map_new_fd"),
    _row("bpf", "bpf : prog_load", _same("prog_run"), source="bpf_prog_new_fd"),
    _row(
        "io_uring_setup",
        "anon_inode : create",
        _same("map read write"),
        certain=False,
        source="io_uring_setup(2): the rings are mapped, readable and writable",
    ),
    _row("userfaultfd", "anon_inode : create", _same("read"), certain=False, source="faults are read from it"),
)

ROWS = (*_OPENING, *_MAKING, *_REMOVING, *_MAPPING, *_CONVERSING, *_KERNEL_OBJECTS)
