"""CIL as udica writes it: compiled with templates, it gives what the module gives, and goes without a trace."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from polkit.module import fast_place
from polkit.policy import load_policy
from tests.bundle.exporting import TEMPLATES, Exports, as_cil, as_raw_cil, assert_grants, exported, make_export, read
from tests.bundle.making import semodule, snapshot
from tests.records import avc


def test_a_block_gives_what_the_module_gives(exports: Exports, node: Path) -> None:
    before = snapshot(node)
    semodule(node, "-X", "200", "-i", exported(exports.bundle, "udica") / "el9/vllm_udica.cil")
    assert_grants(load_policy(str(node)), "vllm_udica.process", "vllm_udica.")
    (contexts,) = node.glob("etc/selinux/*/contexts/files/file_contexts")
    assert "/srv/models(/.*)?\tsystem_u:object_r:vllm_udica.vllm_model_t:s0\n" in contexts.read_text(encoding="ascii")
    semodule(node, "-X", "200", "-r", "vllm_udica")
    assert snapshot(node) == before


def test_a_block_stands_beside_the_bundle_and_hides_nothing(exports: Exports, node: Path) -> None:
    """Its module has a name of its own; of the labels only one of the two can be."""
    block = exported(exports.bundle, "udica") / "el9/vllm_udica.cil"
    module = exports.bundle.directory / "targets/el9/vllm.pp"
    text = block.read_text(encoding="ascii")
    without = node.parent / block.name
    without.write_text("".join(line for line in text.splitlines(keepends=True) if "(filecon" not in line), "ascii")
    semodule(node, "-X", "200", "-i", without, "-i", module)
    assert {"vllm", "vllm_udica"} <= set(semodule(node, "-l").split())


def test_what_the_policy_can_lose_is_optional(exports: Exports, node: Path, tmp_path: Path) -> None:
    """A type of others that is gone takes its rules along, and nothing else."""
    block = exported(exports.bundle, "udica") / "el9/vllm_udica.cil"
    text = block.read_text(encoding="ascii").replace("dri_device_t", "a_type_that_is_gone_t")
    gone = tmp_path / block.name
    gone.write_text(text, encoding="ascii")
    semodule(node, "-X", "200", "-i", gone)
    policy = load_policy(str(node))
    assert policy.allowed("vllm_udica.process", "xserver_misc_device_t", "chr_file")
    assert not policy.allowed("vllm_udica.process", "dri_device_t", "chr_file")


def test_a_weird_path_compiles(exports: Exports, node: Path) -> None:
    semodule(node, "-X", "200", "-i", exported(exports.weird, "udica") / "el9/weird_udica.cil")
    label = load_policy(str(node)).file_label('/srv/a b/{{ 7*7 }}/$(id)/%h/it\'s "q"/#x\\n/!unsafe/w', "file")
    assert label is not None
    assert label.type == "weird_udica.weird_model_t"


def test_a_domain_that_starts_from_nothing_needs_no_template(exports: Exports, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(exports.host, root)
    semodule(root, "-X", "200", "-i", exported(exports.bare, "udica") / "el9/bare_udica.cil")
    policy = load_policy(str(root))
    assert policy.allowed("bare_udica.process", "data_t", "file") == {"open", "read"}
    assert policy.role_has_type("system_r", "bare_udica.process")


def test_a_module_that_goes_out_as_cil_goes_out_so(node: Path, tmp_path: Path) -> None:
    """A type with a dot is in no .te; the block and the profile say it, and the labels go along."""
    (tmp_path / "x.cil").write_text(
        "(block x (type data) (roletype object_r data) (typeattributeset file_type (data)))\n", encoding="ascii"
    )
    semodule(node, "-X", "100", "-i", tmp_path / "x.cil")
    bundle = make_export(tmp_path, node, avc("read", "x.data", levels=("s0:c0", "s0"), serial=8))
    assert bundle.manifest["targets"]["el9"]["module"].endswith(".cil")
    semodule(node, "-X", "200", "-i", exported(bundle, "udica") / "el9/vllm_udica.cil")
    policy = load_policy(str(node))
    assert policy.allowed("vllm_udica.process", "x.data", "file") == {"read"}
    assert_grants(policy, "vllm_udica.process", "vllm_udica.")
    label = policy.file_label("/srv/models/w", "file")
    assert label is not None
    assert label.type == "vllm_udica.vllm_model_t"
    profile = read(exported(bundle, "kubernetes") / "el9/selinuxprofile.yaml")
    assert profile["spec"]["allow"]["x.data"] == {"file": ["read"]}
    (target, _) = read(exported(bundle, "ansible") / "vars.yml")["selinux_bundle_targets"].values()
    assert (target["module"], target["restore_dirs"]) == ("targets/debian12/vllm.cil", ["/srv/models"])


def test_no_block_without_a_domain(exports: Exports) -> None:
    assert not exported(exports.shared, "udica").exists()
    assert any(note.startswith("udica: el9: the module has no domain of its own") for note in exports.shared.notes)


@pytest.mark.heavy
def test_a_real_store_takes_block_and_profiles(exports: Exports, policy_root: Path, tmp_path: Path) -> None:
    """It is stricter than the small one: it says of no attribute that its types are those of objects."""
    place = exported(exports.bundle, "kubernetes") / "el9"
    profile, raw = (read(place / f"{kind}.yaml") for kind in ("selinuxprofile", "rawselinuxprofile"))
    modules = [TEMPLATES, exported(exports.bundle, "udica") / "el9/vllm_udica.cil"]
    for name, text in (("vllm", as_cil(profile)), ("vllm-rules", as_raw_cil(raw))):
        (tmp_path / f"{name}.cil").write_text(text, encoding="ascii")
        modules.append(tmp_path / f"{name}.cil")
    with tempfile.TemporaryDirectory(dir=fast_place(), prefix="polkit-") as scratch:
        root = Path(scratch) / "root"
        shutil.copytree(policy_root, root, symlinks=True)
        (store,) = (path.parent.name for path in root.glob("etc/selinux/*/policy"))
        semodule(root, "-X", "200", *(word for module in modules for word in ("-i", module)), store=store)
        policy = load_policy(str(root))
    for domain, types in (("vllm_udica.process", "vllm_udica."), ("vllm.process", "vllm-rules_.")):
        assert {"open", "read"} <= policy.allowed(domain, f"{types}vllm_model_t", "file")
        assert {"map", "open", "read", "write"} <= policy.allowed(domain, "xserver_misc_device_t", "chr_file")
        assert policy.has_xperm_rule(domain, "dri_device_t", "chr_file")
        assert policy.role_has_type("system_r", domain)
