"""The least change: cause -> remedy -> plan -> module.

``explain`` and ``generate`` are the whole job; ``make_plan`` is its heart, and the ladder is in ``ladder.py``.
"""

from __future__ import annotations

from polkit.minimize.alternatives import Chooser, Offers, Step
from polkit.minimize.assembling import assemble, describe_module
from polkit.minimize.causes.boolean import boolean_options, boolean_remedy, describe
from polkit.minimize.choices import (
    LATER_KEY,
    Choices,
    Match,
    Walk,
    begin,
    choices_object,
    choices_of,
    match,
    picks,
    press,
    read_choices,
    save_choices,
)
from polkit.minimize.device_commands import command_lines
from polkit.minimize.empty_domain import empty_domain
from polkit.minimize.forbidden import Forbidden, GateNames, allow_text, gate_name, still_allowed
from polkit.minimize.gates import breaches
from polkit.minimize.generic_types import why_generic
from polkit.minimize.inspect import read_inspect
from polkit.minimize.interfaces import NEVERALLOW, Allowance, propose_calls
from polkit.minimize.into_project import FileChange, ascii_only
from polkit.minimize.job import (
    Draft,
    Outcome,
    Progress,
    Request,
    choices_path,
    described,
    draft,
    explain,
    generate,
    without_remedy,
)
from polkit.minimize.joining import join_rules
from polkit.minimize.own_ports import GENERIC_PORTS
from polkit.minimize.paths import Mount, PathMap, join_maps, parse_mount
from polkit.minimize.plan_json import plan_object, plan_text
from polkit.minimize.planning import make_plan
from polkit.minimize.proving import (
    Extra,
    Figures,
    InheritedFigures,
    Proof,
    Subject,
    Uncovered,
    proof_object,
    proof_summary,
    proof_text,
    prove,
    read_subject,
)
from polkit.minimize.question import FILE_CLASSES, WRITING, Settings
from polkit.minimize.running import how_to_run

__all__ = [
    "FILE_CLASSES",
    "GENERIC_PORTS",
    "LATER_KEY",
    "NEVERALLOW",
    "WRITING",
    "Allowance",
    "Choices",
    "Chooser",
    "Draft",
    "Extra",
    "Figures",
    "FileChange",
    "Forbidden",
    "GateNames",
    "InheritedFigures",
    "Match",
    "Mount",
    "Offers",
    "Outcome",
    "PathMap",
    "Progress",
    "Proof",
    "Request",
    "Settings",
    "Step",
    "Subject",
    "Uncovered",
    "Walk",
    "allow_text",
    "ascii_only",
    "assemble",
    "begin",
    "boolean_options",
    "boolean_remedy",
    "breaches",
    "choices_object",
    "choices_of",
    "choices_path",
    "command_lines",
    "describe",
    "describe_module",
    "described",
    "draft",
    "empty_domain",
    "explain",
    "gate_name",
    "generate",
    "how_to_run",
    "join_maps",
    "join_rules",
    "make_plan",
    "match",
    "parse_mount",
    "picks",
    "plan_object",
    "plan_text",
    "press",
    "proof_object",
    "proof_summary",
    "proof_text",
    "propose_calls",
    "prove",
    "read_choices",
    "read_inspect",
    "read_subject",
    "save_choices",
    "still_allowed",
    "why_generic",
    "without_remedy",
]
