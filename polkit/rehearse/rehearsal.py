"""The whole of a rehearsal: policy, machine, steps, verdicts, and what is written of it."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional, Union

from polkit.audit import read_logs, totals
from polkit.config import Denied
from polkit.errors import UsageError
from polkit.minimize import Request, empty_domain
from polkit.model import IDENTIFIER, Plan
from polkit.module import fast_place
from polkit.policy import (
    BootPolicy,
    FileLabels,
    LocalPort,
    TargetPolicy,
    load_booted,
    load_policy,
    locate,
    policy_to_boot,
)
from polkit.rehearse.assertions import Assertion, asserted, gates_of
from polkit.rehearse.attempts import Attempt, attempts_at, with_attempts
from polkit.rehearse.explained import with_causes
from polkit.rehearse.image import write_image
from polkit.rehearse.judge import ALLOWED, Judged, Log, judge, read_log
from polkit.rehearse.layout import HARNESS, check_binds, check_sources, guest_plan, with_domain
from polkit.rehearse.log_forms import FORMS, RAW, MachineLog, machine_log
from polkit.rehearse.machine import boot
from polkit.rehearse.modules import declared_names, module_files
from polkit.rehearse.parts import find_emulator, find_kernel
from polkit.rehearse.plan_reading import AskedRemedy, read_plan, remedies_of
from polkit.rehearse.remedies import Carried, CarriedOut, Known, carry_out
from polkit.rehearse.scenario import Scenario, Step
from polkit.rehearse.scenario_file import read_scenario

_FILE_SYSTEM = "fs_t"
_MODULE = "polkit_rehearsal"


@dataclass(frozen=True)
class RehearsalRequest:
    """What was asked for.

    ``permissive``: the whole machine. ``learn``: only the workload's domains, and only the steps that are to be
    allowed; ``empty``: in a fresh domain that may do nothing. ``domain`` stands in for the workload's, and names the
    fresh one. ``plan``: a plan, or its file, of which what is no rule is carried out as an administrator would:
    booleans, labels, ports, levels. ``explain``: say why the policy refuses what it refused each step, and compare with
    the kernel. ``modules`` may be directories that generate wrote. ``log`` is the form of the log (``FORMS``).
    ``needs``: only the steps that are to be allowed. ``fail_fast`` stands in for what the scenario says. ``keep``: the
    policy that is built, for the next machine. ``seconds`` bound the machine's life.
    """

    scenario: Path
    modules: tuple[Path, ...] = ()
    policy: str = "auto"
    permissive: bool = False
    learn: bool = False
    empty: bool = False
    domain: Optional[str] = None
    plan: Union[Plan, Path, None] = None
    explain: bool = False
    needs: bool = False
    fail_fast: Optional[bool] = None
    keep: bool = True
    log: str = RAW
    kernel: Optional[Path] = None
    accelerator: str = "auto"
    seconds: float = 300.0


@dataclass(frozen=True)
class Rehearsal:
    """What happened. ``elsewhere`` counts the denials that belong to no step, ``lost`` the events that the
    kernel wrote and the log does not hold. ``audit`` is the log in the form that was asked for; the kernel's own is
    all of ``dmesg``."""

    scenario: Scenario
    mode: str
    log: str
    judged: tuple[Judged, ...]
    audit: str
    dmesg: str
    denials: int
    elsewhere: int
    lost: int
    seconds: float
    boot_seconds: float
    remedies: tuple[Carried, ...] = ()
    """What the plan asked for besides rules, and what became of it."""
    assertions: tuple[Assertion, ...] = ()
    """What the modules' projects say must be denied, of a policy that is enforced."""

    @property
    def ok(self) -> bool:
        """Every step got what was expected of it, what must be denied is, the log is whole, and explain agrees with the
        kernel."""
        kept = all(one.ok is not False for one in self.assertions)
        return kept and self.lost == 0 and all(step.ok and not step.disagreement for step in self.judged)

    @property
    def exit_code(self) -> int:
        """0, or 1 when an expectation failed, records were lost, or explain and the kernel disagree."""
        return 0 if self.ok else 1


def rehearse(
    request: RehearsalRequest, say: Callable[[str], None] = lambda phase: None, policy: Optional[BootPolicy] = None
) -> Rehearsal:
    """Boot a machine with the policy and run the scenario. ``say`` is told what is being done; ``policy`` is one that
    ``policy_for`` built for it.

    Raises UsageError for what is wrong in the scenario, SourceError for what can't be read, MissingDependency without
    qemu, a kernel, a policy or the policy's tools, CompileError for a module that does not link, MachineFailed.
    """
    began = time.monotonic()
    scenario = _scenario(request)
    steps = _steps(scenario, request.learn or request.needs)
    asked = _asked(request.plan)
    modules = module_files(request.modules)
    gates = () if request.permissive or request.learn or request.needs else gates_of(request.modules)
    find_emulator()
    kernel = find_kernel(request.kernel)
    say("building the policy")
    files, target = locate(request.policy), load_policy(request.policy)
    with tempfile.TemporaryDirectory(prefix="polkit-rehearse-", dir=fast_place()) as scratch:
        place = Path(scratch)
        if request.empty:
            module, domain = _empty_domain(request, scenario, place / "module")
            scenario, modules = with_domain(scenario, domain), (*modules, module)
        _check_domains(scenario, steps, target, bool(modules))
        # A policy that was built for others runs no other domains than theirs.
        attempts = attempts_at(gates, target, _declared_types(modules), scenario) if gates and policy is None else ()
        scenario = with_attempts(scenario, attempts)
        check_sources(scenario)
        run = (*steps, *(one.step for one in attempts))
        own = _own_module([(scenario, run)], target, request.learn and not request.empty)
        mls = target.info is None or target.info.mls
        changed = carry_out(asked, scenario, _known(target, modules if asked else ()))
        scenario = changed.scenario
        if policy is None:
            ports = _ports(changed, mls)
            policy = policy_to_boot(files, modules, (_MODULE, own), place / "policy", ports=ports, keep=request.keep)
        policy = replace(policy, labels=_labels(policy.labels, changed, mls))
        fs, enforcing = target.type_name(_FILE_SYSTEM), not request.permissive
        plan = guest_plan(scenario, run, policy.label, mls, enforcing, fs, changed.booleans, request.log)
        write_image(plan, policy.policy, place / "image")
        say("running the machine")
        booted = time.monotonic()
        answer = boot(kernel, place / "image", place, request.seconds, request.accelerator)
        times = (began, time.monotonic() - booted)
        asked_of = load_booted(policy, files, dict(changed.booleans)) if request.explain or gates else None
        told = _told(scenario, run, request, answer, place, times, asked_of if request.explain else None)
        kept = _held(told, len(steps), gates, attempts, asked_of)
        return replace(kept, remedies=changed.told)


def _held(
    told: Rehearsal,
    own: int,
    gates: tuple[tuple[str, Denied], ...],
    attempts: tuple[Attempt, ...],
    policy: Optional[TargetPolicy],
) -> Rehearsal:
    """With its gates: the first ``own`` steps are the scenario's, the others attempts at what must be denied."""
    if policy is None or not gates:
        return told
    return replace(told, judged=told.judged[:own], assertions=asserted(gates, policy, attempts, told.judged[own:]))


def _declared_types(modules: Iterable[Path]) -> frozenset[str]:
    return frozenset(name for kind, name in declared_names(modules) if kind == "type")


def policy_for(requests: Sequence[RehearsalRequest], place: Path) -> BootPolicy:
    """One policy, built in the new directory ``place``, for several rehearsals that differ in their scenarios alone.

    None of them learns. Raises as ``rehearse``.
    """
    first = requests[0]
    runs = [(_scenario(one), _steps(_scenario(one), one.needs)) for one in requests]
    modules, asked = module_files(first.modules), _asked(first.plan)
    files, target = locate(first.policy), load_policy(first.policy)
    for scenario, steps in runs:
        _check_domains(scenario, steps, target, bool(modules))
    changed = carry_out(asked, runs[0][0], _known(target, modules if asked else ()))
    ports = _ports(changed, target.info is None or target.info.mls)
    own = _own_module(runs, target, learn=False)
    return policy_to_boot(files, modules, (_MODULE, own), place, ports=ports, keep=first.keep)


def _scenario(request: RehearsalRequest) -> Scenario:
    """The scenario as it is to run."""
    if request.log not in FORMS:
        raise UsageError(f"no form of a log: {request.log[:80]!r}", f"there are {', '.join(FORMS)}")
    if request.permissive and request.learn:
        raise UsageError("--permissive and --learn exclude each other", "--learn is permissive where it must be")
    if request.empty and not request.learn:
        raise UsageError("--base none is for --learn", "a domain that may do nothing is good to learn in only")
    scenario = read_scenario(request.scenario)
    if request.fail_fast is not None:
        scenario = replace(scenario, fail_fast=request.fail_fast)
    check_binds(scenario)
    if request.domain is None:
        return scenario
    if not IDENTIFIER.match(request.domain):
        raise UsageError(f"--as: {request.domain[:80]!r} can't be a type")
    return scenario if request.empty else with_domain(scenario, request.domain)


def _asked(plan: Union[Plan, Path, None]) -> tuple[AskedRemedy, ...]:
    """What a plan asks somebody to carry out."""
    if plan is None:
        return ()
    return read_plan(plan) if isinstance(plan, Path) else remedies_of(plan)


def _known(target: TargetPolicy, modules: tuple[Path, ...]) -> Known:
    """The names of the policy with the modules, before it is built: a port's type must be there when it is."""
    declared = declared_names(modules)
    return Known(
        has_type=lambda name: ("type", name) in declared or target.type_name(name) is not None,
        has_boolean=lambda name: ("boolean", name) in declared or name in target.booleans,
        is_customizable=target.is_customizable,
    )


def _ports(changed: CarriedOut, mls: bool) -> tuple[LocalPort, ...]:
    level = ":s0" if mls else ""
    return tuple(
        LocalPort(one.protocol, one.low, one.high, f"system_u:object_r:{one.type}{level}") for one in changed.ports
    )


def _labels(labels: FileLabels, changed: CarriedOut, mls: bool) -> FileLabels:
    """What file_contexts say with an administrator's entries."""
    if changed.entries:
        labels = labels.with_entries((), changed.entries, mls)
    if changed.equivalences:
        labels = labels.with_equivalences(tuple((one.path, one.like) for one in changed.equivalences))
    return labels


def _empty_domain(request: RehearsalRequest, scenario: Scenario, place: Path) -> tuple[Path, str]:
    """A module with an empty permissive domain, started as the workload's own would be; and the domain."""
    wanted = request.domain or re.sub(r"[^a-z0-9_]", "_", f"rehearsed_{scenario.name.lower()}_t")
    if not wanted.endswith("_t"):
        raise UsageError(f"--as: {wanted} is no name for a domain of a module's own", "let it end with _t")
    asked = Request(policy=request.policy, name=wanted[: -len("_t")], base=scenario.workload.domain)
    outcome = empty_domain(asked, place)
    found = [path for path in sorted(place.iterdir()) if path.suffix in (".pp", ".cil")]
    assert outcome.plan.domain is not None
    return found[0], outcome.plan.domain.name


def _steps(scenario: Scenario, learn: bool) -> tuple[Step, ...]:
    """Learning runs what is to be allowed: an attack is no evidence of a need."""
    if not learn:
        return scenario.steps
    steps = tuple(step for step in scenario.steps if step.expect == ALLOWED)
    if not steps:
        raise UsageError(f"{scenario.file}: no step is expected to be allowed, so there is nothing to learn")
    return steps


def _told(
    scenario: Scenario,
    steps: tuple[Step, ...],
    request: RehearsalRequest,
    answer: dict[str, Any],
    place: Path,
    times: tuple[float, float],
    policy: Optional[TargetPolicy],
) -> Rehearsal:
    """``times``: when it all began, and how long the machine ran. ``policy``: the machine's, where causes are asked."""
    written: MachineLog = machine_log(request.log, answer["audit"], answer["dmesg"])
    log: Log = read_log(written.records)
    domains = [(step, step.domain or scenario.workload.domain) for step in steps]
    expect = ALLOWED if request.permissive or request.learn else None
    results = answer["steps"]
    judged = judge(domains, results, log, expect)
    if policy is not None:
        judged = with_causes(judged, written.records, scenario, policy)
    lost = max(answer["lost"], log.gaps) + int(answer["full"] or written.cut)
    return Rehearsal(
        scenario=scenario,
        mode="learning" if request.learn else "permissive" if request.permissive else "enforcing",
        log=request.log,
        judged=judged,
        audit=written.log,
        dmesg=written.dmesg,
        denials=_denials(written.log, place),
        elsewhere=log.elsewhere(
            {result["user"] for result in answer["steps"]}, {result["pid"] for result in answer["steps"]}
        ),
        lost=lost,
        seconds=time.monotonic() - times[0],
        boot_seconds=times[1],
    )


def _denials(audit: str, place: Path) -> int:
    """As every other verb counts them."""
    path = place / "audit.log"
    path.write_text(audit, encoding="utf-8")
    return totals(read_logs([str(path)])).summary.denials


def _check_domains(scenario: Scenario, steps: tuple[Step, ...], target: TargetPolicy, modules: bool) -> None:
    """UsageError for a domain that the policy lacks; where there are modules, it may be one of theirs."""
    named = {step.domain or scenario.workload.domain for step in steps}
    named |= {listener.domain for listener in scenario.listeners} | {process.domain for process in scenario.processes}
    named |= {thing.server for thing in scenario.things if thing.server} | _entered(steps)
    missing = sorted(domain for domain in named if target.type_name(domain) is None)
    if missing and not modules:
        nearest = ", ".join(target.nearest("type", missing[0]))
        raise UsageError(
            f"{scenario.file}: the policy has no type {missing[0]}",
            f"nearest are {nearest}" if nearest else "name the module that declares it with --module",
        )


def _entered(steps: Iterable[Step]) -> set[str]:
    """The domains that steps execute into."""
    return {str(step.arguments["into"]) for step in steps if "into" in step.arguments}


def _own_module(runs: Sequence[tuple[Scenario, tuple[Step, ...]]], target: TargetPolicy, learn: bool) -> str:
    """The domain that runs the steps, as CIL; what each step's domain needs to be run by it; and what is permissive.

    The steps hold two pipes of the harness as their standard streams (``guest/steps.py``). Device nodes stand on the
    one file system that the machine has, where a host has them on devtmpfs.
    """
    every = [(scenario, step) for scenario, steps in runs for step in steps]
    domains = sorted(
        {step.domain or scenario.workload.domain for scenario, step in every} | _entered(step for _, step in every)
    )
    lines = [f"(type {HARNESS})", f"(roletype system_r {HARNESS})", f"(typepermissive {HARNESS})"]
    # While the kernel takes over booleans no rule keeps this domain out of the log (they are set, and the rules renewed
    # after that): what its daemon does meanwhile must not be a denial, or each record that it reads makes another.
    lines.append(f"(allow {HARNESS} self (netlink_audit_socket (read)))")
    for domain in domains:
        lines.append(f"(allow {domain} {HARNESS} (fd (use)))")
        lines.append(f"(allow {domain} {HARNESS} (fifo_file (append getattr ioctl read write)))")
        lines.append(f"(allow {domain} {HARNESS} (process (sigchld)))")
    if learn:
        own = {scenario.workload.domain for scenario, steps in runs if any(step.domain is None for step in steps)}
        lines += [f"(typepermissive {domain})" for domain in sorted(own)]
    if target.types("device_node") and target.type_name(_FILE_SYSTEM):
        lines.append(f"(allow device_node {_FILE_SYSTEM} (filesystem (associate)))")
    return "\n".join(lines) + "\n"
