"""What a compiled module says, read from its CIL: what it declares, joins, requires and grants.

``hll/pp`` (libsepol ``module_to_cil.c``) writes a module package with one statement a line, what it requires of others
as ``cil_gen_require``, and optional and conditional blocks as such; blocks are read with what stands in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from polkit.errors import CompileError
from polkit.policy import Expression, parse_at

_SKIPPED = re.compile(r'"[^"]*"|;[^\n]*')
_RULES = frozenset(("allow", "auditallow", "dontaudit", "neverallow"))
_XPERMS = frozenset(("allowx", "auditallowx", "dontauditx"))
_TRANSITIONS = frozenset(("typetransition", "typechange", "typemember", "rangetransition"))
_REQUIRE = "cil_gen_require"
_KINDS = {
    "any": "",
    "file": "--",
    "dir": "-d",
    "symlink": "-l",
    "char": "-c",
    "block": "-b",
    "socket": "-s",
    "pipe": "-p",
}
"""What file contexts in CIL are about, as file_contexts(5) has it."""


class Grant(NamedTuple):
    """One permission of one rule. ``perm`` of a rule on extended permissions is its operation with a number, or a range
    of them; ``condition`` is the CIL of the booleans it depends on, or empty; ``optional``: it falls away with its
    names."""

    kind: str
    source: str
    target: str
    tclass: str
    perm: str
    condition: str = ""
    optional: bool = False


@dataclass
class Claims:
    """Everything a module says. ``required`` are the names it can't be without; ``optional`` those in optional blocks;
    ``perms`` pairs of class and permission."""

    types: set[str] = field(default_factory=set)
    joins: set[tuple[str, str]] = field(default_factory=set)
    roles: set[str] = field(default_factory=set)
    booleans: set[str] = field(default_factory=set)
    required: set[str] = field(default_factory=set)
    optional: set[str] = field(default_factory=set)
    perms: set[tuple[str, str]] = field(default_factory=set)
    grants: set[Grant] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    """Statements of further kinds, as CIL."""
    contexts: set[str] = field(default_factory=set)
    """File contexts, as CIL."""


def read_claims(cil: str) -> Claims:
    """What a module's CIL says. Raises CompileError, SourceError for what is no CIL."""
    text = _SKIPPED.sub(lambda found: found[0] if found[0].startswith('"') else "", cil)
    whole = parse_at(b"(" + text.encode("utf-8", "replace") + b"\n)", 0)
    assert isinstance(whole, tuple)
    claims = Claims()
    try:
        _read(whole, claims, "", False)
    except (IndexError, ValueError) as error:
        raise CompileError("a statement of the CIL has not the words that its kind takes") from error
    claims.required -= claims.types
    claims.optional -= claims.types | claims.required
    return claims


def _read(statements: Iterable[Expression], claims: Claims, condition: str, optional: bool) -> None:
    for item in statements:
        if not (isinstance(item, tuple) and item and isinstance(item[0], str)):
            continue
        word = item[0]
        if word == "optional":
            _read(item[2:], claims, condition, True)
        elif word == "booleanif":
            claims.booleans.update(_booleans(item[1]))
            for block in item[2:]:
                if isinstance(block, tuple) and block:
                    within = as_text(item[1]) if block[0] == "true" else f"(not {as_text(item[1])})"
                    _read(block[1:], claims, f"(and {condition} {within})" if condition else within, optional)
        else:
            _read_one(item, word, claims, condition, optional)


def _read_one(item: tuple[Expression, ...], word: str, claims: Claims, condition: str, optional: bool) -> None:
    if word == "type" and len(item) == 2:
        claims.types.add(str(item[1]))
    elif word in ("typeattributeset", "roleattributeset") and item[1] == _REQUIRE:
        if word == "roleattributeset":
            claims.roles.update(_words(item[2]))
        else:
            (claims.optional if optional else claims.required).update(_words(item[2]))
    elif word == "typeattributeset":
        claims.joins.update((str(item[1]), name) for name in _words(item[2]))
    elif word in _RULES and len(item) == 4 and isinstance(item[3], tuple):
        source, target, (tclass, perms) = str(item[1]), str(item[2]), item[3][:2]
        for perm in _words(perms):
            claims.grants.add(Grant(word, source, target, str(tclass), perm, condition, optional))
            claims.perms.add((str(tclass), perm))
    elif word in _XPERMS and len(item) == 4 and isinstance(item[3], tuple):
        operation, tclass, numbers = (*item[3], "", "", ())[:3]
        for number in _numbers(numbers):
            perm = f"{operation} {number}"
            claims.grants.add(Grant(word, str(item[1]), str(item[2]), str(tclass), perm, condition, optional))
        claims.perms.add((str(tclass), str(operation)))
    elif word == "roletype" and item[1] == "object_r":
        return  # every type has it
    elif word == "filecon":
        claims.contexts.add(as_text(item))
    elif word in _TRANSITIONS or word not in ("typeattribute", "roleattribute"):
        claims.others.add(as_text(item))


def as_file_contexts(contexts: Iterable[str]) -> str:
    """The file contexts of a module's CIL (``Claims.contexts``) as a ``.fc``, sorted. Raises CompileError for one that
    says its context by a name."""
    return "".join(sorted(f"{_file_context(text)}\n" for text in contexts))


def _file_context(text: str) -> str:
    item = parse_at(text.encode("utf-8", "replace"), 0)
    context = item[3] if isinstance(item, tuple) and len(item) == 4 else ""
    if not (isinstance(item, tuple) and isinstance(context, tuple) and item[2] in _KINDS):
        raise CompileError(f"the module has a file context that is not read: {text[:200]}")
    pattern, kind = str(item[1]).strip('"'), _KINDS[str(item[2])]
    said = "<<none>>" if not context else ":".join((*map(str, context[:3]), *_levels(context[3:])))
    return " ".join(filter(None, (pattern, kind, said)))


def _levels(found: tuple[Expression, ...]) -> list[str]:
    """``((s0) (s0 (c0 c1)))`` as ``s0-s0:c0,c1``; nothing for the one level of a policy without levels."""
    levels = [_level(one) for one in (found[0] if found and isinstance(found[0], tuple) else ())]
    if not levels or levels[0] == "systemlow":
        return []
    return ["-".join(dict.fromkeys(levels))]


def _level(one: Expression) -> str:
    if isinstance(one, str):
        return one
    sensitivity, categories = str(one[0]), one[1] if len(one) > 1 else ()
    return ":".join(filter(None, (sensitivity, ",".join(_category(item) for item in categories))))


def _category(one: Expression) -> str:
    return one if isinstance(one, str) else ".".join(str(item) for item in one if item != "range")


def as_text(expression: Expression) -> str:
    """CIL of an expression on one line."""
    return expression if isinstance(expression, str) else f"({' '.join(as_text(one) for one in expression)})"


def _numbers(expression: Expression) -> list[str]:
    """The commands of a rule on extended permissions: ``0x4601``, ``0x4601-0x4604``; what else CIL says, as it is."""
    if isinstance(expression, str):
        found = re.match(r"(?:0x[0-9A-Fa-f]{1,4}|[0-9]{1,5})\Z", expression)
        return [expression if found is None else f"0x{int(expression, 0):04x}"]
    if expression[:1] == ("range",) and len(expression) == 3:
        first, last = (_numbers(one)[0] for one in expression[1:])
        return [f"{first}-{last}"]
    if expression and expression[0] in ("not", "and", "or", "xor", "all"):
        return [as_text(expression)]
    return [number for one in expression for number in _numbers(one)]


def _words(expression: Expression) -> list[str]:
    if isinstance(expression, str):
        return [expression]
    found = []
    for one in expression:
        if not isinstance(one, str):
            raise CompileError(f"the module has a set that is not read: {as_text(expression)[:200]}")
        found.append(one)
    return found


def _booleans(expression: Expression) -> set[str]:
    if isinstance(expression, str):
        return {expression} - {"and", "or", "xor", "not", "eq", "neq"}
    return {name for one in expression for name in _booleans(one)}
