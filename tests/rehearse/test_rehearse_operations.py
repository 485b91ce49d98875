"""Every operation and every capability really does what it says: in a permissive machine all succeed, and each asks
SELinux for what it is meant to ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from polkit.rehearse import OPERATIONS, RehearsalRequest, rehearse
from tests.rehearse.conftest import HEAD, WriteScenario

CAPABILITIES = {
    "audit_control", "bpf", "ipc_lock", "mknod", "net_admin", "net_bind_service", "net_raw", "perfmon", "setgid",
    "setuid", "sys_admin", "sys_boot", "sys_chroot", "sys_module", "sys_nice", "sys_ptrace", "sys_rawio",
    "sys_resource", "sys_time", "syslog",
}  # fmt: skip

THINGS = """
[[thing]]
path = "/data/dir/file"
content = "x"

[[thing]]
path = "/data/empty"
directory = true

[[thing]]
path = "/data/old"

[[thing]]
path = "/data/link"
target = "/data/dir/file"

[[thing]]
path = "/data/node"
device = "c 1 5"
stand-in = true

[[thing]]
path = "/data/busybox"
copy = "busybox"

[[thing]]
path = "/usr/sbin/sshd"
copy = "busybox"

[[thing]]
path = "/data/program"
copy = "/usr/bin/id"

[[thing]]
path = "/data/socket"
server = "sshd_t"

[[listener]]
port = 443
domain = "sshd_t"

[[listener]]
port = 53
protocol = "udp"
domain = "sshd_t"

[[process]]
name = "victim"
domain = "sshd_t"
"""

# (operation, its arguments, what the log must hold of it when the domain may do nothing)
DEEDS = [
    ("open", 'path = "/data/dir/file"\nflags = ["O_RDWR", "O_APPEND"]', "read append open", "file"),
    ("read", 'path = "/data/dir/file"', "read open", "file"),
    ("write", 'path = "/data/dir/file"\nappend = true', "append open", "file"),
    ("list", 'path = "/data/dir"', "read open", "dir"),
    ("stat", 'path = "/data/dir/file"', "getattr", "file"),
    ("readlink", 'path = "/data/link"', "read", "lnk_file"),
    ("statfs", 'path = "/data"', "getattr", "filesystem"),
    ("watch", 'path = "/data/dir"', "watch", "dir"),
    ("lock", 'path = "/data/dir/file"', "lock", "file"),
    ("fifo", 'path = "/data/dir/pipe"', "create open read write", "fifo_file"),
    ("execmod", 'path = "/data/busybox"', "execmod", "file"),
    ("create", 'path = "/data/new"\nmode = "0600"', "create write", "file"),
    ("mkdir", 'path = "/data/made"', "create", "dir"),
    ("rmdir", 'path = "/data/empty"', "rmdir", "dir"),
    ("rename", 'path = "/data/old"\nto = "/data/older"', "rename", "file"),
    ("link", 'path = "/data/older"\nto = "/data/linked"', "link", "file"),
    ("symlink", 'path = "/data/pointer"\nto = "/data/older"', "create", "lnk_file"),
    ("unlink", 'path = "/data/older"', "unlink", "file"),
    ("truncate", 'path = "/data/dir/file"', "write open", "file"),
    ("chmod", 'path = "/data/dir/file"\nmode = "0600"', "setattr", "file"),
    ("chown", 'path = "/data/dir/file"\nuid = 0', "setattr", "file"),
    ("relabel", 'path = "/data/dir/file"\nlabel = "user_home_t"', "relabelfrom", "file"),
    ("setxattr", 'path = "/data/dir/file"\nattribute = "security.test"', "setattr", "file"),
    ("ioctl", 'path = "/data/node"\ncommand = 0x46d6', "ioctl", "chr_file"),
    ("mmap", 'path = "/data/dir/file"\nprot = ["read", "exec"]', "map execute", "file"),
    ("exec", 'path = "/data/busybox"\narguments = ["false"]', "execute execute_no_trans", "file"),
    ("program", 'path = "/data/program"', "execute execute_no_trans", "file"),
    ("transition", 'path = "/usr/sbin/sshd"\ninto = "sshd_t"', "setexec transition", "process"),
    ("serve", "port = 8002", "accept listen name_bind name_connect getopt ioctl read write", "tcp_socket"),
    ("bind", 'port = 8000\nprotocol = "udp"', "name_bind", "udp_socket"),
    ("listen", "port = 8001", "listen", "tcp_socket"),
    ("connect", "port = 443", "name_connect", "tcp_socket"),
    ("unix-listen", 'path = "/data/dir/made.sock"', "create", "sock_file"),
    ("unix-connect", 'path = "/data/socket"', "connectto", "unix_stream_socket"),
    ("socket", 'family = "AF_NETLINK"\ntype = "SOCK_RAW"', "create", "netlink_route_socket"),
    ("netlink", 'subsystem = "route"', "bind create getattr nlmsg_read read write", "netlink_route_socket"),
    ("process-info", 'process = "victim"', "getcap getpgid getsched getsession signull", "process"),
    ("schedule", 'process = "victim"', "setsched", "process"),
    ("signal", 'process = "victim"', "signal", "process"),
    ("ptrace", 'process = "victim"', "ptrace", "process"),
    ("read-memory", 'process = "victim"', "ptrace", "process"),
    ("execmem", "", "execmem", "process"),
    ("execheap", "", "execheap", "process"),
    ("execstack", "", "execstack", "process"),
    ("memfd", "", "execute map", "file"),
    ("mmap-zero", "", "mmap_zero", "memprotect"),
    ("semaphore", "", "create destroy unix_write write", "sem"),
    ("message-queue", 'queue = "ring"', "create open", "file"),
    ("keyring", "", "write", "key"),
    ("user-namespace", "", "sys_admin", "cap_userns"),
    ("kernel-log", "", "syslog_read", "system"),
    ("ask-policy", "", "compute_av", "security"),
    ("shm", 'segment = "ring"', "create", "file"),
    ("sysv-shm", "", "create", "shm"),
    ("io_uring", "sqpoll = true", "create", "anon_inode"),
    ("userfaultfd", "", "create", "anon_inode"),
    ("perf_event", "kernel = true\ncpu = true", "cpu kernel open read", "perf_event"),
    ("bpf", "", "map_create", "bpf"),
    ("mount", 'path = "/data/empty2"', "mount", "filesystem"),
    ("load-module", "", "module_load", "system"),
    ("setenforce", "", "setenforce", "security"),
]


def scenario(write: WriteScenario) -> Path:
    rows = [(f"{number}-{do}"[:15], do, more) for number, (do, more, _, _) in enumerate(DEEDS)]
    rows += [("udp-connect", "connect", 'port = 53\nprotocol = "udp"')]
    rows += [(f"cap-{name}"[:15].rstrip("_"), "capability", f'capability = "{name}"') for name in sorted(CAPABILITIES)]
    steps = "".join(
        f'\n[[step]]\nname = "{name}"\ndo = "{do}"\nexpect = "allowed"\nwhy = "test"\n{more}\n'
        for name, do, more in rows
    )
    more = THINGS + '\n[[thing]]\npath = "/data/empty2"\ndirectory = true\n'
    return write(more, head=HEAD, step=steps)


def test_the_table_has_every_operation() -> None:
    assert {do for do, *_ in DEEDS} | {"capability"} == set(OPERATIONS)


@pytest.mark.heavy
def test_every_operation_asks_for_what_it_says(policy_root: Path, kernel: Path, scenario_file: WriteScenario) -> None:
    rehearsal = rehearse(
        RehearsalRequest(scenario(scenario_file), policy=str(policy_root), kernel=kernel, learn=True, empty=True)
    )
    assert [(one.step.name, one.errno, one.detail) for one in rehearsal.judged if not one.ok] == []
    assert (rehearsal.lost, rehearsal.elsewhere) == (0, 0)
    unasked = []
    for judged, (do, _, perms, tclass) in zip(rehearsal.judged, DEEDS):
        of_class = [line for line in judged.avc if f"tclass={tclass} " in line]
        asked = {perm for line in of_class for perm in line.partition("{ ")[2].partition(" }")[0].split()}
        if not set(perms.split()) <= asked:
            unasked.append((do, asked))
    for judged in rehearsal.judged:
        name = judged.step.arguments.get("capability")
        if name and not any(f"{{ {name} }}" in line and "tclass=capability" in line for line in judged.avc):
            unasked.append((str(name), {line.partition("avc:")[2] for line in judged.avc}))
    assert unasked == []
