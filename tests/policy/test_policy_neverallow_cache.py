"""Neverallow rules that come from the cache are those of the store as it is now, and bad entries do no harm."""

from __future__ import annotations

import bz2
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polkit.errors import SourceError
from polkit.policy import TargetPolicy, load_policy
from polkit.policy.store import unpacked_text

HEAD = 80
"""Magic (12), format (4), key (32) and SHA-256 of the rest (32)."""
FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
TYPES = ("init_t", "app_t", "other_t")
CLASSES = {"file": ("read",), "process": ("transition", "dyntransition", "signal")}
Rules = dict[tuple[str, ...], Any]


def all_answers(policy: TargetPolicy) -> Rules:
    asked = product(TYPES, TYPES, [(tclass, perm) for tclass, perms in CLASSES.items() for perm in perms])
    return {(one, two, *what): policy.neverallowed(one, two, *what) for one, two, what in asked}


def fresh(path: Path, store: Path) -> Rules:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("POLKIT_CACHE", "off")
        return all_answers(load_policy(str(path), str(store)))


def is_kept(path: Path, store: Path) -> bool:
    """The rules come without a module being unpacked (one of the store is packed), as in a new process."""

    def refuse() -> None:
        raise AssertionError("unpacked")

    unpacked_text.cache_clear()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bz2, "BZ2Decompressor", refuse)
        try:
            all_answers(load_policy(str(path), str(store)))
        except AssertionError:
            return False
    return True


@pytest.fixture
def store(store: Path) -> Path:
    """Of which a module is packed, whatever becomes of the others."""
    (store / "active/modules/100/packed").mkdir()
    (store / "active/modules/100/packed/cil").write_bytes(bz2.compress(b"(type packed_t)"))
    return store


def entry(home: Path, path: Path, store: Path) -> Path:
    """The entry of the rules, after they were asked for."""
    before = set(home.glob("*"))
    all_answers(load_policy(str(path), str(store)))
    (new,) = set(home.glob("*")) - before
    return new


@pytest.fixture
def policy_file(compiled: Callable[[str], Path], cache_home: Path) -> Path:
    """``roles.conf``, in the cache already."""
    path = compiled("roles.conf")
    load_policy(str(path))
    return path


def test_kept_rules_answer_as_fresh_ones(policy_file, store, cache_home):
    asked = fresh(policy_file, store)
    assert {None} < set(asked.values())
    assert all_answers(load_policy(str(policy_file), str(store))) == asked
    assert is_kept(policy_file, store)
    assert all_answers(load_policy(str(policy_file), str(store))) == asked


def test_the_real_stores_rules_are_the_same(policy_root, real, cache_home):
    types = [*sorted(real.types("file_type"))[::60], "memory_device_t", "shadow_t", "container_t"]
    sources = [*sorted(real.types("domain"))[::40], "container_t", "spc_t", "init_t"]

    def found() -> list[Any]:
        policy = load_policy(str(policy_root))
        what = (("file", "write"), ("chr_file", "read"), ("process", "transition"), ("capability", "sys_module"))
        return [policy.neverallowed(one, two, *asked) for one, two, asked in product(sources, types, what)]

    first = found()
    assert sum(one is not None for one in first) > 100
    assert found() == first
    with pytest.MonkeyPatch.context() as patched:
        patched.delattr(bz2, "BZ2Decompressor")
        assert found() == first


def test_nothing_is_read_or_kept_before_a_question(policy_file, store, cache_home):
    before = set(cache_home.iterdir())
    policy = load_policy(str(policy_file), str(store))
    assert set(cache_home.iterdir()) == before
    policy.neverallowed("init_t", "app_t", "process", "signal")
    assert len(set(cache_home.iterdir()) - before) == 1


def _another_text(modules: Path) -> None:
    """Of the same length and time."""
    path = modules / "400/app/cil"
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"no_such_t", b"app_t    "))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def _disabled(modules: Path) -> None:
    (modules / "disabled/base").touch()


def _enabled(modules: Path) -> None:
    (modules / "disabled/gone").unlink()


def _removed(modules: Path) -> None:
    shutil.rmtree(modules / "400/app")


def _shadowed(modules: Path) -> None:
    (modules / "500/base").mkdir(parents=True)
    (modules / "500/base/cil").write_text("(neverallow other_t other_t (file (read)))")


def _renamed(modules: Path) -> None:
    """So that what 400/app shadowed counts."""
    (modules / "400/app").rename(modules / "400/apple")


def _moved_text(modules: Path) -> None:
    """The same bytes in all, in other modules."""
    texts = {path: path.read_bytes() for path in sorted(modules.glob("*/app/cil"))}
    for path, text in zip(texts, reversed(list(texts.values()))):
        path.write_bytes(text)


@pytest.mark.parametrize(
    "change",
    [_another_text, _disabled, _enabled, _removed, _shadowed, _renamed, _moved_text],
    ids=lambda one: one.__name__,
)
def test_a_store_that_changes_is_read_anew(change, policy_file, store, cache_home):
    before = all_answers(load_policy(str(policy_file), str(store)))
    change(store / "active/modules")
    assert not is_kept(policy_file, store)
    after = all_answers(load_policy(str(policy_file), str(store)))
    assert after != before
    assert after == fresh(policy_file, store)


def test_another_policy_on_the_same_store_is_another_question(policy_file, store, compiled, cache_home):
    all_answers(load_policy(str(policy_file), str(store)))
    other = compiled("bounds.cil")
    load_policy(str(other))
    assert not is_kept(other, store)
    assert all_answers(load_policy(str(other), str(store))) == fresh(other, store)
    assert is_kept(policy_file, store)


def test_a_store_of_the_same_modules_elsewhere_shares_the_entry(policy_file, store, cache_home, tmp_path):
    all_answers(load_policy(str(policy_file), str(store)))
    shutil.copytree(store / "active", tmp_path / "elsewhere/active")
    assert is_kept(policy_file, tmp_path / "elsewhere")


def test_off_is_off(policy_file, store, cache_home, monkeypatch):
    all_answers(load_policy(str(policy_file), str(store)))
    monkeypatch.setenv("POLKIT_CACHE", "off")
    assert not is_kept(policy_file, store)


def test_a_damaged_module_is_an_error_with_a_cache_too(policy_file, store, cache_home):
    all_answers(load_policy(str(policy_file), str(store)))
    (store / "active/modules/100/base/cil").write_bytes(b"BZh9 not bzip2")
    for _ in range(2):
        with pytest.raises(SourceError, match="damaged"):
            load_policy(str(policy_file), str(store)).neverallowed("init_t", "app_t", "process", "signal")
    assert len(list(cache_home.iterdir())) == 2


# What may lie in the entry's place.


def check_replaced(home: Path, path: Path, store: Path, mine: Path, good: bytes) -> None:
    assert all_answers(load_policy(str(path), str(store))) == fresh(path, store)
    assert mine.read_bytes() == good
    assert is_kept(path, store)


@FIXTURES
@given(data=st.data())
def test_damaged_entries_are_replaced(data, policy_file, store, cache_home):
    for earlier in cache_home.glob("*"):
        earlier.unlink()
    load_policy(str(policy_file))
    mine = entry(cache_home, policy_file, store)
    good = mine.read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    damaged = data.draw(
        st.sampled_from((good[:place], good[:place] + b"\0" * (len(good) - place), good + good[place:]))
        | st.integers(1, 255).map(lambda flip: good[:place] + bytes([good[place] ^ flip]) + good[place + 1 :])
    )
    if damaged != good:
        mine.write_bytes(damaged)
        assert not is_kept(policy_file, store)
        check_replaced(cache_home, policy_file, store, mine, good)


def test_the_policys_own_entry_in_its_place_is_replaced(policy_file, store, cache_home):
    (policys,) = cache_home.iterdir()
    mine = entry(cache_home, policy_file, store)
    good = mine.read_bytes()
    mine.write_bytes(policys.read_bytes())
    check_replaced(cache_home, policy_file, store, mine, good)
    mine.write_bytes(sealed(good, zlib.decompress(policys.read_bytes()[HEAD:])))
    check_replaced(cache_home, policy_file, store, mine, good)


def sealed(like: bytes, document: bytes) -> bytes:
    packed = zlib.compress(document)
    return like[:48] + hashlib.sha256(packed).digest() + packed


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@settings(FIXTURES, max_examples=200)
@given(data=st.data())
def test_forged_entries_do_no_harm(data, policy_file, store, cache_home):
    """With a digest that fits: it may lie, as its owner may, but nothing fails and nothing is run."""
    for earlier in cache_home.glob("*"):
        earlier.unlink()
    load_policy(str(policy_file))
    mine = entry(cache_home, policy_file, store)
    good = mine.read_bytes()
    document = json.loads(zlib.decompress(good[HEAD:]))
    place: Any = {"": document}
    key: Any = ""
    while isinstance(place[key], (dict, list)) and place[key] and (key == "" or data.draw(st.integers(0, 4))):
        place = place[key]
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(keys))
    place[key] = data.draw(JUNK)
    mine.write_bytes(sealed(good, json.dumps(document).encode()))
    for answer in all_answers(load_policy(str(policy_file), str(store))).values():
        assert answer is None or isinstance(answer, str)


@pytest.mark.parametrize(
    "document",
    [
        *(b"", b"[]", b"null", b"{}", b"\xff", b"[" * 200_000, b"1" * 10_000),
        *(b'{"rules": {}}', b'{"rules": {"file": [["t", "s", "other way", 0, 0, 0, 0]]}, "sets": [[]]}'),
        b'{"rules": {"file": [["t", "s", "", 0, 0, 0]]}, "sets": [[]]}',
        b'{"rules": {"file": [["t", "s", "", 0, 0, 0, 1]]}, "sets": [[]]}',
        b'{"rules": {}, "sets": [[1]]}',
    ],
)
def test_other_documents_are_replaced(document, policy_file, store, cache_home):
    mine = entry(cache_home, policy_file, store)
    good = mine.read_bytes()
    mine.write_bytes(sealed(good, document))
    check_replaced(cache_home, policy_file, store, mine, good)
