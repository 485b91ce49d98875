"""What a step can do, and what each operation must be told. The guest's side of it is ``guest/deeds.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

TEXT, PATH, WHOLE, TEXTS, FLAG, MODE = "text", "absolute path", "whole number", "list of texts", "true or false", "mode"
"""The kinds of an argument."""

OPEN_FLAGS = (
    "O_RDONLY", "O_WRONLY", "O_RDWR", "O_APPEND", "O_CREAT", "O_EXCL", "O_TRUNC", "O_DIRECTORY", "O_NONBLOCK",
    "O_NOFOLLOW", "O_PATH", "O_CLOEXEC", "O_SYNC",
)  # fmt: skip
PROTECTIONS = ("read", "write", "exec")
PROTOCOLS = ("tcp", "udp")
SIGNALS = ("SIGHUP", "SIGINT", "SIGKILL", "SIGSTOP", "SIGTERM", "SIGUSR1")
CAPABILITIES = (
    "audit_control", "bpf", "ipc_lock", "mknod", "net_admin", "net_bind_service", "net_raw", "perfmon", "setgid",
    "setuid", "sys_admin", "sys_boot", "sys_chroot", "sys_module", "sys_nice", "sys_ptrace", "sys_rawio",
    "sys_resource", "sys_time", "syslog",
)  # fmt: skip
"""The capabilities (as SELinux names them) for which the guest knows a system call that asks for no other one."""
FAMILIES = ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET", "AF_ALG", "AF_VSOCK")
SUBSYSTEMS = ("route", "audit")
"""Of netlink."""
SOCKET_TYPES = ("SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW", "SOCK_SEQPACKET")

CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "flags": OPEN_FLAGS,
        "prot": PROTECTIONS,
        "protocol": PROTOCOLS,
        "signal": SIGNALS,
        "capability": CAPABILITIES,
        "family": FAMILIES,
        "type": SOCKET_TYPES,
        "subsystem": SUBSYSTEMS,
    }
)
"""The words that an argument takes, for those that take words."""


@dataclass(frozen=True)
class Operation:
    """One kind of step: its arguments with their kinds, and what a report calls the thing it is done to.

    ``object`` is a template over the arguments. ``passed`` are the errors that come from behind SELinux's checks: who
    gets one was let through by SELinux, whatever else the call lacked.
    """

    meaning: str
    needs: Mapping[str, str]
    takes: Mapping[str, str]
    object: str
    passed: tuple[str, ...] = ()


def _operation(
    meaning: str, shown: str, needs: Mapping[str, str], passed: tuple[str, ...] = (), **takes: str
) -> Operation:
    return Operation(meaning, MappingProxyType(dict(needs)), MappingProxyType(takes), shown, passed)


_AT_PATH = {"path": PATH}
_TO_PATH = {"path": PATH, "to": PATH}
# What a driver that isn't there, or a listener that isn't, answers: the hooks of SELinux stand before both.
_NO_SUCH_COMMAND = ("ENOTTY", "EINVAL", "ENXIO")
_NO_SUCH_VALUE = ("EINVAL",)
_NOBODY_THERE = ("ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "EINPROGRESS")

OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "open": _operation("open a file, node or directory", "{path}", _AT_PATH, flags=TEXTS),
        "read": _operation("open for reading and read", "{path}", _AT_PATH),
        "write": _operation(
            "open an existing file for writing and write", "{path}", _AT_PATH, _NO_SUCH_VALUE, append=FLAG
        ),
        "list": _operation("list a directory", "{path}", _AT_PATH),
        "stat": _operation("ask for the attributes", "{path}", _AT_PATH),
        "readlink": _operation("ask where a symbolic link leads", "{path}", _AT_PATH),
        "statfs": _operation("ask how much room a file system has", "{path}", _AT_PATH),
        "watch": _operation("watch for changes (inotify)", "{path}", _AT_PATH),
        "lock": _operation("open read-write and lock", "{path}", _AT_PATH),
        "create": _operation("create a file that must not be there", "{path}", _AT_PATH, mode=MODE),
        "mkdir": _operation("make a directory", "{path}", _AT_PATH),
        "rmdir": _operation("remove a directory", "{path}", _AT_PATH),
        "unlink": _operation("remove a file", "{path}", _AT_PATH),
        "rename": _operation("rename", "{path} -> {to}", _TO_PATH),
        "link": _operation("make a hard link", "{path} -> {to}", _TO_PATH),
        "symlink": _operation("make a symbolic link at `path` that leads to `to`", "{path} -> {to}", _TO_PATH),
        "fifo": _operation("make a named pipe, write to it and read from it", "{path}", _AT_PATH),
        "truncate": _operation("cut a file to nothing", "{path}", _AT_PATH),
        "chmod": _operation("change the mode", "{path}", {"path": PATH, "mode": MODE}),
        "chown": _operation("change the owner", "{path}", {"path": PATH, "uid": WHOLE}),
        "relabel": _operation("change the label, as chcon", "{path} -> {label}", {"path": PATH, "label": TEXT}),
        "setxattr": _operation(
            "set an extended attribute", "{path} {attribute}", {"path": PATH, "attribute": TEXT}, ("EOPNOTSUPP",)
        ),
        "ioctl": _operation(
            "open read-write and send an ioctl command",
            "{path} {command:#x}",
            {"path": PATH, "command": WHOLE},
            _NO_SUCH_COMMAND,
        ),
        "mmap": _operation("open and map", "{path}", {"path": PATH, "prot": TEXTS}, ("ENODEV",), shared=FLAG),
        "exec": _operation("execute; how it ends does not matter", "{path}", _AT_PATH, arguments=TEXTS),
        "program": _operation("execute, and it must end with status 0", "{path}", _AT_PATH, arguments=TEXTS),
        "transition": _operation(
            "ask for another domain and execute in it; how it ends does not matter",
            "{path} -> {into}",
            {"path": PATH, "into": TEXT},
            (),
            **{"arguments": TEXTS, "no-new-privs": FLAG},
        ),
        "bind": _operation("bind a port", "{protocol}/{port}", {"port": WHOLE}, protocol=TEXT),
        "listen": _operation("bind a TCP port and listen", "tcp/{port}", {"port": WHOLE}),
        "serve": _operation("listen on a TCP port, connect to it, accept and talk", "tcp/{port}", {"port": WHOLE}),
        "connect": _operation(
            "connect (TCP) or send (UDP) to a port of this host",
            "{protocol}/{port}",
            {"port": WHOLE},
            _NOBODY_THERE,
            protocol=TEXT,
        ),
        "unix-listen": _operation("make a unix socket and listen on it", "{path}", _AT_PATH),
        "unix-connect": _operation("connect to a unix socket", "{path}", _AT_PATH),
        "socket": _operation(
            "make a socket", "{family} {type}", {"family": TEXT, "type": TEXT}, ("EAFNOSUPPORT", "EPROTONOSUPPORT")
        ),
        "netlink": _operation("make a netlink socket and ask a question", "netlink {subsystem}", {"subsystem": TEXT}),
        "process-info": _operation(
            "ask for a process' group, session, processors and capabilities", "{process}", {"process": TEXT}
        ),
        "schedule": _operation("set the processors that a process may run on", "{process}", {"process": TEXT}),
        "signal": _operation("send a signal to a process", "{process}", {"process": TEXT}, signal=TEXT),
        "ptrace": _operation("attach to a process", "{process}", {"process": TEXT}),
        "read-memory": _operation("read another process' memory", "{process}", {"process": TEXT}, ("EFAULT",)),
        "execmem": _operation("map anonymous memory writable and executable", "memory", {}),
        "execheap": _operation("make the heap executable", "memory", {}),
        "execstack": _operation("make the stack executable", "memory", {}),
        "execmod": _operation("map a file, change it in memory and make that executable", "{path}", _AT_PATH),
        "memfd": _operation(
            "write to a file in memory (memfd), ask for its attributes, map it executable", "memory", {}
        ),
        "mmap-zero": _operation("map memory at address 0", "memory", {}),
        "shm": _operation("make, size and map POSIX shared memory", "/dev/shm/{segment}", {"segment": TEXT}),
        "sysv-shm": _operation("make and attach System V shared memory", "memory", {}),
        "semaphore": _operation("make, raise and remove a System V semaphore", "semaphore", {}),
        "message-queue": _operation("make and remove a POSIX message queue", "{queue}", {"queue": TEXT}),
        "keyring": _operation("add a key to the session's keyring", "keyring", {}),
        "io_uring": _operation("make an io_uring and map it", "io_uring", {}, ("ENOSYS",), sqpoll=FLAG),
        "userfaultfd": _operation("make a userfaultfd", "userfaultfd", {}, ("ENOSYS",)),
        "perf_event": _operation(
            "open and read a software performance counter of itself (`kernel`: there too; `cpu`: of everything)",
            "perf_event",
            {},
            kernel=FLAG,
            cpu=FLAG,
        ),
        "bpf": _operation("make a BPF map", "bpf", {}),
        "mount": _operation("mount a tmpfs", "{path}", _AT_PATH),
        "capability": _operation("use a capability", "{capability}", {"capability": TEXT}),
        "user-namespace": _operation("make a user namespace and use sys_admin in it", "user namespace", {}),
        "kernel-log": _operation("read the kernel's messages", "kernel", {}),
        "ask-policy": _operation("ask the kernel what the policy allows it", "/sys/fs/selinux/access", {}),
        "load-module": _operation(
            "give the kernel a module (that is none)", "kernel", {}, ("ENOEXEC", "EBADMSG", "EKEYREJECTED", "EINVAL")
        ),
        "setenforce": _operation("switch SELinux to permissive", "/sys/fs/selinux/enforce", {}),
    }
)
"""Every operation by the word of ``do =``."""

DEFAULTS: Mapping[str, object] = MappingProxyType({"protocol": "tcp", "signal": "SIGTERM", "flags": ("O_RDONLY",)})
"""What an argument is where the step does not say."""
