"""A policy that comes from the cache answers as one read anew; an entry is found for its own policy only."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import setools

from polkit.errors import MissingDependency
from polkit.policy import load_policy
from tests.policy.questions import SMALL, entry, is_kept, load_fresh, load_kept, same_answers, with_commands
from tests.policy.sampling import LEVELS, Sampler, every_access

LARGE_SAMPLE = 3000


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own; gives the folder that the entries will be in."""
    monkeypatch.delenv("POLKIT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache/polkit"


@pytest.mark.parametrize("name", SMALL)
def test_small_policies_answer_the_same(name, compiled, home):
    path = compiled(name)
    mls = "\nmlsconstrain" in (Path(__file__).parent / "sources" / name).read_text()
    asked = every_access(path, LEVELS[:3] if mls else ("",))
    accesses = list(islice(with_commands(one.access for one in asked), 20_000))
    fresh, filling = load_fresh(path), load_policy(str(path))
    assert same_answers(fresh, filling, path, accesses[:50]) > 100
    assert same_answers(fresh, load_kept(path), path, accesses) > len(accesses)


def test_the_real_policy_answers_the_same(real, policy_root, binary_policy, home):
    load_policy(str(policy_root))
    sampler = Sampler(binary_policy, seed=5)
    draws = [sampler.blind, *(lambda kind=kind: sampler.near(kind) for kind in ("allow", "dontaudit", "conditional"))]
    draws += [lambda: sampler.near("transition"), lambda: sampler.near("bounded"), sampler.role_change]
    drawn = (draws[number % len(draws)]().access for number in range(LARGE_SAMPLE))
    asked = same_answers(real, load_kept(policy_root), binary_policy, list(with_commands(drawn)), most=60)
    assert asked > 2 * LARGE_SAMPLE


def test_a_kept_policy_needs_no_setools(compiled, home):
    code = (
        "import sys; from polkit.policy import load_policy; load_policy(sys.argv[1]); print('setools' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(compiled("roles.conf"))]
    said = [subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout for _ in range(2)]
    assert said == ["True\n", "False\n"]


# Which entry is whose.


def test_equal_policies_share_an_entry_that_knows_its_place(compiled, home, tmp_path):
    path, copy = compiled("roles.conf"), tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    load_policy(str(path))
    assert load_kept(copy).info == replace(load_policy(str(path)).info, path=str(copy))


def test_the_same_policy_gives_the_same_bytes(compiled, home):
    load_policy(str(compiled("conditions.conf")))
    first = entry(home).read_bytes()
    entry(home).unlink()
    load_policy(str(compiled("conditions.conf")))
    assert entry(home).read_bytes() == first


def test_another_setools_reads_anew(compiled, home, tmp_path, monkeypatch):
    path = compiled("roles.conf")
    load_policy(str(path))
    (tmp_path / "lib/setools").mkdir(parents=True)
    (tmp_path / "lib/setools/__init__.py").touch()
    (tmp_path / "lib/setools-99.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    assert is_kept(path), "the one that is imported counts"
    monkeypatch.setitem(sys.modules, "setools", None)
    with pytest.raises(MissingDependency, match="setools is not installed"):
        load_policy(str(path))
    code = "import sys; from polkit.policy import load_policy; load_policy(sys.argv[1])"
    command = [sys.executable, "-c", code, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "lib")}
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    assert "MissingDependency" in done.stderr


def test_a_policy_installed_while_it_is_read_is_not_kept(compiled, home, tmp_path, monkeypatch):
    path = tmp_path / "policy"
    path.write_bytes(compiled("roles.conf").read_bytes())
    opened = setools.SELinuxPolicy

    def install_and_open(name: str) -> object:
        path.write_bytes(compiled("ports.cil").read_bytes())
        return opened(name)

    monkeypatch.setattr(setools, "SELinuxPolicy", install_and_open)
    load_policy(str(path))
    assert not home.exists()


def test_at_most_twenty_are_kept_the_oldest_go_first(compiled, home, tmp_path):
    source = (Path(__file__).parent / "sources/ports.cil").read_text()
    paths = []
    for number in range(22):
        (tmp_path / "source.cil").write_text(source.replace("udp_port_t", f"udp{number}_port_t"))
        paths.append(tmp_path / f"policy{number}")
        command = ["secilc", "-N", "-c", "31", "-o", paths[-1], "-f", "/dev/null", tmp_path / "source.cil"]
        subprocess.run(command, check=True)
    home.mkdir(mode=0o700)
    (home / "notes").write_text("not ours")
    (home / f"{'0' * 64}.{'0' * 16}").write_text("half-written, by a process that was ended")
    os.utime(home / f"{'0' * 64}.{'0' * 16}", (0, 0))
    for number, path in enumerate(paths):
        before = set(home.iterdir())
        load_policy(str(path))
        (new,) = set(home.iterdir()) - before
        os.utime(new, (number, number + 1))
    assert [is_kept(path) for path in paths] == [False] * 2 + [True] * 20
    assert sorted(path.suffix for path in home.iterdir()) == ["", *[".index"] * 20]
