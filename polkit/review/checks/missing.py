"""PK002: a class, permission or other name is used and neither declared nor required."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional

from polkit.errors import SourceError
from polkit.module.source import Block, Call, Head, Located, read_te
from polkit.policy import TargetPolicy
from polkit.review.case import Case
from polkit.review.findings import Finding, Fix, Place
from polkit.review.grants.uses import (
    BOOLEAN,
    CLASS,
    PERMISSION,
    ROLE,
    TYPE,
    USER,
    Name,
    declared_by,
    required_by,
    used_by,
)
from polkit.review.materials.reading import SourceText
from polkit.review.patches import unified

_WHY = (
    "A module may use only names that it declares or requires; the compiler stops at the first that it does neither "
    "with, so the module can't be built. Nothing of it is in force anywhere."
)
_KINDS = (TYPE, ROLE, USER, BOOLEAN, CLASS, PERMISSION)
_OPENING = re.compile(r"[ \t]*(?:require[ \t]*\{|gen_require\(`)[ \t]*(?:#.*)?\Z")


class Missing(NamedTuple):
    """What the source ``file`` should require: each name with the first statement that uses it."""

    file: str
    names: dict[Name, Located]


def find(case: Case) -> Iterator[Finding]:
    """One finding for all that a source fails to require, at the first statement that needs it."""
    for one in missing(case):
        text = next(text for text in case.sources if text.name == one.file)
        lines = required_lines(one.names, case.policy)
        first = min(one.names.values(), key=lambda where: (where.line, where.column))
        names = list(one.names)
        shown = [name for name in names if name.kind != PERMISSION or Name(CLASS, name.tclass) not in one.names]
        yield Finding(
            id="PK002",
            severity="high",
            confidence="high",
            place=Place(one.file, first.line, first.column),
            title=f"Not required: {_listed([_short(name) for name in shown])}",
            why=_WHY,
            fix=Fix(
                f"Add to the require block: {' '.join(lines)}", (), _patch(text, lines, _is_sure(names, case.policy))
            ),
            evidence=tuple(f"{name.text}: line {where.line}" for name, where in one.names.items()),
        )


def missing(case: Case) -> tuple[Missing, ...]:
    """What the sources fail to require. Left out are sources that can't be read, or that call what nothing defines:
    that may declare anything.
    """
    calling = {file for file, _ in case.read.calls}
    files = [one.name for one in case.sources if one.kind == "te" and one.name not in calling]
    found = (Missing(file, dict(_missing(case, file))) for file in files)
    return tuple(one for one in found if one.names)


def required_lines(names: Iterable[Name], policy: Optional[TargetPolicy]) -> list[str]:
    """The lines of a ``require`` block that ask for these names."""
    perms: dict[str, list[str]] = {}
    lines: list[str] = []
    for name in names:
        if name.kind in (CLASS, PERMISSION):
            perms.setdefault(name.tclass or name.name, []).extend([name.name] * (name.kind == PERMISSION))
        else:
            lines.append(f"{_word(name, policy)} {name.name};")
    for tclass, found in perms.items():
        asked = sorted(found) or ["transition" if tclass == "process" else "create"]  # of transitions, that name none
        lines.append(f"class {tclass} {{ {' '.join(asked)} }};")
    return lines


def _missing(case: Case, file: str) -> Iterator[tuple[Name, Located]]:
    """In the order of the statements. What the policy does not have is no case for a require line."""
    own = [one for one in case.statements if one.file == file]
    known = {name for one in own for name in (*declared_by(one.statement), *required_by(one.statement))}
    found: dict[Name, Located] = {}
    for one in own:
        if not one.via:
            for name in used_by(one):
                if name not in known and name not in found and (case.policy is None or has(case.policy, name)):
                    found[name] = one
    yield from found.items()


def has(policy: TargetPolicy, name: Name) -> bool:
    """Whether a policy has what a name stands for."""
    if policy.info is None:
        return True
    if name.kind == TYPE:
        return policy.type_name(name.name) is not None or policy.has_attribute(name.name)
    if name.kind == CLASS:
        return policy.has_class(name.name)
    if name.kind == PERMISSION:
        return name.name in policy.permissions(name.tclass)
    if name.kind == ROLE:
        return policy.has_role(name.name)
    return name.name in policy.booleans if name.kind == BOOLEAN else policy.has_user(name.name)


def _word(name: Name, policy: Optional[TargetPolicy]) -> str:
    """The word of a require line for a name."""
    if name.kind == BOOLEAN:
        return "bool"
    if name.kind == TYPE and policy is not None and policy.type_name(name.name) is None:
        return "attribute"
    return name.kind


def _is_sure(names: Iterable[Name], policy: Optional[TargetPolicy]) -> bool:
    """Without a policy nobody knows a type from an attribute, but by the end of its name."""
    if policy is not None and policy.info is not None:
        return True
    return all(name.kind != TYPE or name.name.endswith("_t") for name in names)


def _patch(text: SourceText, lines: list[str], is_sure: bool) -> str:
    """Into the first block that requires something, if it stands on lines of its own; else a block behind the head."""
    try:
        statements = read_te(text.text, text.name).statements if is_sure else ()
    except SourceError:
        return ""
    written = text.text.split("\n")
    for one in statements:
        if isinstance(one, Block) and one.kind in ("require", "gen_require") and _OPENING.match(written[one.line - 1]):
            indent = _indent(written[one.line] if one.line < len(written) else "")
            written[one.line : one.line] = [indent + line for line in lines]
            return unified(text, "\n".join(written))
    for one in statements:
        is_head = isinstance(one, Head) or (isinstance(one, Call) and one.name == "policy_module")
        if is_head and written[one.line - 1].rstrip().endswith((";", ")")):
            written[one.line : one.line] = ["", "require {", *(f"    {line}" for line in lines), "}"]
            return unified(text, "\n".join(written))
    return ""


def _indent(line: str) -> str:
    found = line[: len(line) - len(line.lstrip())]
    return found or "    "


def _short(name: Name) -> str:
    return f"{name.tclass} {name.name}" if name.kind == PERMISSION else f"{name.kind} {name.name}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown
