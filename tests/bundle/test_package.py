"""polkit package: what is in a bundle, that it holds, and that it is the same wherever it is built."""

from __future__ import annotations

import bz2
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import zstandard

from polkit.bundle import Packaged, package
from polkit.errors import PolkitError, UsageError
from polkit.module import build_package
from tests.bundle.making import evidence, make_project, semodule, small_host
from tests.records import avc


def manifest_of(packaged: Packaged) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((packaged.directory / "manifest.json").read_text(encoding="ascii"))
    return found


def test_a_bundle_says_what_it_holds_and_grants(host_bundle: Packaged, repository: Path, host: Path) -> None:
    top, manifest = host_bundle.directory, manifest_of(host_bundle)
    schema = json.loads((repository / "docs/schemas/polkit.bundle-1.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(manifest)
    files = {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    sums = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    assert manifest["files"] == {path: sums[path] for path in files if path not in ("manifest.json", "SHA256SUMS")}
    assert (
        subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=top, check=False).returncode == 0
    )
    assert len(files["SHA256SUMS"].splitlines()) == len(files) - 1

    target = manifest["targets"]["host"]
    assert (target["domain"], target["base"], target["policydb"]) == ("vllm_t", "container_t", 19)
    assert target["types"] == ["vllm_model_t", "vllm_t"]
    (binary,) = host.glob("etc/selinux/*/policy/policy.*")
    assert target["policy"]["sha256"] == hashlib.sha256(binary.read_bytes()).hexdigest()
    asked = {
        (one["source"], one["target"], one["class"]): one["perms"]
        for one in manifest["grants"]
        if one["origin"] == "evidence"
    }
    assert asked["vllm_t", "xserver_misc_device_t", "chr_file"] == ["map", "open", "read", "write"]
    assert {key[1] for key in asked} == {"xserver_misc_device_t", "vllm_model_t"}
    assert not any(one["origin"] == "by-hand" for one in manifest["grants"])
    # The GPU's type may go from the policy later without blocking that, and must be there at installation.
    assert "xserver_misc_device_t" in target["requires"]["types"]
    assert target["requires"]["attributes"] == ["container_domain", "domain", "file_type"]
    assert target["statements"] == ["(roletype system_r vllm_t)"]

    readme = files["README.md"].decode("ascii")
    assert "`vllm_t` may read, map into memory, write `xserver_misc_device_t` character devices" in readme
    assert "system_u:object_r:vllm_model_t:s0" in readme


def test_the_package_is_what_its_source_says(host_bundle: Packaged) -> None:
    place = host_bundle.directory / "targets/host"
    te, fc = ((place / f"vllm.{suffix}").read_text(encoding="utf-8") for suffix in ("te", "fc"))
    assert build_package("vllm", te, fc, True, 19) == (place / "vllm.pp").read_bytes()
    assert bz2.decompress((place / "vllm.pp.bz2").read_bytes()) == (place / "vllm.pp").read_bytes()
    before, _, _ = te.partition("allow vllm_t xserver_misc_device_t:chr_file")
    assert before.endswith("optional {\n    require { type xserver_misc_device_t; }\n    ")


def test_the_scripts_are_clean(host_bundle: Packaged) -> None:
    scripts = sorted(path.name for path in host_bundle.directory.glob("*.sh"))
    shared = ["changes.sh", "common.sh", "facts.sh", "host.sh"]
    assert scripts == sorted([*shared, "install.sh", "rollback.sh", "uninstall.sh", "verify.sh"])
    for name in scripts:
        subprocess.run(["sh", "-n", name], cwd=host_bundle.directory, check=True)
        text = (host_bundle.directory / name).read_text(encoding="ascii")
        assert "setenforce" not in text
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "-x", *scripts], cwd=host_bundle.directory, check=True)


def members(archive: Path) -> list[tarfile.TarInfo]:
    content = archive.read_bytes()
    plain = zstandard.ZstdDecompressor().decompress(content) if archive.suffix == ".zst" else None
    if plain is None:
        with tarfile.open(archive, "r:gz") as opened:
            return opened.getmembers()
    import io

    with tarfile.open(fileobj=io.BytesIO(plain)) as opened:
        return opened.getmembers()


@pytest.mark.parametrize("compression", ["zst", "gz"])
def test_two_builds_elsewhere_are_the_same_bytes(tmp_path: Path, host: Path, compression: str) -> None:
    made = make_project(tmp_path / "one", host)
    results = []
    for place, umask, zone, epoch in (("one", "022", "UTC", ""), ("another/place", "077", "Asia/Kathmandu", "0")):
        project = tmp_path / place
        if not project.exists():
            shutil.copytree(made, project, ignore=shutil.ignore_patterns("dist", "policies"))
        shutil.copytree(host, project / "policies/old")
        words = f'umask {umask}; exec "$0" -m polkit package --target old=policies/old --compression {compression} -q'
        env = {**os.environ, "TZ": zone, "SOURCE_DATE_EPOCH": epoch, "HOME": str(project), "USER": place[:3]}
        subprocess.run(["sh", "-c", words, sys.executable], cwd=project, env=env, check=True)
        dist = project / "dist"
        listed = ["vllm-0.1.0", "vllm-0.1.0.intoto.json", f"vllm-0.1.0.tar.{compression}"]
        assert sorted(path.name for path in dist.iterdir()) == listed
        tree = {
            path.relative_to(dist).as_posix(): (
                path.lstat().st_mode,
                path.lstat().st_mtime,
                path.read_bytes() if path.is_file() else b"",
            )
            for path in sorted(dist.glob("vllm-0.1.0/**/*"))
        }
        results.append((tree, *((dist / name).read_bytes() for name in listed[1:])))
    assert results[0] == results[1]
    assert str(tmp_path).encode() not in b"".join(content for _, _, content in results[0][0].values())
    found = members(tmp_path / f"one/dist/vllm-0.1.0.tar.{compression}")
    assert {(one.uid, one.gid, one.uname, one.gname, one.mtime) for one in found} == {(0, 0, "", "", 0)}
    assert {one.name.split("/")[0] for one in found} == {"vllm-0.1.0"}
    assert {oct(one.mode) for one in found} == {"0o644", "0o755"}


def test_source_date_epoch_is_the_time_of_everything(tmp_path: Path, host: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    project = make_project(tmp_path / "p", host)
    packaged = package(project, targets={"old": str(host)})
    assert {one.mtime for one in members(packaged.archive)} == {1700000000}
    assert {int(path.stat().st_mtime) for path in packaged.directory.rglob("*")} == {1700000000}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        package(project, force=True)


def test_what_is_there_is_not_overwritten_unasked(tmp_path: Path, host: Path) -> None:
    project = make_project(tmp_path / "p", host)
    packaged = package(project, tmp_path / "out")
    assert packaged.notes == ("polkit.toml names no target, so there is no compiled module: source only",)
    (packaged.directory / "stray").write_text("x", encoding="utf-8")
    with pytest.raises(PolkitError, match="released with other content: stray differs"):
        package(project, tmp_path / "out")
    package(project, tmp_path / "out", force=True)
    assert not (packaged.directory / "stray").exists()
    listed = ["vllm-0.1.0", "vllm-0.1.0.intoto.json", "vllm-0.1.0.tar.zst"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == listed


def test_a_target_without_a_policy_gets_the_source_alone(tmp_path: Path, host: Path) -> None:
    project = make_project(tmp_path / "p", host)
    config = project / "polkit.toml"
    config.write_text(config.read_text(encoding="utf-8") + "\n[targets.el8]\npolicydb = 19\n", encoding="utf-8")
    packaged = package(project, targets={"old": str(host)})
    targets = manifest_of(packaged)["targets"]
    assert targets["el8"]["module"] is None
    assert targets["el8"]["reason"].startswith("no policy or store")
    assert not (packaged.directory / "targets/el8").exists()
    assert (packaged.directory / "source/vllm.te").is_file()
    assert "\nTARGETS=old\n" in (packaged.directory / "facts.sh").read_text(encoding="ascii")


def test_what_was_written_by_hand_is_shipped_and_said_to_be(tmp_path: Path, host: Path) -> None:
    project = make_project(tmp_path / "p", host)
    with (project / "vllm.te").open("a", encoding="utf-8") as file:
        file.write("require { type vllm_t; type dri_device_t; class chr_file getattr; }\n")
        file.write("allow vllm_t dri_device_t:chr_file getattr;\npermissive vllm_t;\n")
    with (project / "vllm.fc").open("a", encoding="utf-8") as file:
        file.write("/run/vllm(/.*)?  system_u:object_r:vllm_t:s0\n")
    config = project / "polkit.toml"
    text = config.read_text(encoding="utf-8") + '\n[targets.old]\nrewrite = ["/run:/var/run"]\n'
    config.write_text(text, encoding="utf-8")
    packaged = package(project, targets={"old": str(host)})
    by_hand = [one for one in manifest_of(packaged)["grants"] if one["origin"] == "by-hand"]
    assert [(one["target"], one["perms"], one["targets"]) for one in by_hand] == [
        ("dri_device_t", ["getattr"], ["old"])
    ]
    contexts = manifest_of(packaged)["targets"]["old"]["contexts"]
    assert [one["pattern"] for one in contexts if "run" in one["pattern"]] == ["/var/run/vllm(/.*)?"]
    readme = (packaged.directory / "README.md").read_text(encoding="ascii")
    assert "written by hand" in readme
    assert "(typepermissive vllm_t)" in manifest_of(packaged)["targets"]["old"]["statements"]
    assert "makes domains permissive: nothing is refused to them**: `(typepermissive vllm_t)`" in readme
    assert "never turns SELinux off" not in readme


HOSTILE = avc(
    "open read", "dri_device_t", "chr_file", levels=("s0:c0", "s0"), fields="comm=60726D202D7266202F600A7C3C623E"
)


def test_log_text_is_nothing_but_text_in_readme_and_scripts(tmp_path: Path, host: Path) -> None:
    project = make_project(tmp_path / "p", host, HOSTILE)
    config = project / "polkit.toml"
    text = config.read_text(encoding="utf-8").replace("A model server", "<script>| `x` [a](b) $(id)")
    config.write_text(text, encoding="utf-8")
    packaged = package(project, targets={"old": str(host)})
    readme = (packaged.directory / "README.md").read_text(encoding="ascii")
    assert "<script>" not in readme
    assert "\\<script\\>\\| \\`x\\` \\[a\\]\\(b\\) $\\(id\\)" in readme
    for path in packaged.directory.glob("*.sh"):
        assert "$(id)" not in path.read_text(encoding="ascii")


def test_each_target_gets_only_what_it_lacks(tmp_path: Path, host: Path) -> None:
    """Another release's policy has one of the rules already: it is not shipped there."""
    newer = small_host(tmp_path / "newer")
    (tmp_path / "more.cil").write_text("(allow container_t xserver_misc_device_t (chr_file (map open read write)))\n")
    semodule(newer, "-X", "400", "-i", tmp_path / "more.cil")
    project = make_project(tmp_path / "p", host)
    packaged = package(project, targets={"el9": str(host), "el10": str(newer)})
    assert packaged.failed == ()
    manifest = manifest_of(packaged)
    gpu = next(row for row in manifest["side_by_side"] if "xserver_misc_device_t" in row["text"])
    assert gpu["targets"] == {"el10": "already-allowed", "el9": "map open read write"}
    label = next(row for row in manifest["side_by_side"] if row["what"] == "label")
    assert set(label["targets"].values()) == {"system_u:object_r:vllm_model_t:s0"}
    asked = [one for one in manifest["grants"] if one["origin"] == "evidence" and "xserver" in one["target"]]
    assert [one["targets"] for one in asked] == [["el9"]]
    for name in ("el9", "el10"):
        proof = manifest["targets"][name]["proof"]
        assert [proof[word] for word in ("covered", "minimal", "contained", "safe")] == [True] * 4
    assert "already-allowed" in (packaged.directory / "README.md").read_text(encoding="ascii")


def test_a_target_gets_the_format_it_loads_and_no_class_it_does_not_know(tmp_path: Path, host: Path) -> None:
    newer = avc("create", "container_t", "user_namespace", levels=("s0:c0", "s0:c0"), serial=7)
    project = make_project(tmp_path / "p", host, evidence() + newer)
    config = project / "polkit.toml"
    config.write_text(config.read_text(encoding="utf-8") + "\n[targets.new]\npolicydb = 21\n", encoding="utf-8")
    packaged = package(project, targets={"old": str(host), "new": str(host)})
    targets = manifest_of(packaged)["targets"]
    formats = {}
    for name in ("old", "new"):
        content = (packaged.directory / f"targets/{name}/vllm.pp").read_bytes()
        # libsepol's policydb.c: a module is its name, then its type and the version of its format.
        start = content.index(b"SE Linux Module") + len(b"SE Linux Module") + 4
        formats[name] = int.from_bytes(content[start : start + 4], "little")
        assert targets[name]["left_out"] == ["container_t container_t:user_namespace { create }: unknown-class"]
        assert "user_namespace" not in targets[name]["requires"]["permissions"]
    assert formats == {"old": 19, "new": 21}
    assert "unknown-class" in (packaged.directory / "README.md").read_text(encoding="ascii")


def test_a_project_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no module project"):
        package(tmp_path)
    (tmp_path / "polkit.toml").write_text('[module]\nname = "x"\n', encoding="utf-8")
    with pytest.raises(UsageError, match="neither evidence nor"):
        package(tmp_path)
    (tmp_path / "x.te").write_text("module x 2.0.0;\nrequire { role object_r; }\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"x\.te says x 2\.0\.0, polkit\.toml says x 1\.0\.0"):
        package(tmp_path)
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence/a.log").write_text(evidence(), encoding="utf-8")
    (tmp_path / "x.te").unlink()
    with pytest.raises(UsageError, match=r"there is no x\.te"):
        package(tmp_path)
    assert not (tmp_path / "dist").exists()


def test_statements_in_a_source_without_marks_are_not_lost_in_silence(tmp_path: Path, host: Path) -> None:
    project = make_project(tmp_path / "p", host)
    source = project / "vllm.te"
    lines = source.read_text(encoding="ascii").splitlines(keepends=True)
    source.write_text("".join(line for line in lines if not line.startswith("# --- polkit:")), encoding="ascii")

    def notes() -> tuple[str, ...]:
        return package(project, targets={"host": str(host)}, with_proof=False, force=True).notes

    assert not any("marks" in note for note in notes())
    with source.open("a", encoding="ascii") as file:
        file.write("require {\n    class process execmem;\n}\nallow vllm_t vllm_t:process execmem;\n")
    (note,) = (note for note in notes() if "marks" in note)
    assert note.startswith("vllm.te has no marks around its generated part") and note.endswith(
        "in no target's module: allow vllm_t vllm_t:process execmem;"
    )
