"""What a policy source holds, statement by statement, each with its place. Macros are kept as calls: nothing is run.

Statements are equal when they say the same, wherever they stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Union

from polkit.module.te_reading import NameSet

NOTHING = NameSet(())
"""The empty set: of what is not written."""


@dataclass(frozen=True)
class Rule:
    """``KIND sources targets:classes perms;`` (allow, dontaudit, auditallow, auditdeny, neverallow)."""

    kind: str
    sources: NameSet
    targets: NameSet
    classes: NameSet
    perms: NameSet
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class ExtendedRule:
    """``KIND sources targets:classes operation numbers;``; ``others``: all numbers but these (``~``)."""

    kind: str
    sources: NameSet
    targets: NameSet
    classes: NameSet
    operation: str
    numbers: tuple[tuple[int, int], ...]
    others: bool = False
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Transition:
    """type_transition, type_change, type_member and role_transition (``result`` is a name), range_transition (a range).

    ``filename`` is the name in quotation marks, empty where there is none; ``classes`` is None where none is written.
    """

    kind: str
    sources: NameSet
    targets: NameSet
    classes: Union[NameSet, None]
    result: str
    filename: str = ""
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class RoleAllow:
    """``allow sources targets;`` between roles."""

    sources: NameSet
    targets: NameSet
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Declaration:
    """A statement on names: ``type a alias b, c`` (names ``a``, aliases ``b``, values ``c``), ``typealias``,
    ``typeattribute``, ``attribute``, ``attribute_role``, ``roleattribute``, ``role``, ``role_types``, ``bool``,
    ``tunable``, ``typebounds``, ``permissive``, ``neveraudit``, ``expandattribute``, ``user``.
    """

    kind: str
    names: NameSet
    values: NameSet = NOTHING
    aliases: NameSet = NOTHING
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Requirement:
    """A line of a ``require`` block: names of one kind; for a class its permissions too."""

    kind: str
    names: NameSet
    perms: NameSet = NOTHING
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Call:
    """A call of an interface or macro; ``policy_module`` is one. Arguments as written, without their outer quotes; none
    for a word that stands for the requirements of a macro (``require { all_kernel_class_perms }``).
    """

    name: str
    arguments: tuple[str, ...]
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Head:
    """``module NAME VERSION;``."""

    name: str
    version: str
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Label:
    """``genfscon``, ``portcon``, ``sid`` and their like: words as written, and the arguments of each gen_context."""

    kind: str
    words: str
    contexts: tuple[tuple[str, ...], ...]
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Constraint:
    """``constrain``, ``mlsconstrain``, ``validatetrans``, ``mlsvalidatetrans``; the expression as written."""

    kind: str
    classes: NameSet
    perms: Union[NameSet, None]
    expression: str
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Block:
    """Statements that hold under a condition or stand for themselves.

    ``kind``: require, gen_require, optional, optional_policy, if, tunable_policy, ifdef, ifndef, ifelse, interface,
    template. ``arguments``: the condition, the symbol, the name defined, or the words that ``ifelse`` compares, pair
    by pair. ``branches``: the statements, then those of the else branch where one is written.
    """

    kind: str
    arguments: tuple[str, ...]
    branches: tuple[tuple[Statement, ...], ...]
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


Statement = Union[
    Rule,
    ExtendedRule,
    Transition,
    RoleAllow,
    Declaration,
    Requirement,
    Call,
    Head,
    Label,
    Constraint,
    Block,
]


@dataclass(frozen=True)
class Remark:
    """A comment that is meant for us: ``# polkit: ...``. ``text`` is what follows the colon."""

    text: str
    line: int
    column: int


@dataclass(frozen=True)
class Source:
    """What a file says. ``name`` is what messages call it."""

    name: str
    statements: tuple[Statement, ...]
    remarks: tuple[Remark, ...] = ()
