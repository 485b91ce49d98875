"""Whether a host still has what was shipped: asked from outside, of a bundle or of what its install.sh wrote down."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import jsonschema
import pytest

from polkit.bundle import Installed, Packaged, check_installed, installed_text
from polkit.errors import PolkitError, SourceError, UsageError
from tests.bundle.making import Run, semodule, snapshot, with_lists
from tests.minimize.proof_worlds import NAME

PORT = "tcp 9099 spare_port_t\n"
BOOLEAN = "container_use_data 1\n"


def found(installed: Installed) -> list[tuple[str, str]]:
    return [(one.kind, one.what) for one in installed.differences]


def test_before_and_after_installation(host_bundle: Packaged, root: Path, run: Run, repository: Path) -> None:
    before = snapshot(root)
    missing = check_installed(host_bundle.directory, root)
    assert (found(missing), missing.present, missing.fits, missing.exit_code) == ([("absent", "vllm")], False, True, 1)
    with pytest.raises(SourceError, match="no bundle of vllm was installed here"):
        check_installed("vllm", root)
    assert snapshot(root) == before

    assert run(host_bundle.directory, "install.sh").returncode == 0
    for what in (host_bundle.directory, "vllm"):
        there = check_installed(what, root)
        assert (there.differences, there.same, there.fits, there.exit_code) == ((), True, True, 0)
        assert (there.name, there.version, there.target) == ("vllm", "0.1.0", "host")
    schema = json.loads((repository / "docs/schemas/polkit.installed-1.schema.json").read_text(encoding="utf-8"))
    for told in (missing, there):
        jsonschema.validate(json.loads(installed_text(told)), schema)
    assert json.loads(installed_text(there))["same"] is True


def test_what_drifted_is_named(host_bundle: Packaged, root: Path, run: Run, tmp_path: Path) -> None:
    """One thing after the other is changed as somebody on the host would."""
    bundle = with_lists(host_bundle.directory, tmp_path / "b", PORT, BOOLEAN)
    assert run(bundle, "install.sh").returncode == 0
    active = root / "var/lib/selinux" / NAME / "active"
    assert check_installed("vllm", root).differences == ()

    os.setxattr(root / "srv/models/w", "security.selinux", b"system_u:object_r:etc_t:s0\0")
    assert found(check_installed("vllm", root)) == [("label", "/srv/models")]
    (active / "booleans.local").write_text("container_use_data=0\n", encoding="ascii")
    (active / "ports.local").write_text("portcon tcp 9000-9100 system_u:object_r:http_port_t:s0\n", encoding="ascii")
    (active / "file_contexts.local").write_text("/srv/models(/.*)? system_u:object_r:etc_t:s0\n", encoding="ascii")
    semodule(root, "-B")
    changed = check_installed("vllm", root)
    assert changed.same
    assert found(changed) == [
        ("port", "9099/tcp"),
        ("boolean", "container_use_data"),
        ("label", "/srv/models"),
        ("context", "/srv/models"),
    ]
    assert "port 9099/tcp is http_port_t, not spare_port_t" in [one.text for one in changed.differences]


def test_a_module_that_is_not_the_shipped_one(host_bundle: Packaged, root: Path, run: Run, tmp_path: Path) -> None:
    assert run(host_bundle.directory, "install.sh").returncode == 0
    semodule(root, "-d", "vllm")
    assert found(check_installed("vllm", root))[0] == ("disabled", "vllm")
    semodule(root, "-e", "vllm")
    (tmp_path / "vllm.cil").write_text("(type vllm_t) (type vllm_model_t)\n", encoding="ascii")
    semodule(root, "-X", "400", "-i", tmp_path / "vllm.cil")
    shadowed = check_installed(host_bundle.directory, root)
    assert ("shadowed", "vllm") in found(shadowed)
    assert (shadowed.same, shadowed.fits) == (True, False)
    semodule(root, "-X", "400", "-r", "vllm", "-X", "200", "-i", tmp_path / "vllm.cil")
    replaced = check_installed(host_bundle.directory, root)
    assert ("changed", "vllm") in found(replaced)
    assert not replaced.same


def test_a_policy_that_lacks_what_the_module_needs(host_bundle: Packaged, root: Path) -> None:
    """A device type is gone; rules on it would fall away, and the plan says that evidence asks for them."""
    source = (Path(__file__).parent / "sources/host.cil").read_text(encoding="ascii")
    (root.parent / "host.cil").write_text(source.replace("xserver_misc_device_t", "other_device_t"), encoding="ascii")
    semodule(root, "-X", "100", "-i", root.parent / "host.cil")
    there = check_installed(host_bundle.directory, root)
    assert not there.fits
    assert ("lacking", "type xserver_misc_device_t") in found(there)


def test_a_policy_that_forbids_what_the_module_grants(host_bundle: Packaged, root: Path, run: Run) -> None:
    """A neverallow rule that the module would break is named; one that the host breaks by itself is not its doing."""
    (root.parent / "strict.cil").write_text(
        "(typeattribute guarded) (typeattributeset guarded (xserver_misc_device_t dri_device_t))"
        "(type trusted_t) (roletype system_r trusted_t)"
        "(typeattribute others) (typeattributeset others (and domain (not trusted_t)))"
        "(neverallow others xserver_misc_device_t (chr_file (write)))\n",
        encoding="ascii",
    )
    semodule(root, "-X", "100", "-i", root.parent / "strict.cil")
    before = snapshot(root)
    there = check_installed(host_bundle.directory, root)
    assert not there.fits
    assert "(allow vllm_t xserver_misc_device_t (chr_file" in " ".join(one.text for one in there.differences)
    refused = run(host_bundle.directory, "install.sh")
    assert (refused.returncode, "(neverallow others xserver_misc_device_t" in refused.stderr) == (1, True)
    assert run(host_bundle.directory, "install.sh", "--check").returncode == 1
    assert snapshot(root) == before

    strict = (root.parent / "strict.cil").read_text(encoding="ascii")
    (root.parent / "strict.cil").write_text(
        strict.replace("xserver_misc_device_t (chr", "dri_device_t (chr")
        + "(type bad_t) (roletype system_r bad_t) (typeattributeset domain (bad_t))"
        "(allow bad_t dri_device_t (chr_file (write)))\n",
        encoding="ascii",
    )
    semodule(root, "-X", "100", "-i", root.parent / "strict.cil")
    assert check_installed(host_bundle.directory, root).fits
    assert run(host_bundle.directory, "install.sh").returncode == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("manifest.json", "{}"),
        ("manifest.json", "[" * 100000),
        ("manifest.json", '{"name": "a\\nb", "version": "1", "targets": {}}'),
        ("manifest.json", '{"name": "vllm", "version": "$(id)", "targets": {}}'),
    ],
)
def test_what_is_no_bundle(tmp_path: Path, root: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="ascii")
    with pytest.raises(PolkitError) as refused:
        check_installed(tmp_path, root)
    assert refused.value.exit_code in (2, 3)


def test_hostile_values_never_reach_the_scripts(host_bundle: Packaged, tmp_path: Path, root: Path) -> None:
    manifest = json.loads((host_bundle.directory / "manifest.json").read_text(encoding="ascii"))
    target = manifest["targets"]["host"]
    for change in (
        {"types": ["a_t)|(b"]},
        {"booleans": {"x/e;id": True}},
        {"ports": [{"protocol": "tcp", "port": "1;id", "type": "a_t"}]},
        {"contexts": [{"pattern": "/srv/../etc", "kind": "", "context": "system_u:object_r:a_t:s0"}]},
        {"contexts": [{"pattern": "srv", "kind": "", "context": "system_u:object_r:a_t:s0"}]},
    ):
        bundle = tmp_path / "hostile"
        shutil.rmtree(bundle, ignore_errors=True)
        shutil.copytree(host_bundle.directory, bundle)
        told = {**manifest, "targets": {"host": {**target, **change}}}
        (bundle / "manifest.json").write_text(json.dumps(told), encoding="ascii")
        with pytest.raises(SourceError):
            check_installed(bundle, root)


def test_what_can_not_be_asked(host_bundle: Packaged, tmp_path: Path, root: Path) -> None:
    with pytest.raises(UsageError, match="is no system's root"):
        check_installed(host_bundle.directory, tmp_path / "nothing")
    with pytest.raises(SourceError, match="there is no module store"):
        check_installed(host_bundle.directory, root, store="other")
    with pytest.raises(UsageError, match="no module for the target el9"):
        check_installed(host_bundle.directory, root, target="el9")
    with pytest.raises(UsageError, match="can't be the name of a module"):
        check_installed("../vllm", root)
