"""Linking into a copy of a real module store."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from module_worlds import module

from polkit.errors import CompileError, SourceError
from polkit.model import AccessSet, AvRule, FileContext, ModuleSource, RoleTypes, TypeDeclaration, XpermRule
from polkit.module import compile_module, link_check, tree_pattern

NOBODY = 65534


@pytest.fixture
def store_name(policy_root: Path) -> str:
    return next((policy_root / "var/lib/selinux").glob("*/active")).parent.name


@pytest.fixture
def own_root(policy_root: Path, store_name: str, tmp_path: Path) -> Path:
    """A policy root that a test may change."""
    for part in ("etc/selinux", "var/lib/selinux"):
        shutil.copytree(policy_root / part, tmp_path / "root" / part, symlinks=True)
    return tmp_path / "root"


def serving(target: str = "container_file_t") -> ModuleSource:
    return module(
        AccessSet(
            types=(TypeDeclaration("drawn_t", ("domain", "file_type")),),
            rules=(AvRule("allow", "drawn_t", target, "file", ("ioctl", "read")),),
            xperms=(XpermRule("allowxperm", "drawn_t", target, "file", "ioctl", (1, 2, 3)),),
            role_types=(RoleTypes("system_r", "drawn_t"),),
            contexts=(
                FileContext(tree_pattern("/srv/USERS/my models"), "", "drawn_t", "s0:c1.c3"),
                FileContext(tree_pattern("/srv/plain"), "-d", "drawn_t"),
            ),
        )
    )


def test_a_module_links_and_the_store_stays_as_it_was(own_root: Path, store_name: str, tmp_path: Path) -> None:
    settings = own_root / "etc/selinux/semanage.conf"
    # A program that the store's settings name must not run: the store may be a stranger's.
    settings.write_text(f"expand-check=0\n[verify kernel]\npath = /usr/bin/touch\nargs = {tmp_path}/ran\n[end]\n")
    before = sorted((path, path.stat().st_mtime_ns) for path in own_root.rglob("*"))
    compile_module(serving(), tmp_path / "out", frozenset({"domain", "file_type"}))
    result = link_check(tmp_path / "out/drawn.pp", own_root, store_name)
    assert result.seconds > 0
    assert sorted((path, path.stat().st_mtime_ns) for path in own_root.rglob("*")) == before
    assert not (tmp_path / "ran").exists()


def test_a_name_the_policy_lacks_is_told_with_its_statement(policy_root: Path, store_name: str, tmp_path: Path) -> None:
    compile_module(serving("nvidia_device_t"), tmp_path, frozenset({"domain", "file_type"}))
    with pytest.raises(CompileError, match=r"does not link .*cil_gen_require nvidia_device_t") as caught:
        link_check(tmp_path / "drawn.pp", policy_root, store_name)
    assert "Failed to resolve" in caught.value.output
    assert "polkit-link" not in str(caught.value) + caught.value.output


@pytest.mark.heavy
def test_a_dotted_type_of_another_module(own_root: Path, store_name: str, tmp_path: Path) -> None:
    compile_module(serving("x.process"), tmp_path)
    with pytest.raises(CompileError, match=r"\(allow drawn_t x\.process"):
        link_check(tmp_path / "drawn.cil", own_root, store_name)
    (tmp_path / "x.cil").write_text("(block x (type process) (roletype system_r process))\n")
    semodule = ["semodule", "-p", own_root, "-s", store_name, "-N", "-n", "-X", "200", "-i"]
    subprocess.run([*semodule, tmp_path / "x.cil"], check=True)
    link_check(tmp_path / "drawn.cil", own_root, store_name)
    # Installed for good, its contexts stand among the file contexts and not among the home directory templates.
    subprocess.run([*semodule, tmp_path / "drawn.cil"], check=True)
    contexts = (own_root / "etc/selinux" / store_name / "contexts/files/file_contexts").read_text()
    assert "/srv/USE[R]S/my\\x20models(/.*)?\tsystem_u:object_r:drawn_t:s0:c1.c3\n" in contexts
    assert "/srv/plain(/.*)?\t-d\tsystem_u:object_r:drawn_t:s0\n" in contexts


def test_a_module_that_would_hide_one_of_the_distribution(policy_root: Path, store_name: str, tmp_path: Path) -> None:
    source = ModuleSource("container", "1.0", AccessSet(rules=(AvRule("allow", "a_t", "b_t", "file", ("read",)),)))
    compile_module(source, tmp_path)
    with pytest.raises(CompileError, match="already has a module container at priority 100"):
        link_check(tmp_path / "container.pp", policy_root, store_name)


def test_a_module_file_or_store_that_is_not_there(policy_root: Path, store_name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no module file"):
        link_check(tmp_path / "drawn.pp", policy_root, store_name)
    (tmp_path / "drawn.cil").write_text("(type drawn_t)\n")
    with pytest.raises(SourceError, match="there is no etc/selinux/other"):
        link_check(tmp_path / "drawn.cil", policy_root, "other")


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Root reads everything; an ordinary user doesn't read a host's store."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(was)


def test_a_store_that_cannot_be_read(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("host")
    (root / "etc/selinux/targeted").mkdir(parents=True)
    store = root / "var/lib/selinux/targeted"
    (store / "active/modules").mkdir(parents=True)
    (root / "drawn.cil").write_text("(type drawn_t)\n")
    ours = (one for one in root.parents if one.name.startswith(("pytest-", "popen-")))
    for place in (root, *ours):
        place.chmod(0o755)
    (store / "active").chmod(0)
    request.getfixturevalue("as_nobody")
    with pytest.raises(SourceError, match="can't be read") as caught:
        link_check(root / "drawn.cil", root, "targeted")
    assert "root" in caught.value.hint
