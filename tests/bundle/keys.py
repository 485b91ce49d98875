"""Keys to sign with, made for a test, and the agents that hold them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMESPACE = "bundle@selinux-polkit"


def ssh_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """An OpenSSH key; its public half is beside it."""
    argv = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "vendor", "-f", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path


@contextmanager
def agent(key: Path) -> Iterator[dict[str, str]]:
    """An ssh-agent that holds a key: its variables."""
    said = subprocess.run(["ssh-agent", "-s"], check=True, capture_output=True, text=True).stdout
    words = dict(part.split("=", 1) for part in said.replace(";", "\n").splitlines() if "=" in part)
    variables = {name.strip(): value for name, value in words.items()}
    try:
        subprocess.run(["ssh-add", "-q", str(key)], check=True, env={**os.environ, **variables})
        yield variables
    finally:
        os.kill(int(variables["SSH_AGENT_PID"]), 15)


@contextmanager
def gpg_home(*names: str, expire: str = "never") -> Iterator[Path]:
    """A GPG home with a key for each name, and no passphrase. Its path is short: a socket lies in it."""
    home = Path(tempfile.mkdtemp(prefix="gpg-", dir="/tmp"))
    try:
        for name in names:
            gpg(home, "--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", expire)
        yield home
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def gpg(home: Path, *words: str, given: bytes = b"") -> bytes:
    """What gpg gives."""
    argv = ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--pinentry-mode", "loopback", *words]
    return subprocess.run(argv, check=True, capture_output=True, input=given).stdout
