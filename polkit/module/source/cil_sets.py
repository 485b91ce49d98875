"""What names and sets of CIL stand for: the block a name belongs to, the set behind an attribute, a condition."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from polkit.module.source.cil import CilEntry, CilItem, CilStatement
from polkit.module.te_reading import NameSet

_GENERATED = re.compile(r"(?:[\w.-]+_)?(?:type|role)attr_\d+\Z", re.ASCII)
"""As libsepol's module_to_cil.c names the sets of a rule."""
_DECLARING = (
    *("type", "typealias", "typeattribute", "role", "roleattribute", "boolean", "tunable", "user"),
    *("classpermission", "classmap", "class"),
)
_SIGNS = {"and": " && ", "or": " || ", "xor": " ^ ", "eq": " == ", "neq": " != "}


@dataclass(frozen=True)
class Scope:
    """Which names a text declares, and in which block one stands.

    ``sets``: the set behind each attribute that a compiler made; ``named``: what a named permission (class permission
    sets, class maps' permissions, commands) holds, by word and name.
    """

    declared: frozenset[str]
    sets: dict[str, CilItem]
    named: dict[tuple[str, str], CilItem]
    block: tuple[str, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[CilEntry]) -> Scope:
        """The scope outside all blocks."""
        declared: set[str] = set()
        sets: dict[str, CilItem] = {}
        named: dict[tuple[str, str], CilItem] = {}
        for prefix, one in _everything(entries, ""):
            first = str(one.items[0]) if one.items else ""
            if one.word in _DECLARING:
                declared.add(prefix + first)
            elif one.word in ("typeattributeset", "roleattributeset") and len(one.items) > 1 and generated(first):
                sets[first] = one.items[1]
            elif one.word in ("classpermissionset", "permissionx") and len(one.items) > 1:
                named[one.word, first] = one.items[1]
            elif one.word == "classmapping" and len(one.items) > 2:
                key = ("classmapping", f"{first} {one.items[1]}")
                named[key] = (*_listed(named.get(key, ())), one.items[2])
        return cls(frozenset(declared), sets, named)

    def within(self, block: str) -> Scope:
        """The scope inside a block of this one."""
        return Scope(self.declared, self.sets, self.named, (*self.block, *block.split(".")))

    def full(self, name: str) -> str:
        """A name with the blocks it belongs to: the innermost that declares it."""
        if name.startswith("."):
            return name[1:]
        for deep in range(len(self.block), 0, -1):
            known = ".".join((*self.block[:deep], name))
            if known in self.declared:
                return known
        return name


def generated(name: str) -> bool:
    """Whether a compiler made up this attribute for a set."""
    return _GENERATED.match(name) is not None


def name_set(item: CilItem, scope: Scope) -> NameSet:
    """The set that an expression of names stands for. Raises ValueError for one that no NameSet can say."""
    if isinstance(item, str):
        if item in scope.sets and not _is_nested(scope.sets[item]):
            return _flat_set(scope.sets[item], scope)
        return NameSet((scope.full(item),))
    return _flat_set(item, scope)


def _is_nested(item: CilItem) -> bool:
    """Whether an expression is none of ``(all)``, ``(a b)``, ``(not (a b))`` and ``(and (a) (not (b)))``."""
    try:
        _parts(item)
    except ValueError:
        return True
    return False


def _flat_set(item: CilItem, scope: Scope) -> NameSet:
    names, without, others = _parts(item)
    return NameSet(tuple(map(scope.full, names)), tuple(map(scope.full, without)), others)


def _parts(item: CilItem) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Names, those left out, and whether all others are meant."""
    if isinstance(item, str):
        return (item,), (), False
    word = item[0] if item else ""
    if word == "all":
        return (), (), True
    if word == "not":
        names, without, others = _parts(item[1] if len(item) == 2 else item[1:])
        if others or without:
            raise ValueError(item)
        return names, (), True
    if word == "or":
        parts = [_parts(one) for one in item[1:]]
        if any(without or others for _, without, others in parts):
            raise ValueError(item)
        return tuple(name for names, _, _ in parts for name in names), (), False
    if word == "and":
        return _difference(item)
    if word == "xor" or not all(isinstance(one, str) for one in item):
        raise ValueError(item)
    return tuple(map(str, item)), (), False


def _difference(item: tuple[CilItem, ...]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """``(and X (not Y))``: one of the two is left out of the other."""
    _, first, second = item
    names, without, others = _parts(first)
    more, none, excluded = _parts(second)
    if not excluded or without or none or (others and names):
        raise ValueError(item)
    return (more, (), True) if others else (names, more, False)


def access_of(item: CilItem, scope: Scope) -> Iterator[tuple[str, NameSet]]:
    """The classes and permissions that ``(class (perms))`` or a named set of them stands for."""
    if isinstance(item, str):
        said = scope.named.get(("classpermissionset", item))
        if said is None:
            raise ValueError(item)
        yield from access_of(said, scope)
        return
    tclass, perms = str(item[0]), item[1]
    chosen = _permissions(perms)
    mapped = [scope.named.get(("classmapping", f"{tclass} {name}")) for name in chosen.names]
    if not any(mapped):
        yield tclass, chosen
        return
    for one in mapped:
        for inner in _listed(one or ()):
            yield from access_of(inner, scope)


def _permissions(item: CilItem) -> NameSet:
    names, without, others = _parts(item)
    return NameSet(names, without, others)


def condition(item: CilItem, scope: Scope) -> str:
    """An expression on booleans as a policy source writes it."""
    if isinstance(item, str):
        return scope.full(item)
    operator = str(item[0]) if item else ""
    if operator == "not" and len(item) == 2:
        said = condition(item[1], scope)
        return f"!{said}" if re.match(r"[\w.$-]+\Z", said) else f"!({said})"
    if operator in _SIGNS:
        return _SIGNS[operator].join(_enclosed(condition(one, scope)) for one in item[1:])
    return " ".join(condition(one, scope) for one in item)


def _enclosed(said: str) -> str:
    return f"({said})" if " " in said else said


def _listed(item: CilItem) -> tuple[CilItem, ...]:
    return item if isinstance(item, tuple) else (item,)


def _everything(entries: Iterable[CilEntry], prefix: str) -> Iterator[tuple[str, CilStatement]]:
    """Every statement with the block it stands in."""
    for one in entries:
        if isinstance(one, CilStatement):
            yield prefix, one
        elif one.word == "block":
            yield from _everything(one.statements, f"{prefix}{one.items[0]}.")
        elif one.word != "macro":
            yield from _everything(one.statements, prefix)
