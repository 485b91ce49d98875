"""Writes CIL, for what ``checkmodule`` refuses. Foreign names are not declared: ``semodule`` resolves them."""

from __future__ import annotations

import re

from polkit.errors import CompileError
from polkit.model import (
    AvRule,
    FileContext,
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
from polkit.module.fc import check_context, sorted_contexts
from polkit.module.inherited import Block, blocks, cil_condition
from polkit.module.names import check_source
from polkit.module.statements import Item, droppable_types, folded, in_order
from polkit.module.te import head, inherited_head

_XPERM_WORDS = {"allowxperm": "allowx", "auditallowxperm": "auditallowx", "dontauditxperm": "dontauditx"}
_FILE_WORDS = {
    "": "any",
    "--": "file",
    "-d": "dir",
    "-l": "symlink",
    "-c": "char",
    "-b": "block",
    "-s": "socket",
    "-p": "pipe",
}


def render_cil(source: ModuleSource) -> str:
    """The text of ``NAME.cil``, file contexts included. Raises CompileError for what CIL can't express."""
    check_source(source)
    if not source.access:
        raise CompileError(f"module {source.name} says nothing")
    lines = [comment(line, ";") for line in head(source)]
    optionals = 0
    for entry in in_order(source):
        lines += [""] if entry.apart else []
        lines += entry.comment_lines(";")
        written = statement(entry.item)
        if droppable_types(entry.item, source):
            optionals += 1
            written = [f"(optional {source.name}_optional_{optionals}", *(f"  {line}" for line in written), ")"]
        lines += written
    if source.inherited is not None:
        lines += ["", *(comment(line, ";") for line in inherited_head(source))]
        for number, block in enumerate(blocks(source), 1):
            lines += _block(block, f"{source.name}_inherited_{number}")
    if source.access.contexts:
        lines.append("")
    for context in sorted_contexts(source):
        lines += [comment(line, ";") for line in source.comments.get(context, ())]
        lines.append(_filecon(context, source.mls))
    return "\n".join(lines) + "\n"


def statement(item: Item) -> list[str]:  # noqa: PLR0911 - one for each kind of statement
    """The CIL lines of one statement."""
    if isinstance(item, AvRule):
        return [f"({item.kind} {item.source} {item.target} ({item.tclass} ({' '.join(sorted(set(item.perms)))})))"]
    if isinstance(item, XpermRule):
        numbers = (
            f"0x{first:04x}" if first == last else f"(range 0x{first:04x} 0x{last:04x})"
            for first, last in folded(item.numbers)
        )
        word = _XPERM_WORDS[item.kind]
        return [f"({word} {item.source} {item.target} ({item.operation} {item.tclass} ({' '.join(numbers)})))"]
    if isinstance(item, TypeDeclaration):
        return [
            f"(type {item.name})",
            f"(roletype object_r {item.name})",
            *(f"(typeattributeset {attribute} ({item.name}))" for attribute in sorted(set(item.attributes))),
        ]
    if isinstance(item, RoleTypes):
        return [f"(roletype {item.role} {item.type})"]
    if isinstance(item, TypeBounds):
        return [f"(typebounds {item.parent} {item.child})"]
    if isinstance(item, Permissive):
        return [f"(typepermissive {item.type})"]
    if isinstance(item, RoleAllow):
        return [f"(roleallow {item.source} {item.target})"]
    raise TypeError(f"{type(item).__name__} is no statement of a module")


def _block(block: Block, name: str) -> list[str]:
    """One block in ``optional``: a name that the policy lacks disables it."""
    lines = [line for rule in block.rules for line in _inherited(rule)]
    if block.condition is not None:
        lines = [f"(booleanif {cil_condition(block.condition)} (true", *(f"  {line}" for line in lines), "))"]
    return [f"(optional {name}", *(f"  {line}" for line in lines), ")"]


def _inherited(rule: InheritedRule) -> list[str]:
    if isinstance(rule, TypeTransition):
        word = {"type_transition": "typetransition", "type_change": "typechange", "type_member": "typemember"}
        name = f' "{rule.name}"' if rule.name else ""
        return [f"({word[rule.kind]} {rule.source} {rule.target} {rule.tclass}{name} {rule.default})"]
    if isinstance(rule, RangeTransition):
        return [f"(rangetransition {rule.source} {rule.target} {rule.tclass} ({_range(rule.level)}))"]
    return statement(rule)


def _filecon(context: FileContext, mls: bool) -> str:
    check_context(context)
    # Without levels the policy still has the names that hll/pp gives to the one level there is.
    levels = _range(context.level) if mls else "systemlow systemlow"
    return f'(filecon "{context.pattern}" {_FILE_WORDS[context.kind]} (system_u object_r {context.type} ({levels})))'


def _range(text: str) -> str:
    low, _, high = text.partition("-")
    return f"{_level(low)} {_level(high or low)}"


def _level(text: str) -> str:
    sensitivity, _, categories = text.partition(":")
    if not categories:
        return f"({sensitivity})"
    parts = (re.sub(r"(c\d+)\.(c\d+)", r"(range \1 \2)", part) for part in categories.split(","))
    return f"({sensitivity} ({' '.join(parts)}))"
