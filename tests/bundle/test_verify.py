"""polkit verify: bundles as they are shipped, policies that they fit or not, hosts without compilers."""

from __future__ import annotations

import bz2
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from polkit.bundle import Asked, Installed, Packaged, Verification, package, verification_text, verify, verify_installed
from polkit.errors import SourceError, UsageError
from tests.bundle.exporting import Exports
from tests.bundle.making import Run, evidence, make_project, semodule, small_host
from tests.bundle.tampering import edited, flipped, packed, resealed, tarred
from tests.records import avc


def told(found: Verification, repository: Path) -> dict[str, Any]:
    """What is printed as JSON, held against its schema."""
    schema = json.loads((repository / "docs/schemas/polkit.verification-1.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    value: dict[str, Any] = json.loads(verification_text(found))
    jsonschema.validate(value, schema)
    return value


def files_of(packaged: Packaged) -> dict[str, bytes]:
    top = packaged.directory
    return {path.relative_to(top).as_posix(): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}


def test_what_is_shipped_is_taken(host_bundle: Packaged, host: Path, repository: Path) -> None:
    for bundle in (host_bundle.archive, host_bundle.directory):
        found = verify(bundle, Asked(policy=str(host)))
        assert (found.refusals, found.name, found.version, found.exit_code) == ((), "vllm", "0.1.0", 0)
        assert found.warnings == ("it is not signed: nothing says who made it",)
        assert [tuple(one) for one in found.targets] == [("host", "targets/host/vllm.pp", "identical", True)]
        assert [tuple(one) for one in found.fits or ()] == [("host", (), (), (), True)]
        assert told(found, repository)["ok"] is True
    refused = verify(host_bundle.archive, Asked(require_signature=True))
    assert [tuple(one) for one in refused.refusals] == [("signature", "", "it is not signed")]
    assert told(refused, repository)["refusals"][0]["path"] is None


def test_every_form_of_bundle_is_taken(exports: Exports) -> None:
    for packaged in (exports.bundle, exports.shared, exports.weird):
        found = verify(packaged.archive, Asked(policy=str(exports.host)))
        assert found.refusals == ()
        assert {one.rebuilt for one in found.targets} == {"identical"}
        assert any(warning.startswith("export/: of these files only the sums") for warning in found.warnings)


def test_a_module_that_goes_out_as_cil_and_one_without_evidence(tmp_path: Path) -> None:
    host = small_host(tmp_path / "host")
    (tmp_path / "x.cil").write_text("(block x (type process) (roletype object_r process))\n", encoding="ascii")
    semodule(host, "-X", "100", "-i", tmp_path / "x.cil")
    log = evidence() + avc("read", "x.process", "chr_file", levels=("s0:c0", "s0"), serial=9)
    packaged = package(make_project(tmp_path / "p/vllm", host, log), targets={"host": str(host)})
    found = verify(packaged.archive)
    assert found.refusals == ()
    assert [tuple(one) for one in found.targets] == [("host", "targets/host/vllm.cil", None, True)]
    # Its contexts stand in the manifest too: a label that nobody claims is found.
    files = files_of(packaged)
    files["targets/host/vllm.cil"] += b'(filecon "/etc/shadow" any (u r vllm_model_t ((s0) (s0))))\n'
    forged = tmp_path / "vllm-0.1.0.tar.zst"
    forged.write_bytes(packed(tarred(resealed(files))))
    assert any("/etc/shadow" in one.reason for one in verify(forged).refusals)
    # CIL can hide rules in blocks and macros: what is no plain rule has to be claimed word for word.
    for text in (
        b"(block b (allow vllm_t vllm_t (file (read))))",
        b"(macro m ()",
        b"(optional)",
        b"(allow)",
        b"(" * 9000,
        b"(filecon a)",
        b'(filecon "/x" file (u r t (() ())))',
        b"(filecon /x any ((((()))) r t ((s0) (s0))))",
    ):
        whole = text if text.startswith((b"((", b"(opt")) else files_of(packaged)["targets/host/vllm.cil"] + text
        files = {**files_of(packaged), "targets/host/vllm.cil": whole}
        forged.write_bytes(packed(tarred(resealed(files))))
        assert "claims" in {one.check for one in verify(forged).refusals}, text

    source = tmp_path / "s"
    source.mkdir()
    (source / "polkit.toml").write_text('[module]\nname = "s"\n', encoding="ascii")
    (source / "s.te").write_text("module s 1.0.0;\nrequire { role object_r; }\ntype s_t;\n", encoding="ascii")
    packaged = package(source, targets={"a": str(host)})
    assert (verify(packaged.directory).refusals, packaged.notes) == ((), ())
    packaged = package(source, tmp_path / "bare", force=True)
    assert verify(packaged.directory).refusals == ()


def test_a_module_that_comes_along_does_what_the_manifest_says(tmp_path: Path, host: Path) -> None:
    project = make_project(tmp_path / "p/vllm", host)
    (project / "audit.cil").write_text("; Who reads models.\n(auditallow vllm_t vllm_model_t (file (read)))\n", "ascii")
    packaged = package(project, targets={"host": str(host)}, with_proof=False)
    assert verify(packaged.archive).refusals == ()
    assert b'"audit.cil"' in (packaged.directory / "provenance.json").read_bytes()
    forged = tmp_path / "vllm-0.1.0.tar.zst"
    for text in (
        b"(allow vllm_t self (process (execmem)))\n",
        b"(macro m ((type t)))",
        b"(" * 9000,
        b"\xff",
        b"(allow)",
    ):
        files = files_of(packaged)
        files["optional/audit.cil"] += text
        forged.write_bytes(packed(tarred(resealed(files))))
        assert [(one.check, one.path) for one in verify(forged).refusals] == [("claims", "optional/audit.cil")], text


def test_what_a_policy_lacks_is_named(host_bundle: Packaged, host: Path, tmp_path: Path, repository: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(host, other)
    semodule(other, "-X", "100", "-r", "host")
    found = verify(host_bundle.archive, Asked(policy=str(other)))
    lacking = set((found.fits or ())[0].missing)
    assert {"type xserver_misc_device_t", "class chr_file"} & lacking
    assert [one.check for one in found.refusals] == ["policy"]
    assert "as host it does not fit: the policy lacks type xserver_misc_device_t" in found.refusals[0].reason
    assert set(told(found, repository)["fits"][0]["missing"]) == lacking
    with pytest.raises(UsageError, match="no module for it"):
        verify(host_bundle.archive, Asked(policy=str(host), target="el9"))
    with pytest.raises(SourceError):
        verify(host_bundle.archive, Asked(policy=str(tmp_path / "none")))


def test_a_rule_hidden_among_the_inherited_ones_is_found_on_the_policy(
    host_bundle: Packaged, host: Path, tmp_path: Path
) -> None:
    """Nobody reads inherited rules one by one: calling a rule that is a way to hide it."""
    files = files_of(host_bundle)

    def hide(found: Any) -> None:
        for rule in found["grants"]:
            if rule["target"] == "xserver_misc_device_t":
                rule["origin"] = "inherited"

    edited(files, "manifest.json", hide)
    path = tmp_path / "vllm-0.1.0.tar.zst"
    path.write_bytes(packed(tarred(resealed(files))))
    assert verify(path).ok
    words = "vllm_t xserver_misc_device_t:chr_file { map open read write } is said to be inherited, and"
    found = verify(path, Asked(policy=str(host)))
    assert [(one.check, words in one.reason) for one in found.refusals] == [("claims", True)]
    other = tmp_path / "other"
    shutil.copytree(host, other)
    (tmp_path / "x.cil").write_text("(type x_t) (roletype object_r x_t)\n", encoding="ascii")
    semodule(other, "-X", "400", "-i", tmp_path / "x.cil")
    found = verify(path, Asked(policy=str(other)))
    assert (found.ok, sum(words in warning for warning in found.warnings)) == (True, 1)


def test_a_target_that_fits_is_enough_unless_one_is_named(host: Path, tmp_path: Path) -> None:
    newer = small_host(tmp_path / "newer")
    (tmp_path / "gpu.cil").write_text("(type own_gpu_t) (roletype object_r own_gpu_t)\n", encoding="ascii")
    semodule(newer, "-X", "400", "-i", tmp_path / "gpu.cil")
    log = evidence() + avc("read", "own_gpu_t", "chr_file", levels=("s0:c0", "s0"), serial=9)
    project = make_project(tmp_path / "p/vllm", host, log)
    packaged = package(project, targets={"old": str(host), "new": str(newer)}, with_proof=False)
    found = verify(packaged.archive, Asked(policy=str(host)))
    assert {one.target: one.missing for one in found.fits or ()} == {"new": ("type own_gpu_t",), "old": ()}
    assert found.ok
    assert not verify(packaged.archive, Asked(policy=str(host), target="new")).ok
    assert verify(packaged.archive, Asked(policy=str(host), target="old")).ok


def test_without_compilers_it_says_what_was_not_done(
    host_bundle: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that has nothing but Python and ssh-keygen."""
    monkeypatch.setattr("polkit.module.tools._SEARCH", ())
    monkeypatch.setattr("polkit.module.tools._CONVERTERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    found = verify(host_bundle.archive)
    assert (found.ok, found.targets[0].rebuilt, found.targets[0].claims) == (True, None, None)
    said = " ".join(found.warnings)
    assert "not compiled anew: checkmodule or semodule_package is not installed" in said
    assert "what it grants was not read: pp is not installed" in said


def test_another_compilers_bytes_are_held_by_what_they_say(host_bundle: Packaged, tmp_path: Path) -> None:
    """Some bits of a package mean nothing: with one of them turned it is another file that says the same."""
    forged, states = tmp_path / "vllm-0.1.0.tar.zst", set()
    for part in (0.2, 0.25, 0.35, 0.45):
        files = files_of(host_bundle)
        path = "targets/host/vllm.pp"
        files[path] = flipped(files[path], part)
        files[f"{path}.bz2"] = bz2.compress(files[path])
        digest = hashlib.sha256(files[path]).hexdigest()
        edited(files, "targets/host/proof.json", lambda found, d=digest: found["module"].update(sha256=d))
        forged.write_bytes(packed(tarred(resealed(files))))
        found = verify(forged)
        state = found.targets[0].rebuilt
        states.add(state)
        assert found.ok == (state == "equivalent")
        assert state in ("equivalent", "different")
        assert any("other bytes and says the same" in warning for warning in found.warnings) == found.ok
    assert "equivalent" in states


def test_an_other_toolkits_scripts_are_not_compared_and_that_is_said(host_bundle: Packaged, tmp_path: Path) -> None:
    files = files_of(host_bundle)
    files["install.sh"] += b"# newer\n"
    edited(files, "manifest.json", lambda found: found["toolkit"].update(version="9.9"))
    path = tmp_path / "vllm-0.1.0.tar.zst"
    path.write_bytes(packed(tarred(resealed(files))))
    assert verify(path).ok
    assert any("its scripts are those of toolkit 9.9" in warning for warning in verify(path).warnings)


def test_what_failed_at_the_vendors_is_passed_on(host_bundle: Packaged, tmp_path: Path) -> None:
    files = files_of(host_bundle)
    edited(files, "manifest.json", lambda found: found["targets"]["host"]["failed"].append("it is not safe"))
    path = tmp_path / "vllm-0.1.0.tar.zst"
    path.write_bytes(packed(tarred(resealed(files))))
    assert any("it is not safe" in warning for warning in verify(path).warnings)


def test_installed(host_bundle: Packaged, root: Path, run: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no bundle was installed here"):
        verify_installed(None, Asked(), root)
    assert run(host_bundle.directory, "install.sh").returncode == 0
    for what in (None, "vllm", str(host_bundle.archive), str(host_bundle.directory)):
        found = verify_installed(what, Asked(), root)
        assert isinstance(found, Installed)
        assert (found.same, found.exit_code) == (True, 0)
    files = files_of(host_bundle)
    files["README.md"] += b"x"
    forged = tmp_path / "forged.tar.zst"
    forged.write_bytes(packed(tarred(files)))
    refused = verify_installed(str(forged), Asked(), root)
    assert isinstance(refused, Verification)
    assert [one.check for one in refused.refusals] == ["changed"]
    with pytest.raises(SourceError, match="no such bundle"):
        verify_installed("gone.tar.zst", Asked(), root)


def test_what_cant_be_read_at_all(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, words in (("none", "No such file"), ("fifo", "neither a directory nor an archive")):
        with pytest.raises(SourceError, match=words):
            verify(tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert [one.check for one in verify(tmp_path / "empty").refusals] == ["missing"]


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["vllm-cuda", "vllm-rocm"])
def test_the_shipped_modules(name: str, repository: Path, policy_root: Path, tmp_path: Path) -> None:
    """Thousands of inherited rules, compared one by one."""
    project = tmp_path / name
    shutil.copytree(repository / "modules" / name, project, ignore=shutil.ignore_patterns("dist"))
    packaged = package(project, targets={"debian12": str(policy_root)}, with_proof=False)
    found = verify(packaged.archive, Asked(policy=str(policy_root), target="debian12"))
    assert found.refusals == ()
    assert next(one for one in found.targets if one.name == "debian12").rebuilt == "identical"
