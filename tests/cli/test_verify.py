"""``polkit package --sign`` and ``polkit verify`` as vendors and their customers run them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import jsonschema
import pytest

from tests.bundle.keys import ssh_key
from tests.bundle.making import make_project, small_host
from tests.bundle.tampering import TOP, member, packed, resealed, tarred
from tests.cli.conftest import Polkit

ARCHIVE = f"dist/{TOP}.tar.zst"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host, a project and two keys."""
    place = tmp_path_factory.mktemp("world")
    make_project(place / "vllm", small_host(place / "host"))
    ssh_key(place / "acme")
    ssh_key(place / "eve")
    return place


@pytest.fixture
def signed(polkit: Polkit, world: Path) -> Path:
    """The signed archive, made by the command."""
    if not (world / "vllm" / ARCHIVE).exists():
        key = ("--sign", world / "acme", "--builder", "https://ci.example/acme", "--no-proof", "-q")
        done = polkit("package", world / "vllm", "--target", f"host={world / 'host'}", *key, policy=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return world / "vllm" / ARCHIVE


def test_a_customer_takes_it_and_an_impostors_is_refused(polkit: Polkit, world: Path, signed: Path) -> None:
    done = polkit("verify", signed, "--key", world / "acme.pub", "--policy", world / "host")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "vllm 0.1.0: nothing speaks against it"
    assert lines[1].startswith("  SHA256SUMS.sig: OpenSSH signature, good, by ED25519 SHA256:")
    assert lines[2] == (
        "  targets/host/vllm.pp: its source compiles to the same bytes; grants what the manifest claims"
    )
    assert lines[3:] == ["  as host: fits this policy"]
    assert polkit("verify", signed, "--key", world / "acme.pub", "-q", policy=False).stdout == ""

    done = polkit("verify", signed, "--key", world / "eve.pub", "-q", policy=False)
    assert done.returncode == 1
    assert done.stdout.startswith("Refused: signature: SHA256SUMS.sig: is not the vendor's: the key ED25519 SHA256:")
    assert done.stdout.endswith(f"that made it is not in {world / 'eve.pub'}\n")

    done = polkit("verify", signed, policy=False)
    assert done.returncode == 0
    assert "whom nothing here vouches for" in done.stdout
    assert "Warning: SHA256SUMS.sig: signed by ED25519" in done.stdout


def test_json(polkit: Polkit, world: Path, signed: Path, repository: Path) -> None:
    path = repository / "docs/schemas/polkit.verification-1.schema.json"
    done = polkit("verify", signed, "--policy", world / "host", "--format", "json")
    found = json.loads(done.stdout)
    jsonschema.validate(found, json.loads(path.read_text(encoding="utf-8")))
    assert (found["ok"], found["form"], found["signatures"][0]["state"]) == (True, "archive", "unknown")
    done = polkit("verify", world / "none", "--format", "json", policy=False)
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["exit_code"] == 3


def test_every_reason_is_one_line_and_none_reaches_the_terminal_raw(
    polkit: Polkit, tmp_path: Path, signed: Path
) -> None:
    top = signed.parent / TOP
    files = {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    extra = (
        (member(f"{TOP}/\x1b[2J\x07\u202egnp.sh", size=1), b"x"),
        (member(f"{TOP}/a\nRefused: nothing", size=1), b"x"),
        (member(f"{TOP}/../../x", size=1), b"x"),
        (member(f"{TOP}/link", tarfile.SYMTYPE, linkname="/etc/shadow"), b""),
    )
    (tmp_path / "bad.tar.zst").write_bytes(packed(tarred(files, extra, format_=tarfile.GNU_FORMAT)))
    done = polkit("verify", "bad.tar.zst", policy=False)
    assert done.returncode == 1
    assert [line.split(": ")[:2] for line in done.stdout.splitlines()[1:]] == [
        ["Refused", "path"],
        ["Refused", "path"],
        ["Refused", "path"],
        ["Refused", "link"],
    ]
    assert not set("\x1b\x07\u202e") & set(done.stdout)
    assert "\\x1b[2J\\x07\\u202egnp.sh" in done.stdout

    files["manifest.json"] = files["manifest.json"].replace(b'"by-hand"', b'"x"').replace(b'"ACME"', b'"\\u001b[2J"')
    files["manifest.json"] = files["manifest.json"].replace(b'"failed": []', b'"failed": ["\\u001b[31mred\\n"]')
    del files["SHA256SUMS.sig"]
    (tmp_path / "words.tar.zst").write_bytes(packed(tarred(resealed(files))))
    done = polkit("verify", "words.tar.zst", policy=False)
    assert "Warning: host: its own manifest says: \\x1b[31mred\\n" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "name a bundle"),
        (("gone.tar.zst",), 3, "No such file"),
        (("SIGNED", "--key", "gone.pub"), 3, "--key gone.pub"),
        (("SIGNED", "--key", "PRIVATE"), 2, "verifying needs the public one"),
        (("SIGNED", "--root", "."), 2, "--root goes with --installed"),
        (("SIGNED", "--identity", "me"), 2, "needs --issuer"),
        (("SIGNED", "--policy", "HOST", "--target", "el9"), 2, "it has: host"),
        (("SIGNED", "--policy", "gone"), 3, "gone"),
        (("--installed", "no such module"), 2, "can't be the name of a module"),
        (("--installed", "--root", "HOST"), 2, "no bundle was installed here"),
    ],
)
def test_exit_codes(polkit: Polkit, world: Path, signed: Path, words: tuple[str, ...], code: int, said: str) -> None:
    places = {"SIGNED": signed, "PRIVATE": world / "acme", "HOST": world / "host"}
    done = polkit("verify", *(places.get(word, word) for word in words), policy=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_signing_with_what_is_no_key(polkit: Polkit, world: Path) -> None:
    done = polkit("package", world / "vllm", "--sign", "gone", "-o", "out", policy=False)
    assert done.returncode == 3
    assert "name an OpenSSH key, gpg:KEYID or cosign:KEY" in done.stderr
    done = polkit("package", world / "vllm", "--builder", "me", "-o", "out", policy=False)
    assert done.returncode == 2
