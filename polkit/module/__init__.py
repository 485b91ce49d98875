"""Policy text as data: writes an AccessSet as ``.te``, ``.fc`` and CIL, compiles it, and links it into a module store.

Knows no target policy: what a foreign name is (a type or an attribute) comes in as an argument.
"""

from __future__ import annotations

from polkit.module.cil import render_cil
from polkit.module.compile import OLDEST, CompiledModule, build_package, compile_module, write_module
from polkit.module.fc import quote_path, render_fc, tree_pattern
from polkit.module.link import LinkResult, link_check
from polkit.module.names import is_writable
from polkit.module.te import needs_cil, render_te

__all__ = [
    "OLDEST",
    "CompiledModule",
    "LinkResult",
    "build_package",
    "compile_module",
    "is_writable",
    "link_check",
    "needs_cil",
    "quote_path",
    "render_cil",
    "render_fc",
    "render_te",
    "tree_pattern",
    "write_module",
]
