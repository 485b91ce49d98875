"""Policy as data: the statements a module may hold, whatever text they came from or go to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Union

SELF = "self"


@dataclass(frozen=True, order=True)
class AvRule:
    """``KIND source target:tclass { perms };`` with kind allow, dontaudit, auditallow or neverallow."""

    kind: str
    source: str
    target: str
    """A type, an attribute, or ``self``."""
    tclass: str
    perms: tuple[str, ...]
    """Sorted."""


@dataclass(frozen=True, order=True)
class XpermRule:
    """``allowxperm source target:tclass ioctl { 0x4611 };``. One such rule cuts off every command it doesn't list."""

    kind: str
    """allowxperm, dontauditxperm, auditallowxperm."""
    source: str
    target: str
    tclass: str
    operation: str
    """``ioctl`` or ``nlmsg``."""
    numbers: tuple[int, ...]
    """Sorted."""


@dataclass(frozen=True, order=True)
class RoleAllow:
    """``allow source target;`` between roles."""

    source: str
    target: str


@dataclass(frozen=True, order=True)
class RoleTypes:
    """``role role types type;``."""

    role: str
    type: str


@dataclass(frozen=True, order=True)
class TypeBounds:
    """``typebounds parent child;``."""

    parent: str
    child: str


@dataclass(frozen=True, order=True)
class TypeDeclaration:
    """A type of the module's own, with the attributes it joins (sorted)."""

    name: str
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, order=True)
class Permissive:
    """``permissive type;``: its refusals are logged and let through."""

    type: str


@dataclass(frozen=True, order=True)
class FileContext:
    """A line of ``.fc``: a regular expression over host paths, a file kind, a type and a level.

    ``kind`` is empty for any, else ``--`` ``-d`` ``-l`` ``-c`` ``-b`` ``-s`` ``-p`` as in file_contexts(5).
    """

    pattern: str
    kind: str
    type: str
    level: str = "s0"


@dataclass(frozen=True, order=True)
class TypeTransition:
    """``KIND source target:tclass default;`` with kind type_transition, type_change or type_member.

    ``name``: the object's own name, of a named transition; else empty.
    """

    kind: str
    source: str
    target: str
    tclass: str
    default: str
    name: str = ""


@dataclass(frozen=True, order=True)
class RangeTransition:
    """``range_transition source target:tclass level;``."""

    source: str
    target: str
    tclass: str
    level: str


InheritedRule = Union[AvRule, XpermRule, TypeTransition, RangeTransition]


@dataclass(frozen=True, order=True)
class ConditionalRules:
    """The rules of one side of an ``if`` block: in force where the expression has the value ``block``.

    ``condition`` is in postfix: names of booleans, and ``! && || ^ == !=``.
    """

    condition: tuple[str, ...]
    block: bool
    rules: tuple[InheritedRule, ...]


@dataclass(frozen=True)
class Inherited:
    """What a domain of the module's own takes over from its base besides attributes and roles, for one target policy.

    ``attributes`` tells which of the foreign names in the rules are type attributes, ``classes`` names a permission of
    each class (what is required of a class that only transitions use). ``accesses`` counts what the base is allowed and
    what others are allowed on it, attributes expanded.
    """

    domain: str
    base: str
    rules: tuple[InheritedRule, ...] = ()
    conditionals: tuple[ConditionalRules, ...] = ()
    attributes: tuple[str, ...] = ()
    classes: tuple[tuple[str, str], ...] = ()
    accesses: int = 0
    as_source: bool = True
    """False where only what others may do to the base is taken over."""
    beyond: int = 0
    """Accesses that its attributes give the domain and the base does not have (or, of a domain that starts from
    nothing, all that its attributes give it): structural."""

    def every_rule(self) -> tuple[InheritedRule, ...]:
        """All rules, those of ``if`` blocks included."""
        return (*self.rules, *(rule for one in self.conditionals for rule in one.rules))


@dataclass(frozen=True)
class AccessSet:
    """Symbolic rules over types and attributes: what a module says, before any policy gives it meaning.

    Every tuple is sorted and free of repeats.
    """

    types: tuple[TypeDeclaration, ...] = ()
    rules: tuple[AvRule, ...] = ()
    xperms: tuple[XpermRule, ...] = ()
    role_allows: tuple[RoleAllow, ...] = ()
    role_types: tuple[RoleTypes, ...] = ()
    bounds: tuple[TypeBounds, ...] = ()
    permissive: tuple[Permissive, ...] = ()
    contexts: tuple[FileContext, ...] = ()

    def __bool__(self) -> bool:
        return any(
            (
                self.types,
                self.rules,
                self.xperms,
                self.role_allows,
                self.role_types,
                self.bounds,
                self.permissive,
                self.contexts,
            )
        )


@dataclass(frozen=True)
class ModuleSource:
    """All that is needed to write a module: its name and version, its AccessSet, and comments for its rules."""

    name: str
    version: str
    access: AccessSet
    comments: Mapping[Any, tuple[str, ...]] = field(default_factory=dict)
    """From a rule, type or file context of ``access`` to the evidence lines above it: free text, the writer escapes."""
    summary: tuple[str, ...] = ()
    """Lines for the head of the file."""
    mls: bool = True
    """Whether the target policy has levels (decides the form of the contexts in ``.fc``)."""
    inherited: Optional[Inherited] = None
    """Apart from ``access``: expanded anew for each target policy, never the module's own words."""
    same_as: Mapping[AvRule, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """From a rule to the calls of interfaces that would give it (``name(argument)``) with a note each: comments too."""
    optionals: bool = False
    """Rules on foreign types stand in optional blocks: an update of the distribution that drops such a type is not
    kept from being installed, the rule falls away. What is shipped is written so."""
