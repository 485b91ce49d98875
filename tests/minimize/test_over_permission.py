"""Least privilege as a number: on every fixture the module gives what was asked, whole, and nothing besides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Optional

import pytest

from polkit.minimize import Request, assemble, describe_module, explain, generate, prove
from polkit.model import AvRule, ModuleInfo, Plan
from polkit.policy import TargetPolicy
from tests.fixture_plans import FIXTURES, logs
from tests.records import avc

MOUNTS = ("/srv/models:/models", "/srv/vllm/cache:/home/vllm/.cache")
NAMES = [str(log.relative_to(FIXTURES)) for log in logs()]


def request_of(name: str, policy_root: Path) -> Request:
    return Request(
        logs=(str(FIXTURES / name),), policy=str(policy_root), name="asked", mounts=MOUNTS, accept=("all",)
    )  # fmt: skip


def described(plan: Plan, policy: TargetPolicy) -> Optional[ModuleInfo]:
    """None where the log asks for no module."""
    source = assemble(plan, "asked", "1.0.0")
    return None if source is None else describe_module(source, plan, policy, frozenset(), ())


@pytest.mark.parametrize("name", NAMES)
def test_no_module_gives_more_than_was_asked(name: str, policy_root: Path, policy: TargetPolicy) -> None:
    plan = explain(request_of(name, policy_root), policy=policy).plan
    module = described(plan, policy)
    if module is None:
        assert not any(remedy.rules for one in plan.decisions for remedy in (one.remedy, *one.also_remedies))
    else:
        assert module.over_permission == 0


def test_the_figure_is_none_by_chance(policy_root: Path, policy: TargetPolicy) -> None:
    """A permission more in a rule counts, also beside those that a relabel takes along; these count for themselves."""
    plan = explain(request_of("kernel/vllm-serving.audit.log", policy_root), policy=policy).plan
    before = described(plan, policy)
    assert before is not None
    assert before.dontaudited > 0
    for decision in plan.decisions:
        rules = [rule for rule in decision.remedy.rules if isinstance(rule, AvRule)]
        if not rules:
            continue
        wide = replace(rules[0], perms=(*rules[0].perms, "relabelto"))
        others = tuple(one for one in plan.decisions if one is not decision)
        remedy = replace(decision.remedy, rules=(wide,))
        after = described(replace(plan, decisions=(*others, replace(decision, remedy=remedy))), policy)
        assert after is not None
        assert (after.over_permission, after.dontaudited) == (1, before.dontaudited), decision.id


def test_a_gate_on_over_permission_lets_a_relabel_take_along_what_it_must(policy_root: Path, tmp_path: Path) -> None:
    (tmp_path / "polkit.toml").write_text("[gates]\nmax_over_permission = 0\n")
    request = request_of("kernel/vllm-serving.audit.log", policy_root)
    outcome = generate(replace(request, extend=True, config=tmp_path / "polkit.toml"), tmp_path / "asked")
    assert outcome.breaches == ()
    assert outcome.plan.module is not None
    assert (outcome.plan.module.over_permission, outcome.plan.module.dontaudited) == (0, 1)


@pytest.mark.heavy
def test_labels_of_both_kinds_are_proven(policy_root: Path, tmp_path: Path) -> None:
    """What is read and what is written below one mount, on labels that allowed and hid some of it."""
    seen = (
        ("file", "read open map", "/models/w.bin", "var_t"),
        ("dir", "write add_name", "/models", "default_t"),
        ("dir", "create", "/models/.cache", "default_t"),
        ("file", "create write open", "/models/.cache/x", "var_t"),
    )
    records = [
        avc(perms, target, tclass, fields=f'path="{path}" dev="dm-0"', serial=serial)
        for serial, (tclass, perms, path, target) in enumerate(seen, 1)
    ]
    (tmp_path / "log").write_text("".join(records))
    request = replace(request_of("", policy_root), logs=(str(tmp_path / "log"),))
    generate(request, tmp_path / "asked")
    assert [line.split()[0] for line in (tmp_path / "asked/asked.fc").read_text().splitlines() if line[0] != "#"] == [
        "/srv/models(/.*)?", r"/srv/models/\.cache(/.*)?", "/srv/models",
    ]  # fmt: skip
    proof = prove(tmp_path / "asked", request)
    assert (proof.covered, proof.minimal, proof.contained, proof.safe) == (True, True, True, True)
    assert (proof.figures.completeness, proof.figures.over_permission_rate) == (1.0, 0.0)
    assert proof.figures.dontaudited > 0
