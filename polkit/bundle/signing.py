"""Signatures over a bundle's SHA256SUMS, made with the keys that people have: OpenSSH, GPG, Sigstore's cosign.

SHA256SUMS is what is signed, because it names every other file, the manifest included, and a customer can check it with
ssh-keygen and sha256sum alone. An OpenSSH signature lies in the bundle beside it: with Ed25519 and RSA keys the same
bytes give the same signature, so that a signed bundle can be built again bit for bit. Those of GPG and Sigstore hold
the time: they lie beside the archive, and nothing that is hashed holds them.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.errors import SourceError, UsageError
from polkit.module import find_tool

NAMESPACE = "bundle@selinux-polkit"
"""An OpenSSH signature holds for one purpose only (ssh-keygen(1), -n): one made for a file or a commit is none here."""
OPENSSH, GPG, SIGSTORE = "openssh", "gpg", "sigstore"
SIGNATURE = "SHA256SUMS.sig"
DETACHED = {GPG: ".SHA256SUMS.asc", SIGSTORE: ".SHA256SUMS.sigstore.json"}
"""What is added to NAME-VERSION for the file beside the archive."""
_PUBLIC = re.compile(rb"\s*(ssh-|ecdsa-|sk-)")
_REPEATABLE = (b"ssh-ed25519", b"ssh-rsa")


class Signature(NamedTuple):
    """A signature of one kind. ``note``: what has to be said of it, or empty."""

    kind: str
    content: bytes
    note: str = ""


@dataclass(frozen=True)
class Signer:
    """A key to sign with, and the kind it is of. For ``gpg`` and ``sigstore`` it is what the tool calls its key."""

    kind: str
    key: str


class Ran(NamedTuple):
    """How a tool ended, what it gave and what it complained of."""

    status: int
    output: bytes
    complaints: str

    @property
    def said(self) -> str:
        """The last line of its complaints, for a message."""
        lines = [line.strip() for line in self.complaints.splitlines() if line.strip()]
        return (lines[-1] if lines else f"it ended with status {self.status}")[:200]


def run_with_key(
    argv: list[str], given: bytes = b"", variables: Optional[Mapping[str, str]] = None, aloud: bool = False
) -> Ran:
    """Run a tool that may ask for a passphrase at the terminal or an agent: with this process's environment.

    ``aloud``: it asks on stderr, so that goes where ours does. Raises MissingDependency where it is not installed.
    """
    done = subprocess.run(
        [find_tool(argv[0]), *argv[1:]],
        input=given,
        stdout=subprocess.PIPE,
        stderr=None if aloud else subprocess.PIPE,
        check=False,
        env={**os.environ, "LC_ALL": "C", **(variables or {})},
    )
    return Ran(done.returncode, done.stdout, (done.stderr or b"").decode("utf-8", "backslashreplace"))


def read_signers(named: Iterable[str]) -> tuple[Signer, ...]:
    """What ``--sign`` names, each looked at before any work is done: ``gpg:KEYID``, ``cosign:KEY`` (``cosign:`` alone
    signs by identity), else the path of an OpenSSH key: a private one, or a public one whose other half an agent holds.

    Raises UsageError for a key that can't be used, SourceError for a file that can't be read, MissingDependency.
    """
    signers: list[Signer] = []
    for text in named:
        word, _, key = text.partition(":")
        kind = {"gpg": GPG, "cosign": SIGSTORE}.get(word, OPENSSH)
        signer = Signer(kind, text if kind == OPENSSH else key)
        if any(one.kind == kind for one in signers):
            raise UsageError(f"--sign names two keys for {word if kind != OPENSSH else 'OpenSSH'}", "one of each kind")
        _CHECKS[kind](signer.key)
        signers.append(signer)
    return tuple(signers)


def sign(signer: Signer, sums: bytes) -> Signature:
    """The signature over SHA256SUMS. Raises what ``read_signers`` raises."""
    content, note = _SIGNING[signer.kind](signer.key, sums)
    return Signature(signer.kind, content, note)


def _check_openssh(key: str) -> None:
    path = Path(key)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(
            f"--sign {key}: {error.strerror}", "name an OpenSSH key, gpg:KEYID or cosign:KEY; ssh-keygen makes one"
        ) from error
    if _PUBLIC.match(content):
        _sign_openssh(key, b"")  # whether the agent has it shows at once
        return
    if b"PRIVATE KEY-----" not in content:
        raise UsageError(f"--sign {key}: this is no OpenSSH key")
    opened = run_with_key(["ssh-keygen", "-y", "-P", "", "-f", key])
    if opened.status == 0:
        return
    if "passphrase" not in opened.complaints:
        raise UsageError(f"--sign {key}: {_why(opened)}", _hint(opened, path))
    if not (sys.stdin.isatty() or os.environ.get("SSH_ASKPASS")):
        raise UsageError(
            f"--sign {key}: the key is encrypted, and there is no terminal to ask for its passphrase",
            f"ssh-add {key}, then --sign {key}.pub",
        )


def _sign_openssh(key: str, sums: bytes) -> tuple[bytes, str]:
    made = run_with_key(["ssh-keygen", "-Y", "sign", "-f", key, "-n", NAMESPACE], sums)
    if made.status != 0 or not made.output.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        raise UsageError(f"--sign {key}: {_why(made)}", _hint(made, Path(key)))
    repeatable = _key_type(made.output) in _REPEATABLE
    return made.output, "" if repeatable else "a key of this kind signs the same bytes differently each time"


def _key_type(signature: bytes) -> bytes:
    """The kind of key that an OpenSSH signature was made with (openssh, PROTOCOL.sshsig: magic, version, key)."""
    blob = base64.b64decode(b"".join(signature.splitlines()[1:-1]))
    start = len(b"SSHSIG") + 4 + 4
    length = int.from_bytes(blob[start : start + 4], "big")
    return blob[start + 4 : start + 4 + length]


def _why(ran: Ran) -> str:
    if "UNPROTECTED PRIVATE KEY" in ran.complaints:
        return "others may read this private key, so ssh-keygen does not take it"
    if "No private key found" in ran.complaints:
        return "no agent holds the private half of this public key"
    return f"ssh-keygen: {ran.said}"


def _hint(ran: Ran, path: Path) -> str:
    if "UNPROTECTED PRIVATE KEY" in ran.complaints:
        return f"chmod 600 {path}"
    if "No private key found" in ran.complaints:
        return "start ssh-agent and ssh-add the key, or name the private key"
    return ""


def _check_gpg(key: str) -> None:
    if not key:
        raise UsageError("--sign gpg: names no key", "write gpg:KEYID, with what gpg --list-secret-keys shows")
    found = run_with_key(["gpg", "--batch", "--list-secret-keys", "--with-colons", "--", key])
    if found.status != 0:
        raise UsageError(f"--sign gpg:{key}: {found.said}", "gpg --list-secret-keys shows the keys there are")


def _sign_gpg(key: str, sums: bytes) -> tuple[bytes, str]:
    # The terminal is where a passphrase is asked for, where no agent has it.
    terminal = {"GPG_TTY": os.ttyname(0)} if sys.stdin.isatty() and "GPG_TTY" not in os.environ else {}
    argv = ["gpg", "--batch", "--detach-sign", "--armor", "--digest-algo", "SHA256", "--local-user", key]
    made = run_with_key([*argv, "--output", "-"], sums, terminal)
    if made.status != 0:
        raise UsageError(f"--sign gpg:{key}: {made.said}")
    return made.output, ""


def _check_cosign(_: str) -> None:
    find_tool("cosign")


def _sign_cosign(key: str, sums: bytes) -> tuple[bytes, str]:
    with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
        room = Path(scratch)
        (room / "SHA256SUMS").write_bytes(sums)
        named = ["--key", key] if key else []
        argv = ["cosign", "sign-blob", "--yes", *named, "--bundle", str(room / "bundle.json")]
        made = run_with_key([*argv, str(room / "SHA256SUMS")], aloud=True)
        try:
            content = (room / "bundle.json").read_bytes() if made.status == 0 else b""
        except FileNotFoundError:
            content = b""
    if not content:
        raise UsageError(f"--sign cosign:{key}: {made.said}", "cosign asks for a passphrase, or takes COSIGN_PASSWORD")
    return content, ""


_CHECKS: Mapping[str, Callable[[str], None]] = {OPENSSH: _check_openssh, GPG: _check_gpg, SIGSTORE: _check_cosign}
_SIGNING: Mapping[str, Callable[[str, bytes], tuple[bytes, str]]] = {
    OPENSSH: _sign_openssh,
    GPG: _sign_gpg,
    SIGSTORE: _sign_cosign,
}
