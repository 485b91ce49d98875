"""Scenarios: what is read of them, and how each mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.errors import PolkitError, SourceError, UsageError
from polkit.rehearse import OPERATIONS, read_scenario
from tests.rehearse.conftest import HEAD, STEP, WriteScenario


def test_everything_a_scenario_may_say(scenario_file: WriteScenario) -> None:
    more = """
root = "/var/lib/containers/vllm"
binds = ["/srv/models:/models:ro", "/srv/cache:/cache"]

[[thing]]
path = "/srv/models/llm"
directory = true

[[thing]]
path = "/dev/nvidia0"
device = "c 1 5"
stand-in = true

[[thing]]
path = "/run/engine.sock"
server = "dockerd_t"
label = "container_var_run_t"

[[thing]]
path = "/etc/shadow"
label = "file_contexts"
mode = "0600"
content = "root"

[[listener]]
port = 443
domain = "httpd_t"

[[process]]
name = "victim"
domain = "sshd_t"
"""
    step = """
[[step]]
name = "kill"
do = "signal"
process = "victim"
signal = "SIGKILL"
domain = "spc_t"
level = "s0"
expect = "denied"
why = "it is none of its own"
"""
    scenario = read_scenario(scenario_file(more, step=STEP + step))
    assert scenario.workload.root == "/var/lib/containers/vllm"
    assert scenario.workload.binds == (("/srv/models", "/models", True), ("/srv/cache", "/cache", False))
    kinds = {thing.path: (thing.kind, thing.label) for thing in scenario.things}
    assert kinds == {
        "/srv/models/llm": ("dir", None),
        "/dev/nvidia0": ("node", None),
        "/run/engine.sock": ("socket", "container_var_run_t"),
        "/etc/shadow": ("file", None),
    }
    node = scenario.things[1]
    assert (node.major, node.minor, node.block, node.stand_in) == (1, 5, False, True)
    assert scenario.things[3].mode == 0o600
    assert [(one.port, one.protocol, one.domain) for one in scenario.listeners] == [(443, "tcp", "httpd_t")]
    read, kill = scenario.steps
    assert (read.object, read.expect, read.domain) == ("/etc/passwd", "allowed", None)
    assert (kill.object, kill.expect, kill.domain, kill.level) == ("victim", "denied", "spc_t", "s0")


MISTAKES = [
    ("[[thing]]\npath = '/a'\ncolour = 'red'\n", "thing 1 (/a): unknown key 'colour'"),
    ("[[thing]]\npath = 'srv'\n", "thing 1: path: expected an absolute path"),
    ("[[thing]]\npath = '/srv/../etc'\n", "thing 1: path: expected an absolute path"),
    ("[[thing]]\npath = '/a'\nmode = '9'\n", "thing 1 (/a): mode: expected a mode"),
    ("[[thing]]\npath = '/a'\nlabel = 'x y'\n", "thing 1: label: expected a type"),
    ("[[thing]]\npath = '/a'\ndevice = '1:5'\n", "thing 1: device: expected a device"),
    ("[[thing]]\npath = '/a'\nsize = 1\ncontent = 'x'\n", "one of content, copy"),
    ("[[thing]]\npath = '/a'\n[[thing]]\npath = '/a'\n", "two of [[thing]] are called /a"),
    ("binds = ['/a']\n", "binds: '/a' is not HOST:INSIDE"),
    ("[[listener]]\nport = 70000\ndomain = 'httpd_t'\n", "listener 1: port: expected a whole number"),
    ("[listener]\nport = 7\n", "listener: expected [[listener]]"),
    ("[[stepp]]\n", "unknown key 'stepp'; did you mean 'step'?"),
    (STEP.replace('"read"', '"reed"'), "step 1 (one): do: 'reed' is none of"),
    (STEP.replace("path", "file"), "step 1 (one): path is missing"),
    (STEP.replace('"one"', '"a name too long"'), "step 1: name: expected a name"),
    (STEP.replace('"allowed"', '"yes"'), "expect: 'yes' is none of allowed, denied"),
    (STEP.replace("why", "# why"), "step 1 (one): why is missing"),
    (STEP + 'flags = ["O_RDWR"]\n', "step 1 (one): unknown key 'flags'"),
    (STEP.replace('"read"', '"open"') + 'flags = ["O_MAGIC"]\n', "flags: 'O_MAGIC' is none of"),
    (
        STEP.replace('"read"', '"signal"').replace("path", "process").replace("one", "two"),
        "there is no [[process]] /etc/passwd",
    ),
    (STEP, "two of [[step]] are called one"),
]


@pytest.mark.parametrize(("more", "said"), MISTAKES, ids=[said for _, said in MISTAKES])
def test_a_mistake_is_told_with_its_place(scenario_file: WriteScenario, more: str, said: str) -> None:
    path = scenario_file(more)
    with pytest.raises(UsageError) as told:
        read_scenario(path)
    assert str(told.value).startswith(f"{path}: ")
    assert said in str(told.value)


def test_a_level_that_is_none_is_refused(scenario_file: WriteScenario) -> None:
    with pytest.raises(UsageError, match="level: expected a level"):
        read_scenario(scenario_file(head=HEAD.replace("s0:c1,c2", "secret")))


def test_a_scenario_without_steps_is_refused(scenario_file: WriteScenario) -> None:
    with pytest.raises(UsageError, match=r"there is no \[\[step\]\]"):
        read_scenario(scenario_file(step=""))


def test_a_file_that_is_not_there_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="can't be read"):
        read_scenario(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"[scenario\n", b"\xff\xfe", b"a = " + b"[" * 100000])
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=str(path)):
        read_scenario(path)


_VALUES = st.one_of(st.text(max_size=20), st.integers(), st.booleans(), st.lists(st.text(max_size=5), max_size=3))


@given(st.sampled_from(sorted(OPERATIONS)), st.dictionaries(st.sampled_from(["path", "to", "mode", "port"]), _VALUES))
def test_no_values_end_in_anything_but_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, operation: str, values: dict[str, object]
) -> None:
    import json

    path = tmp_path_factory.getbasetemp() / "any.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    step = f'[[step]]\nname = "x"\ndo = "{operation}"\nexpect = "denied"\nwhy = ""\n' + "\n".join(lines)
    path.write_text(HEAD + step + "\n", encoding="utf-8", errors="replace")
    try:
        scenario = read_scenario(path)
    except PolkitError:
        return
    assert scenario.steps[0].object


def test_every_shipped_scenario_can_be_read(fixtures_dir: Path) -> None:
    paths = sorted((fixtures_dir / "scenarios").glob("*.toml"))
    assert paths
    for path in paths:
        scenario = read_scenario(path)
        assert all(step.why for step in scenario.steps)
        stand_ins = [
            thing for thing in scenario.things if thing.kind == "node" and (thing.major, thing.minor) == (1, 5)
        ]
        assert all(thing.stand_in for thing in stand_ins), "a node on /dev/zero says so"


def test_files_to_copy_lie_beside_the_scenario(
    scenario_file: WriteScenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is run from."""
    path = scenario_file('\n[[thing]]\npath = "/opt/serve"\ncopy = "bin/serve"\n')
    monkeypatch.chdir("/")
    assert [thing.copy for thing in read_scenario(path).things] == [str(tmp_path / "bin/serve")]
