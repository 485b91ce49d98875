"""Runs the distribution's policy tools: never a shell, always under limits of time, memory and file size."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

from polkit.errors import CompileError, MissingDependency

PACKAGES = {
    "checkmodule": "checkpolicy",
    "semodule_package": "semodule-utils on Debian, policycoreutils on Fedora and RHEL",
    "semodule": "policycoreutils",
    "pp": "policycoreutils (selinux/hll/pp)",
}
"""The package each tool comes in."""

_SEARCH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_CONVERTERS = ("/usr/libexec/selinux/hll", "/usr/lib/selinux/hll")
_MOST_MEMORY = 4 << 30
_MOST_OUTPUT = 1 << 30


class ToolRun(NamedTuple):
    """How a tool ended: its exit status (negative: the signal that ended it) and its output, stderr included."""

    status: int
    output: str


def find_tool(name: str) -> str:
    """The path of a tool, also where an ordinary user's PATH lacks sbin. Raises MissingDependency."""
    path = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *_SEARCH, *_CONVERTERS)))
    if path is None:
        package = PACKAGES.get(name, name)
        raise MissingDependency(f"{name} is not installed", hint=f"install {package}")
    return path


def run_tool(argv: list[str], cwd: Path, seconds: int = 60) -> ToolRun:
    """Run ``argv`` (``argv[0]`` is looked up) in ``cwd`` with an empty standard input and a bare environment.

    The run ends after ``seconds`` of wall-clock time; its memory, CPU time and the files it writes are limited too.
    Raises MissingDependency when the tool isn't there and CompileError when it doesn't end in time.
    """
    command = [find_tool(argv[0]), *argv[1:]]
    environment = {"PATH": os.pathsep.join(_SEARCH), "LC_ALL": "C", "TMPDIR": str(cwd)}
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: _limit(seconds),  # noqa: PLW1509 - no threads here, and the limits must stand before the tool
    ) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise CompileError(f"{argv[0]} did not end within {seconds} seconds") from None
    return ToolRun(process.returncode, output.decode("utf-8", "backslashreplace"))


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
