"""Bundles that somebody changed on the way: each is refused, for the right reason, and nothing happens elsewhere."""

from __future__ import annotations

import bz2
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polkit.bundle import Asked, Packaged, verify
from polkit.module import build_package
from tests.bundle.tampering import OUTSIDE, TOP, Case, Files, flipped, member, packed, resealed, tarred
from tests.bundle.tampering_cases import MODULE, cases, sealed_cases

SEALED = dict(sealed_cases())
CASES = {**dict(cases()), **SEALED}
NAMES = [pytest.param(name, marks=[pytest.mark.heavy] if name in list(SEALED)[1::2] else []) for name in CASES]
"""Half of those that take a compiler are left to the long run."""


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The vendor's key."""
    place = tmp_path_factory.mktemp("key") / "vendor"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "vendor", "-f", place], check=True)
    return place


@pytest.fixture(scope="module")
def signed(host_bundle: Packaged, key: Path) -> Files:
    """A bundle's files, signed."""
    top = host_bundle.directory
    files = {path.relative_to(top).as_posix(): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}
    argv = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", "bundle@selinux-polkit"]
    made = subprocess.run(argv, input=files["SHA256SUMS"], capture_output=True, check=True)
    return {**files, "SHA256SUMS.sig": made.stdout}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the archive lies; what is written beside it, to the working directory or to /tmp is seen."""
    for name in ("here", "scratch", "bundle"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path / "bundle" / f"{TOP}.tar.zst"


def nothing_elsewhere(place: Path) -> None:
    root = place.parent.parent
    assert [path.relative_to(root).as_posix() for path in sorted(root.rglob("*"))] == [
        "bundle",
        f"bundle/{place.name}",
        "here",
        "scratch",
    ]
    assert not Path(OUTSIDE).exists()


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 300


def test_the_bundle_that_nobody_changed_is_taken(signed: Files, key: Path, place: Path) -> None:
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        place.write_bytes(packed(tarred(signed, format_=form)))
        found = verify(place, Asked(key=key.with_suffix(".pub")))
        assert (found.refusals, found.warnings) == ((), ())
    # As tar writes it from a directory: with directories, owners, and times in fractions of a second.
    extra = ((member(f"{TOP}/source", tarfile.DIRTYPE, mtime=1.5, uname="me", mode=0o755), b""),)
    place.write_bytes(packed(tarred(signed, extra, format_=tarfile.PAX_FORMAT), "gz"))
    assert verify(place, Asked(key=key.with_suffix(".pub"))).ok
    nothing_elsewhere(place)


@pytest.mark.parametrize("name", NAMES)
def test_a_tampered_bundle_is_refused(name: str, signed: Files, place: Path) -> None:
    case: Case = CASES[name]
    place.write_bytes(case.make(signed))
    found = verify(place)
    # The signature still is over the old sums: without it, the reason is what was done.
    reasons = {one.check for one in found.refusals} - {"signature"}
    if not reasons:
        unsigned = {path: content for path, content in signed.items() if path != "SHA256SUMS.sig"}
        place.write_bytes(case.make(unsigned))
        found = verify(place)
        reasons = {one.check for one in found.refusals}
    assert found.exit_code == 1
    assert reasons & case.checks, (name, found.refusals)
    nothing_elsewhere(place)


SILENT = ("README.md", "evidence/vllm.ledger", "targets/host/plan.json", "source/vllm.if")
"""Nothing but the signature tells whether these are the vendor's."""


@pytest.mark.parametrize("path", SILENT)
def test_what_nothing_else_tells_the_signature_does(path: str, signed: Files, key: Path, place: Path) -> None:
    files = resealed({**signed, path: signed[path] + b"\n"})
    place.write_bytes(packed(tarred(files)))
    found = verify(place)
    assert [one.check for one in found.refusals] == ["signature"]
    assert "was not made over this SHA256SUMS" in found.refusals[0].reason
    del files["SHA256SUMS.sig"]
    place.write_bytes(packed(tarred(files)))
    assert verify(place).ok  # unsigned, and consistent in itself: said so
    assert "not signed" in " ".join(verify(place).warnings)
    assert [one.check for one in verify(place, Asked(key=key.with_suffix(".pub"))).refusals] == ["signature"]
    assert [one.check for one in verify(place, Asked(require_signature=True)).refusals] == ["signature"]


def test_a_rule_that_source_and_sums_agree_on_is_missed_in_the_manifest(signed: Files, place: Path) -> None:
    """The strongest forger rebuilds the module from a changed source, and makes every sum anew."""
    files = {path: content for path, content in signed.items() if path != "SHA256SUMS.sig"}
    te = files["targets/host/vllm.te"].decode() + "require { attribute file_type; class file write; }\n"
    te += "allow vllm_t file_type:file write;\n"
    files["targets/host/vllm.te"] = te.encode()
    files[MODULE] = build_package("vllm", te, files["targets/host/vllm.fc"].decode(), True, 19)
    files[f"{MODULE}.bz2"] = bz2.compress(files[MODULE])
    place.write_bytes(packed(tarred(resealed(files))))
    found = verify(place)
    assert found.targets[0].rebuilt == "identical"
    reasons = [one.reason for one in found.refusals]
    assert "grants allow vllm_t file_type:file { write }, which the manifest does not claim" in reasons


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_byte_is_turned(signed: Files, place: Path, data: st.DataObject) -> None:
    """Any bit of any file, and any byte of the tar: refused, or the bundle reads as it was."""
    if data.draw(st.booleans()):
        # Of the signature's own text a line's end may change: what it says is compared, not how it is wrapped.
        named = sorted(path for path, content in signed.items() if content and path != "SHA256SUMS.sig")
        path = data.draw(st.sampled_from(named))
        bad = flipped(signed[path], data.draw(st.floats(0, 1)), data.draw(st.integers(0, 7)))
        place.write_bytes(packed(tarred({**signed, path: bad})))
        assert not verify(place).ok
    else:
        tar = flipped(tarred(signed), data.draw(st.floats(0, 1)), data.draw(st.integers(0, 7)))
        place.write_bytes(packed(tar))
        found = verify(place)
        assert not found.ok or found.files == signed


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "../x", "\0", "$(id)"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def leaves(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield way
    found = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in found:
        yield from leaves(inner, (*way, key))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_value_in_the_manifest_is_read_or_refused(signed: Files, place: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(["manifest.json", "provenance.json", "sbom.cdx.json", "targets/host/proof.json"]))
    files = {name: content for name, content in signed.items() if name != "SHA256SUMS.sig"}
    found = json.loads(files[path])
    way = data.draw(st.sampled_from(sorted(leaves(found), key=repr)))
    if way:
        inner = found
        for key in way[:-1]:
            inner = inner[key]
        inner[way[-1]] = data.draw(JSON)
    files[path] = json.dumps(found).encode()
    place.write_bytes(packed(tarred(resealed(files, statements=False))))
    assert verify(place).exit_code in (0, 1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=3000), st.sampled_from(["raw", "zst", "gz"]))
def test_any_bytes_are_read_or_refused(place: Path, content: bytes, kind: str) -> None:
    place.write_bytes(content if kind == "raw" else packed(content, kind))
    assert not verify(place).ok


def unpacked(files: Files, top: Path) -> None:
    for path, content in files.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(content)


def test_a_directory_is_held_to_the_same(signed: Files, tmp_path: Path) -> None:
    top = tmp_path / TOP
    unpacked(signed, top)
    assert verify(top).ok
    tricks: dict[str, Callable[[], object]] = {
        "link": lambda: (top / "x").symlink_to("/etc/passwd"),
        "device": lambda: os.mkfifo(top / "x"),
        "path": lambda: (top / "x y").write_text(""),
        "additional": lambda: (top / "x").write_text(""),
        "archive": lambda: os.close(os.open(top / "x", os.O_CREAT, 0o4755)),
    }
    for check, trick in tricks.items():
        trick()
        assert check in {one.check for one in verify(top).refusals}
        next(top.glob("x*")).unlink()
    (top / "x").mkdir()
    assert {one.check for one in verify(top).refusals} == {"additional"}
    (top / "x").rmdir()
    (top / "source").rename(tmp_path / "moved")
    (top / "source").symlink_to(tmp_path / "moved")
    assert {one.check for one in verify(top).refusals} == {"link"}
    assert verify(tmp_path / "moved").refusals
