"""Signatures: made with the keys that people have, and held against the one that a customer trusts."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from polkit.bundle import Asked, Packaged, package, verify
from polkit.errors import MissingDependency, PolkitError, SourceError, UsageError
from tests.bundle.keys import NAMESPACE, agent, gpg, gpg_home, ssh_key
from tests.bundle.making import make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, host: Path) -> Path:
    return make_project(tmp_path_factory.mktemp("project") / "vllm", host)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ssh_key(tmp_path_factory.mktemp("keys") / "vendor")


@pytest.fixture(scope="module")
def signed(project: Path, key: Path, host: Path, tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    return make(project, tmp_path_factory.mktemp("signed"), host, key)


def make(project: Path, place: Path, host: Path, *keys: object) -> Packaged:
    return package(project, place, targets={"host": str(host)}, with_proof=False, keys=[str(key) for key in keys])


def public(key: Path) -> Path:
    return key.with_name(f"{key.name}.pub")


def refused(bundle: Path, asked: Asked) -> str:
    found = verify(bundle, asked)
    assert {one.check for one in found.refusals} == {"signature"}
    return " ".join(one.reason for one in found.refusals)


def test_a_customer_checks_it_with_ssh_keygen_and_sha256sum_alone(
    signed: Packaged, key: Path, project: Path, host: Path, tmp_path: Path
) -> None:
    allowed = tmp_path / "allowed"
    allowed.write_text(f'acme namespaces="{NAMESPACE}" {public(key).read_text(encoding="ascii")}', encoding="ascii")
    argv = ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "acme", "-n", NAMESPACE, "-s", "SHA256SUMS.sig"]
    sums = (signed.directory / "SHA256SUMS").read_bytes()
    subprocess.run(argv, input=sums, cwd=signed.directory, check=True, capture_output=True)
    subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=signed.directory, check=True)
    # The same key gives the same bytes, and without it nothing that is hashed changes.
    assert make(project, tmp_path / "again", host, key).archive.read_bytes() == signed.archive.read_bytes()
    assert (make(project, tmp_path / "bare", host).directory / "SHA256SUMS").read_bytes() == sums
    assert signed.notes == ()


def test_whose_signature_it_is(signed: Packaged, key: Path, tmp_path: Path) -> None:
    for bundle in (signed.archive, signed.directory):
        found = verify(bundle, Asked(key=public(key)))
        assert (found.refusals, found.warnings, found.signatures[0].state) == ((), (), "good")
    unknown = verify(signed.archive)
    assert (unknown.ok, unknown.signatures[0].state) == (True, "unknown")
    assert "no --key was given" in unknown.warnings[0]
    assert verify(signed.archive, Asked(require_signature=True)).ok

    other = ssh_key(tmp_path / "other")
    assert "is not the vendor's" in refused(signed.archive, Asked(key=public(other)))
    line = public(key).read_text(encoding="ascii")
    for text, identity, good in (
        (f'acme namespaces="{NAMESPACE}" {line}', None, True),
        (f'acme namespaces="{NAMESPACE}" {line}', "acme", True),
        (f"*@acme.example {line}", "release@acme.example", True),
        (f"# old\n\nacme {line}", None, True),
        (f'acme namespaces="{NAMESPACE}" {line}', "eve", False),
        (f'acme namespaces="git" {line}', "acme", False),
        (f'acme valid-before="20200101" {line}', None, False),
        (f"acme {public(other).read_text(encoding='ascii')}", None, False),
    ):
        allowed = tmp_path / "allowed"
        allowed.write_text(text, encoding="ascii")
        assert verify(signed.archive, Asked(key=allowed, identity=identity)).ok == good, text


def test_a_signature_for_another_purpose_is_none(signed: Packaged, key: Path, tmp_path: Path) -> None:
    """Whoever gets a vendor to sign a commit or a file does not get a signed bundle."""
    top = tmp_path / signed.directory.name
    shutil.copytree(signed.directory, top)
    argv = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", "git"]
    made = subprocess.run(argv, input=(top / "SHA256SUMS").read_bytes(), capture_output=True, check=True)
    (top / "SHA256SUMS.sig").write_bytes(made.stdout)
    assert "namespace" in refused(top, Asked(key=public(key)))
    (top / "SHA256SUMS.sig").write_text("-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n")
    assert "is wrong" in refused(top, Asked())
    (top / "SHA256SUMS.sig").write_text("hello\n")
    assert "no signature of a known kind" in refused(top, Asked())


def test_a_key_that_an_agent_holds(project: Path, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = ssh_key(tmp_path / "held")
    with agent(key) as variables:
        key.unlink()
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        made = make(project, tmp_path / "out", host, public(key))
    assert verify(made.archive, Asked(key=public(key))).ok
    monkeypatch.delenv("SSH_AUTH_SOCK")
    with pytest.raises(UsageError, match="no agent holds the private half"):
        make(project, tmp_path / "none", host, public(key))
    assert not (tmp_path / "none").exists()


def test_a_kind_of_key_that_never_signs_the_same_is_said(project: Path, host: Path, tmp_path: Path) -> None:
    key = ssh_key(tmp_path / "k", "ecdsa")
    made = make(project, tmp_path / "out", host, key)
    assert made.notes == ("a key of this kind signs the same bytes differently each time",)
    assert verify(made.archive, Asked(key=public(key))).ok


def test_keys_that_cant_be_used_are_told_before_any_work(project: Path, host: Path, tmp_path: Path, key: Path) -> None:
    open_, text = tmp_path / "open", tmp_path / "text"
    shutil.copy(key, open_)
    open_.chmod(0o644)
    text.write_text("hello", encoding="ascii")
    cases: list[tuple[tuple[object, ...], type[PolkitError], str]] = [
        ((tmp_path / "none",), SourceError, "No such file"),
        ((text,), UsageError, "no OpenSSH key"),
        ((open_,), UsageError, "others may read this private key"),
        ((ssh_key(tmp_path / "locked", passphrase="secret"),), UsageError, "encrypted, and there is no terminal"),
        ((key, key), UsageError, "two keys for OpenSSH"),
        (("gpg:",), UsageError, "names no key"),
        (("gpg:nobody-has-this-key",), UsageError, "gpg"),
    ]
    if shutil.which("cosign") is None:
        cases.append((("cosign:k",), MissingDependency, "cosign is not installed"))
    for keys, error, words in cases:
        with pytest.raises(error, match=words) as raised:
            make(project, tmp_path / "out", host, *keys)
        assert raised.value.hint or keys == (text,) or "gpg:nobody" in str(keys[0]) or len(keys) == 2
    assert not (tmp_path / "out").exists()


def test_a_host_without_ssh_keygen(
    signed: Packaged, key: Path, project: Path, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polkit.module.tools._SEARCH", ())
    monkeypatch.setattr("polkit.module.tools._CONVERTERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    found = verify(signed.archive)
    assert (found.ok, found.signatures[0].state) == (True, "unchecked")
    assert "SHA256SUMS.sig: not checked: ssh-keygen is not installed" in found.warnings
    assert "could be checked" in refused(signed.archive, Asked(require_signature=True))
    for job in (
        lambda: verify(signed.archive, Asked(key=public(key))),
        lambda: make(project, tmp_path / "out", host, key),
    ):
        with pytest.raises(MissingDependency, match="ssh-keygen is not installed") as raised:
            job()
        assert "openssh" in raised.value.hint


def test_keys_that_nobody_can_verify_with(signed: Packaged, key: Path, tmp_path: Path) -> None:
    for path, error, words in (
        (key, UsageError, "private key"),
        (tmp_path / "none", SourceError, "No such file"),
        (signed.directory / "README.md", UsageError, "neither an OpenSSH"),
    ):
        with pytest.raises(error, match=words):
            verify(signed.archive, Asked(key=path))
    with pytest.raises(UsageError, match="needs --issuer"):
        verify(signed.archive, Asked(identity="me"))


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with gpg_home("ACME <release@acme.example>", "Eve <eve@example.org>") as found:
        yield found


def test_gpg(home: Path, project: Path, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNUPGHOME", str(home))
    bare = make(project, tmp_path / "bare", host)
    made = make(project, tmp_path / "out", host, "gpg:release@acme.example")
    # It holds the time of signing: it lies outside what is hashed.
    assert made.archive.read_bytes() == bare.archive.read_bytes()
    detached = tmp_path / "out/vllm-0.1.0.SHA256SUMS.asc"
    assert detached in made.beside
    gpg(home, "--verify", str(detached), str(made.directory / "SHA256SUMS"))

    for name in ("release", "eve"):
        (tmp_path / f"{name}.asc").write_bytes(gpg(home, "--armor", "--export", name))
        (tmp_path / f"{name}.gpg").write_bytes(gpg(home, "--export", name))
    own = verify(made.archive)  # the user's own keyring trusts its own key
    assert (own.ok, own.signatures[0].state, own.warnings) == (True, "good", ())
    assert "ACME <release@acme.example>" in own.signatures[0].signer
    monkeypatch.delenv("GNUPGHOME")
    for suffix in ("asc", "gpg"):
        assert verify(made.archive, Asked(key=tmp_path / f"release.{suffix}")).signatures[0].state == "good"
        assert verify(made.directory, Asked(key=tmp_path / f"release.{suffix}")).ok
        assert "is not the vendor's" in refused(made.archive, Asked(key=tmp_path / f"eve.{suffix}"))
    assert "no GPG signature" in refused(bare.archive, Asked(key=tmp_path / "release.asc"))
    elsewhere = Asked(key=tmp_path / "release.asc", signatures=(detached,))
    assert verify(bare.archive, elsewhere).ok
    # What was signed is gone with the next bundle there.
    package(project, tmp_path / "out", targets={"host": str(host)}, with_proof=False, force=True)
    assert not detached.exists()


def test_gpg_signatures_that_are_none(home: Path, host_bundle: Packaged, tmp_path: Path) -> None:
    top = tmp_path / host_bundle.directory.name
    shutil.copytree(host_bundle.directory, top)
    detached, trusted = tmp_path / f"{top.name}.SHA256SUMS.asc", tmp_path / "key.asc"
    trusted.write_bytes(gpg(home, "--armor", "--export", "release"))
    asked = Asked(key=trusted)
    user = ("--local-user", "release", "--armor")
    detached.write_bytes(gpg(home, *user, "--detach-sign", given=b"another text"))
    assert "was not made over this SHA256SUMS" in refused(top, asked)
    # A message that holds its own text verifies, whatever file is named beside it.
    detached.write_bytes(gpg(home, *user, "--sign", given=b"another text").replace(b"PGP MESSAGE", b"PGP SIGNATURE"))
    assert "no detached signature" in refused(top, asked).replace("not a detached", "no detached")
    binary = gpg(home, "--local-user", "release", "--sign", "--compress-algo", "none", given=b"another text")
    armored = b"-----BEGIN PGP SIGNATURE-----\n\n" + base64.encodebytes(binary) + b"-----END PGP SIGNATURE-----\n"
    detached.write_bytes(armored)
    assert "no detached signature" in refused(top, asked).replace("not a detached", "no detached")
    detached.write_bytes(b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n")
    assert "is wrong" in refused(top, asked)


COSIGN = """#!/bin/sh
# Signs as cosign sign-blob does, for want of the real one: openssl's signature in the form of Sigstore's bundle.
set -eu
while [ $# -gt 0 ]; do
  case $1 in
    --key) key=$2; shift ;;
    --bundle) bundle=$2; shift ;;
    --yes | sign-blob) ;;
    -*) exit 9 ;;
    *) blob=$1 ;;
  esac
  shift
done
made=$(openssl dgst -sha256 -sign "$key" "$blob" | base64 -w0)
printf '{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": {"publicKey": {}},
  "messageSignature": {"signature": "%s"}}\\n' "$made" >"$bundle"
"""


def test_a_sigstore_bundle_with_a_key(
    project: Path, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("vendor", "eve"):
        openssl = [
            "openssl",
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-out",
            str(tmp_path / f"{name}.key"),
        ]
        subprocess.run(openssl, check=True)
        out = ["-pubout", "-out", str(tmp_path / f"{name}.pub")]
        subprocess.run(["openssl", "ec", "-in", str(tmp_path / f"{name}.key"), *out], check=True, capture_output=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/cosign").write_text(COSIGN, encoding="ascii")
    (tmp_path / "bin/cosign").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    made = make(project, tmp_path / "out", host, f"cosign:{tmp_path / 'vendor.key'}")
    detached = tmp_path / "out/vllm-0.1.0.SHA256SUMS.sigstore.json"
    assert detached in made.beside
    assert verify(made.archive, Asked(key=tmp_path / "vendor.pub")).signatures[0].state == "good"
    assert "did not make it" in refused(made.archive, Asked(key=tmp_path / "eve.pub"))
    assert "could be checked" in refused(made.archive, Asked(require_signature=True))
    assert verify(made.archive).signatures[0].state == "unchecked"
    old = {"base64Signature": json.loads(detached.read_bytes())["messageSignature"]["signature"], "cert": ""}
    detached.write_text(json.dumps(old), encoding="ascii")
    assert verify(made.archive, Asked(key=tmp_path / "vendor.pub")).ok
    argv = ["openssl", "dgst", "-sha512", "-sign", str(tmp_path / "vendor.key"), str(made.directory / "SHA256SUMS")]
    signature = base64.b64encode(subprocess.run(argv, check=True, capture_output=True).stdout).decode()
    for algorithm, good in (("SHA2_512", True), ("SHA2_256", False), ("MD5", False)):
        message = {"messageDigest": {"algorithm": algorithm}, "signature": signature}
        detached.write_text(json.dumps({"messageSignature": message}), encoding="ascii")
        assert verify(made.archive, Asked(key=tmp_path / "vendor.pub")).ok == good
    for text in ("{}", "[]", '{"messageSignature": 1}', '{"messageSignature": {"signature": "?"}}', '{"a": ' * 9000):
        detached.write_text(text, encoding="ascii")
        assert verify(made.archive, Asked(key=tmp_path / "vendor.pub")).exit_code == 1
    made = make(project, tmp_path / "bare", host)
    assert "no Sigstore signature" in refused(made.archive, Asked(key=tmp_path / "vendor.pub"))


def test_several_signatures_on_one_bundle(
    home: Path, key: Path, project: Path, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNUPGHOME", str(home))
    made = make(project, tmp_path / "out", host, key, "gpg:release")
    found = verify(made.archive, Asked(key=public(key)))
    assert {one.kind: one.state for one in found.signatures} == {"openssh": "good", "gpg": "good"}
    detached = tmp_path / "out/vllm-0.1.0.SHA256SUMS.asc"
    detached.write_bytes(gpg(home, "--local-user", "eve", "--armor", "--detach-sign", given=b"x"))
    assert "is wrong" in refused(made.archive, Asked(key=public(key)))
