"""What explain says of each step's denials, beside what the kernel did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polkit.minimize import Request, empty_domain, generate
from polkit.policy import TargetPolicy, load_booted, load_policy, locate, policy_to_boot
from polkit.rehearse import (
    Judged,
    Rehearsal,
    RehearsalRequest,
    Step,
    read_scenario,
    rehearsal_object,
    rehearse,
    with_causes,
)
from tests.rehearse.conftest import HEAD, WriteScenario

Run = Callable[..., Rehearsal]
PROBE = "probe_t"


def avc(serial: int, perms: str, target: str, level: str = "s0", tclass: str = "file", path: str = "/x") -> str:
    return (
        f'type=AVC msg=audit(1.000:{serial}): avc:  denied  {{ {perms} }} for  pid=80 comm="one" path="{path}" '
        f'dev="sda1" ino=1 scontext=system_u:system_r:container_t:s0:c1,c2 '
        f"tcontext=system_u:object_r:{target}:{level} "
        f"tclass={tclass} permissive=0"
    )


def judged(*lines: str, got: str = "denied") -> Judged:
    return Judged(Step("one", "read", {"path": "/x"}, "denied", "why"), "container_t", "denied", got, "EACCES", lines)


def explained(scenario: Path, policy: TargetPolicy, audit: str, *own: str) -> Judged:
    (found,) = with_causes((judged(*own),), audit, read_scenario(scenario), policy)
    return found


@pytest.mark.parametrize(
    ("record", "causes"),
    [
        (avc(5, "read", "ssh_home_t"), [("missing-rule", (), "refuse")]),
        (avc(5, "read", "shadow_t"), [("neverallow", (), "refuse")]),
        (avc(5, "read", "container_file_t", "s0:c3,c4"), [("constraint", (), "level")]),
        (avc(5, "append", "sshd_t", "s0:c3,c4", "fifo_file"), [("missing-rule", ("constraint",), "allow")]),
    ],
    ids=("rule", "neverallow", "level", "both"),
)
def test_a_refusal_has_its_causes(
    scenario_file: WriteScenario, policy: TargetPolicy, record: str, causes: list[tuple[object, ...]]
) -> None:
    found = explained(scenario_file(), policy, record, record)
    assert [(one.cause, one.also, one.remedy) for one in found.causes] == causes
    assert found.disagreement == ""


def test_what_explain_holds_for_allowed_is_a_disagreement(scenario_file: WriteScenario, policy: TargetPolicy) -> None:
    record = avc(5, "read", "container_file_t", "s0:c1,c2")
    found = explained(scenario_file(), policy, record, record)
    assert [one.cause for one in found.causes] == ["already-allowed"]
    assert "container_t read on container_file_t:file" in found.disagreement
    scenario = read_scenario(scenario_file())
    told = Rehearsal(scenario, "enforcing", "raw", (found,), record, "", 1, 0, 0, 1.0, 1.0)
    assert found.ok, "it got what was expected, and yet"
    assert (told.ok, told.exit_code) == (False, 1)
    assert rehearsal_object(told)["steps"][0]["disagreement"] == found.disagreement


def test_booleans_in_force_count(scenario_file: WriteScenario, policy: TargetPolicy) -> None:
    record = avc(5, "read", "xserver_misc_device_t", tclass="chr_file")
    off, on = (policy.with_booleans({"container_use_xserver_devices": value}) for value in (False, True))
    assert explained(scenario_file(), off, record, record).causes[0].cause == "boolean"
    assert explained(scenario_file(), on, record, record).causes[0].cause == "already-allowed"


def test_only_its_own_records_are_asked_about_with_their_paths(
    scenario_file: WriteScenario, policy: TargetPolicy
) -> None:
    """A step in a root of its own sees paths that lie elsewhere on the host."""
    volume = "/var/lib/containers/storage/volumes/v/_data"
    mine, other = avc(5, "read", "home_root_t", path="/models/w"), avc(6, "read", "shadow_t", path="/etc/shadow")
    head = HEAD + f'root = "/var/lib/containers/storage/overlay/x/merged"\nbinds = ["{volume}:/models"]\n'
    found = explained(scenario_file(head=head), policy, f"{mine}\n{other}", mine)
    assert [(one.cause, one.remedy) for one in found.causes] == [("mislabeled", "relabel")]
    assert f"{volume}/w is labelled home_root_t" in found.causes[0].why


def test_a_step_without_denials_has_no_causes(scenario_file: WriteScenario, policy: TargetPolicy) -> None:
    found = explained(scenario_file(), policy, avc(6, "read", "shadow_t"))
    assert (found.causes, found.disagreement) == ((), "")


@pytest.fixture
def run(policy_root: Path, kernel: Path, fixtures_dir: Path) -> Run:
    def go(name: str, **asked: Any) -> Rehearsal:
        scenario = fixtures_dir / "scenarios" / f"{name}.toml"
        return rehearse(RehearsalRequest(scenario, policy=str(policy_root), kernel=kernel, **asked))

    return go


@pytest.fixture(scope="module")
def probe(policy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A domain that may do nothing, and is permissive: everything that a step asks for is in the log."""
    place = tmp_path_factory.mktemp("probe") / "module"
    empty_domain(Request(policy=str(policy_root), name=PROBE[:-2], base="container_t"), place)
    (module,) = (file for file in place.iterdir() if file.suffix == ".pp")
    return module


@pytest.mark.heavy
@pytest.mark.parametrize("with_module", [False, True])
def test_the_kernel_and_explain_agree_on_every_step(
    run: Run, policy_root: Path, probe: Path, tmp_path: Path, with_module: bool
) -> None:
    """All that each step asks for, seen in a domain that may do nothing, is put to explain as the workload's: it holds
    the step for refused if one access is. The kernel, enforcing, must say the same of every step."""
    modules: tuple[Path, ...] = ()
    domain, policy = "container_t", load_policy(str(policy_root))
    if with_module:
        modules, domain = (serving_module(run, policy_root, tmp_path),), "vllm_t"
        files = locate(str(policy_root))
        nothing = ("polkit_nothing", "(type polkit_nothing_t)\n")
        policy = load_booted(policy_to_boot(files, modules, nothing, tmp_path / "policy"), files, {})
    verdicts = set()
    for name in ("serving", "attacks"):
        asked = run(name, permissive=True, domain=PROBE, modules=(*modules, probe))
        enforced = run(name, modules=modules, domain=domain, explain=True)
        assert [one.step.name for one in enforced.judged if one.disagreement] == []
        log = asked.audit.replace(f":{PROBE}:", f":{domain}:")
        foretold = with_causes(asked.judged, log, asked.scenario, policy)
        told = {one.step.name: {cause.cause for cause in one.causes} for one in foretold}
        assert all(told.values()), "every step asks for something"
        refused = {name for name, causes in told.items() if causes != {"already-allowed"}}
        # What an earlier refusal kept from being made was never asked of SELinux.
        reached = [one for one in enforced.judged if one.errno != "ENOENT"]
        assert [one.step.name for one in enforced.judged if one not in reached] == (
            ["cache-load"] if name == "serving" and not with_module else []
        )
        assert {one.step.name: one.got for one in reached} == {
            one.step.name: "denied" if one.step.name in refused else "allowed" for one in reached
        }
        verdicts |= {(name, one.got) for one in reached}
    serving = {("serving", "allowed")} if with_module else {("serving", "allowed"), ("serving", "denied")}
    assert verdicts == {*serving, ("attacks", "denied")}


def serving_module(run: Run, policy_root: Path, place: Path) -> Path:
    learned = run("serving", learn=True)
    (place / "audit.log").write_text(learned.audit)
    mounts = tuple(f"{host}:{inside}" for host, inside, _ in learned.scenario.workload.binds)
    generate(
        Request(logs=(str(place / "audit.log"),), policy=str(policy_root), name="vllm", mounts=mounts), place / "vllm"
    )
    return place / "vllm" / "vllm.pp"
