"""What a module says, one fact a tuple: the same whether its source was read or the CIL that hll/pp makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Union

from polkit.module import NameSet
from polkit.module.source import (
    Declaration,
    ExtendedRule,
    Located,
    Requirement,
    RoleAllow,
    Rule,
    Statement,
    Transition,
)

Side = Union[str, tuple[frozenset[str], frozenset[str]]]
"""A name; or a set with something left out: the names (none: all there are) and those left out."""
Fact = tuple[object, ...]

ALL = 0xFFFF
"""The last command."""
PROCESS = NameSet(("process",))
"""What a transition of roles or ranges is for where no class is written."""
SAME = ("permissive", "typebounds", "roleattribute")


def facts(located: Iterable[Located]) -> set[Fact]:
    """What the statements say, wherever they stand."""
    said = [one.statement for one in located]
    aliases = {alias: one.names.names[0] for one in said if isinstance(one, Declaration) for alias in one.aliases.names}
    classes: dict[str, set[str]] = {}
    commands: dict[Fact, set[int]] = {}
    for one in said:
        if isinstance(one, Requirement) and one.kind == "class":
            classes.setdefault(one.names.names[0], set()).update(one.perms.names)
        elif isinstance(one, ExtendedRule):
            for key in _sides(one, one.classes, aliases):
                commands.setdefault((one.kind, *key, one.operation), set()).update(_numbers(one))
    found = {fact for one in said for fact in _facts(one, aliases, classes)}
    return found | {(*key, frozenset(numbers)) for key, numbers in commands.items()}


def _numbers(one: ExtendedRule) -> set[int]:
    named = {number for low, high in one.numbers for number in range(low, high + 1)}
    return set(range(ALL + 1)) - named if one.others else named


def _sides(
    one: Union[Rule, ExtendedRule, Transition], classes: NameSet, aliases: dict[str, str]
) -> Iterator[tuple[Side, Side, str]]:
    return product(_sets(one.sources, aliases), _sets(one.targets, aliases), classes.names)


def _facts(one: Statement, aliases: dict[str, str], classes: dict[str, set[str]]) -> Iterator[Fact]:
    if isinstance(one, Rule):
        for source, target, tclass in _sides(one, one.classes, aliases):
            named = set(one.perms.names)
            perms = classes[tclass] - named if one.perms.others else named
            yield from ((one.kind, source, target, tclass, perm) for perm in perms)
    elif isinstance(one, Transition):
        result = aliases.get(one.result, one.result)
        yield from ((one.kind, *side, one.filename, result) for side in _sides(one, one.classes or PROCESS, aliases))
    elif isinstance(one, RoleAllow):
        yield from (("roleallow", *pair) for pair in product(one.sources.names, one.targets.names))
    elif isinstance(one, Declaration):
        yield from _declared(one, aliases)


def _declared(one: Declaration, aliases: dict[str, str]) -> Iterator[Fact]:
    names, values = ([aliases.get(name, name) for name in said.names] for said in (one.names, one.values))
    if one.kind in ("type", "attribute", "attribute_role"):
        yield (one.kind, names[0])
    if one.kind in ("type", "typeattribute"):
        yield from (("typeattribute", *pair) for pair in product(names, values))
    elif one.kind in ("bool", "tunable"):
        yield ("boolean", names[0], values[0])
    elif one.kind == "role_types":
        yield from (("roletype", names[0], value) for value in values)
    elif one.kind in SAME:
        yield from ((one.kind, *pair) for pair in product(names, values or [""]))


def _sets(names: NameSet, aliases: dict[str, str]) -> list[Side]:
    said = frozenset(aliases.get(name, name) for name in names.names)
    if names.others:
        return [(frozenset(), said)]
    if names.without:
        return [(said, frozenset(aliases.get(name, name) for name in names.without))]
    return list(said)
