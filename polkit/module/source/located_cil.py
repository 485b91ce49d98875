"""Statements of CIL with their places, in the words of a policy source.

Names get the blocks they stand in; attributes that a compiler made for a set are written as the set again. What the
call of a macro or an inherited block stands for is said by a tool of secilc's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from polkit.module.source.cil import CilBlock, CilEntry, CilItem, CilStatement, read_cil
from polkit.module.source.cil_resolving import MAKING, made_by
from polkit.module.source.cil_sets import Scope, access_of, condition, generated, name_set
from polkit.module.source.conditions import both, negated
from polkit.module.source.located import MOST_WRITTEN, Located
from polkit.module.source.statements import (
    NOTHING,
    Constraint,
    Declaration,
    ExtendedRule,
    Label,
    Requirement,
    RoleAllow,
    Rule,
    Statement,
    Transition,
)
from polkit.module.te_reading import NameSet

_REQUIRES = "cil_gen_require"
"""The attribute that the converter of module packages makes to name what a module requires."""


def locate_cil(text: str, name: str) -> tuple[Located, ...]:
    """The statements of ``text`` in their order, each with its place; ``name`` is what messages call it.

    What a macro's call or an inherited block makes stands at the call. Left out are macros and abstract blocks
    themselves, calls of what the text does not define (``unresolved_cil``), and words that a policy source has no
    statement for. Raises SourceError for what is no CIL.
    """
    entries = read_cil(text, name)
    made = _made(entries, name)
    return tuple(_located(entries, name, made))


def unresolved_cil(text: str, name: str) -> tuple[CilStatement, ...]:
    """The statements whose meaning ``locate_cil`` does not know: calls of macros, and inherited blocks, of others; all
    of them without the tool. Raises SourceError."""
    entries = read_cil(text, name)
    made = _made(entries, name)
    return tuple(
        one for one, _, _ in _flat(entries, _Where(), Scope.of(entries)) if _makes(one) and id(one) not in made
    )


def _made(entries: tuple[CilEntry, ...], name: str) -> dict[int, tuple[CilEntry, ...]]:
    """What the statements that stand for others make; the tool is asked only where there is one."""
    scope = Scope.of(entries)
    return made_by(entries, name) if any(_makes(one) for one, _, _ in _flat(entries, _Where(), scope)) else {}


def _makes(one: CilStatement) -> bool:
    return one.word in MAKING and bool(one.items)


def _located(entries: tuple[CilEntry, ...], name: str, made: dict[int, tuple[CilEntry, ...]]) -> Iterator[Located]:
    inherited = frozenset[str]().union(*(Scope.of(inside).declared for inside in made.values()))
    written = Scope.of(entries)
    every = replace(written, declared=written.declared | inherited)
    for one, where, scope in _flat(entries, _Where(), every):
        inside = made.get(id(one), ())
        via = str(one.items[0]) if inside else ""
        found = _flat(inside, where, Scope.of(inside)) if inside else iter(((one, where, scope),))
        for inner, under, known in found:
            for statement in _statements(inner, known):
                said = replace(statement, line=one.line, column=one.column)
                yield Located(said, name, one.line, one.column, _written(one), via, *under)


class _Where(NamedTuple):
    condition: str = ""
    optional: bool = False


def _flat(entries: Iterable[CilEntry], where: _Where, scope: Scope) -> Iterator[tuple[CilStatement, _Where, Scope]]:
    """The statements in force, each with what it stands under."""
    entries = tuple(entries)
    if any(isinstance(one, CilStatement) and one.word == "blockabstract" for one in entries):
        return
    for one in entries:
        if isinstance(one, CilStatement):
            yield one, where, scope
        elif one.word == "optional":
            yield from _flat(one.statements, where._replace(optional=True), scope)
        elif one.word in ("block", "in"):
            yield from _flat(one.statements, where, scope.within(str(one.items[-1])))
        elif one.word in ("booleanif", "tunableif"):
            said = condition(one.items[0], scope)
            for branch in one.statements:
                assert isinstance(branch, CilBlock)
                holds = said if branch.word == "true" else negated(said)
                yield from _flat(branch.statements, where._replace(condition=both(where.condition, holds)), scope)


def _written(one: CilStatement) -> str:
    said = f"({' '.join((one.word, *map(_item, one.items)))})"
    return said if len(said) <= MOST_WRITTEN else f"{said[: MOST_WRITTEN - 3]}..."


def _item(item: CilItem) -> str:
    return item if isinstance(item, str) else f"({' '.join(map(_item, item))})"


# -- one statement --------------------------------------------------------------------------------------------------

_RULES = ("allow", "dontaudit", "auditallow", "neverallow")
_EXTENDED = {f"{word}x": f"{word}xperm" for word in _RULES}
_TRANSITIONS = {"typetransition": "type_transition", "typechange": "type_change", "typemember": "type_member"}
_DECLARED = {"type": "type", "typeattribute": "attribute", "role": "role", "roleattribute": "attribute_role"}
_LABELS = {
    "genfscon": "genfscon",
    "portcon": "portcon",
    "netifcon": "netifcon",
    "nodecon": "nodecon",
    "sidcontext": "sid",
    "fsuse": "fs_use",
    "ibpkeycon": "ibpkeycon",
    "ibendportcon": "ibendportcon",
}
_CONSTRAINTS = ("constrain", "mlsconstrain", "validatetrans", "mlsvalidatetrans")


def _statements(one: CilStatement, scope: Scope) -> Iterator[Statement]:
    """What a statement says; nothing for one of a form that CIL does not have."""
    word, items = one.word, one.items
    try:
        if word in _RULES:
            yield from _rules(word, items, scope)
        elif word in _EXTENDED:
            yield from _extended(_EXTENDED[word], items, scope)
        elif word in (*_TRANSITIONS, "rangetransition", "roletransition"):
            yield _transition(word, items, scope)
        elif word == "roleallow":
            yield RoleAllow(name_set(items[0], scope), name_set(items[1], scope))
        elif word in _LABELS:
            yield Label(_LABELS[word], " ".join(map(_item, items[:-1])), (_context(items[-1]),))
        elif word in _CONSTRAINTS:
            yield _constraint(word, items)
        else:
            yield from _declarations(word, items, scope)
    except (IndexError, ValueError):
        return


def _rules(word: str, items: tuple[CilItem, ...], scope: Scope) -> Iterator[Statement]:
    sources, targets = name_set(items[0], scope), name_set(items[1], scope)
    for tclass, perms in access_of(items[2], scope):
        yield Rule(word, sources, targets, NameSet((tclass,)), perms)


def _extended(kind: str, items: tuple[CilItem, ...], scope: Scope) -> Iterator[Statement]:
    said = scope.named.get(("permissionx", str(items[2]))) if isinstance(items[2], str) else items[2]
    if not isinstance(said, tuple):
        raise ValueError(items[2])
    operation, tclass, numbers = said
    numbers = numbers if isinstance(numbers, tuple) else (numbers,)
    others = bool(numbers) and numbers[0] == "not"
    ranges = numbers[1:] if others else numbers
    if others and len(ranges) == 1 and isinstance(ranges[0], tuple) and ranges[0] and ranges[0][0] != "range":
        ranges = ranges[0]
    sides = name_set(items[0], scope), name_set(items[1], scope), NameSet((str(tclass),))
    yield ExtendedRule(kind, *sides, str(operation), tuple(map(_interval, ranges)), others)


def _interval(item: CilItem) -> tuple[int, int]:
    if isinstance(item, str):
        return int(item, 0), int(item, 0)
    word, first, last = item
    if word != "range":
        raise ValueError(word)
    return int(str(first), 0), int(str(last), 0)


def _transition(word: str, items: tuple[CilItem, ...], scope: Scope) -> Statement:
    sources, targets = name_set(items[0], scope), name_set(items[1], scope)
    classes, result = NameSet((str(items[2]),)), items[-1]
    if word == "rangetransition":
        return Transition("range_transition", sources, targets, classes, _range(result))
    if word == "roletransition":
        return Transition("role_transition", sources, targets, classes, scope.full(str(result)))
    filename = str(items[3]).strip('"') if len(items) > 4 else ""
    return Transition(_TRANSITIONS[word], sources, targets, classes, scope.full(str(result)), filename)


def _context(item: CilItem) -> tuple[str, ...]:
    if isinstance(item, str):
        return (item,)
    user, role, type_, *levels = item
    return (f"{user}:{role}:{type_}", *(_range(level) for level in levels))


def _range(item: CilItem) -> str:
    """``((s0) (s0 (range c0 c3)))`` as ``s0-s0:c0.c3``; one level where both are the same."""
    if isinstance(item, str):
        return item
    low, high = map(_level, item)
    return low if low == high else f"{low}-{high}"


def _level(item: CilItem) -> str:
    if isinstance(item, str):
        return item
    sensitivity, *categories = item
    said = ",".join(_categories(categories))
    return f"{sensitivity}:{said}" if said else str(sensitivity)


def _categories(items: Iterable[CilItem]) -> Iterator[str]:
    for one in items:
        if isinstance(one, str):
            yield one
        elif len(one) == 3 and one[0] == "range":
            yield f"{one[1]}.{one[2]}"
        else:
            yield from _categories(one)


def _constraint(word: str, items: tuple[CilItem, ...]) -> Statement:
    if "validatetrans" in word:
        return Constraint(word, NameSet((str(items[0]),)), None, _item(items[1]))
    if isinstance(items[0], str):
        raise ValueError(items[0])
    tclass, perms = items[0]
    named = perms if isinstance(perms, tuple) else (perms,)
    return Constraint(word, NameSet((str(tclass),)), NameSet(tuple(map(str, named))), _item(items[1]))


def _declarations(word: str, items: tuple[CilItem, ...], scope: Scope) -> Iterator[Statement]:
    name = scope.full(str(items[0])) if items and isinstance(items[0], str) else ""
    one = NameSet((name,))
    if word in _DECLARED:
        if not generated(name) and name != _REQUIRES:
            yield Declaration(_DECLARED[word], one)
    elif word in ("boolean", "tunable"):
        yield Declaration("bool" if word == "boolean" else word, one, NameSet((str(items[1]),)))
    elif word in ("typeattributeset", "roleattributeset"):
        yield from _joined(word, name, items[1], scope)
    elif word in ("typealiasactual", "typebounds", "roletype"):
        yield from _paired(word, name, scope.full(str(items[1])))
    elif word == "typepermissive":
        yield Declaration("permissive", one)
    elif word == "expandtypeattribute":
        yield Declaration("expandattribute", name_set(items[0], scope), NameSet((str(items[1]),)))
    elif word == "userrole":
        yield Declaration("user", one, NameSet((scope.full(str(items[1])),)))


def _joined(word: str, name: str, said: CilItem, scope: Scope) -> Iterator[Statement]:
    kind = "type" if word == "typeattributeset" else "role"
    if generated(name):
        return
    members = name_set(said, scope)
    if name == _REQUIRES:
        yield Requirement(kind, members)
    else:
        yield Declaration(f"{kind}attribute", members, NameSet((name,)))


def _paired(word: str, first: str, second: str) -> Iterator[Statement]:
    if word == "typealiasactual":
        yield Declaration("typealias", NameSet((second,)), NOTHING, NameSet((first,)))
    elif word == "typebounds":
        yield Declaration("typebounds", NameSet((first,)), NameSet((second,)))
    elif first != "object_r":
        yield Declaration("role_types", NameSet((first,)), NameSet((second,)))
