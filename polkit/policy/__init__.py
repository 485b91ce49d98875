"""The target policy: what it allows, why it refuses, what would change that. The only room that knows setools and
libselinux; both are imported when first needed, so that importing this room costs nothing.
"""

from __future__ import annotations

from typing import Optional

from polkit.policy.beside import Beside, built_beside
from polkit.policy.between import Between, DefaultChange, WrittenChange, between, mirrored, with_labels_of
from polkit.policy.booleans import read_booleans
from polkit.policy.booting import BootPolicy, LocalPort, load_booted, policy_to_boot
from polkit.policy.builds import DoesNotLink, ModuleFile
from polkit.policy.by_label import OBJECTS, PORT_USES, LabelEffect, label_effect
from polkit.policy.commands import EVERY_COMMAND, OPERATIONS, bitset, ranges
from polkit.policy.comparison import Comparison, compare_with_module, ruled_by_command
from polkit.policy.declared import Declared, DeclaredRule
from polkit.policy.difference import AccessChange, RuleDifference, XpermChange
from polkit.policy.domain_paths import DomainPath, DomainStep, domain_steps, new_domain_paths
from polkit.policy.flow_graph import FlowStep
from polkit.policy.flows import Flow, new_flows
from polkit.policy.heir import Heir
from polkit.policy.interface import (
    Access,
    BooleanSet,
    FailedConstraint,
    FileEntry,
    Forbidden,
    Inheritance,
    ListedLabel,
    PortLabel,
    Rectangle,
    TargetPolicy,
    Unlimited,
    Verdict,
    Weaker,
)
from polkit.policy.label_files import LabelLine
from polkit.policy.labels import FileLabels
from polkit.policy.local_modules import Chosen, LocalModule, local_modules, lost_without, store_without
from polkit.policy.locate import PolicyFiles, locate
from polkit.policy.nopolicy import NoPolicy
from polkit.policy.oracle import Oracle, OracleAnswer
from polkit.policy.power import OVER_THE_KERNEL, UNCONFINED, Powers
from polkit.policy.risk import Risk, assess, risk_ids, risk_named, sensitive_types
from polkit.policy.store import Expression, parse_at
from polkit.policy.succession import STRUCTURAL, Succession, both_built, succession
from polkit.policy.target import load
from polkit.policy.terms import Incomparable
from polkit.policy.violations import Violation
from polkit.policy.whatif import WhatIf, remember_baseline, what_if
from polkit.policy.written import EXECUTING, WRITING, given_between, writers, written_and_executed


def load_policy(policy: str = "auto", store: Optional[str] = None) -> TargetPolicy:
    """The target policy that ``--policy`` and ``--store`` name.

    ``policy``: a binary policy, a directory that holds ``etc/selinux``, ``auto`` (the running kernel's, else the
    newest of the configured type) or ``none``. ``store``: the module store, where it isn't implied by the policy's
    place. Raises SourceError for what can't be read, MissingDependency without setools or, for ``auto``, a policy.
    """
    return NoPolicy() if policy == "none" else load(locate(policy, store))


__all__ = [
    "EVERY_COMMAND",
    "EXECUTING",
    "OBJECTS",
    "OPERATIONS",
    "OVER_THE_KERNEL",
    "PORT_USES",
    "STRUCTURAL",
    "UNCONFINED",
    "WRITING",
    "Access",
    "AccessChange",
    "Beside",
    "Between",
    "BooleanSet",
    "BootPolicy",
    "Chosen",
    "Comparison",
    "Declared",
    "DeclaredRule",
    "DefaultChange",
    "DoesNotLink",
    "DomainPath",
    "DomainStep",
    "Expression",
    "FailedConstraint",
    "FileEntry",
    "FileLabels",
    "Flow",
    "FlowStep",
    "Forbidden",
    "Heir",
    "Incomparable",
    "Inheritance",
    "LabelEffect",
    "LabelLine",
    "ListedLabel",
    "LocalModule",
    "LocalPort",
    "ModuleFile",
    "Oracle",
    "OracleAnswer",
    "PolicyFiles",
    "PortLabel",
    "Powers",
    "Rectangle",
    "Risk",
    "RuleDifference",
    "Succession",
    "TargetPolicy",
    "Unlimited",
    "Verdict",
    "Violation",
    "Weaker",
    "WhatIf",
    "WrittenChange",
    "XpermChange",
    "assess",
    "between",
    "bitset",
    "both_built",
    "built_beside",
    "compare_with_module",
    "domain_steps",
    "given_between",
    "label_effect",
    "load_booted",
    "load_policy",
    "local_modules",
    "locate",
    "lost_without",
    "mirrored",
    "new_domain_paths",
    "new_flows",
    "parse_at",
    "policy_to_boot",
    "ranges",
    "read_booleans",
    "remember_baseline",
    "risk_ids",
    "risk_named",
    "ruled_by_command",
    "sensitive_types",
    "store_without",
    "succession",
    "what_if",
    "with_labels_of",
    "writers",
    "written_and_executed",
]
