"""Writes ``.te``: the plain module syntax that ``checkmodule`` takes, without any macro."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Optional

from polkit.errors import CompileError
from polkit.model import (
    AvRule,
    InheritedRule,
    ModuleSource,
    Permissive,
    RangeTransition,
    RoleAllow,
    RoleTypes,
    TypeBounds,
    TypeDeclaration,
    TypeTransition,
    XpermRule,
)
from polkit.module.comments import comment
from polkit.module.inherited import Block, blocks, has_conditional_xperms, inherited_names, te_condition
from polkit.module.names import KEYWORDS, check_source, names
from polkit.module.requires import Requirements, requirements
from polkit.module.statements import Item, droppable_types, folded, in_order

if TYPE_CHECKING:
    import jinja2


class _Statement(NamedTuple):
    text: str
    comments: tuple[str, ...]
    apart: bool


def needs_cil(source: ModuleSource) -> Optional[str]:
    """Why ``checkmodule`` would refuse this module, in a few words; None when it can be written as ``.te``.

    Raises CompileError when no policy language takes it.
    """
    check_source(source)
    if source.name in KEYWORDS:
        raise CompileError(f"{source.name!r} is a keyword of the policy language", hint="choose another module name")
    for name in sorted({*names(source.access), *(inherited_names(source.inherited) if source.inherited else ())}):
        if "." in name:
            return f"{name} is in a CIL namespace (checkmodule takes a dot for a type hierarchy)"
        if name in KEYWORDS:
            return f"{name} is a keyword of checkmodule"
    if any(rule.operation == "nlmsg" for rule in source.access.xperms):
        return "rules on nlmsg commands are unknown to checkmodule and libsepol before 3.8"
    if source.inherited is not None and has_conditional_xperms(source.inherited):
        return "extended permissions under a boolean are unknown to checkmodule before 3.8"
    return None


def render_te(source: ModuleSource, attributes: frozenset[str] = frozenset()) -> str:
    """The text of ``NAME.te``. ``attributes``: which of the foreign names are type attributes of the target policy.

    Raises CompileError when a name is no identifier, or when the module needs CIL (see ``needs_cil``).
    """
    reason = needs_cil(source)
    if reason is not None:
        raise CompileError(f"module {source.name} can't be written as .te: {reason}")
    return _template().render(
        name=source.name,
        version=source.version,
        head=[comment(line, "#") for line in head(source)],
        requires=_require_lines(requirements(source.access, attributes, source.inherited, source.optionals)),
        statements=_statements(source),
        inherited=[line for block in blocks(source) for line in _block(block)],
        inherited_head=[comment(line, "#") for line in inherited_head(source)],
    )


def head(source: ModuleSource) -> list[str]:
    """The raw lines at the top of a module's main file: what it is, and how it was made."""
    return [
        f"{source.name} {source.version}: SELinux policy module, written by polkit from recorded denials.",
        *source.summary,
    ]


def inherited_head(source: ModuleSource) -> list[str]:
    """The raw lines above what the module's own domain inherits."""
    inherited = source.inherited
    if inherited is None:
        return []
    what = (
        f"Inherited by {inherited.domain}: what this target policy gives {inherited.base} besides its attributes."
        if inherited.as_source
        else f"What others may do to {inherited.domain}, as this target policy has it for {inherited.base}."
    )
    return [
        what,
        "No part of what the evidence asked for; expanded anew for each target policy.",
    ]


def _block(block: Block) -> list[str]:
    """The lines of one block; in ``optional`` where it needs a name that the module could live without."""
    lines = [inherited_statement(rule) for rule in block.rules]
    if block.condition is not None:
        condition = te_condition(block.condition)
        condition = condition if condition.startswith("(") else f"({condition})"
        lines = [f"if {condition} {{", *(f"    {line}" for line in lines), "}"]
    needed = [
        *(f"attribute {name};" for name in block.attributes),
        *(f"type {name};" for name in block.types),
        *(f"bool {name};" for name in block.booleans),
        *_level_lines(block.levels),
    ]
    if not needed:
        return ["", *lines]
    required = ["    require {", *(f"        {line}" for line in needed), "    }"]
    return ["", "optional {", *required, *(f"    {line}" for line in lines), "}"]


def _level_lines(levels: tuple[str, ...]) -> list[str]:
    names = {name for level in levels for name in re.findall(r"[sc]\d+", level)}
    return [f"{'sensitivity' if name[0] == 's' else 'category'} {name};" for name in sorted(names)]


def inherited_statement(rule: InheritedRule) -> str:
    """One inherited rule as checkmodule takes it."""
    if isinstance(rule, TypeTransition):
        name = f' "{rule.name}"' if rule.name else ""
        return f"{rule.kind} {rule.source} {rule.target}:{rule.tclass} {rule.default}{name};"
    if isinstance(rule, RangeTransition):
        return f"range_transition {rule.source} {rule.target}:{rule.tclass} {rule.level};"
    return statement(rule)


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("polkit.module"),
        autoescape=False,  # noqa: S701 - not HTML; every value comes escaped or checked
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("module.te.j2")


def _require_lines(needed: Requirements) -> list[str]:
    if not needed:
        # A module of nothing but own types still owes checkmodule a require block that is not empty.
        return ["role object_r;"]
    return [
        *(f"attribute {name};" for name in needed.attributes),
        *(f"type {name};" for name in needed.types),
        *(f"role {name};" for name in needed.roles),
        *(f"class {tclass} {_set(perms)};" for tclass, perms in needed.classes),
    ]


def _statements(source: ModuleSource) -> list[_Statement]:
    return [
        _Statement(_placed(entry.item, source), entry.comment_lines("#"), entry.apart) for entry in in_order(source)
    ]


def _placed(item: Item, source: ModuleSource) -> str:
    """A statement, in an optional block where the module can do without it."""
    types = droppable_types(item, source)
    if not types:
        return statement(item)
    required = " ".join(f"type {name};" for name in types)
    return f"optional {{\n    require {{ {required} }}\n    {statement(item)}\n}}"


def statement(item: Item) -> str:  # noqa: PLR0911 - one for each kind of statement
    """One statement as checkmodule takes it."""
    if isinstance(item, AvRule):
        return f"{item.kind} {item.source} {item.target}:{item.tclass} {_set(item.perms)};"
    if isinstance(item, XpermRule):
        numbers = tuple(
            f"0x{first:04x}" if first == last else f"0x{first:04x}-0x{last:04x}" for first, last in folded(item.numbers)
        )
        return f"{item.kind} {item.source} {item.target}:{item.tclass} {item.operation} {{ {' '.join(numbers)} }};"
    if isinstance(item, TypeDeclaration):
        return f"type {', '.join((item.name, *sorted(set(item.attributes))))};"
    if isinstance(item, RoleTypes):
        return f"role {item.role} types {item.type};"
    if isinstance(item, TypeBounds):
        return f"typebounds {item.parent} {item.child};"
    if isinstance(item, Permissive):
        return f"permissive {item.type};"
    if isinstance(item, RoleAllow):
        return f"allow {item.source} {item.target};"
    raise TypeError(f"{type(item).__name__} is no statement of a module")


def _set(names_: tuple[str, ...]) -> str:
    return f"{{ {' '.join(sorted(set(names_)))} }}"
