"""Runs the distribution's policy tools: never a shell, always under limits of time, memory and file size."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Callable, NamedTuple, Optional

from polkit.errors import CompileError, MissingDependency

PACKAGES = {
    "checkmodule": "checkpolicy",
    "semodule_package": "semodule-utils on Debian, policycoreutils on Fedora and RHEL",
    "semodule": "policycoreutils",
    "pp": "policycoreutils (selinux/hll/pp)",
    "checkpolicy": "checkpolicy",
    "secilc": "secilc",
    "secil2tree": "secilc",
    "m4": "m4",
    "ssh-keygen": "openssh-client on Debian, openssh on Fedora and RHEL",
    "gpg": "gnupg on Debian, gnupg2 on Fedora and RHEL",
    "openssl": "openssl",
    "cosign": "cosign (it comes from the Sigstore project)",
}
"""The package each tool comes in."""

_SEARCH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_CONVERTERS = ("/usr/libexec/selinux/hll", "/usr/lib/selinux/hll")
_MALLOC = "glibc.malloc.hugetlb=1:glibc.malloc.mxfast=0"
"""Policy compilers make and free millions of small objects: with large pages and without bins for the smallest, secilc
takes a quarter less time. Other C libraries, and older ones, don't read it (ld.so(8), GNU libc manual, Tunables)."""
_MOST_MEMORY = 4 << 30
_MOST_OUTPUT = 1 << 30
_MOST_READ = 64 << 20
"""So much of what a tool says is read: the CIL of a large module is some MiB."""


class ToolRun(NamedTuple):
    """How a tool ended: its exit status (negative: the signal that ended it) and its output, stderr included.

    Where stderr was to be kept apart, it is in ``complaints``.
    """

    status: int
    output: str
    complaints: str = ""


def find_tool(name: str) -> str:
    """The path of a tool, also where an ordinary user's PATH lacks sbin. Raises MissingDependency."""
    path = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *_SEARCH, *_CONVERTERS)))
    if path is None:
        package = PACKAGES.get(name, name)
        raise MissingDependency(f"{name} is not installed", hint=f"install {package}")
    return path


def run_tool(argv: list[str], cwd: Path, seconds: int = 60, apart: bool = False) -> ToolRun:
    """Run ``argv`` (``argv[0]`` is looked up) in ``cwd`` with an empty standard input and a bare environment.

    The run ends after ``seconds`` of wall-clock time; its memory, CPU time and the files it writes are limited too.
    ``apart``: stderr is no part of the output. Raises MissingDependency when the tool isn't there and CompileError when
    it doesn't end in time.
    """
    return run_tools([(argv, cwd)], seconds, apart)[0]


def run_tools(jobs: list[tuple[list[str], Path]], seconds: int = 60, apart: bool = False) -> list[ToolRun]:
    """Run several tools side by side, each in its own directory and under the limits of ``run_tool``."""
    with running_tools(jobs, seconds, apart) as ended:
        return ended()


@contextmanager
def running_tools(
    jobs: list[tuple[list[str], Path]], seconds: int = 60, apart: bool = False
) -> Iterator[Callable[[], list[ToolRun]]]:
    """Start what ``run_tools`` runs; the function given waits for all of it. What still runs at the end of the block is
    killed."""
    deadline = time.monotonic() + seconds
    running: list[subprocess.Popen[bytes]] = []
    with ExitStack() as outputs:
        files = [outputs.enter_context(tempfile.TemporaryFile()) for _ in jobs]
        errors = [outputs.enter_context(tempfile.TemporaryFile()) if apart else None for _ in jobs]

        def ended() -> list[ToolRun]:
            for (argv, _), process in zip(jobs, running):
                _await(argv[0], process, seconds, deadline)
            return [
                ToolRun(process.returncode, _said(output), "" if error is None else _said(error))
                for process, output, error in zip(running, files, errors)
            ]

        try:
            for (argv, cwd), output, error in zip(jobs, files, errors):
                running.append(_start(argv, cwd, output, error, seconds))
            yield ended
        finally:
            for process in running:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


def _start(
    argv: list[str], cwd: Path, output: IO[bytes], error: Optional[IO[bytes]], seconds: int
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [find_tool(argv[0]), *argv[1:]],
        cwd=cwd,
        env={"PATH": os.pathsep.join(_SEARCH), "LC_ALL": "C", "TMPDIR": str(cwd), "GLIBC_TUNABLES": _MALLOC},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if error is None else error,
        start_new_session=True,
        preexec_fn=lambda: _limit(seconds),  # noqa: PLW1509 - no threads here, and the limits must stand before the tool
    )


def _await(name: str, process: subprocess.Popen[bytes], seconds: int, deadline: float) -> None:
    try:
        process.wait(timeout=max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        raise CompileError(f"{name} did not end within {seconds} seconds") from None


def _said(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read(_MOST_READ).decode("utf-8", "backslashreplace")


def _limit(seconds: int) -> None:
    wanted = (
        (resource.RLIMIT_AS, _MOST_MEMORY),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, _MOST_OUTPUT),
        (resource.RLIMIT_CORE, 0),
    )
    for kind, most in wanted:
        hard = resource.getrlimit(kind)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))
