"""A policy with a module built beside the one without: from the store as it is, or, the same and quicker, from the flat
text that was kept of it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from polkit.policy import Beside, Between, DoesNotLink, ModuleFile, built_beside, load_policy, locate
from tests.bundle.making import semodule, small_host

_WAITING = """
(optional waiting
    (typeattributeset cil_gen_require (late_t))
    (allow late_t var_t (file (write))))
(optional waiting_twice (allow init_t never_t (file (read))))
"""
_PLAIN = """
(type mine_t) (roletype object_r mine_t) (typeattributeset file_type (mine_t))
(typeattributeset cil_gen_require (container_t))
(allow container_t mine_t (file (read open)))
(allow container_t var_t (file (read)))
(optional mine_optional (allow container_t no_such_t (file (read))))
(filecon "/srv/mine(/.*)?" any (system_u object_r mine_t ((s0) (s0))))
"""
_LATE = "(type late_t) (roletype object_r late_t)"
_BLOCK = """
(block tpl (blockabstract tpl) (type t) (roletype object_r t) (allow t var_t (file (read))))
(block app (blockinherit tpl))
"""
_FORBIDDEN = "(typeattributeset cil_gen_require (container_t)) (neverallow container_t var_t (file (execmod)))"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = small_host(tmp_path_factory.mktemp("host"))
    waiting = tmp_path_factory.mktemp("modules") / "waiting.cil"
    waiting.write_text(_WAITING)
    semodule(root, "-X", "100", "-i", waiting)
    kern = next(root.glob("var/lib/selinux/*/active/policy.kern"))
    next(root.glob("etc/selinux/*/policy/policy.*")).write_bytes(kern.read_bytes())
    return root


def _module(text: str, name: str = "mine") -> ModuleFile:
    return ModuleFile(name, ".cil", text.encode(), text)


def _beside(root: Path, *modules: ModuleFile) -> Beside:
    files, policy = locate(str(root)), load_policy(str(root))
    with built_beside(files, policy, modules) as built:
        return built()


def _until_flat(cache_home: Path, root: Path) -> None:
    """Build beside the policy until the text that was meanwhile made of its store is kept."""
    for _ in range(20):
        _beside(root, _module(_LATE, "other"))
        if list(cache_home.glob("*.flat")):
            return
    raise AssertionError("no flat text was kept")


def _said(found: Beside) -> dict[str, Any]:
    """All that is told, but the two policies themselves."""
    between = {one.name: getattr(found.between, one.name) for one in fields(Between)}
    return {**between, "old": None, "new": None, "violations": found.violations, "exempting": found.exempting}


@pytest.mark.parametrize("text", [_PLAIN, _LATE, _BLOCK, _FORBIDDEN], ids=["plain", "late", "block", "forbidden"])
def test_both_ways_of_building_say_the_same(
    host: Path, text: str, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _until_flat(cache_home, host)
    quick = _said(_beside(host, _module(text)))
    monkeypatch.setenv("POLKIT_CACHE", "off")
    assert _said(_beside(host, _module(text))) == quick


def test_what_a_module_changes_is_told(host: Path, cache_home: Path) -> None:
    found = _beside(host, _module(_PLAIN))
    assert {(one.change.source, one.change.target, one.change.perms) for one in found.between.gained} >= {
        ("container_t", "mine_t", ("open", "read")),
        ("container_t", "var_t", ("read",)),
    }
    assert found.between.types_added == ("mine_t",)
    assert found.between.labels_added == ("/srv/mine(/.*)? system_u:object_r:mine_t:s0",)
    assert found.between.labels_removed == ()
    assert found.kind == "store"


def test_what_a_store_waited_for_comes_into_force(host: Path, cache_home: Path) -> None:
    """The block that fell away is no part of the flat text: the store itself is built."""
    _until_flat(cache_home, host)
    found = _beside(host, _module(_LATE))
    assert [(one.change.source, one.change.perms) for one in found.between.gained] == [("late_t", ("write",))]


def test_an_installed_version_is_left_out_on_both_sides(host: Path, tmp_path: Path) -> None:
    root = small_host(tmp_path / "host")
    (tmp_path / "mine.cil").write_text(_PLAIN)
    semodule(root, "-X", "200", "-i", tmp_path / "mine.cil")
    kern = next(root.glob("var/lib/selinux/*/active/policy.kern"))
    next(root.glob("etc/selinux/*/policy/policy.*")).write_bytes(kern.read_bytes())
    assert load_policy(str(root)).type_name("mine_t") == "mine_t"
    found = _beside(root, _module(_PLAIN))
    assert found.old.type_name("mine_t") is None
    assert _said(found) == _said(_beside(host, _module(_PLAIN)))


def test_a_binary_policy_alone_is_enough(host: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.33"
    policy.write_bytes(next(host.glob("etc/selinux/*/policy/policy.*")).read_bytes())
    found = _beside(policy, _module(_PLAIN))
    assert (found.kind, found.violations) == ("binary", None)
    assert "mine_t" in found.between.types_added


@pytest.mark.parametrize("cache", ["on", "off"])
@pytest.mark.parametrize(
    ("text", "said"),
    [("(typeattributeset cil_gen_require (no_such_t))", "typeattributeset"), ("(type var_t)", "type")],
    ids=["unknown", "declared already"],
)
def test_a_module_that_the_policy_does_not_take(
    host: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch, cache: str, text: str, said: str
) -> None:
    if cache == "off":
        monkeypatch.setenv("POLKIT_CACHE", "off")
    with pytest.raises(DoesNotLink, match=rf"mine can't be built into .*{said}") as raised:
        _beside(host, _module(text))
    assert not raised.value.older


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["vllm-cuda", "gpu-device-plugin"])
def test_both_ways_say_the_same_of_the_container_host(
    policy_root: Path, repository: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from polkit.review import read_materials

    modules = read_materials(str(repository / "modules" / name), True).modules
    _until_flat(cache_home, policy_root)
    quick = _said(_beside(policy_root, *modules))
    monkeypatch.setenv("POLKIT_CACHE", "off")
    assert _said(_beside(policy_root, *modules)) == quick
