"""Policy sources as people write them, read into statements with their places; nothing of them is run."""

from __future__ import annotations

from polkit.module.source.cil import CilBlock, CilEntry, CilItem, CilStatement, read_cil, render_cil_entries
from polkit.module.source.complaints import Complaint, complaints
from polkit.module.source.expanding import expand_te
from polkit.module.source.fc import FileBlock, FileEntry, FileLabel, read_fc, render_fc_entries
from polkit.module.source.limits import LARGEST, ReachesOutError
from polkit.module.source.located import (
    Located,
    Misread,
    Reading,
    asks_m4,
    everything,
    locate_te,
    macro_words,
    needs_m4,
    reading_te,
)
from polkit.module.source.located_cil import locate_cil, unresolved_cil
from polkit.module.source.render import render_source
from polkit.module.source.statements import (
    Block,
    Call,
    Constraint,
    Declaration,
    ExtendedRule,
    Head,
    Label,
    Remark,
    Requirement,
    RoleAllow,
    Rule,
    Source,
    Statement,
    Transition,
)
from polkit.module.source.te import read_around, read_by_grammar, read_te

__all__ = [
    "LARGEST",
    "Block",
    "Call",
    "CilBlock",
    "CilEntry",
    "CilItem",
    "CilStatement",
    "Complaint",
    "Constraint",
    "Declaration",
    "ExtendedRule",
    "FileBlock",
    "FileEntry",
    "FileLabel",
    "Head",
    "Label",
    "Located",
    "Misread",
    "ReachesOutError",
    "Reading",
    "Remark",
    "Requirement",
    "RoleAllow",
    "Rule",
    "Source",
    "Statement",
    "Transition",
    "asks_m4",
    "complaints",
    "everything",
    "expand_te",
    "locate_cil",
    "locate_te",
    "macro_words",
    "needs_m4",
    "read_around",
    "read_by_grammar",
    "read_cil",
    "read_fc",
    "read_te",
    "reading_te",
    "render_cil_entries",
    "render_fc_entries",
    "render_source",
    "unresolved_cil",
]
