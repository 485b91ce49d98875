"""neverallow rules, read out of the module store, and held against the compiler that enforces them."""

from __future__ import annotations

import bz2
import shutil
import subprocess

import pytest

from polkit.errors import SourceError
from polkit.policy import load_policy


def test_the_case_of_a_container_reading_memory(real):
    assert real.knows_neverallows
    text = real.neverallowed("container_t", "memory_device_t", "chr_file", "read")
    assert text == "neverallow ~{ devices_unconfined_type memory_raw_read } memory_device_t:chr_file { read };"


@pytest.mark.parametrize(
    ("source", "target", "tclass", "perm", "broken"),
    [
        ("container_t", "memory_device_t", "chr_file", "getattr", False),
        ("spc_t", "memory_device_t", "chr_file", "read", False),
        ("container_t", "shadow_t", "file", "read", True),
        ("container_t", "container_t", "memprotect", "mmap_zero", True),
        ("wine_t", "wine_t", "memprotect", "mmap_zero", False),
        ("container_t", "container_t", "capability2", "mac_override", True),
        ("container_t", "container_t", "capability", "sys_module", True),
        ("container_t", "container_file_t", "process", "transition", True),
        ("container_t", "init_t", "process", "transition", False),
        ("container_t", "container_file_t", "file", "read", False),
    ],
)
def test_exemptions_self_and_permissions(real, source, target, tclass, perm, broken):
    assert (real.neverallowed(source, target, tclass, perm) is not None) == broken


def test_attributes_are_gathered_over_the_enabled_modules_of_highest_priority(store, compiled):
    policy = load_policy(str(compiled("roles.conf")), str(store))

    def broken(source: str, target: str, tclass: str, perm: str) -> bool:
        return policy.neverallowed(source, target, tclass, perm) is not None

    assert not broken("init_t", "app_t", "process", "transition"), "exempt"
    assert broken("app_t", "app_t", "process", "transition"), "its exemption stands in a module that 400/app shadows"
    assert broken("other_t", "app_t", "process", "transition"), "its exemption stands in an optional block not in force"
    assert broken("app_t", "app_t", "file", "read")
    assert not broken("app_t", "init_t", "file", "read"), "self"
    assert broken("app_t", "init_t", "process", "signal")
    assert not broken("app_t", "app_t", "process", "signal"), "notself"
    assert broken("other_t", "init_t", "process", "dyntransition")
    assert not broken("other_t", "init_t", "process", "signal"), "not (signal)"
    assert not broken("init_t", "init_t", "process", "dyntransition"), "the module is disabled"
    assert not broken("init_t", "app_t", "process", "signal"), "the statement is a comment"
    text = policy.neverallowed("other_t", "app_t", "process", "transition")
    assert text == "neverallow { domains -exempt } app_t:process { transition };"


@pytest.mark.parametrize(
    "content", [b"(neverallow init_t app_t (process (signal))", b"BZh9 not bzip2", bz2.compress(b"()")[:-4]]
)
def test_a_damaged_module_is_a_source_error(store, compiled, content):
    (store / "active/modules/100/base/cil").write_bytes(content)
    policy = load_policy(str(compiled("roles.conf")), str(store))
    with pytest.raises(SourceError):
        policy.neverallowed("init_t", "app_t", "process", "signal")


CASES = [
    ("container_t", "memory_device_t", "chr_file", "read"),
    ("container_t", "shadow_t", "file", "write"),
    ("container_t", "self", "capability", "sys_module"),
    ("container_t", "fixed_disk_device_t", "blk_file", "append"),
    ("container_t", "etc_t", "file", "write"),
    ("podman_t", "fixed_disk_device_t", "blk_file", "read"),
    ("container_t", "self", "process", "setcurrent"),
    ("kernel_t", "self", "process", "setcurrent"),
    ("wine_t", "self", "memprotect", "mmap_zero"),
    ("ntpd_t", "self", "memprotect", "mmap_zero"),
    ("unlabeled_t", "init_t", "process", "transition"),
    ("init_t", "etc_t", "process", "fork"),
]


@pytest.mark.heavy
def test_the_compiler_agrees(real, policy_root, tmp_path):
    """All rules at once, built into a copy of the store with expand-check=1: it names each that breaks a neverallow.

    The test root's own modules go first: they hold rules that break neverallows and bounds on purpose.
    """
    root = tmp_path / "root"
    shutil.copytree(policy_root, root, symlinks=True)
    settings = root / "etc/selinux/semanage.conf"
    settings.write_text(settings.read_text().replace("expand-check=0", "expand-check=1"))
    module = tmp_path / "cases.cil"
    module.write_text(
        "".join(f"(allow {source} {target} ({tclass} ({perm})))\n" for source, target, tclass, perm in CASES)
    )
    own = sorted((root / "var/lib/selinux" / real.files.name / "active/modules/400").iterdir())
    without = [word for path in own for word in ("-X", "400", "-r", path.name)]
    command = ["semodule", "-p", root, "-s", real.files.name, "-N", "-n", *without, "-i", module]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert "neverallow check failed" in done.stdout, done.stdout
    for source, target, tclass, perm in CASES:
        ours = real.neverallowed(source, source if target == "self" else target, tclass, perm)
        theirs = f"(allow {source} {target} ({tclass} ({perm})))" in done.stdout
        assert theirs == (ours is not None), (source, target, tclass, perm, ours, done.stdout)
