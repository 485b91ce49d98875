"""Which names the statements of a source use, declare and require, by kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from polkit.model import SELF
from polkit.module import NameSet
from polkit.module.source import (
    Constraint,
    Declaration,
    ExtendedRule,
    Label,
    Located,
    Requirement,
    RoleAllow,
    Rule,
    Statement,
    Transition,
)

TYPE, CLASS, PERMISSION, ROLE, BOOLEAN, USER = "type", "class", "permission", "role", "boolean", "user"
"""The kinds of names that rules use. Of a rule's text alone nobody can tell a type from an attribute of types, or a
role from an attribute of roles: each pair is one kind here."""
_KINDS = {
    "type": TYPE,
    "attribute": TYPE,
    "role": ROLE,
    "attribute_role": ROLE,
    "bool": BOOLEAN,
    "tunable": BOOLEAN,
    "user": USER,
    "class": CLASS,
}
_PROCESS = NameSet(("process",))
"""What a transition of roles or ranges is for where no class is written."""
_OF_ROLES = ("roleattribute", "role")
_BOOLEAN = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
_WORDS_OF_CONDITIONS = ("and", "or", "xor", "not", "eq", "true", "false")


class Name(NamedTuple):
    """A name and the kind of thing it stands for; of a permission also its class."""

    kind: str
    name: str
    tclass: str = ""

    @property
    def text(self) -> str:
        """As a sentence calls it."""
        return f"{self.kind} {self.name}" + (f" of class {self.tclass}" if self.tclass else "")


def used_by(one: Located) -> Iterator[Name]:
    """The names that a statement uses; what it declares or requires is none of them, nor is ``self``."""
    yield from (found for found in _used(one.statement) if found.name != SELF)
    for word in _BOOLEAN.findall(one.condition):
        if word not in _WORDS_OF_CONDITIONS:
            yield Name(BOOLEAN, word)


def declared_by(statement: Statement) -> Iterator[Name]:
    """The names that a statement makes."""
    if isinstance(statement, Declaration):
        names = statement.aliases.names
        if statement.kind in _KINDS:
            names = (*statement.names.names, *names)
        yield from (Name(_KINDS.get(statement.kind, TYPE), name) for name in names)


def required_by(statement: Statement) -> Iterator[Name]:
    """The names that a line of a ``require`` block asks the policy for."""
    if isinstance(statement, Requirement) and statement.kind in _KINDS:
        for name in statement.names.names:
            yield Name(_KINDS[statement.kind], name)
            yield from (Name(PERMISSION, perm, name) for perm in statement.perms.names)


def _used(one: Statement) -> Iterator[Name]:
    if isinstance(one, (Rule, ExtendedRule)):
        yield from _names(TYPE, one.sources, one.targets)
        yield from _accesses(one)
    elif isinstance(one, Transition):
        yield from _of_transition(one)
    elif isinstance(one, RoleAllow):
        yield from _names(ROLE, one.sources, one.targets)
    elif isinstance(one, Declaration):
        yield from _of_declaration(one)
    elif isinstance(one, Constraint):
        yield from _names(CLASS, one.classes)
    elif isinstance(one, Label):
        contexts = (words[0].split(":") for words in one.contexts if words)
        yield from (Name(TYPE, parts[2]) for parts in contexts if len(parts) > 2)


def _accesses(one: Statement) -> Iterator[Name]:
    """Classes and permissions of a rule."""
    assert isinstance(one, (Rule, ExtendedRule))
    perms = one.perms if isinstance(one, Rule) else NameSet((one.operation,))
    for tclass in (*one.classes.names, *one.classes.without):
        yield Name(CLASS, tclass)
        yield from (Name(PERMISSION, perm, tclass) for perm in (*perms.names, *perms.without))


def _of_transition(one: Transition) -> Iterator[Name]:
    of_roles = one.kind == "role_transition"
    yield from _names(ROLE if of_roles else TYPE, one.sources)
    yield from _names(TYPE, one.targets)
    yield from _names(CLASS, _PROCESS if one.classes is None else one.classes)
    if one.kind != "range_transition":
        yield Name(ROLE if of_roles else TYPE, one.result)


def _of_declaration(one: Declaration) -> Iterator[Name]:
    """The values of a declaration, and the names it does not make itself."""
    if one.kind in ("type", "typeattribute", "typebounds"):
        yield from _names(TYPE, one.values)
    elif one.kind in _OF_ROLES:
        yield from _names(ROLE, one.values)
    elif one.kind == "role_types":
        yield from (*_names(ROLE, one.names), *_names(TYPE, one.values))
    elif one.kind == "user":
        yield from _names(ROLE, one.values)
    if one.kind not in (*_KINDS, "role_types"):
        yield from _names(ROLE if one.kind == "roleattribute" else TYPE, one.names)


def _names(kind: str, *sets: NameSet) -> Iterator[Name]:
    yield from (Name(kind, name) for one in sets for name in (*one.names, *one.without))


def first_uses(statements: Iterable[Located]) -> dict[Name, list[Located]]:
    """From each name that is used to the statements that use it, in their order."""
    found: dict[Name, list[Located]] = {}
    for one in statements:
        for name in dict.fromkeys(used_by(one)):
            found.setdefault(name, []).append(one)
    return found


def required_permissions(statements: Iterable[Located]) -> dict[tuple[str, str], frozenset[str]]:
    """By file and class the permissions that a source requires. In a ``.te`` a wildcard stands for those alone:
    checkmodule knows no others (policy_define.c, define_te_avtab_helper). In CIL it stands for all of the policy's."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for one in statements:
        if isinstance(one.statement, Requirement) and one.statement.kind == "class":
            for tclass in one.statement.names.names:
                key = (one.file, tclass)
                found[key] = found.get(key, frozenset()).union(one.statement.perms.names)
    return found
