"""What a module says, one fact a tuple: as we read its source after m4, and as hll/pp writes the compiled module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Union

from polkit.module import NameSet
from polkit.module.source import (
    Block,
    CilBlock,
    CilEntry,
    CilItem,
    CilStatement,
    Declaration,
    Requirement,
    RoleAllow,
    Rule,
    Statement,
    Transition,
)

Side = Union[str, tuple[frozenset[str], frozenset[str]]]
"""A name; or a set with something left out: the names (none: all there are) and those left out."""
Fact = tuple[object, ...]

RULES = ("allow", "dontaudit", "auditallow", "neverallow")
TRANSITIONS = {"type_transition": "typetransition", "type_change": "typechange", "type_member": "typemember"}


def read_facts(statements: Iterable[Statement]) -> set[Fact]:
    flat = list(_flat(statements))
    aliases = {alias: one.names.names[0] for one in flat if isinstance(one, Declaration) for alias in one.aliases.names}
    classes: dict[str, set[str]] = {}
    for one in flat:
        if isinstance(one, Requirement) and one.kind == "class":
            classes.setdefault(one.names.names[0], set()).update(one.perms.names)
    return {fact for one in flat for fact in _facts(one, aliases, classes)}


def _flat(statements: Iterable[Statement]) -> Iterator[Statement]:
    for one in statements:
        yield one
        if isinstance(one, Block):
            for branch in one.branches:
                yield from _flat(branch)


def _facts(one: Statement, aliases: dict[str, str], classes: dict[str, set[str]]) -> Iterator[Fact]:
    if isinstance(one, Rule):
        for source, target, tclass in product(
            _sides(one.sources, aliases), _sides(one.targets, aliases), one.classes.names
        ):
            named = set(one.perms.names)
            perms = classes[tclass] - named if one.perms.others else named
            yield from ((one.kind, source, target, tclass, perm) for perm in perms)
    elif isinstance(one, Transition) and one.kind in TRANSITIONS and one.classes is not None:
        sides = product(_sides(one.sources, aliases), _sides(one.targets, aliases), one.classes.names)
        word, result = TRANSITIONS[one.kind], aliases.get(one.result, one.result)
        yield from ((word, *side, one.filename, result) for side in sides)
    elif isinstance(one, RoleAllow):
        yield from (("roleallow", *pair) for pair in product(one.sources.names, one.targets.names))
    elif isinstance(one, Declaration):
        name, values = aliases.get(one.names.names[0], one.names.names[0]), one.values.names
        if one.kind in ("type", "attribute"):
            yield (one.kind, name)
        if one.kind in ("type", "typeattribute"):
            yield from (("attribute", value, name) for value in values)
        elif one.kind == "role_types":
            yield from (("roletype", name, aliases.get(value, value)) for value in values)
        elif one.kind in ("bool", "tunable"):
            yield ("boolean", name, values[0])


def _sides(names: NameSet, aliases: dict[str, str]) -> list[Side]:
    said = frozenset(aliases.get(name, name) for name in names.names)
    if names.others:
        return [(frozenset(), said)]
    if names.without:
        return [(said, frozenset(aliases.get(name, name) for name in names.without))]
    return list(said)


def compiled_facts(entries: Iterable[CilEntry]) -> set[Fact]:
    flat = list(_flat_cil(entries))
    sets = {
        str(one.items[0]): one.items[1]
        for one in flat
        if one.word == "typeattributeset" and "_typeattr_" in str(one.items[0])
    }
    return {fact for one in flat for fact in _cil_facts(one, sets)}


def _flat_cil(entries: Iterable[CilEntry]) -> Iterator[CilStatement]:
    for one in entries:
        if isinstance(one, CilBlock):
            yield from _flat_cil(one.statements)
        else:
            yield one


def _cil_facts(one: CilStatement, sets: dict[str, CilItem]) -> Iterator[Fact]:
    word, items = one.word, one.items
    if word in RULES:
        assert isinstance(items[2], tuple)
        tclass, perms = items[2]
        yield from ((word, _side(items[0], sets), _side(items[1], sets), tclass, perm) for perm in perms)
    elif word in TRANSITIONS.values():
        source, target, tclass, *named, result = items
        filename = str(named[0]).strip('"') if named else ""
        yield (word, _side(source, sets), _side(target, sets), tclass, filename, result)
    elif word == "typeattribute":
        yield from () if str(items[0]) in sets else (("attribute", items[0]),)
    elif word in ("type", "roleallow"):
        yield (word, *items)
    elif word == "typeattributeset" and items[0] != "cil_gen_require" and str(items[0]) not in sets:
        yield from (("attribute", items[0], name) for name in items[1])
    elif word == "roletype" and items[0] != "object_r":
        yield (word, *items)
    elif word in ("boolean", "tunable"):
        yield ("boolean", *items)


def _side(name: CilItem, sets: dict[str, CilItem]) -> Side:
    """A set that the converter named: ``(all)``, ``(not (a b))`` or ``(and (a) (not (b)))``."""
    said = sets.get(str(name), name)
    if isinstance(said, str):
        return said
    if said == ("all",):
        return (frozenset(), frozenset())
    if said[0] == "not":
        return (frozenset(), frozenset(map(str, said[1])))
    if said[0] == "and":
        return (frozenset(map(str, said[1])), frozenset(map(str, said[2][1])))
    raise AssertionError(f"a set of another form: {said}")
