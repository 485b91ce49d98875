"""Runs one step in a process of its own, in its domain, and tells what it got."""

from __future__ import annotations

import ctypes
import mmap as shared_memory
import os
import select
import signal
import struct
import time
from collections.abc import Mapping
from typing import Any

from . import kernel, world
from .deeds import DEEDS, errno_name

SETUP, BEGUN, DONE, FAILED, EXECUTING = range(5)
"""How far a step came. EXECUTING: it went into execve and did not come back."""
_EXECUTIONS = ("exec", "program", "transition")
_SLOT = struct.Struct("=BI200s")
_MOST_OUTPUT = 1 << 16
FIRST_USER = 100_000
"""The login id of the first step: whose a system call is shows in its record's ``auid=``, also of a step's children."""


def run_step(
    number: int, step: Mapping[str, Any], root: Any, bystanders: world.Bystanders, seconds: float
) -> dict[str, Any]:
    """What the step got: ``state``, ``errno``, ``status`` of a program, ``late``, ``output``, ``pid``, ``seconds``."""
    told = {**step["arguments"], "own": step["context"]}
    if "process" in told:
        told["pid"] = bystanders.pid(told["process"])
        told["address"] = ctypes.addressof(world.MARK)
    # The child writes here what it got: a store to memory asks SELinux for nothing.
    slot = shared_memory.mmap(-1, 4096)
    silence, output = os.pipe(), os.pipe()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _child(number, step, told, root, slot, silence[0], output[1])
    os.close(silence[0])
    os.close(silence[1])
    os.close(output[1])
    text, status, late = _await(pid, output[0], began + seconds)
    os.close(output[0])
    state, failed, detail = _SLOT.unpack_from(slot)
    return {
        "name": step["name"],
        "pid": pid,
        "user": FIRST_USER + number,
        "state": state,
        "errno": errno_name(failed) if failed else "",
        "detail": detail.rstrip(b"\0").decode("utf-8", "replace"),
        "status": status,
        "late": late,
        "output": text.decode("utf-8", "replace"),
        "seconds": round(time.monotonic() - began, 3),
    }


def _await(pid: int, output: int, deadline: float) -> tuple[bytes, int, bool]:
    """The program's output and status (negative: its signal), and whether it had to be killed since its time was over;
    what it left running ends with it."""
    text, late = b"", False
    while True:
        if select.select([output], [], [], 0.01)[0]:
            text = (text + os.read(output, _MOST_OUTPUT))[:_MOST_OUTPUT]
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline:
            late = True
            _end(pid)
    _end(pid)
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    return text, code, late


def _end(pid: int) -> None:
    """Kill what is left of a step's process group."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _child(
    number: int, step: Mapping[str, Any], told: dict[str, Any], root: Any, slot: Any, stdin: int, stdout: int
) -> None:
    """Become the step's domain, do it, note what it got; never returns."""
    state = SETUP
    try:
        os.setpgid(0, 0)
        _prepare(number, step, root, stdin, stdout)
        deed = DEEDS[step["operation"]]
        kernel.set_attribute("current", step["context"])
        state = EXECUTING if step["operation"] in _EXECUTIONS else BEGUN
        _SLOT.pack_into(slot, 0, state, 0, b"")
        deed(told)
        _SLOT.pack_into(slot, 0, DONE, 0, b"")
    except OSError as error:
        _SLOT.pack_into(slot, 0, SETUP if state == SETUP else FAILED, error.errno or 0, str(error).encode()[:200])
    except BaseException as error:
        _SLOT.pack_into(slot, 0, SETUP, 0, repr(error).encode()[:200])
    finally:
        os._exit(0)


def _prepare(number: int, step: Mapping[str, Any], root: Any, stdin: int, stdout: int) -> None:
    login = os.open("/proc/self/loginuid", os.O_WRONLY)
    os.write(login, str(FIRST_USER + number).encode())
    os.close(login)
    world.enter_root(root if step["inside"] else None)
    kernel.set_name(step["name"])
    os.dup2(stdin, 0)
    os.dup2(stdout, 1)
    os.dup2(stdout, 2)
