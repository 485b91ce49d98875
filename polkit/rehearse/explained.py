"""What ``explain`` says of each step's own denials, on the policy that the machine ran; and where the kernel and it do
not agree.

The kernel logs an access only where it refuses it (or would, permissive). What ``explain`` then holds for allowed is a
disagreement: one of the two is wrong about the policy.
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from polkit.audit import read_logs, totals
from polkit.minimize import Mount, PathMap, Settings, make_plan
from polkit.model import Decision
from polkit.policy import TargetPolicy
from polkit.rehearse.judge import Judged, StepCause
from polkit.rehearse.scenario import Scenario

_SERIAL = re.compile(r"msg=audit\(\d+\.\d+:(\d+)\)")
_AGAINST = "already-allowed"


def with_causes(judged: Iterable[Judged], audit: str, scenario: Scenario, policy: TargetPolicy) -> tuple[Judged, ...]:
    """Each step with the causes of its own denials, and with the disagreement where there is one. ``policy`` is the one
    that the machine ran, in the state of its booleans."""
    events = _events(audit)
    return tuple(_explained(step, events, scenario, policy) for step in judged)


def _explained(judged: Judged, events: Mapping[str, list[str]], scenario: Scenario, policy: TargetPolicy) -> Judged:
    if not judged.avc:
        return judged
    serials = dict.fromkeys(found[1] for line in judged.avc if (found := _SERIAL.search(line)))
    lines = [line for serial in serials for line in events[serial]]
    inside = judged.step.domain is None and scenario.workload.root is not None
    causes = causes_of("\n".join(lines) + "\n", path_map(scenario, inside), policy)
    against = [cause.access for cause in causes if cause.cause == _AGAINST]
    text = f"the kernel refused {'; '.join(against)}, which explain holds for allowed" if against else ""
    return replace(judged, causes=causes, disagreement=text)


def causes_of(audit: str, paths: PathMap, policy: TargetPolicy) -> tuple[StepCause, ...]:
    """What ``explain`` says of every denial in some lines of an audit log, the domains in it left as they are."""
    with tempfile.TemporaryDirectory(prefix="polkit-explain-") as scratch:
        log = Path(scratch) / "audit.log"
        log.write_text(audit, encoding="utf-8")
        denials = totals(read_logs([str(log)]))
    plan = make_plan(denials, policy, Settings(paths=paths, extend=True))
    return tuple(_cause(decision) for decision in plan.decisions)


def _cause(decision: Decision) -> StepCause:
    return StepCause(
        cause=decision.cause,
        also=decision.also,
        source=decision.source,
        target=decision.target,
        tclass=decision.tclass,
        perms=decision.perms,
        xperms=decision.xperms,
        remedy=decision.remedy.kind,
        why=decision.why,
    )


def path_map(scenario: Scenario, inside: bool) -> PathMap:
    """Where a step's paths are on the host. ``inside``: it sees the workload's own root."""
    workload = scenario.workload
    if not inside or workload.root is None:
        return PathMap((Mount("/", "/"),))
    mounts = (Mount(place, host, read_only) for host, place, read_only in workload.binds)
    own = (Mount(f"/{part}", f"/{part}") for part in ("proc", "sys", "dev"))
    return PathMap((Mount("/", workload.root), *own, *mounts))


def _events(audit: str) -> Mapping[str, list[str]]:
    """All records by the serial of their event."""
    events: dict[str, list[str]] = defaultdict(list)
    for line in audit.splitlines():
        found = _SERIAL.search(line)
        if found:
            events[found[1]].append(line)
    return events
