"""The same loop with audit2allow: run enforced, write what it allows for the denials so far, run again.

Two ways. Carry on: every step runs in a process of its own, so that a round shows one refusal of each. Fail fast: the
run ends at the first refusal, as an application does. dontaudit rules are off for it as for us, which helps it: on a
host it would not see those denials.
"""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional

from polkit.errors import PolkitError
from polkit.files import write_whole
from polkit.minimize import Proof, Request, prove
from polkit.module import run_tool
from polkit.policy import load_policy, locate
from polkit.rehearse.judge import DENIED
from polkit.rehearse.loop_jobs import Job, Say, side_by_side
from polkit.rehearse.loop_parts import Attacks, Phase, attacks_of, service_refused
from polkit.rehearse.rehearsal import Rehearsal, RehearsalRequest, rehearse

TOOL = "audit2allow"
CARRY_ON, FAIL_FAST = "carry-on", "fail-fast"
HINT = "install policycoreutils-python-utils to see the same loop with it"
_NAME = "peer"
_MOST_A_STEP = 8
"""Rounds: search, getattr, open, read, map, ... of one step, each hidden by the one before."""
_RULE = re.compile(r"^allow (\S+) (\S+):(\S+) (?:\{ ([^}]*) \}|(\S+));$", re.MULTILINE)


@dataclass(frozen=True)
class PeerJob:
    """What to run: the machine, enforced, with the steps that are to be allowed; the attacks; what a proof is
    asked."""

    way: str
    machine: RehearsalRequest
    attacks: Optional[Path]
    request: Request


@dataclass(frozen=True)
class Peer:
    """What came of it. Where the tool is not installed, ``hint`` says how to get it and nothing else is set.

    ``note`` says why its attacks are not known. ``statements`` of its module, which state so many ``accesses``, for
    ``domains``; ``over_permission`` as ``prove`` counts it, None where there is no module."""

    way: str
    hint: str = ""
    stopped: str = ""
    note: str = ""
    rounds: int = 0
    statements: int = 0
    accesses: int = 0
    domains: tuple[str, ...] = ()
    over_permission: Optional[int] = None
    refused: tuple[str, ...] = ()
    denials_left: int = 0
    attacks: Optional[Attacks] = None
    phases: tuple[Phase, ...] = ()

    @property
    def available(self) -> bool:
        """The tool is installed."""
        return not self.hint

    @property
    def closed(self) -> bool:
        """The service works with its module."""
        return self.available and not self.stopped

    @property
    def boots(self) -> int:
        """How many machines ran, those for the attacks apart."""
        return sum(phase.boots for phase in self.phases if phase.name == "run")

    @property
    def working_seconds(self) -> float:
        """Seconds until the service was seen to work."""
        return sum(phase.seconds for phase in self.phases if phase.name in ("run", "generate"))


@dataclass
class _Run:
    job: PeerJob
    place: Path
    say: Say
    log: str = ""
    rounds: int = 0
    module: Optional[Path] = None
    rules: frozenset[tuple[str, ...]] = frozenset()
    last: Optional[Rehearsal] = None
    phases: list[Phase] = field(default_factory=list)


def peer_loop(job: PeerJob, place: Path, say: Say) -> Peer:
    """Run the loop; its module and log stay in ``place``. A machine or a tool that fails ends it, and is told: by then
    our own loop has its result."""
    if shutil.which(TOOL) is None:
        return Peer(job.way, hint=HINT)
    run = _Run(job, place, say)
    attacks: Optional[Attacks] = None
    over: Optional[int] = None
    note = ""
    try:
        stopped = _rounds(run)
    except PolkitError as error:
        stopped = str(error)
    try:
        attacks, over = _after(run)
    except PolkitError as error:
        note = f"its module could not be tried: {error}"
    refused = () if run.last is None else service_refused(run.last)
    return Peer(
        way=job.way,
        stopped=stopped,
        note=note,
        rounds=run.rounds,
        statements=len(run.rules),
        accesses=sum(len(rule) - 3 for rule in run.rules),
        domains=tuple(sorted({rule[0] for rule in run.rules})),
        over_permission=over,
        refused=tuple(one.step.name for one in refused if one.got == DENIED),
        denials_left=sum(len(one.avc) for one in refused),
        attacks=attacks,
        phases=tuple(run.phases),
    )


def _rounds(run: _Run) -> str:
    """Until no step is refused, its rules change no more, or a bound; why it stopped, empty where all works."""
    while True:
        run.last = last = _enforced(run)
        refused = service_refused(last)
        if not refused:
            return ""
        first = next((one for one in refused if one.got == DENIED), None)
        if first is None:
            return f"{refused[0].step.name} failed, and not by SELinux"
        run.rounds += 1
        if run.rounds > _MOST_A_STEP * len(last.judged):
            return f"after {run.rounds} rounds {first.step.name} is still refused"
        rules = _generate(run, last)
        if rules == run.rules:
            return f"it has no other rule for {first.step.name}, which is still refused"
        run.rules = rules


def _enforced(run: _Run) -> Rehearsal:
    modules = () if run.module is None else (run.module,)
    run.say(f"{TOOL}, {run.job.way}: run {run.rounds + 1}")
    began = time.monotonic()
    done = rehearse(replace(run.job.machine, modules=modules, fail_fast=run.job.way == FAIL_FAST))
    run.phases.append(Phase("run", run.rounds + 1, time.monotonic() - began, 1))
    return done


def _generate(run: _Run, last: Rehearsal) -> frozenset[tuple[str, ...]]:
    """As ``audit2allow -M`` does: its text, compiled and packed. Returns its rules."""
    began = time.monotonic()
    run.log += last.audit
    write_whole(run.place / "audit.log", [run.log.encode("utf-8", "backslashreplace")])
    policy = locate(run.job.machine.policy).policy
    text = _tool(run, [TOOL, "-p", str(policy), "-i", "audit.log", "-m", _NAME])
    write_whole(run.place / f"{_NAME}.te", [text.encode()])
    info = load_policy(run.job.machine.policy).info
    levels = ["-M"] if info is None or info.mls else []
    _tool(run, ["checkmodule", *levels, "-m", "-o", f"{_NAME}.mod", f"{_NAME}.te"])
    _tool(run, ["semodule_package", "-o", f"{_NAME}.pp", "-m", f"{_NAME}.mod"])
    run.module = run.place / f"{_NAME}.pp"
    run.phases.append(Phase("generate", run.rounds, time.monotonic() - began))
    return frozenset(
        (source, target, tclass, *sorted((perms or perm).split()))
        for source, target, tclass, perms, perm in _RULE.findall(text)
    )


def _tool(run: _Run, command: list[str]) -> str:
    done = run_tool(command, run.place, apart=True)
    if done.status != 0:
        said = (done.complaints or done.output).strip().splitlines()
        raise PolkitError(f"{command[0]} failed: {said[-1][:200] if said else done.status}")
    return done.output


def _after(run: _Run) -> tuple[Optional[Attacks], Optional[int]]:
    """What its module lets through, and grants too much."""
    job, module = run.job, run.module
    if module is None:
        return None, None
    asked = replace(job.request, logs=(str(run.place / "audit.log"),), name=_NAME, base=None, extend=True)
    jobs: dict[str, Job] = {"prove": lambda say: prove(module, asked)}
    if job.attacks is not None:
        attack = replace(job.machine, scenario=job.attacks, modules=(module,), needs=False)
        jobs["attack"] = lambda say: rehearse(attack)
    run.say(f"{TOOL}, {job.way}: attacking")
    done = side_by_side(jobs, lambda text: None)
    run.phases.extend(Phase(name, run.rounds, one.seconds, int(name == "attack")) for name, one in done.items())
    proof: Proof = done["prove"].value
    return attacks_of(done["attack"].value) if "attack" in done else None, proof.figures.over
