"""What a module must require: exactly the foreign names its statements use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

from polkit.model import SELF, AccessSet, Inherited
from polkit.module.inherited import inherited_classes


@dataclass(frozen=True)
class Requirements:
    """Foreign names by kind, sorted. ``classes`` pairs each class with the permissions used of it."""

    attributes: tuple[str, ...]
    types: tuple[str, ...]
    roles: tuple[str, ...]
    classes: tuple[tuple[str, tuple[str, ...]], ...]

    def __bool__(self) -> bool:
        return any((self.attributes, self.types, self.roles, self.classes))


def requirements(
    access: AccessSet,
    attributes: frozenset[str] = frozenset(),
    inherited: Optional[Inherited] = None,
    optionals: bool = False,
) -> Requirements:
    """What ``access`` uses and doesn't declare; ``attributes`` tells which of its names are type attributes.
    ``optionals``: the types of rules stand in optional blocks, too.

    The types of file contexts are not among them: the linker looks those up by itself. Nor are the types of inherited
    rules, which stand in optional blocks; their classes are.
    """
    joined = {attribute for declaration in access.types for attribute in declaration.attributes}
    own = {declaration.name for declaration in access.types}
    foreign = _types_used(access, not optionals) - own - {SELF}
    classes: dict[str, set[str]] = {} if inherited is None else inherited_classes(inherited)
    for rule in access.rules:
        classes.setdefault(rule.tclass, set()).update(rule.perms)
    for xperm in access.xperms:
        classes.setdefault(xperm.tclass, set()).add(xperm.operation)
    return Requirements(
        attributes=_sorted(joined | (foreign & attributes)),
        types=_sorted(foreign - attributes - joined),
        roles=_sorted(
            {role for allow in access.role_allows for role in (allow.source, allow.target)}
            | {entry.role for entry in access.role_types}
        ),
        classes=tuple((tclass, _sorted(classes[tclass])) for tclass in sorted(classes)),
    )


def _types_used(access: AccessSet, of_rules: bool) -> set[str]:
    used: set[str] = set()
    if of_rules:
        used.update(name for rule in access.rules for name in (rule.source, rule.target))
        used.update(name for rule in access.xperms for name in (rule.source, rule.target))
    for bound in access.bounds:
        used.update((bound.parent, bound.child))
    used.update(entry.type for entry in access.role_types)
    used.update(entry.type for entry in access.permissive)
    return used


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
