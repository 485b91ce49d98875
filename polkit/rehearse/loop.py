"""The closed loop: learn in one boot, make the module, prove it, run the service enforced with it, attack it.

Where the service is still refused something, another learning round is added to the evidence; each must change the
module. What does not depend on each other runs side by side: the proof, the service, the attacks.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional

from polkit.config import check_module_name, load_config
from polkit.errors import SourceError, UsageError
from polkit.files import write_whole
from polkit.minimize import Outcome, Proof, Request, generate, prove, without_remedy
from polkit.module import fast_place
from polkit.rehearse.judge import ALLOWED, DENIED
from polkit.rehearse.log_forms import RAW
from polkit.rehearse.loop_jobs import Job, Say, side_by_side
from polkit.rehearse.loop_parts import Attacks, Phase, attacks_of, service_refused
from polkit.rehearse.loop_peer import CARRY_ON, FAIL_FAST, Peer, PeerJob, peer_loop
from polkit.rehearse.loop_prepare import prepare
from polkit.rehearse.rehearsal import Rehearsal, RehearsalRequest, policy_for, rehearse
from polkit.rehearse.scenario import Scenario
from polkit.rehearse.scenario_file import read_scenario

BESIDE = {"none": (), CARRY_ON: (CARRY_ON,), FAIL_FAST: (FAIL_FAST,), "both": (CARRY_ON, FAIL_FAST)}
"""What to run the same loop with besides: audit2allow, in which ways."""
MOST_ROUNDS = 4


@dataclass(frozen=True)
class LoopRequest:
    """What was asked for. ``attacks``: a scenario whose steps the module must refuse. ``name``: of the module, else
    the configuration's, else after the scenario. ``empty``: learn in an empty domain, and start from nothing.
    ``beside``: a key of ``BESIDE``. ``directory``: where everything is kept, a temporary one when None; ``force``:
    also where it holds the module's directory already, or evidence."""

    scenario: Path
    attacks: Optional[Path] = None
    name: Optional[str] = None
    directory: Optional[Path] = None
    force: bool = False
    policy: str = "auto"
    config: Optional[Path] = None
    empty: bool = False
    beside: str = "none"
    explain: bool = False
    log: str = RAW
    kernel: Optional[Path] = None
    accelerator: str = "auto"
    seconds: float = 300.0


@dataclass(frozen=True)
class Loop:
    """What came of it. ``stopped`` says why the loop did not close, empty where it did. ``learned`` is the last
    learning round; ``served`` and ``attacked`` are None where it never came to them, ``proof`` where there is no
    module to prove. ``working_seconds``: until the service was seen to work."""

    scenario: Scenario
    name: str
    rounds: int
    stopped: str
    learned: Rehearsal
    outcome: Optional[Outcome]
    served: Optional[Rehearsal]
    attacked: Optional[Rehearsal]
    proof: Optional[Proof]
    phases: tuple[Phase, ...]
    seconds: float
    beside: tuple[Peer, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def closed(self) -> bool:
        """The service runs enforced with the module, every step as expected."""
        return not self.stopped

    @property
    def boots(self) -> int:
        """How many machines ran."""
        return sum(phase.boots for phase in self.phases)

    @property
    def working_seconds(self) -> float:
        """Seconds on the way to a service that works: what runs beside it does not count."""
        return sum(phase.seconds for phase in self.phases if phase.name in ("learn", "generate", "build", "serve"))

    @property
    def refused(self) -> tuple[str, ...]:
        """The steps that were to be allowed and were not."""
        return () if self.served is None else tuple(one.step.name for one in service_refused(self.served))

    @property
    def denials_left(self) -> int:
        """Denials of the enforced run that belong to steps which are to be allowed."""
        return 0 if self.served is None else sum(len(one.avc) for one in self.served.judged if one.expect == ALLOWED)

    @property
    def attacks(self) -> Optional[Attacks]:
        """What became of the attacks."""
        return None if self.attacked is None else attacks_of(self.attacked)

    @property
    def ok(self) -> bool:
        """It closed, nothing in the proof is false, and every attack was refused."""
        refused = self.attacked is None or self.attacked.ok
        return self.closed and refused and (self.proof is None or self.proof.exit_code == 0)

    @property
    def exit_code(self) -> int:
        """0, or 1 where it is not ``ok``."""
        return 0 if self.ok else 1


@dataclass
class _Run:
    """A loop that is under way."""

    request: LoopRequest
    scenario: Scenario
    name: str
    place: Path
    say: Say
    evidence: list[Path] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    rounds: int = 0

    @contextmanager
    def phase(self, name: str, text: str, boots: int = 0) -> Iterator[None]:
        self.say(f"round {self.rounds}: {text}")
        began = time.monotonic()
        yield
        self.phases.append(Phase(name, self.rounds, time.monotonic() - began, boots))


@dataclass(frozen=True)
class _Tried:
    """What became of a module."""

    served: Rehearsal
    attacked: Optional[Rehearsal]
    proof: Optional[Proof]


def close_loop(request: LoopRequest, say: Say = lambda phase: None) -> Loop:
    """Run the loop, and the same one with audit2allow where that is asked for. ``say`` is told what is being done.

    Raises UsageError for what is wrong in a scenario or can't name a module, and as ``rehearse``, ``generate`` and
    ``prove`` do.
    """
    scenario = read_scenario(request.scenario)
    attacks = None if request.attacks is None else read_scenario(request.attacks)
    if attacks is not None and not any(step.expect == DENIED for step in attacks.steps):
        raise UsageError(f"{request.attacks}: no step is expected to be denied, so there is no attack in it")
    name = _name(request, scenario)
    ways = _ways(request)
    with _place(request.directory) as place:
        _make_room(place, name, request.force)
        run = _Run(request, scenario, name, place, say)
        loop = _close(run)
        peers = tuple(peer_loop(_peer_job(run, way), place / "audit2allow" / way, say) for way in ways)
        return replace(loop, beside=peers)


def _ways(request: LoopRequest) -> tuple[str, ...]:
    ways = BESIDE.get(request.beside)
    if ways is None:
        raise UsageError(f"--beside {request.beside[:40]}: there is no such way", f"there are {', '.join(BESIDE)}")
    return ways


def _name(request: LoopRequest, scenario: Scenario) -> str:
    """The module's name."""
    named = request.name or load_config(request.config).module.name
    if named is not None:
        return check_module_name(named, "--name")
    made = re.sub(r"[^a-z0-9_-]", "_", scenario.name.lower())
    return check_module_name(made, f"{request.scenario}: name, for want of --name")


@contextmanager
def _place(directory: Optional[Path]) -> Iterator[Path]:
    if directory is not None:
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="polkit-loop-", dir=fast_place()) as scratch:
        yield Path(scratch)


def _make_room(place: Path, name: str, force: bool) -> None:
    """No evidence of an earlier loop stays beside this one's."""
    if (place / name).exists() and not force:
        raise UsageError(f"{place / name} exists", "name another directory with -o, or add --force")
    try:
        place.mkdir(parents=True, exist_ok=True)
        for old in (place / "evidence").glob("audit*.log"):
            old.unlink()
    except OSError as error:
        raise SourceError(f"{place} can't be written: {error.strerror}") from error


def _close(run: _Run) -> Loop:
    began = time.monotonic()
    learned, outcome, tried, stopped = _rounds(run)
    return Loop(
        scenario=run.scenario,
        name=run.name,
        rounds=run.rounds,
        stopped=stopped,
        learned=learned,
        outcome=outcome,
        served=None if tried is None else tried.served,
        attacked=None if tried is None else tried.attacked,
        proof=None if tried is None else tried.proof,
        phases=tuple(run.phases),
        seconds=time.monotonic() - began,
        notes=tuple(_notes(outcome)),
    )


def _notes(outcome: Optional[Outcome]) -> Iterator[str]:
    if outcome is None:
        return
    left = without_remedy(outcome.plan)
    if left:
        yield f"{len(left)} decisions leave denials without a remedy: {', '.join(one.id for one in left)}"
    yield from outcome.breaches


def _rounds(run: _Run) -> tuple[Rehearsal, Optional[Outcome], Optional[_Tried], str]:
    """Rounds until the service works, or no round helps."""
    outcome: Optional[Outcome] = None
    tried: Optional[_Tried] = None
    before: Optional[dict[str, bytes]] = None
    while True:
        run.rounds += 1
        learned = _learn(run)
        if not learned.ok:
            return learned, outcome, tried, f"learning failed at {_failed(learned)}"
        with run.phase("generate", "making the module"):
            outcome = generate(_request(run), run.place / run.name, force=True)
        after = _content(outcome)
        if after == before:
            assert tried is not None
            return learned, outcome, tried, f"another round taught nothing new; refused: {_failed(tried.served)}"
        before = after
        tried = _try(run, outcome)
        if tried.served.ok:
            return learned, outcome, tried, ""
        if run.rounds == MOST_ROUNDS:
            return learned, outcome, tried, f"after {run.rounds} rounds still refused: {_failed(tried.served)}"
        _take_along(run, tried.served, outcome)


def _failed(rehearsal: Rehearsal) -> str:
    names = [one.step.name for one in rehearsal.judged if not one.ok]
    if not names:
        return "no step, but records were lost"
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _machine(run: _Run) -> RehearsalRequest:
    asked = run.request
    return RehearsalRequest(
        asked.scenario,
        policy=asked.policy,
        log=asked.log,
        kernel=asked.kernel,
        accelerator=asked.accelerator,
        seconds=asked.seconds,
    )


def _learn(run: _Run) -> Rehearsal:
    own = f"{run.name.replace('-', '_')}_t" if run.request.empty else None
    request = replace(_machine(run), learn=True, empty=run.request.empty, domain=own)
    jobs: dict[str, Job] = {"learn": lambda say: rehearse(request)}
    if run.rounds == 1:
        jobs["prepare"] = lambda say: prepare(_request(run), run.scenario.workload.domain)
    with run.phase("learn", "learning", boots=1):
        learned: Rehearsal = side_by_side(jobs, lambda text: None)["learn"].value
    _keep(run, learned)
    return learned


def _keep(run: _Run, rehearsal: Rehearsal) -> None:
    number = len(run.evidence) + 1
    path = run.place / "evidence" / ("audit.log" if number == 1 else f"audit-{number}.log")
    write_whole(path, [rehearsal.audit.encode("utf-8", "backslashreplace")])
    run.evidence.append(path)


def _take_along(run: _Run, served: Rehearsal, outcome: Outcome) -> None:
    """An enforced run's log is evidence too, unless it speaks of types that only this module has: those are no
    question to the target policy."""
    own = {entry.type for one in outcome.plan.decisions for entry in one.remedy.contexts}
    if not any(f":object_r:{type_}" in served.audit for type_ in own):
        _keep(run, served)


def _request(run: _Run) -> Request:
    """What ``generate`` and ``prove`` are asked. Without a root of its own, a workload's paths are the host's."""
    workload = run.scenario.workload
    binds = [f"{host}:{inside}" for host, inside, _ in workload.binds] if workload.root else ["/:/"]
    return Request(
        logs=tuple(map(str, run.evidence)),
        policy=run.request.policy,
        config=run.request.config,
        mounts=tuple(binds),
        base="none" if run.request.empty else None,
        name=run.name,
    )


def _content(outcome: Outcome) -> dict[str, bytes]:
    """The module, to be compared: its source, without the comments that count evidence."""
    if outcome.directory is None:
        return {}
    texts = {name: (outcome.directory / name).read_bytes() for name in outcome.written if name != "plan.json"}
    return {name: text for name, text in texts.items() if not name.endswith((".te", ".fc"))}


def _module(outcome: Outcome) -> Optional[Path]:
    """The compiled module; None where none was needed."""
    if outcome.directory is None:
        return None
    found = [name for name in outcome.written if name.endswith((".pp", ".cil"))]
    return outcome.directory / found[0] if found else None


def _try(run: _Run, outcome: Outcome) -> _Tried:
    """The module in machines, and its proof beside them."""
    module = _module(outcome)
    jobs: dict[str, Job] = {"machines": lambda say: _machines(run, outcome, module, say)}
    if module is not None:
        jobs["prove"] = lambda say: prove(module.parent, _request(run))
    run.say(f"round {run.rounds}: proving the module, and running the service with it")
    done = side_by_side(jobs, lambda text: run.say(f"round {run.rounds}: {text}"))
    phases, served, attacked = done["machines"].value
    run.phases.extend(phases)
    proof: Optional[Proof] = None
    if "prove" in done:
        run.phases.append(Phase("prove", run.rounds, done["prove"].seconds))
        proof = done["prove"].value
    return _Tried(served, attacked, proof)


def _machines(
    run: _Run, outcome: Outcome, module: Optional[Path], say: Say
) -> tuple[list[Phase], Rehearsal, Optional[Rehearsal]]:
    """The service, and the attacks, enforced with the module in its domain: on one policy, in two machines at once."""
    domain = outcome.plan.domain
    serve = replace(
        _machine(run),
        modules=() if module is None else (module,),
        domain=None if domain is None else domain.name,
        plan=outcome.plan,
        explain=run.request.explain,
    )
    asked = {"serve": serve}
    if run.request.attacks is not None:
        asked["attack"] = replace(serve, scenario=run.request.attacks)
    with tempfile.TemporaryDirectory(prefix="polkit-loop-", dir=fast_place()) as scratch:
        say("building the policy with the module")
        began = time.monotonic()
        policy = policy_for(list(asked.values()), Path(scratch) / "policy")
        built = time.monotonic() - began

        def job(one: RehearsalRequest) -> Job:
            return lambda _: rehearse(one, policy=policy)

        say("running the service and the attacks with the module" if len(asked) > 1 else "running the service")
        done = side_by_side({name: job(one) for name, one in asked.items()}, say)
    phases = [Phase("build", run.rounds, built)]
    phases += [Phase(name, run.rounds, one.seconds, 1) for name, one in done.items()]
    return phases, done["serve"].value, done["attack"].value if "attack" in done else None


def _peer_job(run: _Run, way: str) -> PeerJob:
    """The same machines, for another tool."""
    return PeerJob(way, replace(_machine(run), needs=True, keep=False), run.request.attacks, _request(run))
