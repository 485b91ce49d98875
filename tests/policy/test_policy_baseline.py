"""What a store's own build gave is not built again, and is never taken for what another store, or tool, would give."""

from __future__ import annotations

import bz2
import hashlib
import json
import os
import shutil
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polkit.errors import CompileError
from polkit.model import PolicyInfo
from polkit.policy import locate, remember_baseline, what_if, whatif
from tests.minimize.proof_worlds import NAME, build_root

HARMLESS = "(allow container_t data_t (file (read)))"
BREAKING = "(allow container_t shadow_t (file (read)))(allow sandbox_t secret_t (file (write)))"
ACTIVE = f"var/lib/selinux/{NAME}/active"
INFO = PolicyInfo("", "", 31, True, "allow")


class Result(NamedTuple):
    """What a build of both policies gave, and how many builds it took."""

    baseline: str
    changed: str
    breaches: frozenset[tuple[str, str]]
    replaced: bool
    builds: int


Builder = Callable[..., Result]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def built_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_root(tmp_path_factory.mktemp("world") / "root")


@pytest.fixture
def root(built_root: Path, tmp_path: Path) -> Path:
    shutil.copytree(built_root, tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def build(root: Path, tmp_path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    """Builds the store of ``root`` with a module; ``cached`` false: as if there were no cache."""

    def run(cil: str = HARMLESS, cached: bool = True) -> Result:
        module = tmp_path / "mine.cil"
        module.write_text(cil)
        count = 0
        real = whatif.run_tools

        def counted(jobs: list[Any], *more: Any) -> Any:
            nonlocal count
            count += len(jobs)
            return real(jobs, *more)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(whatif, "run_tools", counted)
            patched.setenv("POLKIT_CACHE", "on" if cached else "off")
            store = str(root / ACTIVE)
            policy = str(next(root.glob(f"etc/selinux/{NAME}/policy/policy.*")))
            with what_if(locate(policy, store), INFO, module, cil) as built:
                assert built.breaches is not None
                files = digest(built.baseline.policy), digest(built.changed.policy)
                return Result(*files, frozenset(map(tuple, built.breaches)), built.replaced, count)

    return run


def same(one: Result, other: Result) -> bool:
    return one[:-1] == other[:-1]


def baselines(home: Path) -> list[Path]:
    """The entries of builds (nothing else is asked for here)."""
    return sorted(home.glob("*.index"))


@pytest.mark.parametrize("cil", [HARMLESS, BREAKING])
def test_the_second_build_is_the_same_without_the_baselines(build, cil):
    fresh = build(cil, cached=False)
    assert fresh.builds == 4, "the store breaks a rule already, so both are built checked and unchecked"
    first, second = build(cil), build(cil)
    assert same(first, fresh)
    assert same(second, fresh)
    assert (first.builds, second.builds) == (4, 2)


def test_what_is_kept_serves_another_module(build):
    build(HARMLESS)
    assert build(BREAKING).builds == 2
    assert same(build(BREAKING), build(BREAKING, cached=False))
    assert build(BREAKING).breaches


def test_a_store_that_breaks_nothing_is_not_checked_for_it(build, root):
    base = root / ACTIVE / "modules/100/base/cil"
    text = whole(base).replace(b"(allow sandbox_t secret_t (file (write)))", b"")
    base.write_bytes(text)
    fresh = build(HARMLESS, cached=False)
    assert fresh.builds == 2
    rebuild(root, fresh)
    assert [build(HARMLESS).builds, build(HARMLESS).builds] == [2, 1]
    broken = build(BREAKING)
    assert broken.builds == 3, "its complaints are asked for now"
    assert same(broken, build(BREAKING, cached=False))
    assert len(broken.breaches) == 2
    assert build(BREAKING).builds == 2


def test_the_baseline_may_be_built_ahead(build, root, cache_home):
    remember_baseline(locate(str(root)), "mine")
    (kept,) = baselines(cache_home)
    before = kept.read_bytes()
    remember_baseline(locate(str(root)), "mine")
    assert baselines(cache_home) == [kept]
    assert kept.read_bytes() == before
    first = build()
    assert first.builds == 3, "but for the baseline unchecked"
    assert same(first, build(cached=False))


def whole(cil: Path) -> bytes:
    data = cil.read_bytes()
    return bz2.decompress(data) if data.startswith(b"BZh") else data


def rebuild(root: Path, fresh: Result) -> None:
    """Make the store's own policy the one that it builds."""
    subprocess.run(["semodule", "-p", root, "-s", NAME, "-N", "-n", "-B"], check=True, capture_output=True)
    assert digest(root / ACTIVE / "policy.kern") == fresh.baseline


# What changes a build is never taken for the same.


def _another_rule(root: Path) -> None:
    """Of the same length and time."""
    path = root / ACTIVE / "modules/100/base/cil"
    before = path.stat()
    text = whole(path)
    path.write_bytes(text)
    build_time = before.st_mtime_ns
    path.write_bytes(text.replace(b"(allow init_t shadow_t (file (read)))", b"(allow init_t shadow_t (file (open)))"))
    os.utime(path, ns=(build_time, build_time))


def _another_module(root: Path) -> None:
    (root / ACTIVE / "modules/400/more").mkdir(parents=True)
    (root / ACTIVE / "modules/400/more/cil").write_text("(allow sandbox_t data_t (file (write)))")
    (root / ACTIVE / "modules/400/more/lang_ext").write_text("cil")


def _shadowed_module(root: Path) -> None:
    shutil.copytree(root / ACTIVE / "modules/100/base", root / ACTIVE / "modules/400/base")
    cil = root / ACTIVE / "modules/400/base/cil"
    cil.write_bytes(whole(cil) + b"(allow sandbox_t data_t (file (write)))")


def _no_breach(root: Path) -> None:
    cil = root / ACTIVE / "modules/100/base/cil"
    cil.write_bytes(whole(cil).replace(b"(allow sandbox_t secret_t (file (write)))", b""))


def _local_boolean(root: Path) -> None:
    (root / ACTIVE / "booleans.local").write_text("container_use_data=1\n")


def _older_format(root: Path) -> None:
    with (root / "etc/selinux/semanage.conf").open("a") as file:
        file.write("policy-version = 30\n")


def _other_handling(root: Path) -> None:
    with (root / "etc/selinux/semanage.conf").open("a") as file:
        file.write("handle-unknown = deny\n")


def _other_own_policy(root: Path) -> None:
    """A policy in the store that is not what it builds."""
    kern = root / ACTIVE / "policy.kern"
    kern.write_bytes(kern.read_bytes()[:-1] + b"\1")


def _no_own_policy(root: Path) -> None:
    (root / ACTIVE / "policy.kern").unlink()


@pytest.mark.parametrize("cil", [HARMLESS, BREAKING])
@pytest.mark.parametrize(
    "change",
    [
        *(_another_rule, _another_module, _shadowed_module, _no_breach, _local_boolean, _older_format),
        *(_other_handling, _other_own_policy, _no_own_policy),
    ],
    ids=lambda one: one.__name__,
)
def test_what_changes_a_build_makes_it_built(build, root, change, cil):
    build(cil)
    assert build(cil).builds == 2
    change(root)
    fresh = build(cil, cached=False)
    after = build(cil)
    assert same(after, fresh)
    assert after.builds == fresh.builds
    assert same(build(cil), fresh)


def test_an_earlier_version_of_the_module_is_no_part_of_the_baseline(build, root, tmp_path):
    fresh = build(HARMLESS, cached=False)
    earlier = tmp_path / "earlier/mine.cil"
    earlier.parent.mkdir()
    earlier.write_text(BREAKING)
    command = ["semodule", "-p", root, "-s", NAME, "-N", "-n", "-X", "200", "-i", earlier]
    subprocess.run(command, check=True, capture_output=True)
    shutil.copy(root / ACTIVE / "policy.kern", next(root.glob(f"etc/selinux/{NAME}/policy/policy.*")))
    for _ in range(2):
        result = build(HARMLESS)
        assert result.replaced
        assert (result.baseline, result.changed, result.breaches) == (fresh.baseline, fresh.changed, fresh.breaches)
        assert result.builds == 4, "the store's own policy holds it, so it is not the baseline's"


def test_another_tool_builds_anew(build, tmp_path, monkeypatch):
    build()
    (tmp_path / "bin").mkdir()
    found = shutil.which("semodule", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found is not None
    shutil.copy(found, tmp_path / "bin/semodule")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert build().builds == 4, "it lies elsewhere"
    assert build().builds == 2
    with (tmp_path / "bin/semodule").open("ab") as file:
        file.write(b"\0")
    assert build().builds == 4


@pytest.mark.parametrize("tool", ["ldd", "script"])
def test_a_tool_whose_libraries_cannot_be_told_is_always_run(build, tmp_path, monkeypatch, tool):
    (tmp_path / "bin").mkdir()
    replaced = tmp_path / "bin" / ("ldd" if tool == "ldd" else "semodule")
    real = shutil.which("semodule", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    replaced.write_text("#!/bin/sh\nexit 1\n" if tool == "ldd" else f'#!/bin/sh\nexec {real} "$@"\n')
    replaced.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert [build().builds, build().builds] == [4, 4]


def test_a_store_with_a_link_in_it_is_always_built(build, root, tmp_path):
    """What is behind it may change."""
    moved = tmp_path / "elsewhere"
    (root / ACTIVE / "modules/100/base/cil").rename(moved)
    (root / ACTIVE / "modules/100/base/cil").symlink_to(moved)
    assert [build().builds, build().builds] == [4, 4]


def add_package(root: Path, tmp_path: Path) -> Path:
    """A module whose CIL is not in the store yet; gives its directory."""
    (tmp_path / "packed.te").write_text("module packed 1.0;\nrequire { type data_t; class file write; }\n")
    for command in (
        ["checkmodule", "-M", "-m", "-o", "packed.mod", "packed.te"],
        ["semodule_package", "-o", "packed.pp", "-m", "packed.mod"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    directory = root / ACTIVE / "modules/400/packed"
    directory.mkdir(parents=True)
    (directory / "lang_ext").write_text("pp")
    (directory / "hll").write_bytes(bz2.compress((tmp_path / "packed.pp").read_bytes()))
    return directory


def test_a_module_that_a_program_converts_first_is_always_built(build, root, tmp_path):
    directory = add_package(root, tmp_path)
    assert [build().builds, build().builds] == [4, 4]
    (directory.parent.parent / "disabled").mkdir(exist_ok=True)
    (directory.parent.parent / "disabled/packed").touch()
    assert [build().builds, build().builds] == [4, 2], "a disabled one counts for nothing"


def test_a_store_that_does_not_build_fails_each_time(build, root):
    build()
    cil = root / ACTIVE / "modules/100/base/cil"
    cil.write_bytes(whole(cil) + b"(allow no_such_t no_such_t (file (read)))")
    for _ in range(2):
        with pytest.raises(CompileError, match="does not build as it is"):
            build()


def test_a_module_that_does_not_link_fails_with_a_known_baseline_too(build):
    build()
    for _ in range(2):
        with pytest.raises(CompileError, match="mine does not link"):
            build("(allow container_t no_such_t (file (read)))")


# What may lie in the entry's place.


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=5)
@given(data=st.data())
def test_damaged_entries_are_replaced(data, build, cache_home):
    for earlier in cache_home.glob("*"):
        earlier.unlink()
    fresh = build()
    (mine,) = baselines(cache_home)
    good = mine.read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    mine.write_bytes(good[:place] + bytes([good[place] ^ data.draw(st.integers(1, 255))]) + good[place + 1 :])
    assert build() == fresh
    assert mine.read_bytes() == good


def sealed(like: bytes, document: Any) -> bytes:
    packed = zlib.compress(document if isinstance(document, bytes) else json.dumps(document).encode())
    return like[:48] + hashlib.sha256(packed).digest() + packed


@pytest.mark.parametrize(
    "document",
    [
        *(b"", b"[]", b"null", b"\xff", b"[" * 200_000, {}, {"policy": None, "breaches": []}),
        *({"policy": "0" * 64, "breaches": []}, {"breaches": []}),
    ],
)
def test_other_documents_are_replaced(build, cache_home, document):
    fresh = build()
    (mine,) = baselines(cache_home)
    good = mine.read_bytes()
    mine.write_bytes(sealed(good, document))
    assert build() == fresh
    assert mine.read_bytes() == good


@pytest.mark.parametrize("breaches", [1, "x", [1], [["a"]], [["a", 1]], [[["a"], "b"]], {"a": "b"}])
def test_complaints_that_are_none_are_replaced(build, cache_home, breaches):
    fresh = build()
    (mine,) = baselines(cache_home)
    good = mine.read_bytes()
    mine.write_bytes(sealed(good, {"policy": fresh.baseline, "breaches": breaches}))
    assert build() == fresh
    assert mine.read_bytes() == good
