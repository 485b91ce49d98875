"""Nothing that may lie in the cache's place does harm, and no place is too bad to work without a cache."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polkit.policy import load_policy
from tests.policy.questions import SMALL, answers, entry, is_kept, load_fresh
from tests.policy.sampling import every_access

HEAD = 80
"""Magic (12), format (4), key (32) and SHA-256 of the rest (32)."""
FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own; gives the folder that the entries will be in."""
    monkeypatch.delenv("POLKIT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache/polkit"


def check_replaced(home: Path, path: Path, good: bytes) -> None:
    """Loading gives the fresh policy's answers, and a good entry again."""
    assert list(answers(load_policy(str(path)), path, [], 5)) == list(answers(load_fresh(path), path, [], 5))
    assert entry(home).read_bytes() == good
    assert is_kept(path)


@FIXTURES
@given(data=st.data())
def test_damaged_entries_are_replaced(data, compiled, home):
    path = compiled("ports.cil")
    load_policy(str(path))
    good = entry(home).read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    damaged = data.draw(
        st.sampled_from((good[:place], good[:place] + b"\0" * (len(good) - place), good + good[place:]))
        | st.integers(1, 255).map(lambda flip: good[:place] + bytes([good[place] ^ flip]) + good[place + 1 :])
        | st.binary(max_size=200)
    )
    if damaged != good:
        entry(home).write_bytes(damaged)
        assert not is_kept(path)
        check_replaced(home, path, good)


def test_an_entry_of_another_policy_or_format_is_replaced(compiled, home):
    path = compiled("ports.cil")
    load_policy(str(path))
    mine = entry(home)
    good = mine.read_bytes()
    load_policy(str(compiled("roles.conf")))
    (other,) = set(home.iterdir()) - {mine}
    for foreign in (other.read_bytes(), good[:12] + b"\0" + good[13:], b"\x80\x04" + good):
        other.unlink(missing_ok=True)
        mine.write_bytes(foreign)
        check_replaced(home, path, good)


def sealed(like: bytes, document: bytes) -> bytes:
    packed = zlib.compress(document)
    return like[:48] + hashlib.sha256(packed).digest() + packed


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@settings(FIXTURES, max_examples=200)
@given(data=st.data())
def test_forged_entries_do_no_harm(data, compiled, home):
    """With a digest that fits: it may lie, as its owner may, but nothing fails and nothing is run."""
    for earlier in home.glob("*"):
        earlier.unlink()
    path = compiled(data.draw(st.sampled_from(SMALL)))
    load_policy(str(path))
    mine = entry(home)
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
    accesses = [one.access for one in islice(every_access(path), 200)]
    assert sum(1 for _ in answers(load_policy(str(path)), path, accesses)) > len(accesses)


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"null", b"{}", b"\xff", b"[" * 200_000, b'{"policy": [1, true, "allow"]}', b"1" * 10_000],
    ids=["empty", "list", "null", "mapping", "no text", "deep", "little", "long number"],
)
def test_other_documents_are_replaced(document, compiled, home):
    path = compiled("ports.cil")
    load_policy(str(path))
    good = entry(home).read_bytes()
    entry(home).write_bytes(sealed(good, document))
    check_replaced(home, path, good)


def test_what_unpacks_to_too_much_is_replaced(compiled, home):
    path = compiled("ports.cil")
    load_policy(str(path))
    good = entry(home).read_bytes()
    entry(home).write_bytes(sealed(good, bytes(65 * 1024 * 1024)))
    check_replaced(home, path, good)


def _circle_of_bounds(document: Any) -> None:
    bounded, bounding = next(iter(document["bounds"].items()))
    document["bounds"][bounding] = bounded


def _first_constraint(document: Any) -> list[Any]:
    return next(iter(document["constraints"].values()))[0]


def _operator_that_is_none(document: Any) -> None:
    _first_constraint(document)[2] = [["l1", "beside", "h2"]]


def _comparison_with_nothing(document: Any) -> None:
    _first_constraint(document)[2] = [["u1", "==", "u"]]


def _set_that_is_not_there(document: Any) -> None:
    _first_constraint(document)[2] = [["t1", "==", 99, "domain"]]


def _operator_without_operands(document: Any) -> None:
    _first_constraint(document)[2] = [["u1", "==", "u2"], "and"]


def _port_in_words(document: Any) -> None:
    document["ports"][0][1] = "http"


def _condition_on_an_unknown_boolean(document: Any) -> None:
    document["conditions"][0] = ["no_such_boolean"]


def _mask_that_is_no_number(document: Any) -> None:
    by_target = next(iter(next(iter(document["allow"].values())).values()))
    by_target[next(iter(by_target))] = 1.5


@pytest.mark.parametrize(
    ("name", "forge"),
    [
        ("bounds.cil", _circle_of_bounds),
        ("constraints.conf", _operator_that_is_none),
        ("constraints.conf", _comparison_with_nothing),
        ("constraints.conf", _set_that_is_not_there),
        ("constraints.conf", _operator_without_operands),
        ("ports.cil", _port_in_words),
        ("conditions.conf", _condition_on_an_unknown_boolean),
        ("roles.conf", _mask_that_is_no_number),
    ],
)
def test_what_no_question_could_be_answered_from_is_replaced(name, forge, compiled, home):
    path = compiled(name)
    load_policy(str(path))
    good = entry(home).read_bytes()
    document = json.loads(zlib.decompress(good[HEAD:]))
    forge(document)
    entry(home).write_bytes(sealed(good, json.dumps(document).encode()))
    check_replaced(home, path, good)


# Where it may have to lie.


def check_no_cache(path: Path) -> None:
    """Loads, twice, and the second time anew."""
    assert list(answers(load_policy(str(path)), path, [], 5)) == list(answers(load_fresh(path), path, [], 5))
    assert not is_kept(path)


def test_only_its_owner_reads_and_writes_it(compiled, home):
    path = str(compiled("ports.cil"))
    before = os.umask(0)
    try:
        load_policy(path)
    finally:
        os.umask(before)
    assert home.stat().st_mode & 0o7777 == 0o700
    assert entry(home).stat().st_mode & 0o7777 == 0o600


def test_off_is_off(compiled, home, monkeypatch):
    path = compiled("ports.cil")
    monkeypatch.setenv("POLKIT_CACHE", "off")
    check_no_cache(path)
    assert not home.exists()
    monkeypatch.setenv("POLKIT_CACHE", "on")
    load_policy(str(path))
    assert is_kept(path)
    monkeypatch.setenv("POLKIT_CACHE", "off")
    assert not is_kept(path)


def test_home_stands_in_for_xdg_cache_home(compiled, home, monkeypatch, tmp_path):
    path = compiled("ports.cil")
    monkeypatch.setenv("HOME", str(tmp_path))
    for unset in ("", "relative/cache"):
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        load_policy(str(path))
        assert is_kept(path)
        entry(tmp_path / ".cache/polkit").unlink()
    assert (tmp_path / ".cache").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("given_home", [None, "", "relative", "/nowhere/at/all", "/proc", "/dev/null"])
def test_without_a_place_nothing_is_kept(given_home, compiled, home, monkeypatch, capfd):
    monkeypatch.delenv("XDG_CACHE_HOME")
    if given_home is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", given_home)
    check_no_cache(compiled("ports.cil"))
    assert capfd.readouterr() == ("", "")


def _file(home: Path) -> None:
    home.write_text("")


def _open_to_all(home: Path) -> None:
    home.mkdir()
    home.chmod(0o777)


def _open_to_the_group(home: Path) -> None:
    home.mkdir()
    home.chmod(0o770)


def _link(home: Path) -> None:
    home.with_name("elsewhere").mkdir(mode=0o700)
    home.symlink_to("elsewhere")


@pytest.mark.parametrize("make", [_file, _open_to_all, _open_to_the_group, _link])
def test_a_folder_that_others_may_have_a_say_in_is_not_used(make: Callable[[Path], None], compiled, home, capfd):
    make(home)
    check_no_cache(compiled("ports.cil"))
    assert not home.is_dir() or list(home.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_folder_of_another_user_is_not_used(compiled, home, monkeypatch):
    path = compiled("ports.cil")
    load_policy(str(path))
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    assert not is_kept(path)
    entry(home).unlink()
    load_policy(str(path))
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "pipe", "open to the group", "folder"])
def test_an_entry_that_others_may_have_written_is_not_read(kind, compiled, home, tmp_path):
    path = compiled("ports.cil")
    load_policy(str(path))
    mine = entry(home)
    good = mine.read_bytes()
    mine.rename(tmp_path / "moved")
    if kind == "link":
        mine.symlink_to(tmp_path / "moved")
    elif kind == "pipe":
        os.mkfifo(mine, 0o600)
    elif kind == "folder":
        (mine / "inside").mkdir(parents=True)
    else:
        mine.write_bytes(good)
        mine.chmod(0o660)
    assert not is_kept(path)
    load_policy(str(path))
    if kind == "folder":
        assert [found.name for found in home.iterdir()] == [mine.name], "what can't be replaced leaves nothing behind"
    else:
        assert (mine.is_symlink(), mine.read_bytes(), mine.stat().st_mode & 0o777) == (False, good, 0o600)
        assert is_kept(path)


LOAD = "import sys; from polkit.policy import load_policy; print(load_policy(sys.argv[1]).info.version)"


def test_a_full_disk_leaves_nothing_behind(compiled, home):
    """As a limit on the size of files, which ends a write in its middle."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    command = [sys.executable, "-B", "-c", LOAD, str(compiled("ports.cil"))]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "31\n", "")
    assert list(home.iterdir()) == []


def test_processes_at_once_do_not_collide(compiled, home):
    path = compiled("conditions.conf")
    command = [sys.executable, "-c", LOAD, str(path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in "abcd"]
    assert [process.communicate()[0] for process in started] == ["31\n"] * 4
    assert entry(home).is_file()
    assert is_kept(path)
