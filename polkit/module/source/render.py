"""Writes statements of a policy source as text that reads back as the same statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from polkit.module.source.statements import (
    Block,
    Call,
    Constraint,
    Declaration,
    ExtendedRule,
    Head,
    Label,
    Requirement,
    RoleAllow,
    Rule,
    Statement,
    Transition,
)
from polkit.module.source.words import written_argument, written_set


def render_source(statements: Iterable[Statement]) -> str:
    """The statements, one a line, blocks indented by tabs, without remarks."""
    return "".join(f"{line}\n" for one in statements for line in _lines(one))


def _lines(one: Statement) -> Iterator[str]:
    if isinstance(one, Block):
        yield from _block(one)
    else:
        yield _line(one)


def _block(one: Block) -> Iterator[str]:
    begin, *others = block_frame(one)
    yield begin
    for branch, after in zip(one.branches, others):
        yield from (f"\t{line}" for inner in branch for line in _lines(inner))
        yield after


def block_frame(one: Block) -> Iterator[str]:
    """What stands before the first branch of a block, between its branches, and after the last."""
    braces = one.kind in ("require", "optional", "if")
    between, end = ("} else {", "}") if braces else ("',`", "')")
    yield _begin(one)
    for place in range(1, len(one.branches)):
        last = place == len(one.branches) - 1
        pair = one.arguments[2 * place : 2 * place + 2] if one.kind == "ifelse" and not last else ()
        yield "".join(f"',`{word}" for word in pair) + between
    yield end


def _begin(one: Block) -> str:
    if one.kind in ("require", "optional"):
        return f"{one.kind} {{"
    if one.kind == "if":
        return f"if ({one.arguments[0]}) {{"
    arguments = one.arguments[:2] if one.kind == "ifelse" else one.arguments
    return f"{one.kind}(" + "".join(f"`{word}'," for word in arguments) + "`"


def _line(one: Statement) -> str:
    if isinstance(one, Call):
        return f"{one.name}({', '.join(map(written_argument, one.arguments))})" if one.arguments else one.name
    if isinstance(one, Head):
        return f"module {one.name} {one.version};"
    if isinstance(one, Label):
        return f"{one.kind} {one.words} " + " ".join(f"gen_context({','.join(words)})" for words in one.contexts)
    return " ".join(_words(one)) + ";"


def _words(one: Statement) -> Iterator[str]:
    """The words of a statement that ends with a semicolon."""
    if isinstance(one, Declaration):
        yield from _declaration(one)
    elif isinstance(one, Requirement):
        yield from (one.kind, ", ".join(one.names.names))
        if one.kind == "class":
            yield written_set(one.perms)
    elif isinstance(one, Constraint):
        yield from (one.kind, written_set(one.classes))
        yield from () if one.perms is None else (written_set(one.perms),)
        yield f"({one.expression})"
    elif isinstance(one, RoleAllow):
        yield from ("allow", written_set(one.sources), written_set(one.targets))
    elif isinstance(one, (Rule, ExtendedRule, Transition)):
        yield from _rule(one)


def _rule(one: Statement) -> Iterator[str]:
    assert isinstance(one, (Rule, ExtendedRule, Transition))
    yield from (one.kind, written_set(one.sources), written_set(one.targets))
    if one.classes is not None:
        yield from (":", written_set(one.classes))
    if isinstance(one, Rule):
        yield written_set(one.perms)
    elif isinstance(one, ExtendedRule):
        numbers = " ".join(f"0x{low:x}" if low == high else f"0x{low:x}-0x{high:x}" for low, high in one.numbers)
        yield from (one.operation, ("~" if one.others else "") + f"{{ {numbers} }}")
    else:
        yield one.result
        yield from (f'"{one.filename}"',) if one.filename else ()


def _declaration(one: Declaration) -> Iterator[str]:
    values = ", ".join(one.values.names)
    if one.kind == "role_types":
        yield from ("role", one.names.names[0], "types", written_set(one.values))
    elif one.kind == "user":
        yield from ("user", one.names.names[0], "roles", written_set(one.values), *one.aliases.names)
    elif one.kind == "expandattribute":
        yield from (one.kind, written_set(one.names), values)
    elif one.kind == "typealias":
        yield from (one.kind, one.names.names[0], "alias", written_set(one.aliases))
    elif one.kind == "type":
        alias = f" alias {written_set(one.aliases)}" if one.aliases.names else ""
        yield from ("type", one.names.names[0] + alias + (f", {values}" if values else ""))
    elif one.kind == "role" and values:
        yield from ("role", f"{one.names.names[0]}, {values}")
    else:
        yield from (one.kind, one.names.names[0], *((values,) if values else ()))
