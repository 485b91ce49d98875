"""Operations on processes, this one's domain and keys among them, and questions to the kernel itself."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Mapping
from typing import Any, Callable

from .kernel import checked, libc, pack_words, set_attribute, syscall

_NO_NEW_PRIVS = 38  # PR_SET_NO_NEW_PRIVS
_NEW_UTS, _NEW_USER = 0x04000000, 0x10000000
_CAPABILITY_VERSION = 0x20080522
_SESSION_KEYRING = -3
Arguments = Mapping[str, Any]


def _do_process_info(told: Arguments) -> None:
    pid = told["pid"]
    os.kill(pid, 0)
    os.getpgid(pid)
    os.getsid(pid)
    os.sched_getaffinity(pid)
    checked(libc.capget(ctypes.c_char_p(pack_words(_CAPABILITY_VERSION, pid)), ctypes.create_string_buffer(24)))


def _do_schedule(told: Arguments) -> None:
    os.sched_setaffinity(told["pid"], {0})


def _do_transition(told: Arguments) -> None:
    if told.get("no-new-privs"):
        checked(libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    set_attribute("exec", told["context"])
    os.execve(told["path"], [told["path"], *told.get("arguments", ())], {"PATH": "/usr/bin:/bin", "LC_ALL": "C"})


def _do_user_namespace(_: Arguments) -> None:
    checked(libc.unshare(_NEW_USER | _NEW_UTS))
    checked(libc.sethostname(b"rehearsed", 9))


def _do_keyring(_: Arguments) -> None:
    text = ctypes.c_char_p(b"rehearsed")
    try:
        syscall("add_key", ctypes.c_char_p(b"user"), text, text, 9, _SESSION_KEYRING)
    except OSError as error:
        # A keyring that may not be searched is answered as one that is not there (security/keys/process_keys.c).
        if error.errno != errno.ENOKEY:
            raise
        raise PermissionError(errno.EACCES, str(error)) from error


def _do_kernel_log(_: Arguments) -> None:
    checked(libc.klogctl(3, ctypes.create_string_buffer(4096), 4096))  # SYSLOG_ACTION_READ_ALL


def _do_ask_policy(told: Arguments) -> None:
    descriptor = os.open("/sys/fs/selinux/access", os.O_RDWR)
    os.write(descriptor, f"{told['own']} {told['own']} 1".encode())
    os.read(descriptor, 256)


DEEDS: dict[str, Callable[[Arguments], object]] = {
    "process-info": _do_process_info,
    "schedule": _do_schedule,
    "transition": _do_transition,
    "user-namespace": _do_user_namespace,
    "keyring": _do_keyring,
    "kernel-log": _do_kernel_log,
    "ask-policy": _do_ask_policy,
}
