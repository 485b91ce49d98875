"""Where a policy and what belongs to it are found, and what is said when they are not."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from polkit.errors import MissingDependency, SourceError
from polkit.policy import load_policy, locate


@pytest.fixture
def root(tmp_path: Path, compiled) -> Path:
    """A small policy root: a policy of type ``small`` with file contexts and a module store."""
    home = tmp_path / "etc/selinux/small"
    binary = compiled("roles.conf").read_bytes()
    for path, content in (
        (home / "policy/policy.31", binary),
        (home / "policy/policy.9", b"old"),
        (home / "contexts/files/file_contexts", b"/.* system_u:object_r:app_t\n"),
        (tmp_path / "etc/selinux/config", b"SELINUX=enforcing\nSELINUXTYPE=small\n"),
        (tmp_path / "var/lib/selinux/small/active/policy.kern", binary),
        (tmp_path / "var/lib/selinux/small/active/modules/100/base/cil", b""),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path


def test_a_root_implies_everything(root):
    found = locate(str(root))
    home = root / "etc/selinux/small"
    assert found.policy == home / "policy/policy.31", "31 is newer than 9"
    assert (found.root, found.name) == (root, "small")
    assert found.file_contexts == home / "contexts/files/file_contexts"
    assert found.store == root / "var/lib/selinux/small"


def test_the_binary_inside_a_root_implies_the_same(root):
    assert locate(str(root / "etc/selinux/small/policy/policy.31")) == locate(str(root))


def test_a_relative_path_finds_its_root(root, monkeypatch):
    monkeypatch.chdir(root / "etc/selinux/small/policy")
    assert locate("policy.31").store == root / "var/lib/selinux/small"


def test_a_store_of_another_policy_is_not_implied(root):
    (root / "var/lib/selinux/small/active/policy.kern").write_bytes(b"other")
    assert locate(str(root)).store is None
    assert not load_policy(str(root)).knows_neverallows


def test_a_named_store_counts_and_is_checked(root, tmp_path):
    (root / "var/lib/selinux/small/active/policy.kern").write_bytes(b"other")
    store = root / "var/lib/selinux/small"
    assert locate(str(root), str(store)).store == store
    assert locate(str(root), str(store / "active")).store == store
    with pytest.raises(SourceError, match="not a module store"):
        locate(str(root), str(tmp_path / "nowhere"))


def test_the_store_tells_which_modules_it_has(root, compiled):
    (root / "var/lib/selinux/small/active/modules/400/base").mkdir(parents=True)
    (root / "var/lib/selinux/small/active/modules/disabled").mkdir()
    policy = load_policy(str(root))
    assert policy.module_priorities("base") == (100, 400)
    assert policy.module_priorities("other") == ()
    assert load_policy(str(compiled("roles.conf"))).module_priorities("base") == ()
    assert load_policy("none").module_priorities("base") == ()


def test_a_binary_on_its_own_has_nothing_beside_it(compiled):
    found = locate(str(compiled("roles.conf")))
    assert (found.root, found.name, found.file_contexts, found.store) == (None, None, None, None)
    policy = load_policy(str(compiled("roles.conf")))
    assert not policy.has_file_contexts
    assert policy.file_label("/etc/passwd", "file") is None
    assert policy.neverallowed("init_t", "app_t", "process", "signal") is None
    assert policy.info is not None
    assert (policy.info.version, policy.info.mls, policy.info.handle_unknown) == (31, False, "deny")


def test_without_a_config_the_only_type_counts_and_two_are_too_many(root):
    (root / "etc/selinux/config").unlink()
    assert locate(str(root)).name == "small"
    other = root / "etc/selinux/other/policy/policy.31"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"x")
    with pytest.raises(SourceError, match=r"several policies \(other, small\)"):
        locate(str(root))


def test_auto_takes_the_configured_policy_of_the_host(root):
    assert locate("auto", host=root) == locate(str(root))


def test_auto_takes_the_running_kernels_policy_first(root):
    running = root / "sys/fs/selinux/policy"
    running.parent.mkdir(parents=True)
    running.write_bytes(b"whatever the kernel says")
    found = locate("auto", host=root)
    assert found.policy == running
    assert found.store == root / "var/lib/selinux/small"
    assert found.file_contexts is not None


def test_auto_without_any_policy_says_how_to_get_one(tmp_path):
    with pytest.raises(MissingDependency) as error:
        locate("auto", host=tmp_path)
    assert "--policy" in error.value.hint


@pytest.mark.parametrize(
    "content", [b"", b"root:x:0:0\n" * 20, b"\x7fELF" + bytes(100), bytes(200), b"\x8c\xff\x7c\xf9\x20" + bytes(15)]
)
def test_what_is_no_policy_is_refused(tmp_path, content):
    path = tmp_path / "policy.33"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="not a binary SELinux policy"):
        load_policy(str(path))


def test_a_module_is_not_a_policy(tmp_path):
    path = tmp_path / "app.pp"
    path.write_bytes(struct.pack("<II", 0xF97CFF8F, 8) + b"SE Linux" + bytes(64))
    with pytest.raises(SourceError, match="a policy module, not a policy"):
        load_policy(str(path))


def test_a_missing_file_is_a_source_error(tmp_path):
    with pytest.raises(SourceError, match="No such file"):
        load_policy(str(tmp_path / "none"))
    with pytest.raises(SourceError, match="no policy under"):
        load_policy(str(tmp_path))


def test_a_policy_newer_than_the_library_is_said_to_be_that(tmp_path, compiled):
    content = bytearray(compiled("roles.conf").read_bytes())
    content[16:20] = struct.pack("<I", 99)
    path = tmp_path / "policy.99"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="format 99") as error:
        load_policy(str(path))
    assert "newer" in error.value.hint


@pytest.mark.parametrize("kept", [40, 100, 500, 900])
def test_a_cut_policy_is_refused_without_noise(tmp_path, compiled, capfd, kept):
    path = tmp_path / "policy.31"
    path.write_bytes(compiled("roles.conf").read_bytes()[:kept])
    with pytest.raises(SourceError, match="can't read"):
        load_policy(str(path))
    assert capfd.readouterr().err == ""


def test_a_closed_standard_error_is_no_obstacle(compiled):
    code = (
        f"from polkit.policy import load_policy; print(load_policy({str(compiled('roles.conf'))!r}).has_role('app_r'))"
    )
    command = ["sh", "-c", 'exec "$0" "$@" 2>&-', sys.executable, "-c", code]
    assert subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout == "True\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_policy_says_so(tmp_path, compiled):
    path = tmp_path / "policy.31"
    path.write_bytes(compiled("roles.conf").read_bytes())
    path.chmod(0)
    with pytest.raises(SourceError, match="permission denied"):
        load_policy(str(path))


def test_permission_denied_is_told_apart(tmp_path, monkeypatch, compiled):
    path = tmp_path / "policy.31"
    path.write_bytes(compiled("roles.conf").read_bytes())
    real_open = Path.open

    def refused(self, *args, **kwargs):
        if self == path:
            raise PermissionError(13, "Permission denied")
        return real_open(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(SourceError, match="permission denied"):
        load_policy(str(path))


def test_a_name_that_is_too_long_is_a_source_error(root):
    with pytest.raises(SourceError, match="too long"):
        locate("a" * 300)
    with pytest.raises(SourceError, match="too long"):
        locate(str(root), "a" * 300)


@pytest.fixture
def closed(tmp_path_factory):
    """A directory that an ordinary user can't look into, seen by one: root sees everything."""
    place = tmp_path_factory.mktemp("closed")
    for above in (place, *(one for one in place.parents if one.name.startswith(("pytest-", "popen-")))):
        above.chmod(0o755)
    (place / "inner").mkdir()
    (place / "inner").chmod(0)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    yield place / "inner"
    os.seteuid(was)


def test_what_lies_below_a_closed_directory_is_a_source_error(closed):
    with pytest.raises(SourceError, match="Permission denied") as error:
        locate(str(closed / "policy.33"))
    assert "root" in error.value.hint


def test_another_module_called_selinux_is_not_taken_for_the_bindings(tmp_path, root):
    (tmp_path / "selinux.py").write_text("")
    code = f"from polkit.policy import load_policy; load_policy({str(root)!r}).file_label('/etc/passwd', 'file')"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "MissingDependency: the `selinux` found is not libselinux' Python bindings" in done.stderr
