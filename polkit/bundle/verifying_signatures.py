"""Whether a bundle's signatures hold, and whose they are: asked of ssh-keygen, gpg, openssl and cosign."""

from __future__ import annotations

import base64
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Optional

from polkit.bundle.signing import GPG, NAMESPACE, OPENSSH, SIGSTORE, Ran, run_with_key
from polkit.errors import MissingDependency, SourceError, UsageError

GOOD, UNKNOWN, BAD, UNCHECKED = "good", "unknown", "bad", "unchecked"
"""Made by the key that was asked for (or one that the user's GPG trusts); made by a key that nothing here vouches for;
not over these bytes; the tool for it is missing."""
_LARGEST = 1 << 20
_KEY_LINE = re.compile(r"(?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]+ [A-Za-z0-9+/=]+")
_GOOD_SSH = re.compile(r'Good "[^"]*" signature (?:for \S+ )?with (\S+) key (SHA256:\S+)')
_STATUS = re.compile(r"^\[GNUPG:\] (\w+) ?(.*)$", re.MULTILINE)
_GPG_BAD = frozenset(("BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "NODATA", "UNEXPECTED", "FAILURE"))


@dataclass(frozen=True)
class Key:
    """What a customer trusts, of one kind. ``identity`` and ``issuer``: who signs by Sigstore without a key, or which
    line of allowed_signers."""

    kind: str
    content: bytes = b""
    name: str = ""
    identity: Optional[str] = None
    issuer: Optional[str] = None


class Checked(NamedTuple):
    """One signature: its kind, the file it is in, a word for how it stands, who made it, and why it stands so."""

    kind: str
    file: str
    state: str
    signer: str = ""
    why: str = ""


def read_key(path: Optional[Path], identity: Optional[str], issuer: Optional[str]) -> Optional[Key]:
    """The key in a file: an OpenSSH public key or allowed_signers, a GPG public key, a PEM public key (cosign's).

    Without a file: who signs with Sigstore, or None. Raises SourceError, UsageError for what is none of these.
    """
    if path is None:
        if issuer is None and identity is None:
            return None
        if issuer is None or identity is None:
            raise UsageError("--identity without --key needs --issuer, and the other way round")
        return Key(SIGSTORE, identity=identity, issuer=issuer)
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise SourceError(f"--key {path}: {error.strerror}") from error
    if b"PRIVATE KEY-----" in content or b"PGP PRIVATE KEY" in content:
        raise UsageError(f"--key {path}: this is a private key", "verifying needs the public one")
    if b"-----BEGIN PGP PUBLIC KEY BLOCK-----" in content or content[:1] in (b"\x99", b"\x98", b"\xc6"):
        return Key(GPG, content, str(path))
    if b"-----BEGIN PUBLIC KEY-----" in content:
        return Key(SIGSTORE, content, str(path))
    if len(content) <= _LARGEST and _KEY_LINE.search(content.decode("utf-8", "replace")):
        return Key(OPENSSH, content, str(path), identity)
    raise UsageError(
        f"--key {path}: neither an OpenSSH public key or allowed_signers, nor a GPG or PEM public key",
        "gpg --armor --export KEYID writes a GPG key; an OpenSSH one ends with .pub",
    )


def kind_of(content: bytes) -> Optional[str]:
    """Which kind of signature a file holds; None for none."""
    if content.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        return OPENSSH
    if content.startswith(b"-----BEGIN PGP SIGNATURE-----") or content[:1] in (b"\x88", b"\x89", b"\xc2"):
        return GPG
    return SIGSTORE if content.lstrip()[:1] == b"{" else None


def check_signature(kind: str, file: str, signature: bytes, sums: bytes, key: Optional[Key]) -> Checked:
    """How a signature over SHA256SUMS stands. ``key``: the one that is trusted, of any kind.

    Raises MissingDependency where the tool is missing and the key is of this kind.
    """
    mine = key if key is not None and key.kind == kind else None
    try:
        with _files(signature, sums, mine) as room:
            state, signer, why = _CHECKS[kind](room, sums, mine)
    except MissingDependency as error:
        if mine is not None:
            raise
        return Checked(kind, file, UNCHECKED, why=str(error))
    return Checked(kind, file, state, signer, why)


@contextmanager
def _files(signature: bytes, sums: bytes, key: Optional[Key]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
        room = Path(scratch)
        (room / "SHA256SUMS").write_bytes(sums)
        (room / "signature").write_bytes(signature)
        (room / "key").write_bytes(key.content if key is not None else b"")
        yield room


_Answer = tuple[str, str, str]


def _check_openssh(room: Path, sums: bytes, key: Optional[Key]) -> _Answer:
    signature = str(room / "signature")
    ran = run_with_key(["ssh-keygen", "-Y", "check-novalidate", "-n", NAMESPACE, "-s", signature], sums)
    by = _fingerprint(ran)
    if ran.status != 0 or not by:
        return BAD, "", f"it was not made over this SHA256SUMS ({ran.said})"
    if key is None:
        return UNKNOWN, by, "no --key was given to hold it against"
    allowed = room / "allowed_signers"
    allowed.write_text(_allowed(key.content.decode("utf-8", "replace")), encoding="utf-8")
    principal = key.identity or _principal(allowed, signature)
    if principal:
        argv = ["ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", principal, "-n", NAMESPACE, "-s", signature]
        ran = run_with_key(argv, sums)
        if ran.status == 0 and _fingerprint(ran) == by:
            return GOOD, by if principal == _ANYBODY else f"{principal}, {by}", ""
    who = f" for {principal}" if key.identity else ""
    return UNKNOWN, by, f"the key {by} that made it is not in {key.name}{who}"


_ANYBODY = "signer"


def _allowed(text: str) -> str:
    """allowed_signers as it is; public keys as allowed_signers, for this purpose alone (ssh-keygen(1))."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    if not all(_KEY_LINE.match(line) for line in lines):
        return text
    return "".join(f'{_ANYBODY} namespaces="{NAMESPACE}" {line}\n' for line in lines)


def _principal(allowed: Path, signature: str) -> str:
    ran = run_with_key(["ssh-keygen", "-Y", "find-principals", "-s", signature, "-f", str(allowed)])
    return ran.output.decode("utf-8", "replace").split("\n")[0].strip() if ran.status == 0 else ""


def _fingerprint(ran: Ran) -> str:
    found = _GOOD_SSH.search(ran.output.decode("utf-8", "replace"))
    return "" if found is None or ran.status != 0 else f"{found[1]} {found[2]}"


def _check_gpg(room: Path, _: bytes, key: Optional[Key]) -> _Answer:
    base = ["gpg", "--batch", "--no-tty", "--status-fd", "1", "--no-auto-key-retrieve"]
    if key is not None:
        # A keyring of its own: only what is in the file counts, whatever the user's GPG holds.
        home = room / "home"
        home.mkdir(mode=0o700)
        base += ["--homedir", str(home), "--no-autostart", "--trust-model", "always"]
        imported = run_with_key([*base, "--import", str(room / "key")])
        if "IMPORT_OK" not in imported.output.decode("utf-8", "replace"):
            raise UsageError(f"--key {key.name}: gpg does not take it as a public key: {imported.said}")
    ran = run_with_key([*base, "--verify", str(room / "signature"), str(room / "SHA256SUMS")])
    said = dict(_STATUS.findall(ran.output.decode("utf-8", "replace")))
    # A signature that holds its own text: some releases of gpg only warn that they did not look at the file.
    if "PLAINTEXT" in said:
        return BAD, "", "it is no detached signature: it holds a text of its own"
    if "NO_PUBKEY" in said and not {"BADSIG", "VALIDSIG"} & set(said):
        where = "the user's keyring" if key is None else key.name
        return UNKNOWN, said["NO_PUBKEY"][:40], f"the key {said['NO_PUBKEY'][:40]} that made it is not in {where}"
    wrong = sorted(_GPG_BAD & set(said))
    if ran.status != 0 or wrong or "VALIDSIG" not in said or "GOODSIG" not in said:
        return BAD, "", f"gpg does not take it: {_GPG_WORDS.get(wrong[0] if wrong else '', ran.said)}"
    by = f"{said['GOODSIG'].partition(' ')[2]}, GPG {said['VALIDSIG'].split(' ')[-1]}"
    if key is None and not {"TRUST_FULLY", "TRUST_ULTIMATE"} & set(said):
        return UNKNOWN, by, "the key is in the user's keyring and not certified there; no --key was given"
    return GOOD, by, ""


_GPG_WORDS = {
    "BADSIG": "it was not made over this SHA256SUMS",
    "EXPSIG": "the signature has expired",
    "EXPKEYSIG": "its key has expired",
    "REVKEYSIG": "its key was revoked",
    "NODATA": "it holds no signature",
}


def _check_sigstore(room: Path, _: bytes, key: Optional[Key]) -> _Answer:
    made = _sigstore_signature((room / "signature").read_bytes())
    if made is None:
        return BAD, "", "it is no bundle of Sigstore's"
    if key is None:
        return UNCHECKED, "", "neither --key nor --identity and --issuer was given to hold it against"
    if not key.content:
        named = ["--certificate-identity", key.identity or "", "--certificate-oidc-issuer", key.issuer or ""]
        argv = ["cosign", "verify-blob", "--bundle", str(room / "signature"), *named, str(room / "SHA256SUMS")]
        ran = run_with_key(argv)
        return (GOOD, key.identity or "", "") if ran.status == 0 else (BAD, "", f"cosign does not take it: {ran.said}")
    # With a key of one's own nothing but the signature counts, and openssl checks that without a network.
    (room / "made").write_bytes(made.content)
    argv = ["openssl", "dgst", _DIGESTS[made.digest], "-verify", str(room / "key"), "-signature", str(room / "made")]
    ran = run_with_key([*argv, str(room / "SHA256SUMS")])
    if ran.status == 0:
        return GOOD, key.name, ""
    if re.search("(?i)could not|unable to load|not supported", ran.complaints):
        raise UsageError(f"--key {key.name}: openssl does not take it: {ran.said}", "cosign's keys are ECDSA; RSA too")
    return BAD, "", f"the key in {key.name} did not make it over this SHA256SUMS"


class _Made(NamedTuple):
    content: bytes
    digest: str


_DIGESTS = {"SHA2_256": "-sha256", "SHA2_384": "-sha384", "SHA2_512": "-sha512"}
"""Of sigstore_common.proto, HashAlgorithm, and what openssl calls them."""


def _sigstore_signature(text: bytes) -> Optional[_Made]:
    """The signature in a Sigstore bundle (sigstore_bundle.proto, messageSignature), or in the form that cosign wrote
    before it (base64Signature)."""
    try:
        found: Any = json.loads(text)
        message = found.get("messageSignature")
        if message is None:
            message = {"signature": found["base64Signature"]}
        digest = message.get("messageDigest", {}).get("algorithm", "SHA2_256")
        made = _Made(base64.b64decode(message["signature"], validate=True), str(digest))
        return made if made.digest in _DIGESTS else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


_CHECKS: Mapping[str, Any] = {OPENSSH: _check_openssh, GPG: _check_gpg, SIGSTORE: _check_sigstore}
