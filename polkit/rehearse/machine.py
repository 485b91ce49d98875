"""Boots the machine and waits for its answer. It has no disk and no network, and ends with this process, however that
ends."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Optional

from polkit.errors import PolkitError
from polkit.rehearse.parts import find_emulator

MEMORY = 1024
"""MiB. The kernel, Python and the archive take 150; files of a scenario are memory, too."""
_MOST_ANSWER = 64 << 20
_MOST_TEXT = 256 << 20
_MOST_CONSOLE = 8 << 20
_MAGIC = b"POLKIT"
_LINE = (
    "console=ttyS0 loglevel=4 panic=-1 oops=panic rdinit=/init security=selinux selinux=1 enforcing=0 "
    "log_buf_len=4M mitigations=off nokaslr no_timer_check random.trust_cpu=on"
)
"""``no_timer_check``: that interrupts arrive is not asked for, since on a busy host they may be too late for the answer
(arch/x86/kernel/apic/io_apic.c: "8254 timer not connected to IO-APIC", and then a panic)."""
_KVM_API, _KVM_CREATE_VM = 0xAE00, 0xAE01
_PDEATHSIG = 1


class MachineFailed(PolkitError):
    """The machine did not start, or ended without an answer; ``hint`` holds its last words."""


class NoAnswer(MachineFailed):
    """It ended, and had said nothing."""


def has_kvm() -> bool:
    """Whether this process may make a machine with the processor's own help: it is tried."""
    try:
        device = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if fcntl.ioctl(device, _KVM_API) != 12:
            return False
        os.close(fcntl.ioctl(device, _KVM_CREATE_VM, 0))
    except OSError:
        return False
    finally:
        os.close(device)
    return True


def boot(kernel: Path, image: Path, place: Path, seconds: float, accelerator: str = "auto") -> dict[str, Any]:
    """Start the machine in ``place`` (a directory of this run's own) and return what it answered.

    Raises MachineFailed when it says nothing within ``seconds``, or says that it failed; MissingDependency without
    qemu.
    """
    if accelerator != "auto":
        return _boot(kernel, image, place, seconds, accelerator)
    if has_kvm():
        # Inside another virtual machine KVM may be there and still not run qemu's processor: then it ends at once.
        with suppress(NoAnswer):
            return _boot(kernel, image, place, seconds, "kvm")
    return _boot(kernel, image, place, seconds, "tcg")


def _boot(kernel: Path, image: Path, place: Path, seconds: float, accelerator: str) -> dict[str, Any]:
    console, answer = place / "console", place / "answer"
    processor = ["-accel", accelerator, "-cpu", "host" if accelerator == "kvm" else "max"]
    command = [
        find_emulator(), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none",
        "-machine", "pc", *processor, "-smp", "1", "-m", str(MEMORY),
        *_clock(), "-kernel", str(kernel), "-initrd", str(image), "-append", _LINE,
        "-serial", f"file:{console}", "-serial", f"file:{answer}",
    ]  # fmt: skip
    with (place / "emulator").open("wb") as said:
        process = _start(command, place, said)
        try:
            _await(process, seconds, {console: _MOST_CONSOLE, answer: _MOST_ANSWER})
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
    found = _read(answer)
    if found is None:
        last = _last_words(place / "emulator", console)
        raise NoAnswer(f"the machine ended without an answer: is {kernel} a Linux kernel with SELinux?", last)
    if "error" in found:
        raise MachineFailed(f"in the machine: {found['error']}", str(found.get("where", "")))
    return found


def _clock() -> list[str]:
    """Where its clock starts: SOURCE_DATE_EPOCH where that is set, so that two logs differ in less."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not (epoch.isascii() and epoch.isdigit() and len(epoch) < 12):
        return []
    return ["-rtc", time.strftime("base=%Y-%m-%dT%H:%M:%S", time.gmtime(int(epoch)))]


def _start(command: list[str], place: Path, said: IO[bytes]) -> subprocess.Popen[bytes]:
    parent, libc = os.getpid(), ctypes.CDLL(None)

    def die_with_parent() -> None:
        libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        os.nice(5)

    return subprocess.Popen(
        command,
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TMPDIR": str(place)},
        preexec_fn=die_with_parent,  # noqa: PLW1509 - no threads here, and it must stand before qemu does
    )


def _await(process: subprocess.Popen[bytes], seconds: float, limits: dict[Path, int]) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            pass
        else:
            return
        for file, most in limits.items():
            if file.exists() and file.stat().st_size > most:
                raise MachineFailed(f"the machine wrote more than {most >> 20} MiB", "some step makes it")
        if time.monotonic() > deadline:
            console = next(iter(limits))
            raise MachineFailed(
                f"the machine did not end within {seconds:.0f} seconds",
                _last_words(console.parent / "emulator", console),
            )


def _read(answer: Path) -> Optional[dict[str, Any]]:
    """What came over the second serial line, when all of it did."""
    content = answer.read_bytes() if answer.exists() else b""
    at = content.find(_MAGIC)
    if at < 0:
        return None
    start = at + len(_MAGIC) + 8
    length = int.from_bytes(content[start - 8 : start], "big")
    if len(content) < start + length:
        return None
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(content[start : start + length], _MOST_TEXT)
    if unpacker.unconsumed_tail:
        raise MachineFailed(f"the machine answered with more than {_MOST_TEXT >> 20} MiB")
    found: dict[str, Any] = json.loads(text)
    return found


def _last_words(*files: Path) -> str:
    lines: list[str] = []
    for file in files:
        if file.exists():
            # Where the first process ends the kernel panics, and says much that tells nothing.
            text = file.read_bytes()[-_MOST_CONSOLE:].decode("utf-8", "replace").split("Kernel panic")[0]
            lines += text.split("\n")[-12:]
    return " | ".join(line.strip() for line in lines if line.strip())[-1500:] or "it wrote nothing"
