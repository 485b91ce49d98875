"""The command as a user runs it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Polkit = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def polkit(policy_root: Path, tmp_path: Path) -> Polkit:
    """``polkit("explain", log, stdin=b"", policy=True)`` in an empty directory; text out, in UTF-8."""

    def run(
        *arguments: object,
        stdin: bytes = b"",
        policy: bool = True,
        env: dict[str, str] | None = None,
        folder: str = ".",
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "polkit", *map(str, arguments)]
        if policy and "--policy" not in command and len(arguments) > 0:
            command += ["--policy", str(policy_root)]
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            cwd=tmp_path / folder,
            timeout=120,
            check=False,
            env={**os.environ, "COLUMNS": "80", **(env or {})},
        )
        return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
