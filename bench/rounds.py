"""How many enforcing rounds a workload takes to a working module: with and without --predict, and with audit2allow.

Recorded: what a real kernel logged in one enforcing round (each step of the workload gave up at its first refusal), and
what it logged of the same steps in a permissive domain. Held against each other they say how much of what was still to
come was predicted, and how much that never came.

Simulated: the rounds themselves. The permissive log gives the kernel's checks in their order; a round replays them up
to the first that neither the policy nor the plan of all rounds before gives, and adds its records to the log as an
enforcing kernel would have written them (the refused permissions alone, the call failed, nothing created). Every remedy
of a plan counts as carried out before the next round, what a person has to do as well: a label or mount changes what
the step that was refused asks of. Of predicted decisions only rules count. What a program does differently after an
error, and checks that only an enforcing kernel makes, are in no log.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from polkit.audit import ReadOptions, read_logs, totals
from polkit.minimize import Mount, PathMap, Settings, make_plan
from polkit.model import EQUAL_LEVELS, AvRule, Decision, Party, Plan, Xperm
from polkit.policy import Access, TargetPolicy, load_policy
from polkit.rehearse import read_scenario

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
KERNEL = FIXTURES / "avc" / "kernel"
MOUNTS = (Mount("/models", "/srv/models"), Mount("/home/vllm/.cache", "/srv/vllm/cache"))
SERVING = FIXTURES / "scenarios" / "recording-serving.toml"
"""The scenario of what serving a model takes; ``comm`` in the logs is the step's name."""
MOST_ROUNDS = 400

Vector = tuple[str, str, str, str]
"""Source and target type, class, permission."""


@dataclass(frozen=True)
class Check:
    """One check of the kernel, as its AVC record in a permissive domain tells it."""

    step: str
    source: str
    target: str
    tclass: str
    perms: tuple[str, ...]
    command: Optional[int]
    record: str
    companions: tuple[str, ...]

    def vectors(self) -> Iterator[Vector]:
        yield from ((self.source, self.target, self.tclass, perm) for perm in self.perms)

    def refused(self, perms: tuple[str, ...], serial: int) -> Iterator[str]:
        """The event as an enforcing kernel would have logged it."""
        record = re.sub(r"\{[^}]*\}", f"{{ {' '.join(perms)} }}", self.record, count=1)
        lines = [record.replace("permissive=1", "permissive=0")]
        for line in self.companions:
            if "nametype=CREATE" not in line:
                lines.append(re.sub(r"success=yes exit=\S+", "success=no exit=-13", line))
        yield from (re.sub(r"(audit\([\d.]+):\d+\)", rf"\1:{serial})", line, count=1) for line in lines)


_AVC = re.compile(
    r"type=AVC msg=audit\((\S+?)\): avc:  denied  \{ ([^}]*) \} for .*?comm=\"?([^\s\"]+).*?"
    r"scontext=\w+:\w+:(\w+)\S* tcontext=\w+:\w+:(\w+)\S* tclass=(\w+)"
)


def checks(log: Path, domain: str, steps: Optional[frozenset[str]] = None) -> list[Check]:
    """The checks of a permissive log in their order."""
    companions: dict[str, list[str]] = {}
    found = []
    lines = log.read_text(errors="replace").splitlines()
    for line in lines:
        event = re.match(r"type=(SYSCALL|CWD|PATH) msg=audit\((\S+?)\)", line)
        if event:
            companions.setdefault(event[2], []).append(line)
    for line in lines:
        avc = _AVC.match(line)
        if avc and avc[4] == domain and (steps is None or avc[3] in steps):
            command = re.search(r"ioctlcmd=(0x[0-9a-f]+)", line)
            number = int(command[1], 16) if command else None
            perms = tuple(sorted(avc[2].split()))
            others = tuple(companions.get(avc[1], ()))
            found.append(Check(avc[3], avc[4], avc[5], avc[6], perms, number, line, others))
    return found


# ---- what a tool's answer allows -------------------------------------------------------------------------------------


@dataclass
class Answer:
    """What the next round may do: by a tool's rules, by the policy with a plan's booleans. ``more`` was predicted."""

    vectors: set[Vector] = field(default_factory=set)
    commands: set[tuple[Vector, int]] = field(default_factory=set)
    more: set[Vector] = field(default_factory=set)
    policy: Optional[TargetPolicy] = None
    labels: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """From step, source and target type to the type that its objects have once a label or mount was put right."""

    def allows(self, check: Check, perm: str) -> bool:
        vector = (check.source, check.target, check.tclass, perm)
        if perm == "ioctl" and check.command is not None:
            if (vector, check.command) in self.commands:
                return True
        elif vector in self.vectors or vector in self.more:
            return True
        label = self.labels.get((check.step, check.source, check.target), check.target)
        return self.policy is not None and _by_policy(self.policy, check, label, perm)


def _by_policy(policy: TargetPolicy, check: Check, target: str, perm: str) -> bool:
    if None in (policy.type_name(check.source), policy.type_name(target)):
        return False
    if perm not in policy.permissions(check.tclass):
        return False
    xperm = Xperm("ioctl", check.command) if perm == "ioctl" and check.command is not None else None
    one, other = Party("system_u", "system_r", check.source), Party("system_u", "object_r", target)
    return policy.decide(Access(one, other, check.tclass, perm, EQUAL_LEVELS, xperm)).allowed


Tool = Callable[[str], Answer]


def with_polkit(policy: TargetPolicy, predict: bool) -> Tool:
    def answer(log: str) -> Answer:
        return from_plan(plan_of(log, policy, predict), policy)

    return answer


def plan_of(log: str, policy: TargetPolicy, predict: bool, source: Optional[str] = None) -> Plan:
    options = ReadOptions(source_types=frozenset((source,)) if source else frozenset())
    denials = totals(read_logs(["-"], options, stdin=io.BytesIO(log.encode())))
    settings = Settings(module="vllm", paths=PathMap(MOUNTS), predict=predict, bases=("container_t",))
    return make_plan(denials, policy, settings)


def from_plan(plan: Plan, policy: TargetPolicy) -> Answer:
    found = Answer()
    booleans: dict[str, bool] = {}
    for decision in plan.decisions:
        found.vectors |= _vectors(decision)
        found.commands |= {
            ((decision.source, decision.target, decision.tclass, "ioctl"), int(number, 16))
            for number in decision.xperms
        }
        if decision.remedy.kind in ("relabel", "mount") and decision.remedy.type is not None:
            for step in decision.evidence.comms:
                found.labels[step, decision.source, decision.target] = decision.remedy.type
        if decision.remedy.kind == "boolean":
            booleans.update(decision.remedy.options[0].settings)
    for decision in plan.predicted:
        if decision.remedy.rules:
            found.more |= _vectors(decision)
    found.more -= found.vectors
    found.policy = policy.with_booleans(booleans)
    return found


def _vectors(decision: Decision) -> set[Vector]:
    """What a decision gives on the object as the log calls it: rules on a label of the module's own as well."""
    perms = set(decision.perms)
    for rule in decision.remedy.rules:
        if isinstance(rule, AvRule) and rule.tclass == decision.tclass:
            perms.update(rule.perms)
    return {(decision.source, decision.target, decision.tclass, perm) for perm in perms}


def with_audit2allow(binary: str) -> Tool:
    def answer(log: str) -> Answer:
        with tempfile.NamedTemporaryFile("w", suffix=".log") as file:
            file.write(log)
            file.flush()
            command = ["audit2allow", "-p", binary, "-i", file.name]
            text = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
            ).stdout
        found = Answer()
        for source, target, tclass, perms in re.findall(
            r"^allow (\S+) (\S+?):(\S+) (?:\{ )?([^};]+?)(?: \})?;", text, re.MULTILINE
        ):
            object_ = source if target == "self" else target
            found.vectors |= {(source, object_, tclass, perm) for perm in perms.split()}
        return found

    return answer


# ---- rounds ----------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """``rounds`` that met a refusal; ``stuck``: refusals that the tool's answer leaves; ``over``: allowed by prediction
    at the end and never asked for."""

    rounds: int = 0
    stuck: int = 0
    over: frozenset[Vector] = frozenset()
    hits: int = 0


def simulate(workload: list[Check], tool: Tool, dies: bool, start: Answer) -> Run:
    """Rounds until nothing is refused. ``dies``: at its first refusal; else each step gives up at its own."""
    log: list[str] = []
    answer, run = start, Run()
    carried: set[tuple[str, str, str, str, Optional[int]]] = set()
    while run.rounds < MOST_ROUNDS:
        refused = list(_round(workload, answer, carried, dies))
        if not refused:
            break
        run.rounds += 1
        for check, perms in refused:
            log.extend(check.refused(perms, serial=run.rounds * 1000 + len(log)))
        answer = tool("\n".join(log) + "\n")
        for check, perms in refused:
            for perm in perms:
                if not _given(check, perm, answer, carried):
                    run.stuck += 1
                    carried.add((check.source, check.target, check.tclass, perm, check.command))
    asked = {vector for check in workload for vector in check.vectors()}
    run.over, run.hits = frozenset(answer.more - asked), len(answer.more & asked)
    return run


def _round(
    workload: list[Check], answer: Answer, carried: set[tuple[str, str, str, str, Optional[int]]], dies: bool
) -> Iterator[tuple[Check, tuple[str, ...]]]:
    given_up: set[str] = set()
    for check in workload:
        if check.step in given_up:
            continue
        perms = tuple(perm for perm in check.perms if not _given(check, perm, answer, carried))
        if perms:
            yield check, perms
            if dies:
                return
            given_up.add(check.step)


def _given(check: Check, perm: str, answer: Answer, carried: set[tuple[str, str, str, str, Optional[int]]]) -> bool:
    key = (check.source, check.target, check.tclass, perm, check.command)
    if key in carried or answer.allows(check, perm):
        return True
    # audit2allow gives every command
    return (
        perm == "ioctl" and not answer.commands and (check.source, check.target, check.tclass, perm) in answer.vectors
    )


# ---- what a recorded enforcing round tells of the permissive one -----------------------------------------------------


def recorded(policy: TargetPolicy, domain: str, enforcing: str, permissive: str) -> None:
    plan = plan_of((KERNEL / enforcing).read_text(errors="replace"), policy, True, domain)
    seen = {vector for decision in plan.decisions for vector in _exactly(decision)}
    foreseen = {vector for decision in plan.predicted if decision.remedy.rules for vector in _exactly(decision)}
    truth = {vector for check in checks(KERNEL / permissive, domain) for vector in check.vectors()}
    booleans = from_plan(plan, policy)
    left = {vector for vector in truth - seen if not _known_allowed(vector, booleans)}
    hits = foreseen & left
    print(f"  {domain}: {len(seen)} accesses refused in the enforcing round, {len(left)} more in the permissive one")
    print(f"    predicted {len(foreseen)}: {len(hits)} of those that came, {len(foreseen - truth)} that never did")


def _exactly(decision: Decision) -> set[Vector]:
    return {(decision.source, decision.target, decision.tclass, perm) for perm in decision.perms}


def _known_allowed(vector: Vector, answer: Answer) -> bool:
    check = Check("", *vector[:3], perms=(vector[3],), command=None, record="", companions=())
    return answer.allows(check, vector[3]) and vector not in answer.more and vector not in answer.vectors


def report(name: str, workload: list[Check], tools: dict[str, Tool], start: Answer, names: Iterable[str]) -> None:
    asked = {vector for check in workload for vector in check.vectors()}
    print(f"\n{name}: {len({check.step for check in workload})} steps, {len(asked)} accesses refused when permissive")
    print(f"  {'':<26}{'dies at the first':>18}{'carries on':>12}   predicted: came / never came")
    for word in names:
        dies, carries = (simulate(workload, tools[word], mode, start) for mode in (True, False))
        more = f"   {dies.hits} / {len(dies.over)}" if "--predict" in word else ""
        stuck = f"   {dies.stuck} refusals without a rule" if dies.stuck else ""
        print(f"  {word:<26}{dies.rounds:>14} + 1{carries.rounds:>8} + 1{more}{stuck}", flush=True)
        if "-v" in sys.argv:
            for vector in sorted(dies.over):
                print(f"      never came: {' '.join(vector)}")
    print(f"  {'a permissive round':<26}{1:>14} + 1{1:>8} + 1")


def main() -> None:
    """Print both."""
    root = os.environ["POLKIT_POLICY_ROOT"]
    policy, nothing = load_policy(root), load_policy("none")
    assert policy.info is not None
    print("Recorded: one enforcing round, each step ending at its first refusal, against the permissive one")
    recorded(policy, "container_t", "vllm-enforcing.enriched.log", "vllm-permissive.audit.log")
    recorded(nothing, "vllm_strict_t", "vllm-strict-enforcing.audit.log", "vllm-strict.audit.log")
    print("\nSimulated: enforcing rounds that meet a refusal, and one that meets none")
    tools = {
        "polkit": with_polkit(policy, False),
        "polkit --predict": with_polkit(policy, True),
        "audit2allow": with_audit2allow(policy.info.path),
    }
    installed = [name for name in tools if name != "audit2allow" or shutil.which("audit2allow")]
    serving = checks(KERNEL / "vllm-serving.audit.log", "container_t")
    report("Serving, in a domain based on container_t", serving, tools, Answer(policy=policy), installed)
    bare = {"polkit": with_polkit(nothing, False), "polkit --predict": with_polkit(nothing, True)}
    steps = frozenset(step.name for step in read_scenario(SERVING).steps)
    strict = checks(KERNEL / "vllm-strict.audit.log", "vllm_strict_t", steps)
    report("Serving, in a nearly empty domain (--policy none)", strict, bare, Answer(), bare)


if __name__ == "__main__":
    main()
