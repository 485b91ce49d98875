"""The first process of the machine: loads the policy, builds the host, runs the steps, sends back what happened."""

from __future__ import annotations

import codecs
import ctypes
import json
import os
import signal
import sys
import termios
import time
import traceback
import zlib
from typing import Any

from . import audit, kernel, steps, world

# Everything that is ever imported is by now: once the machine has its new root, no module can be loaded any more.
for _encoding in ("ascii", "latin-1", "utf-8"):
    codecs.lookup(_encoding)

_HERE = "/rehearsal"
_SELINUX = "/sys/fs/selinux"
_RESTART = 0x01234567  # LINUX_REBOOT_CMD_RESTART: qemu -no-reboot ends


def main() -> None:
    """Never returns; the machine goes with it."""
    began = time.monotonic()
    answer: dict[str, Any] = {}
    result = -1
    try:
        result = _open_result()
        answer = _rehearse()
    except BaseException as error:
        answer = {"error": repr(error), "where": traceback.format_exc()[-4000:]}
    try:
        answer["seconds"] = round(time.monotonic() - began, 3)
        _send(result, answer)
    finally:
        kernel.libc.sync()
        kernel.libc.reboot(_RESTART)


def _open_result() -> int:
    for source, target, kind in (
        ("proc", "/proc", "proc"),
        ("sysfs", "/sys", "sysfs"),
        ("devtmpfs", "/dev", "devtmpfs"),
    ):
        os.makedirs(target, exist_ok=True)
        kernel.mount(source, target, kind)
    port = os.open("/dev/ttyS1", os.O_RDWR | os.O_NOCTTY)
    modes = termios.tcgetattr(port)
    modes[0] = modes[1] = modes[3] = 0  # neither input, output nor line is changed on the way
    termios.tcsetattr(port, termios.TCSANOW, modes)
    return port


def _rehearse() -> dict[str, Any]:
    with open(f"{_HERE}/plan.json", "rb") as stream:
        plan = json.load(stream)
    _load_policy(plan)
    log = _Printed() if plan["log"] == "kernel" else _Daemon()
    log.start(plan["harness"].split(":")[2])
    world.build(plan, f"{_HERE}/content")
    world.start_network()
    serving = world.serve(plan)
    bystanders = world.Bystanders(plan["processes"])
    for process in plan["processes"]:
        bystanders.pid(process["name"])
    results = []
    for number, step in enumerate(plan["steps"]):
        _settle(plan["enforcing"])
        results.append(steps.run_step(number, step, plan["root"], bystanders, plan["step_seconds"]))
        if plan["fail_fast"] and not _went_well(step, results[-1]):
            break
    _write(f"{_SELINUX}/enforce", "0")
    account = log.stop()
    for socket in serving:
        socket.close()
    return {"steps": results, **account, "dmesg": _dmesg()}


def _went_well(step: dict[str, Any], result: dict[str, Any]) -> bool:
    """It did what it was to do, or failed behind SELinux's checks (a driver that is not there)."""
    if result["state"] == steps.FAILED:
        return result["errno"] in step["passed"]
    return bool(result["state"] == steps.DONE or (result["state"] == steps.EXECUTING and result["status"] == 0))


def _load_policy(plan: dict[str, Any]) -> None:
    with open("/proc/filesystems", encoding="ascii") as stream:
        if "\tselinuxfs\n" not in stream.read():
            raise OSError("this kernel has no SELinux, or starts without it: give one with CONFIG_SECURITY_SELINUX=y")
    kernel.mount("selinuxfs", _SELINUX, "selinuxfs")
    with open(f"{_HERE}/policy", "rb") as stream:
        policy = stream.read()
    loading = os.open(f"{_SELINUX}/load", os.O_RDWR)
    os.write(loading, policy)  # in one piece, as the kernel wants it
    os.close(loading)
    kernel.set_attribute("current", plan["harness"])
    for name, value in plan["booleans"].items():
        _write(f"{_SELINUX}/booleans/{name}", str(value))
    if plan["booleans"]:
        _write(f"{_SELINUX}/commit_pending_bools", "1")
    # A permissive denial is logged once per entry of the cache; without a cache, each time.
    _write(f"{_SELINUX}/avc/cache_threshold", "0")
    for name, value in plan["sysctl"].items():
        if os.path.exists(f"/proc/sys/{name}"):
            _write(f"/proc/sys/{name}", value)


def _settle(enforcing: bool) -> None:
    """The mode as it should be, whatever the step before did, and the cache of verdicts empty.

    Switching to enforcing ends with avc_ss_reset() (security/selinux/selinuxfs.c, sel_write_enforce). Setting a boolean
    does too, but copies the conditional rules first, and takes longer.
    """
    _write(f"{_SELINUX}/enforce", str(int(not enforcing)))
    _write(f"{_SELINUX}/enforce", str(int(enforcing)))


class _Daemon:
    """The log as an audit daemon writes it: a process of its own, so that no step waits for it."""

    def start(self, harness: str) -> None:
        self._records = os.open("/audit.log", os.O_RDWR | os.O_CREAT, 0o600)
        ready, told = os.pipe()
        self._daemon = os.fork()
        if self._daemon == 0:
            try:
                audit.run_daemon(harness, told, self._records)
            except BaseException as error:
                os.write(self._records, repr(error).encode())
            finally:
                os._exit(0)
        os.close(told)
        if os.read(ready, 1) != b"1":
            raise OSError(f"no audit daemon: {os.pread(self._records, 500, 0)!r}")

    def stop(self) -> dict[str, Any]:
        os.kill(self._daemon, signal.SIGTERM)
        os.waitpid(self._daemon, 0)
        os.lseek(self._records, 0, os.SEEK_SET)
        text = b""
        while block := os.read(self._records, 1 << 20):
            text += block
        head, _, log = text.partition(b"\n")
        lost, full = (int(word) for word in head.split())
        return {"audit": log.decode("latin-1"), "lost": lost, "full": bool(full)}


class _Printed:
    """The log as the kernel prints it where no daemon takes its records."""

    def start(self, harness: str) -> None:
        self._link = audit.Link()
        self._link.start(harness, daemon=False)
        # What was denied to this process before that is nobody's: SYSLOG_ACTION_CLEAR. Whether all that came after it
        # was kept shows in what the buffer starts with.
        kernel.checked(kernel.libc.klogctl(5, None, 0))
        _write("/dev/kmsg", audit.FIRST_MESSAGE)

    def stop(self) -> dict[str, Any]:
        lost = self._link.finish()["lost"]
        # What is taken from its queue last is still on its way to the buffer.
        before = ""
        while (now := _dmesg()) != before:
            before = now
            time.sleep(0.1)
        return {"audit": "", "lost": lost, "full": False}


def _dmesg() -> str:
    size = kernel.checked(kernel.libc.klogctl(10, None, 0))  # SYSLOG_ACTION_SIZE_BUFFER
    buffer = ctypes.create_string_buffer(size)
    read = kernel.checked(kernel.libc.klogctl(3, buffer, size))  # SYSLOG_ACTION_READ_ALL
    return buffer.raw[:read].decode("latin-1")


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _send(port: int, answer: dict[str, Any]) -> None:
    text = zlib.compress(json.dumps(answer).encode(), 6)
    text = b"POLKIT" + len(text).to_bytes(8, "big") + text
    if port < 0:
        print(answer, file=sys.stderr)
        return
    while text:
        text = text[os.write(port, text[:4096]) :]
    termios.tcdrain(port)
