"""The policy that a machine boots with is built once for the same store and modules, and never taken for another."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from polkit.module import ToolRun, run_tool
from polkit.policy import LocalPort, locate, policy_to_boot
from tests.minimize.proof_worlds import NAME, build_root

MODULE = "(type vllm_t)(allow container_t data_t (file (read)))"
CONTEXTS = '(filecon "/srv/models(/.*)?" any (system_u object_r data_t ((s0)(s0))))'


class Booted(NamedTuple):
    policy: bytes
    label: str
    builds: int


Build = Callable[..., Booted]


@pytest.fixture(scope="module")
def built_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_root(tmp_path_factory.mktemp("world") / "root")


@pytest.fixture
def build(built_root: Path, tmp_path: Path, cache_home: Path) -> Build:
    count = iter(range(100))

    def run(cil: str = MODULE, own: str = "(type harness_t)", root: Path = built_root, **asked: Any) -> Booted:
        module = tmp_path / "mine.cil"
        module.write_text(cil + CONTEXTS)
        builds = 0

        def counted(*words: Any) -> ToolRun:
            nonlocal builds
            builds += 1
            return run_tool(*words)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("polkit.policy.booting.run_tool", counted)
            place = tmp_path / f"place{next(count)}"
            found = policy_to_boot(locate(str(root)), (module,), ("own", own), place, **asked)
            label = found.label("/srv/models/weights", "file")
            return Booted(found.policy.read_bytes(), str(label), builds)

    return run


def test_the_same_again_is_not_built_again(build: Build, cache_home: Path) -> None:
    first, second = build(), build()
    assert (first.builds, second.builds) == (1, 0)
    assert first[:2] == second[:2]
    assert "data_t" in second.label, "with its file contexts"
    assert len(list(cache_home.rglob("*.boot"))) == 1


def test_whatever_else_goes_in_is_built(build: Build, built_root: Path, tmp_path: Path) -> None:
    """Another module, another text of ours, other flags, a port label, another store: each is another policy."""
    build()
    changed = tmp_path / "changed"
    shutil.copytree(built_root, changed)
    (changed / f"var/lib/selinux/{NAME}/active/users_extra.local").write_text("")
    others = (
        {"cil": MODULE.replace("read", "write")},
        {"own": "(type other_t)"},
        {"dontaudit": True},
        {"ports": (LocalPort("tcp", 8000, 8000, "system_u:object_r:data_t:s0"),)},
        {"root": changed},
    )
    assert [build(**other).builds for other in others] == [1] * len(others)
    assert build().builds == 0


def test_what_is_not_to_be_kept_is_not(build: Build, cache_home: Path) -> None:
    assert [build(keep=False).builds, build(keep=False).builds] == [1, 1]
    assert not list(cache_home.rglob("*.boot"))


@pytest.mark.parametrize("damage", [b"", b"rubbish", None])
def test_a_damaged_entry_is_built_anew(build: Build, cache_home: Path, damage: bytes) -> None:
    good = build()
    (entry,) = cache_home.rglob("*.boot")
    whole = entry.read_bytes()
    entry.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    again = build()
    assert again.builds == 1
    assert again[:2] == good[:2]
    assert entry.read_bytes() == whole


def test_few_are_kept(build: Build, cache_home: Path) -> None:
    for number in range(8):
        build(own=f"(type harness{number}_t)")
    assert len(list(cache_home.rglob("*.boot"))) == 6
    assert build(own="(type harness7_t)").builds == 0
