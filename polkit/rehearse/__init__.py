"""What really happens: a throwaway machine with a real SELinux kernel, the policy and the modules runs a scenario."""

from __future__ import annotations

from polkit.rehearse.explained import with_causes
from polkit.rehearse.judge import Judged, StepCause, judge, read_log
from polkit.rehearse.log_forms import FORMS, MachineLog, enriched, machine_log
from polkit.rehearse.operations import OPERATIONS
from polkit.rehearse.rehearsal import Rehearsal, RehearsalRequest, rehearse
from polkit.rehearse.remedies import Carried
from polkit.rehearse.results import check_directory, rehearsal_object, rehearsal_text, write_results
from polkit.rehearse.scenario import Scenario, Step
from polkit.rehearse.scenario_file import read_scenario

__all__ = [
    "FORMS",
    "OPERATIONS",
    "Carried",
    "Judged",
    "MachineLog",
    "Rehearsal",
    "RehearsalRequest",
    "Scenario",
    "Step",
    "StepCause",
    "check_directory",
    "enriched",
    "judge",
    "machine_log",
    "read_log",
    "read_scenario",
    "rehearsal_object",
    "rehearsal_text",
    "rehearse",
    "with_causes",
    "write_results",
]
