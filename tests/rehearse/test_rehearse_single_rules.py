"""Without any one rule of a generated module something that its workload needs is refused again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
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


def taken_out(te: str, removed: Iterable[tuple[re.Match[str], str]]) -> str:
    """The source with some rules without one permission each; without the rule where it was the last."""
    for rule, perm in sorted(removed, key=lambda one: one[0].start(), reverse=True):
        left = [one for one in rule["perms"].split() if one != perm]
        kind = rule[0].partition(" ")[0]
        text = f"{kind} {rule['on']} {{ {' '.join(left)} }};" if left else ""
        te = te[: rule.start()] + text + te[rule.end() :]
    return te


def batches(learned: Learned) -> Iterator[list[tuple[re.Match[str], str]]]:
    """Every permission of every rule, one of each rule at a time, and the commands after them.

    What one rule lacks no other rule here gives (they differ in target or class), so what is missed by a module without
    all of a batch is missed by one without that permission alone.
    """
    rules: dict[str, list[tuple[re.Match[str], str]]] = {}
    for rule, perm in own_rules(learned):
        rules.setdefault(rule[0], []).append((rule, perm))
    for commands in (False, True):
        chosen = [one for text, one in rules.items() if text.startswith("allowxperm") is commands]
        for number in range(max(map(len, chosen), default=0)):
            yield [one[number] for one in chosen if number < len(one)]


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
    module = learned.without(taken_out(learned.te, [(rule, perm)]), tmp_path / "less")
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
def test_without_any_one_rule_prove_says_that_the_evidence_is_not_covered(
    learned: Learned, policy_root: Path, tmp_path: Path
) -> None:
    whole = prove(learned.directory, learned.request)
    assert (whole.covered, whole.minimal, whole.exit_code) == (True, True, 0)
    observed = {
        (rule.target, rule.tclass, perm)
        for decision in learned.plan.decisions
        for rule in decision.remedy.rules
        if isinstance(rule, AvRule) and rule.tclass == decision.tclass
        for perm in decision.perms
    }
    # Which accesses a policy without its store allows takes half the time to tell, and is the same.
    shutil.copytree(policy_root / "etc/selinux", tmp_path / "root/etc/selinux", symlinks=True)
    quick = replace(learned.request, policy=str(tmp_path / "root"))
    asked: list[tuple[object, ...]] = []
    along: list[tuple[object, ...]] = []
    for number, removed in enumerate(batches(learned)):
        less = prove(learned.without(taken_out(learned.te, removed), tmp_path / str(number)), quick)
        assert less.build == "binary"
        missing = {(one.target, one.tclass, what) for one in less.uncovered for what in (one.perm, one.xperm)}
        for rule, perm in removed:
            target, tclass, *command = re.split("[: ]", rule["on"].partition(" ")[2])
            one = (target, tclass, perm)
            (asked if command or one in observed else along).append((*one, less.covered, one in missing))
    assert len(asked) >= 20
    assert [one for one in asked if one[3:5] != (False, True)] == []
    # What a relabel takes along since the old label gave it, or hid it, is in no log, so no evidence misses it.
    assert learned.plan.module is not None
    assert len(along) == learned.plan.module.dontaudited
    assert [one for one in along if one[4]] == []
