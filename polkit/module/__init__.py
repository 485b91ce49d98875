"""Policy text as data: writes an AccessSet as ``.te``, ``.fc`` and CIL, compiles it, and links it into a module store.

Knows no target policy: what a foreign name is (a type or an attribute) comes in as an argument.
"""

from __future__ import annotations

from polkit.module.cil import render_cil
from polkit.module.compile import OLDEST, CompiledModule, build_package, compile_module, write_module
from polkit.module.fc import quote_path, render_fc, tree_pattern
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
)
from polkit.module.names import is_writable
from polkit.module.te import needs_cil, render_te
from polkit.module.tools import ToolRun, run_tool, run_tools

__all__ = [
    "OLDEST",
    "PRIORITY",
    "CompiledModule",
    "LinkResult",
    "ToolRun",
    "build_package",
    "compile_module",
    "copy_store",
    "does_not_link",
    "fast_place",
    "install_command",
    "is_writable",
    "link_check",
    "needs_cil",
    "quote_path",
    "refuse_shadowing",
    "render_cil",
    "render_fc",
    "render_te",
    "run_tool",
    "run_tools",
    "set_expand_check",
    "tree_pattern",
    "write_module",
]
