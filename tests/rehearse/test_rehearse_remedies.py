"""What a plan asks for besides rules, carried out in the machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.errors import PolkitError, SourceError, UsageError
from polkit.minimize import Request, generate
from polkit.rehearse import Carried, Rehearsal, RehearsalRequest, rehearsal_object, rehearse
from tests.rehearse.conftest import HEAD, STEP, WriteScenario

Run = Callable[..., Rehearsal]

THINGS = """
[[thing]]
path = "/dev/nvidia0"
device = "c 1 5"
mode = "0666"

[[thing]]
path = "/etc/machine-id"
content = "0"
label = "shadow_t"

[[thing]]
path = "/srv/moved/overlay/app.py"
content = "print()"
label = "default_t"

[[thing]]
path = "/srv/weights/model"
content = "weights"
label = "home_root_t"

[[thing]]
path = "/srv/nfs/model"
content = "weights"
label = "nfs_t"

[[thing]]
path = "/srv/volumes/theirs"
content = "a prompt"
label = "container_file_t"
level = "s0:c3,c4"

[[thing]]
path = "/srv/pub/page"
label = "public_content_t"

[[process]]
name = "peer"
domain = "container_t"
level = "s0:c3,c4"
"""


def step(name: str, do: str, rest: str, expect: str = "allowed") -> str:
    return f'\n[[step]]\nname = "{name}"\ndo = "{do}"\nexpect = "{expect}"\nwhy = "test"\n{rest}\n'


STEPS = (
    step("gpu", "open", 'path = "/dev/nvidia0"\nflags = ["O_RDWR"]')
    + step("restored", "read", 'path = "/etc/machine-id"')
    + step("moved", "read", 'path = "/srv/moved/overlay/app.py"')
    + step("entry", "read", 'path = "/srv/weights/model"')
    + step("mounted", "read", 'path = "/srv/nfs/model"')
    + step("level", "read", 'path = "/srv/volumes/theirs"')
    + step("port", "listen", 'port = 6390\ndomain = "redis_t"\nlevel = "s0"')
    + step("taken", "listen", 'port = 8000\ndomain = "redis_t"\nlevel = "s0"')
    + step("shadow", "read", 'path = "/etc/shadow"', "denied")
)
SHADOW = '\n[[thing]]\npath = "/etc/shadow"\nmode = "0600"\ncontent = "root:*"\n'


@pytest.fixture
def run(policy_root: Path, kernel: Path) -> Run:
    def go(scenario: Path, **asked: Any) -> Rehearsal:
        return rehearse(RehearsalRequest(scenario, policy=str(policy_root), kernel=kernel, **asked))

    return go


def decision(number: int, kind: str, target: str = "default_t", tclass: str = "file", **more: Any) -> dict[str, Any]:
    evidence = {"paths": more.pop("paths", []), "levels": more.pop("levels", [])}
    remedy = {"kind": kind, "text": "do it", **more}
    named = {"id": f"D{number}", "source": "container_t", "target": target, "class": tclass}
    return {**named, "remedy": remedy, "also_remedies": [], "evidence": evidence}


def plan_file(place: Path, *decisions: dict[str, Any]) -> Path:
    path = place / "plan.json"
    path.write_text(json.dumps({"schema": "polkit.plan/1", "decisions": list(decisions), "predicted": []}))
    return path


def commands(*lines: str) -> dict[str, Any]:
    return {"commands": list(lines)}


def every_kind() -> tuple[dict[str, Any], ...]:
    theirs: dict[str, Any] = {"paths": ["/srv/volumes/theirs"], "levels": ["s0:c1,c2 -> s0:c3,c4"]}
    mount = commands('mount -o context="system_u:object_r:container_file_t:s0" SOURCE DIRECTORY')
    pattern = commands("semanage fcontext -a -t container_file_t '/srv/weights(/.*)?'", "restorecon -RFv /srv/weights")
    return (
        decision(1, "boolean", settings={"container_use_xserver_devices": True}),
        decision(2, "relabel", **commands("restorecon -v /etc/machine-id")),
        decision(
            3,
            "equivalence",
            **commands("semanage fcontext -a -e /var/lib/containers/storage /srv/moved", "restorecon -RFv /srv/moved"),
        ),
        decision(4, "fcontext", **pattern),
        decision(5, "mount", target="nfs_t", type="container_file_t", **mount),
        decision(6, "level", target="container_file_t", **theirs),
        decision(7, "port", tclass="tcp_socket", **commands("semanage port -a -t redis_port_t -p tcp 6390")),
        decision(8, "port", tclass="tcp_socket", **commands("semanage port -m -t redis_port_t -p tcp 8000")),
        decision(9, "level", target="container_t", tclass="process", levels=["s0:c1,c2 -> s0:c3,c4"]),
        decision(10, "mount", path="/dev/shm", **commands("podman run --shm-size=SIZE ...")),
        decision(11, "domain", hint="restart it", **commands("restorecon -v /usr/bin/kubelet")),
        decision(12, "fcontext", **commands("semanage fcontext -a -t no_such_t '/srv/x(/.*)?'")),
        decision(13, "relabel", **commands("restorecon -v /srv/elsewhere")),
        decision(14, "relabel", **commands("restorecon -v /srv/pub/page")),
        decision(15, "boolean", settings={"no_such_boolean": True}),
        decision(16, "relabel", **commands("rm -rf /")),
        decision(17, "fcontext", **commands("semanage fcontext -a -t etc_t '/srv/((x'")),
        decision(18, "port", tclass="tcp_socket", **commands("semanage port -m -t http_port_t -p tcp 6390")),
        decision(19, "relabel", **commands("setsebool -P no_such_boolean=on")),
        decision(20, "allow", rules=[]),
    )


def test_every_remedy_is_carried_out_or_listed(
    run: Run, scenario_file: WriteScenario, tmp_path: Path, repository: Path
) -> None:
    rehearsal = run(scenario_file(THINGS + SHADOW, step=STEPS), plan=plan_file(tmp_path, *every_kind()), explain=True)
    assert [(one.step.name, one.got, one.avc) for one in rehearsal.judged if not one.ok] == []
    told = {one.decision: one for one in rehearsal.remedies}
    assert list(told) == [f"D{number}" for number in range(1, 20)], "a rule is the module's, all else is listed"
    assert [id_ for id_, one in told.items() if one.applied] == [f"D{number}" for number in range(1, 10)]
    assert "--shm-size" in told["D10"].note
    assert "another domain only by whoever runs it" in told["D11"].note
    assert "no type no_such_t" in told["D12"].note
    assert "nothing of the scenario lies at /srv/elsewhere" in told["D13"].note
    assert "keeps its customizable type public_content_t" in told["D14"].note
    assert "no boolean no_such_boolean" in told["D15"].note
    assert "rm -rf /" in told["D16"].note
    assert "tcp port 6390 is redis_port_t by another remedy already" in told["D18"].note
    assert "no boolean no_such_boolean" in told["D19"].note
    assert "/srv/((x is no regular expression" in told["D17"].note
    (shadow,) = (one for one in rehearsal.judged if one.step.name == "shadow")
    assert [cause.cause for cause in shadow.causes] == ["neverallow"]
    schema = json.loads((repository / "docs/schemas/polkit.rehearsal-1.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(json.dumps(rehearsal_object(rehearsal))))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "expected an object"),
        ("{}", "schema is missing"),
        ('{"schema": "polkit.plan/2"}', "not polkit.plan/1"),
        ('{"schema": "polkit.plan/1"}', "decisions is missing"),
        ('{"schema": "polkit.plan/1", "decisions": {}}', "decisions: expected a list"),
        ('{"schema": "polkit.plan/1", "decisions": [1]}', "decisions[0]: expected an object"),
    ],
    ids=str.split("cut nested list empty another none object number"),
)
def test_what_is_no_plan_is_refused_with_file_and_key(
    scenario_file: WriteScenario, tmp_path: Path, content: str, named: str
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(content)
    with pytest.raises(UsageError) as refused:
        rehearse(RehearsalRequest(scenario_file(), plan=path))
    assert str(path) in str(refused.value)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("id", "D1; reboot", "decisions[0].id: expected D1, D2"),
        ("target", "shadow_t)(allow", "decisions[0].target: expected a type"),
        ("evidence", None, "decisions[0].evidence: expected an object"),
        ("remedy", {"kind": "format"}, "decisions[0].remedy.kind: expected one of"),
        ("remedy", {"kind": "relabel", "commands": [1]}, "decisions[0].remedy.commands: expected a list of texts"),
        ("remedy", {"kind": "boolean", "settings": {"a b": True}}, "decisions[0].remedy.settings: expected booleans"),
        ("remedy", {"kind": "boolean"}, "decisions[0].remedy.settings is missing"),
        ("remedy", {"kind": "mount", "type": "a b"}, "decisions[0].remedy.type: expected a type"),
    ],
)
def test_every_key_of_a_plan_is_looked_at(
    scenario_file: WriteScenario, tmp_path: Path, key: str, value: object, named: str
) -> None:
    path = plan_file(tmp_path, {**decision(1, "relabel"), key: value})
    with pytest.raises(UsageError, match=r"plan\.json") as refused:
        rehearse(RehearsalRequest(scenario_file(), plan=path))
    assert named in str(refused.value)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PLACES = [
    *(("decisions", 0, key) for key in ("id", "target", "class", "evidence", "remedy", "also_remedies")),
    *(("decisions", 0, "remedy", key) for key in ("kind", "type", "commands", "settings")),
    *(("decisions", 0, "evidence", key) for key in ("paths", "levels")),
    *((key,) for key in ("schema", "decisions", "predicted")),
]


@given(place=st.sampled_from(PLACES), value=ANYTHING)
def test_no_plan_is_too_odd_for_a_plain_word(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[Any, ...], value: object
) -> None:
    """A plan with anything at all at any of its keys is read, or refused as wrong usage."""
    whole: Any = {
        "schema": "polkit.plan/1",
        "decisions": [decision(1, "boolean", settings={"a": True}, commands=[], type=None)],
        "predicted": [],
    }
    at = whole
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    folder = tmp_path_factory.mktemp("odd")
    (folder / "small.toml").write_text(HEAD + STEP)
    (folder / "plan.json").write_text(json.dumps(whole))
    asked = RehearsalRequest(folder / "small.toml", plan=folder, kernel=Path("/no/such/kernel"))
    with pytest.raises(PolkitError) as refused:
        rehearse(asked)
    assert isinstance(refused.value, UsageError) or refused.value.exit_code in (3, 4), "or the kernel is missed next"


def test_a_plan_that_is_not_there(scenario_file: WriteScenario, tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(SourceError, match="can't be read"):
            rehearse(RehearsalRequest(scenario_file(), plan=path))


@pytest.mark.parametrize(
    ("there", "named"),
    [
        ((), "holds no module"),
        (("a.te", "b.fc"), "holds no module"),
        (("a.pp", "b.pp"), "several modules: a.pp, b.pp"),
        (("a.cil", "b.cil"), "several modules: a.cil, b.cil"),
        (("polkit.toml", "a.te", "a-optional.cil"), "holds no module"),
    ],
)
def test_a_directory_of_no_one_module(
    scenario_file: WriteScenario, tmp_path: Path, there: tuple[str, ...], named: str
) -> None:
    place = tmp_path / "module"
    place.mkdir()
    for name in there:
        (place / name).write_text('[module]\nname = "a"\n' if name == "polkit.toml" else "")
    with pytest.raises(UsageError, match=named):
        rehearse(RehearsalRequest(scenario_file(), modules=(place,)))


@pytest.mark.heavy
def test_the_loop_closes_with_the_remedies_applied(
    run: Run, fixtures_dir: Path, policy_root: Path, tmp_path: Path
) -> None:
    """With the module alone just those steps are refused that a label, a boolean, a level or a port explains; with the
    plan carried out too, none. The module's directory will do for both."""
    scenario = fixtures_dir / "scenarios" / "remedies.toml"
    seen = run(scenario, permissive=True)
    (tmp_path / "audit.log").write_text(seen.audit)
    request = Request(
        logs=(str(tmp_path / "audit.log"),), policy=str(policy_root), name="fixed", extend=True, mounts=("/:/",)
    )
    outcome = generate(request, tmp_path / "fixed")
    by_hand = [one for one in outcome.plan.decisions if one.remedy.kind != "allow"]
    assert {one.remedy.kind for one in by_hand} == {"boolean", "relabel", "level", "port"}
    assert any(one.remedy.kind == "allow" for one in outcome.plan.decisions)
    explained = {name for one in by_hand for name in one.evidence.comms}
    alone = run(scenario, modules=(tmp_path / "fixed",), explain=True)
    assert {one.step.name for one in alone.judged if one.got == "denied"} == explained
    assert {cause.cause for one in alone.judged for cause in one.causes} == {
        "boolean", "mislabeled", "constraint", "port-label"
    }  # fmt: skip
    assert [one.disagreement for one in alone.judged if one.disagreement] == []
    for plan in (tmp_path / "fixed", outcome.plan):
        whole = run(scenario, modules=(tmp_path / "fixed",), plan=plan)
        assert [(one.step.name, one.got, one.avc) for one in whole.judged if not one.ok] == []
        assert whole.denials == 0
        assert {one.kind for one in whole.remedies if one.applied} == {"boolean", "relabel", "level", "port"}
        assert [one for one in whole.remedies if not one.applied] == []
        assert all(isinstance(one, Carried) for one in whole.remedies)
