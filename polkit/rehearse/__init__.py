"""What really happens: a throwaway machine with a real SELinux kernel, the policy and the modules runs a scenario."""

from __future__ import annotations

from polkit.rehearse.assertions import Assertion, Tried
from polkit.rehearse.explained import with_causes
from polkit.rehearse.host import ADMINISTRATOR, Command, Ended, HostRun, run_on_host
from polkit.rehearse.judge import Judged, StepCause, judge, read_log
from polkit.rehearse.log_forms import FORMS, MachineLog, enriched, machine_log
from polkit.rehearse.loop import BESIDE, Loop, LoopRequest, close_loop
from polkit.rehearse.loop_parts import Attacks, Phase
from polkit.rehearse.loop_peer import Peer
from polkit.rehearse.loop_report import check_loop_directory, loop_object, loop_text, write_loop
from polkit.rehearse.operations import OPERATIONS
from polkit.rehearse.rehearsal import Rehearsal, RehearsalRequest, rehearse
from polkit.rehearse.remedies import Carried
from polkit.rehearse.results import check_directory, rehearsal_object, rehearsal_text, write_results
from polkit.rehearse.scenario import Scenario, Step
from polkit.rehearse.scenario_file import read_scenario

__all__ = [
    "ADMINISTRATOR",
    "BESIDE",
    "FORMS",
    "OPERATIONS",
    "Assertion",
    "Attacks",
    "Carried",
    "Command",
    "Ended",
    "HostRun",
    "Judged",
    "Loop",
    "LoopRequest",
    "MachineLog",
    "Peer",
    "Phase",
    "Rehearsal",
    "RehearsalRequest",
    "Scenario",
    "Step",
    "StepCause",
    "Tried",
    "check_directory",
    "check_loop_directory",
    "close_loop",
    "enriched",
    "judge",
    "loop_object",
    "loop_text",
    "machine_log",
    "read_log",
    "read_scenario",
    "rehearsal_object",
    "rehearsal_text",
    "rehearse",
    "run_on_host",
    "with_causes",
    "write_loop",
    "write_results",
]
