"""Without any one rule of a generated module something that its workload needs is refused again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from polkit.minimize import Request, generate, prove
from polkit.model import AvRule, Plan, XpermRule
from polkit.module import build_package
from polkit.rehearse import RehearsalRequest, rehearse

_ALLOW = re.compile(r"^allow (?P<on>\S+ \S+:(?P<tclass>\S+)) \{ (?P<perms>[^}]*) \};$", re.MULTILINE)
_COMMANDS = re.compile(r"^allowxperm (?P<on>\S+ \S+:\S+ ioctl) \{ (?P<perms>[^}]*) \};$", re.MULTILINE)


@dataclass(frozen=True)
class Learned:
    """A module that was generated, its evidence, and how it was asked for."""

    directory: Path
    request: Request
    plan: Plan

    @property
    def te(self) -> str:
        """Its source."""
        return (self.directory / "vllm.te").read_text()

    def without(self, text: str, place: Path) -> Path:
        """A module of the same name with another source."""
        place.mkdir()
        for name in ("vllm.fc", "plan.json"):
            shutil.copy(self.directory / name, place / name)
        (place / "vllm.te").write_text(text)
        contexts = (place / "vllm.fc").read_text()
        (place / "vllm.pp").write_bytes(build_package("vllm", text, contexts, True, None))
        return place / "vllm.pp"


@pytest.fixture(scope="module")
def learned(policy_root: Path, kernel: Path, fixtures_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Learned:
    place = tmp_path_factory.mktemp("learned")
    scenario = fixtures_dir / "scenarios" / "serving.toml"
    told = rehearse(RehearsalRequest(scenario, policy=str(policy_root), kernel=kernel, learn=True))
    (place / "audit.log").write_text(told.audit)
    mounts = tuple(f"{host}:{inside}" for host, inside, _ in told.scenario.workload.binds)
    request = Request(logs=(str(place / "audit.log"),), policy=str(policy_root), name="vllm", mounts=mounts)
    outcome = generate(request, place / "vllm")
    assert outcome.exit_code == 0
    return Learned(place / "vllm", request, outcome.plan)


def own_rules(learned: Learned) -> Iterator[tuple[re.Match[str], str]]:
    """Each rule that the plan's decisions ask for, inherited ones aside, with each of its permissions or commands."""
    asked = {
        f"{rule.source} {rule.target}:{rule.tclass}"
        for decision in learned.plan.decisions
        for rule in decision.remedy.rules
        if isinstance(rule, (AvRule, XpermRule))
    }
    for pattern in (_ALLOW, _COMMANDS):
        for found in pattern.finditer(learned.te):
            if found["on"].replace(" ioctl", "") in asked:
                for perm in found["perms"].split():
                    yield found, perm


def taken_out(te: str, rule: re.Match[str], perm: str) -> str:
    """The source without one permission; without the rule where it was the last."""
    left = [one for one in rule["perms"].split() if one != perm]
    kind = rule[0].partition(" ")[0]
    text = f"{kind} {rule['on']} {{ {' '.join(left)} }};" if left else ""
    return te[: rule.start()] + text + te[rule.end() :]


SAMPLE = (
    ("vllm_model_t:file", "map", "model-mmap"),
    ("vllm_cache_t:dir", "add_name", "cache-create"),
    ("vllm_cache_t:file", "execute", "cache-load"),
    ("vllm_cache_t:file", "unlink", "cache-unlink"),
    ("xserver_misc_device_t:chr_file", "map", "gpu-mmap"),
    ("xserver_misc_device_t:chr_file ioctl", "0x462a", "gpu-ioctl"),
)
"""Rules of different kinds, and the step that misses each first."""


@pytest.mark.heavy
@pytest.mark.parametrize(("on", "perm", "missed"), SAMPLE, ids=[f"{on}-{perm}" for on, perm, _ in SAMPLE])
def test_without_one_rule_the_kernel_refuses_a_step_again(
    learned: Learned,
    policy_root: Path,
    kernel: Path,
    fixtures_dir: Path,
    tmp_path: Path,
    on: str,
    perm: str,
    missed: str,
) -> None:
    (rule,) = (rule for rule, one in own_rules(learned) if rule["on"] == f"vllm_t {on}" and one == perm)
    module = learned.without(taken_out(learned.te, rule, perm), tmp_path / "less")
    scenario = fixtures_dir / "scenarios" / "serving.toml"
    asked = RehearsalRequest(scenario, (module,), str(policy_root), domain="vllm_t", kernel=kernel, explain=True)
    told = rehearse(asked)
    refused = {one.step.name: one for one in told.judged if one.got == "denied"}
    assert missed in refused
    causes = {cause.cause for one in refused.values() for cause in one.causes}
    by_boolean = on.startswith("xserver")  # container_use_devices would give it, which is off
    assert causes == {"xperm" if perm.startswith("0x") else "boolean" if by_boolean else "missing-rule"}
    assert {perm for one in refused.values() for cause in one.causes for perm in (*cause.perms, *cause.xperms)} >= {
        perm
    }


@pytest.mark.heavy
def test_without_any_one_rule_prove_says_that_the_evidence_is_not_covered(learned: Learned, tmp_path: Path) -> None:
    whole = prove(learned.directory, learned.request)
    assert (whole.covered, whole.minimal, whole.exit_code) == (True, True, 0)
    observed = {
        (rule.target, rule.tclass, perm)
        for decision in learned.plan.decisions
        for rule in decision.remedy.rules
        if isinstance(rule, AvRule) and rule.tclass == decision.tclass
        for perm in decision.perms
    }
    asked: list[tuple[object, ...]] = []
    along: list[tuple[object, ...]] = []
    for number, (rule, perm) in enumerate(own_rules(learned)):
        target, tclass, *command = re.split("[: ]", rule["on"].partition(" ")[2])
        module = learned.without(taken_out(learned.te, rule, perm), tmp_path / str(number))
        less = prove(module, learned.request)
        missing = {(one.target, one.tclass, one.xperm or one.perm) for one in less.uncovered}
        told = (target, tclass, perm, less.covered, (target, tclass, perm) in missing, less.minimal)
        (asked if command or (target, tclass, perm) in observed else along).append(told)
    assert len(asked) >= 20
    assert [one for one in asked if one[3:5] != (False, True)] == []
    # What a relabel takes along from the old label is in no log, so nothing that is known misses it.
    assert {one[2] for one in along} <= {"lock"}
    assert [one for one in along if one[3:] != (True, False, True)] == []
