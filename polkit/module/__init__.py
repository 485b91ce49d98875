"""Policy text as data: writes an AccessSet as ``.te``, ``.fc``, ``.if`` and CIL, compiles it, links it into a module
store, and reads the interfaces of the reference policy.

Knows no target policy: what a foreign name is (a type or an attribute) comes in as an argument.
"""

from __future__ import annotations

from polkit.module.cil import render_cil
from polkit.module.compile import OLDEST, CompiledModule, build_package, compile_module, write_module
from polkit.module.expansion import ARGUMENTS, Expansion, expand
from polkit.module.fc import KINDS, precedence, quote_path, render_fc, tree_pattern
from polkit.module.headers import Definition, Headers, definitions, find_headers, read_headers
from polkit.module.if_writing import render_if
from polkit.module.inherited import te_condition
from polkit.module.link import (
    PRIORITY,
    LinkResult,
    copy_store,
    does_not_link,
    fast_place,
    install_command,
    link_check,
    refuse_shadowing,
    set_expand_check,
    unreadable_store,
)
from polkit.module.names import is_writable
from polkit.module.regions import empty_module, hand_written, marked, parts, says_something, splice
from polkit.module.te import needs_cil, render_te
from polkit.module.te_reading import NameSet, OtherStatement, Required, Statement, WrittenRule, read_body
from polkit.module.tools import ToolRun, find_tool, run_tool, run_tools, running_tools

__all__ = [
    "ARGUMENTS",
    "KINDS",
    "OLDEST",
    "PRIORITY",
    "CompiledModule",
    "Definition",
    "Expansion",
    "Headers",
    "LinkResult",
    "NameSet",
    "OtherStatement",
    "Required",
    "Statement",
    "ToolRun",
    "WrittenRule",
    "build_package",
    "compile_module",
    "copy_store",
    "definitions",
    "does_not_link",
    "empty_module",
    "expand",
    "fast_place",
    "find_headers",
    "find_tool",
    "hand_written",
    "install_command",
    "is_writable",
    "link_check",
    "marked",
    "needs_cil",
    "parts",
    "precedence",
    "quote_path",
    "read_body",
    "read_headers",
    "refuse_shadowing",
    "render_cil",
    "render_fc",
    "render_if",
    "render_te",
    "run_tool",
    "run_tools",
    "running_tools",
    "says_something",
    "set_expand_check",
    "splice",
    "te_condition",
    "tree_pattern",
    "unreadable_store",
    "write_module",
]
