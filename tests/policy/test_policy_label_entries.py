"""File contexts as they would be with a module's entries: held against what a module store makes of them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.model import FileContext
from polkit.module import precedence
from polkit.policy import TargetPolicy, load_policy

ENTRIES = (
    FileContext("/srv/models(/.*)?", "", "mine_model_t"),
    FileContext("/srv/models", "-d", "mine_cache_t"),
    FileContext(r"/srv/models/\.cache(/.*)?", "", "mine_cache_t"),
    FileContext(r"/srv/models/w\.bin", "--", "mine_cache_t"),
    FileContext("/dev/gdrdrv", "-c", "mine_device_t"),
    FileContext(r"/srv/my\x20models(/.*)?", "", "mine_model_t"),
    FileContext("/srv/includ[e](/.*)?", "", "mine_model_t"),
)


def contexts_of(root: Path) -> Path:
    return next(root.glob("etc/selinux/*/contexts/files/file_contexts"))


@pytest.mark.heavy
def test_they_are_sorted_in_as_the_module_store_does(real: TargetPolicy, policy_root: Path, tmp_path: Path) -> None:
    """Line by line the file that semodule writes, and so label by label."""
    types = sorted({entry.type for entry in ENTRIES})
    cil = [f"(type {name})(roletype object_r {name})(typeattributeset file_type ({name}))" for name in types]
    words = {"": "any", "--": "file", "-d": "dir", "-c": "char"}
    cil += [
        f'(filecon "{one.pattern}" {words[one.kind]} (system_u object_r {one.type} ((s0) (s0))))' for one in ENTRIES
    ]
    (tmp_path / "mine.cil").write_text("\n".join(cil))
    root = tmp_path / "root"
    shutil.copytree(policy_root, root, symlinks=True)
    name = contexts_of(root).parent.parent.parent.name
    subprocess.run(
        ["semodule", "-p", root, "-s", name, "-N", "-n", "-X", "200", "-i", tmp_path / "mine.cil"],
        check=True,
        capture_output=True,
    )
    built, before = (
        [tuple(line.split()) for line in contexts_of(place).read_text().splitlines()] for place in (root, policy_root)
    )
    assert set(built) - set(before) == {words_of(one) for one in ENTRIES}
    keys = [precedence(words[0], words[1] if len(words) == 3 else "") for words in built]
    assert keys == sorted(keys)
    installed, merged = load_policy(str(root)), real.with_contexts(ENTRIES)
    for path in ("/srv/models/a", "/srv/models", "/srv/models/.cache/x", "/srv/models/w.bin", "/srv/include/x", "/srv"):
        for tclass in ("file", "dir"):
            assert merged.file_label(path, tclass) == installed.file_label(path, tclass), (path, tclass)


def words_of(entry: FileContext) -> tuple[str, ...]:
    words = (entry.pattern, entry.kind, f"system_u:object_r:{entry.type}:{entry.level}")
    return tuple(word for word in words if word)


def test_the_innermost_entry_decides_and_everything_else_stays(real: TargetPolicy) -> None:
    changed = real.with_contexts(ENTRIES)
    expected = {
        ("/srv/models", "dir"): "mine_cache_t",
        ("/srv/models/a/b", "file"): "mine_model_t",
        ("/srv/models/.cache/a", "file"): "mine_cache_t",
        ("/srv/models/w.bin", "file"): "mine_cache_t",
        ("/srv/models/w.bin", "lnk_file"): "mine_model_t",
        ("/dev/gdrdrv", "chr_file"): "mine_device_t",
        ("/srv/my models/x", "file"): "mine_model_t",
        ("/srv/include", "dir"): "mine_model_t",
    }
    for (path, tclass), type_ in expected.items():
        label = changed.file_label(path, tclass)
        assert label is not None
        assert label.type == type_, path
    for path in ("/srv", "/srv/modelsx", "/srv/other", "/dev/nvidia0", "/home/someone/.ssh/id_rsa", "/var/run/x"):
        assert changed.file_label(path, "file") == real.file_label(path, "file")


def test_the_entry_that_decides_is_named(real: TargetPolicy) -> None:
    changed = real.with_contexts(ENTRIES)
    found = {
        path: getattr(changed.file_entry(path, "file"), "pattern", None)
        for path in ("/srv/models/.cache/x", "/srv/x", "/home/someone/.ssh/id_rsa", "/mnt/x")
    }
    assert found["/srv/models/.cache/x"] == r"/srv/models/\.cache(/.*)?"
    assert found["/srv/x"] == "/srv/.*"
    entry = changed.file_entry("/home/someone/.ssh/id_rsa", "file")
    assert entry is not None
    assert (entry.file, entry.pattern) == ("file_contexts.homedirs", r"/home/[^/]+/\.ssh(/.*)?")


@pytest.fixture
def administered(tmp_path: Path, compiled) -> TargetPolicy:  # type: ignore[no-untyped-def]
    """A root whose administrator has entries and substitutions of their own."""
    home = tmp_path / "etc/selinux/small"
    for path, content in (
        ("policy/policy.31", compiled("roles.conf").read_bytes()),
        ("contexts/files/file_contexts", b"/.*  u:r:base_t\n/srv/x/.* u:r:sub_t\n"),
        ("contexts/files/file_contexts.local", b"/srv/models/kept(/.*)? u:r:local_t\n/srv(/.*)? u:r:admin_t\n"),
        ("contexts/files/file_contexts.subs", b"# mine\n/opt/y /srv/x\n/opt/y /srv/z\n/\t/x y\n"),
        ("contexts/files/file_contexts.subs_dist", b"/srv/z /data\n/lib64 /lib\n"),
    ):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(content)
    return load_policy(str(tmp_path))


def test_an_administrators_entry_decides_and_is_named(administered: TargetPolicy) -> None:
    """libselinux reads .local last; only an entry without special characters comes after it."""
    changed = administered.with_contexts(ENTRIES)
    assert changed.file_label("/srv/models/a", "file").type == "admin_t"  # type: ignore[union-attr]
    entry = changed.file_entry("/srv/models/a", "file")
    assert entry is not None
    assert (entry.file, entry.pattern) == ("file_contexts.local", "/srv(/.*)?")
    assert changed.file_label("/srv/models/w.bin", "file").type == "mine_cache_t"  # type: ignore[union-attr]


def test_substitutions_are_followed_as_libselinux_does(administered: TargetPolicy) -> None:
    assert administered.spoken_of("/opt/y/models") == "/data/models"
    assert administered.spoken_of("/opt/yy") == "/opt/yy"
    assert administered.spoken_of("/lib64") == "/lib"
    labelled = administered.with_contexts((FileContext("/data/models(/.*)?", "", "mine_t"),))
    assert labelled.file_label("/opt/y/models/a", "file").type == "mine_t"  # type: ignore[union-attr]


@given(st.sampled_from(("/run/lock", "/lib64/x", "/usr/local/lib/a", "/var/run/b/c", "/srv/m", "/bin", "/libx")))
def test_a_path_and_what_it_stands_for_have_one_label(real: TargetPolicy, path: str) -> None:
    assert real.file_label(path, "file") == real.file_label(real.spoken_of(path), "file")
