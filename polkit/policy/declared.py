"""What a module's own text says, given meaning by a policy: its CIL read, names resolved, attributes expanded.

Statements of a module package (``hll/pp`` writes them) and the plain statements of hand-written CIL are read. CIL's
machinery for making statements out of others (blocks, macros, class maps) is refused: what it says can't be told
without compiling it.
Source: the CIL reference guide; ``policycoreutils/hll/pp``, libsepol ``module_to_cil.c``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import NamedTuple

from polkit.errors import CompileError
from polkit.policy.commands import EVERY_COMMAND
from polkit.policy.neverallow import TypeSets, read_classperms, write_cil
from polkit.policy.rules import Rules
from polkit.policy.store import Expression, parse_at

_SKIPPED = re.compile(r'"[^"]*"|;[^\n]*')
_AV_KINDS = frozenset(("allow", "dontaudit", "auditallow", "neverallow"))
_XPERM_KINDS = {
    "allowx": "allowxperm",
    "dontauditx": "dontauditxperm",
    "auditallowx": "auditallowxperm",
    "neverallowx": "neverallowxperm",
}
_REFUSED = frozenset(
    (
        *("block", "blockabstract", "blockinherit", "call", "class", "classcommon", "classmap", "classmapping"),
        *("classpermission", "classpermissionset", "common", "in", "macro", "permissionx"),
    )
)
_LABELS = frozenset(("filecon",))
"""Labels of files: no part of a binary policy."""
_NAMING = frozenset(
    ("type", "typeattribute", "typealias", "typealiasactual", "typeattributeset", "expandtypeattribute")
)


class DeclaredRule(NamedTuple):
    """A rule with its types expanded. ``text`` is its CIL, ``bits`` the set of commands of a rule on extended ones.

    ``to_self``: from each source type to itself. ``certain`` is false inside an optional block, which the policy may
    have left out.
    """

    kind: str
    sources: frozenset[str]
    targets: frozenset[str]
    to_self: bool
    tclass: str
    perms: frozenset[str]
    operation: str
    bits: int
    certain: bool
    text: str

    def pairs(self) -> Iterator[tuple[str, str]]:
        """The pairs of types it is about."""
        if self.to_self:
            yield from ((type_, type_) for type_ in sorted(self.sources))
            return
        yield from ((source, target) for source in sorted(self.sources) for target in sorted(self.targets))


@dataclass(frozen=True)
class Declared:
    """Everything a module says. ``joins`` are (attribute of others, type) as its statements name them."""

    types: frozenset[str]
    joins: tuple[tuple[str, str], ...]
    rules: tuple[DeclaredRule, ...]
    others: tuple[str, ...]
    """The CIL of every further statement, labels of files aside."""


def read_declared(module_cil: str, rules: Rules, modules: list[bytes]) -> Declared:
    """What a module says, in the policy (``rules``) that holds it; ``modules`` is the CIL of that policy's store, for
    attributes that no rule uses and the binary lacks.

    Raises CompileError for a statement that is not read.
    """
    text = _SKIPPED.sub(lambda found: found[0] if found[0].startswith('"') else "", module_cil)
    data = text.encode("utf-8", "replace")
    reader = _Reader(TypeSets(modules or [data], rules.facts), rules)
    whole = parse_at(b"(" + data + b"\n)", 0)
    assert isinstance(whole, tuple)
    reader.read(whole, certain=True)
    known = frozenset(reader.types)
    return Declared(known, tuple(sorted(reader.joins)), tuple(reader.rules), tuple(reader.others))


@dataclass
class _Reader:
    sets: TypeSets
    policy: Rules
    types: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    joins: set[tuple[str, str]] = field(default_factory=set)
    rules: list[DeclaredRule] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def read(self, statements: Iterable[Expression], certain: bool) -> None:
        """Read a list of statements: first the names it declares, since a rule may stand before them."""
        known = [item for item in statements if isinstance(item, tuple) and item and isinstance(item[0], str)]
        for word, items in (("type", self.types), ("typeattribute", self.attributes)):
            items.update(str(item[1]) for item in known if item[0] == word and len(item) > 1)
        for item in known:
            self._read_one(item, str(item[0]), certain)

    def _read_one(self, item: tuple[Expression, ...], word: str, certain: bool) -> None:
        if word in _REFUSED:
            raise CompileError(
                f"the module has a CIL ({word} ...) statement: what it says can't be told without its compiler",
                hint="write the rules out, or give the module as .te or .pp",
            )
        if word == "optional":
            self.read(item[2:], certain=False)
        elif word in ("booleanif", "tunableif"):
            for block in item[2:]:
                if isinstance(block, tuple) and block[:1] in (("true",), ("false",)):
                    self.read(block[1:], certain=False)
        elif word in _AV_KINDS and len(item) == 4:
            self._read_rule(item, word, certain)
        elif word in _XPERM_KINDS and len(item) == 4:
            self._read_xperm(item, _XPERM_KINDS[word], certain)
        elif word == "typeattributeset" and len(item) == 3:
            self._read_members(str(item[1]), item[2])
        elif word not in _LABELS and word not in _NAMING and not _requires(item):
            self.others.append(write_cil(item))

    def _read_members(self, attribute: str, expression: Expression) -> None:
        if attribute == "cil_gen_require" or attribute in self.attributes:
            return
        self.joins.update((attribute, type_) for type_ in self.sets.members(expression))

    def _read_rule(self, item: tuple[Expression, ...], kind: str, certain: bool) -> None:
        for tclass, perms in read_classperms(item[3], self.policy.facts):
            self._add(item, kind, tclass, perms, "", 0, certain)

    def _read_xperm(self, item: tuple[Expression, ...], kind: str, certain: bool) -> None:
        permission = item[3]
        if not (isinstance(permission, tuple) and len(permission) == 3):
            raise CompileError(f"the module has a rule that is not read: {write_cil(item)[:200]}")
        operation, tclass = str(permission[0]), str(permission[1])
        self._add(item, kind, tclass, frozenset(), operation, _numbers(permission[2]), certain)

    def _add(
        self,
        item: tuple[Expression, ...],
        kind: str,
        tclass: str,
        perms: frozenset[str],
        operation: str,
        bits: int,
        certain: bool,
    ) -> None:
        sources = self.sets.members(item[1])
        to_self = item[2] == "self"
        targets = frozenset[str]() if to_self else self.sets.members(item[2])
        text = write_cil(item)
        self.rules.append(DeclaredRule(kind, sources, targets, to_self, tclass, perms, operation, bits, certain, text))


def _requires(item: tuple[Expression, ...]) -> bool:
    """``(roleattributeset cil_gen_require ROLE)``, and the roles that every type gets."""
    return item[:2] == ("roleattributeset", "cil_gen_require") or item[:2] == ("roletype", "object_r")


def _numbers(expression: Expression) -> int:
    """A set of commands: numbers, ``(range a b)``, lists, and the set operators."""
    if isinstance(expression, str):
        return EVERY_COMMAND if expression == "all" else _number(expression)
    word = expression[0] if expression else ""
    if word == "range" and len(expression) == 3:
        first, last = (_numbers(item).bit_length() - 1 for item in expression[1:])
        return ((1 << max(last - first + 1, 0)) - 1) << max(first, 0)
    if word == "all":
        return EVERY_COMMAND
    operands = [_numbers(item) for item in (expression[1:] if word in _JOINS or word == "not" else expression)]
    if word == "not":
        return EVERY_COMMAND & ~operands[0] if operands else 0
    start, join = _JOINS.get(str(word), _JOINS["or"])
    return reduce(join, operands, start)


def _number(text: str) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        raise CompileError(f"{text[:40]!r} is no ioctl or nlmsg command") from None
    return 1 << number if 0 <= number <= 0xFFFF else 0


_JOINS: dict[str, tuple[int, Callable[[int, int], int]]] = {
    "and": (EVERY_COMMAND, lambda left, right: left & right),
    "or": (0, lambda left, right: left | right),
    "xor": (0, lambda left, right: left ^ right),
}
