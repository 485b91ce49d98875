"""Refused calls, and what must be predicted of each on ``sources/predictions.cil``."""

from __future__ import annotations

from tests.records import avc

X86 = "arch=c000003e success=no exit=-13"
RDONLY = f"{X86} syscall=257 a0=ffffff9c a1=7f a2=80000 a3=0"
RDWR = f"{X86} syscall=257 a0=ffffff9c a1=7f a2=80002 a3=0"
WRONLY = f"{X86} syscall=257 a0=ffffff9c a1=7f a2=80001 a3=0"
APPEND = f"{X86} syscall=257 a0=ffffff9c a1=7f a2=80401 a3=0"
CREATE = f"{X86} syscall=257 a0=ffffff9c a1=7f a2=80042 a3=1a4"
PATH_ONLY = f"{X86} syscall=257 a0=ffffff9c a1=7f a2=280000 a3=0"
LIST = f"{X86} syscall=257 a0=ffffff9c a1=7f a2=90800 a3=0"
SAME_LEVEL = ("s0", "s0")
SELF = "app_t"


def event(
    perms: str,
    target: str,
    tclass: str,
    syscall: str,
    *paths: str,
    serial: int = 1,
    levels: tuple[str, str] = SAME_LEVEL,
) -> str:
    """The records of one refused call of app_t."""
    record = avc(perms, target, tclass, "app_t", levels, 'comm="app" name="x" ino=7', serial)
    stamp = f"msg=audit(1700000000.123:{serial}):"
    lines = [f"type=SYSCALL {stamp} {syscall} items={len(paths)} comm=app exe=/usr/bin/app\n"]
    lines += [f"type=PATH {stamp} item={number} {path}\n" for number, path in enumerate(paths)]
    return record + "".join(lines)


ENTRY = 'name="/srv/x" inode=9 mode={} nametype=DELETE'
FILES = {
    "a file to read": (event("read", "data_t", "file", RDONLY), {"data_t:file": "getattr open"}),
    "a file to read, refused at the open check": (
        event("open", "data_t", "file", RDONLY),
        {"data_t:file": "getattr read"},
    ),
    "a file to write": (event("write", "data_t", "file", WRONLY), {"data_t:file": "getattr open"}),
    "a file to read and write": (event("read", "data_t", "file", RDWR), {"data_t:file": "getattr open write"}),
    "a file to append to": (event("append", "data_t", "file", APPEND), {"data_t:file": "getattr open"}),
    "a device node": (event("read write", "data_t", "chr_file", RDWR), {"data_t:chr_file": "getattr open"}),
    "a path without opening": (event("getattr", "data_t", "file", PATH_ONLY), {}),
    "a stat": (event("getattr", "data_t", "file", f"{X86} syscall=262 a0=ffffff9c a1=7f a2=7f a3=0"), {}),
    "a directory to list": (event("read", "data_t", "dir", LIST), {"data_t:dir": "getattr open search"}),
    "what the policy gives already": (event("read", "given_t", "file", RDONLY), {}),
    "what was observed too": (
        event("read", "data_t", "file", RDONLY) + event("getattr", "data_t", "file", f"{X86} syscall=5", serial=2),
        {"data_t:file": "open"},
    ),
    "a program to run": (
        event("execute", "exec_t", "file", f"{X86} syscall=59 a0=7f"),
        {"exec_t:file": "execute_no_trans map open read"},
    ),
    "a program that changes the domain": (
        event("execute", "tool_exec_t", "file", f"{X86} syscall=59 a0=7f"),
        {"tool_exec_t:file": "map open read"},
    ),
    "a truncated file": (event("write", "data_t", "file", f"{X86} syscall=76 a0=7f a1=0"), {"data_t:file": "open"}),
    "a file asked about": (
        event("read", "data_t", "file", f"{X86} syscall=439 a0=ffffff9c a1=7f a2=4"),
        {"data_t:file": "getattr open"},
    ),
    "a watched directory": (event("read", "data_t", "dir", f"{X86} syscall=254"), {"data_t:dir": "watch"}),
    "a call without flags that are known": (event("read", "data_t", "file", "arch=c000003e syscall=257"), {}),
}
ENTRIES = {
    "a new file, of the directory's type": (
        event("write", "data_t", "dir", CREATE),
        {"data_t:dir": "add_name search", "data_t:file": "create getattr open read write"},
    ),
    "a new file, of the type that the policy gives it": (
        event("write", "cache_t", "dir", CREATE),
        {"cache_t:dir": "add_name search", "made_t:file": "create getattr open read write"},
    ),
    "a new file, refused on itself": (
        event("create", "data_t", "file", CREATE),
        {"data_t:file": "getattr open read write"},
    ),
    "a new directory": (
        event("write", "cache_t", "dir", f"{X86} syscall=83"),
        {"cache_t:dir": "add_name create search"},
    ),
    "a new link": (
        event("add_name", "data_t", "dir", f"{X86} syscall=88"),
        {"data_t:dir": "search write", "data_t:lnk_file": "create"},
    ),
    "a new socket": (
        event("write", "data_t", "dir", f"{X86} syscall=49"),
        {"data_t:dir": "add_name search", "data_t:sock_file": "create"},
    ),
    "a file removed": (
        event("write", "data_t", "dir", f"{X86} syscall=87", ENTRY.format("0100644")),
        {"data_t:dir": "remove_name search", "data_t:file": "unlink"},
    ),
    "something unknown removed": (
        event("write", "data_t", "dir", f"{X86} syscall=87"),
        {"data_t:dir": "remove_name search"},
    ),
    "a directory removed": (
        event("write", "data_t", "dir", f"{X86} syscall=84"),
        {"data_t:dir": "remove_name rmdir search"},
    ),
    "a directory removed with unlinkat": (
        event("write", "data_t", "dir", f"{X86} syscall=263 a0=ffffff9c a1=7f a2=200"),
        {"data_t:dir": "remove_name rmdir search"},
    ),
    "a directory renamed": (
        event("write", "data_t", "dir", f"{X86} syscall=82", ENTRY.format("040755")),
        {"data_t:dir": "add_name remove_name rename search"},
    ),
    "a file appended to, made first": (
        event("write", "data_t", "dir", f"{X86} syscall=2 a0=7f a1=441 a2=1b6"),
        {"data_t:dir": "add_name search", "data_t:file": "append create getattr open"},
    ),
    "a node": (event("write", "data_t", "dir", f"{X86} syscall=133"), {"data_t:dir": "add_name search"}),
    "a hard link": (event("write", "data_t", "dir", f"{X86} syscall=86"), {"data_t:dir": "add_name search"}),
    "a socket removed": (
        event("write", "data_t", "dir", f"{X86} syscall=263 a2=0", ENTRY.format("0140755")),
        {"data_t:dir": "remove_name search", "data_t:sock_file": "unlink"},
    ),
    "a message queue removed": (
        event("write", "data_t", "dir", f"{X86} syscall=241"),
        {"data_t:dir": "remove_name search", "data_t:file": "unlink"},
    ),
    "a file renamed": (
        event("remove_name", "data_t", "dir", f"{X86} syscall=316", ENTRY.format("0100644")),
        {"data_t:dir": "add_name search write", "data_t:file": "rename"},
    ),
}
OTHERS = {
    "a mapping to read": (
        event("map", "data_t", "file", f"{X86} syscall=9 a0=0 a1=1000 a2=1 a3=2"),
        {"data_t:file": "read"},
    ),
    "a private mapping to write": (
        event("map", "data_t", "file", f"{X86} syscall=9 a0=0 a1=1000 a2=3 a3=2"),
        {"data_t:file": "read"},
    ),
    "a shared mapping to write": (
        event("map", "data_t", "file", f"{X86} syscall=9 a0=0 a1=1000 a2=3 a3=1"),
        {"data_t:file": "read write"},
    ),
    "a mapping to run": (
        event("map", "data_t", "file", f"{X86} syscall=9 a0=0 a1=1000 a2=5 a3=802"),
        {"data_t:file": "execute read"},
    ),
    "an executable heap": (
        event("execheap", SELF, "process", f"{X86} syscall=10 a0=7f a1=1000 a2=7 a3=0"),
        {"app_t:process": "execmem"},
    ),
    "a socket": (
        event("create", SELF, "tcp_socket", f"{X86} syscall=41 a0=2 a1=80001 a2=0 a3=0"),
        {"app_t:tcp_socket": "getattr getopt read setopt write"},
    ),
    "a bound port": (
        event("name_bind", "port_t", "tcp_socket", f"{X86} syscall=49"),
        {"app_t:tcp_socket": "accept listen"},
    ),
    "a connection": (
        event("name_connect", "port_t", "tcp_socket", f"{X86} syscall=42"),
        {"app_t:tcp_socket": "getattr getopt read write"},
    ),
    "a netlink socket": (
        event("create", SELF, "netlink_route_socket", f"{X86} syscall=41"),
        {"app_t:netlink_route_socket": "bind getattr getopt nlmsg_read read setopt write"},
    ),
    "a map of the kernel": (
        event("map_create", SELF, "bpf", f"{X86} syscall=321 a0=0"),
        {"app_t:bpf": "map_read map_write"},
    ),
    "shared memory": (
        event("create", SELF, "shm", f"{X86} syscall=29"),
        {"app_t:shm": "read unix_read unix_write write"},
    ),
    "a netlink request": (
        event("nlmsg_read", SELF, "netlink_route_socket", f"{X86} syscall=44"),
        {"app_t:netlink_route_socket": "read write"},
    ),
    "a listening socket": (event("listen", SELF, "tcp_socket", f"{X86} syscall=50"), {"app_t:tcp_socket": "accept"}),
    "an accepted one": (
        event("accept", SELF, "tcp_socket", f"{X86} syscall=288"),
        {"app_t:tcp_socket": "getattr read write"},
    ),
    "a program of the kernel": (event("prog_load", SELF, "bpf", f"{X86} syscall=321 a0=5"), {"app_t:bpf": "prog_run"}),
    "rings": (event("create", SELF, "anon_inode", f"{X86} syscall=425"), {"app_t:anon_inode": "map read write"}),
    "faults": (event("create", SELF, "anon_inode", f"{X86} syscall=323"), {"app_t:anon_inode": "read"}),
    "a counter": (event("open", SELF, "perf_event", f"{X86} syscall=298"), {"app_t:perf_event": "read"}),
}
