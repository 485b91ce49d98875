"""The plain data every room speaks of: contexts, levels, accesses, evidence, rules, plans. Imports nothing above it."""

from __future__ import annotations

from polkit.model.access import AccessKey, Failure, Port, Xperm
from polkit.model.context import IDENTIFIER, Context, Party, parse_context
from polkit.model.evidence import SAMPLE, Counted, Denials, Evidence, InputSummary, Unparsed
from polkit.model.levels import EQUAL_LEVELS, UNKNOWN_LEVELS, LevelRelations, relate
from polkit.model.plan import (
    CAUSES,
    REMEDIES,
    RISKS,
    BooleanOption,
    Decision,
    Grants,
    ModuleInfo,
    Plan,
    PolicyInfo,
    Remedy,
    Rule,
)
from polkit.model.rules import (
    SELF,
    AccessSet,
    AvRule,
    FileContext,
    ModuleSource,
    RoleAllow,
    RoleTypes,
    TypeBounds,
    TypeDeclaration,
    XpermRule,
)

__all__ = [
    "CAUSES",
    "EQUAL_LEVELS",
    "IDENTIFIER",
    "REMEDIES",
    "RISKS",
    "SAMPLE",
    "SELF",
    "UNKNOWN_LEVELS",
    "AccessKey",
    "AccessSet",
    "AvRule",
    "BooleanOption",
    "Context",
    "Counted",
    "Decision",
    "Denials",
    "Evidence",
    "Failure",
    "FileContext",
    "Grants",
    "InputSummary",
    "LevelRelations",
    "ModuleInfo",
    "ModuleSource",
    "Party",
    "Plan",
    "PolicyInfo",
    "Port",
    "Remedy",
    "RoleAllow",
    "RoleTypes",
    "Rule",
    "TypeBounds",
    "TypeDeclaration",
    "Unparsed",
    "Xperm",
    "XpermRule",
    "parse_context",
    "relate",
]
