"""The neverallow rules of a policy, from its module store: a binary policy has lost them.

Only what the rules name is read. Of an attribute that the binary still has, the binary's members count (optional
blocks are resolved there); one that it has lost (generated ones, exemptions nobody uses) is put together from all
enabled modules, leaving out what stands in an optional block whose requirements the policy doesn't meet.
Not read: neverallowx (ioctl commands), and names inside CIL blocks, which no distribution uses for neverallows.
Source: the CIL reference guide, "Access Vector Rules", "Expressions".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

from polkit.errors import SourceError
from polkit.policy.facts import Facts
from polkit.policy.store import Expression, OptionalBlock, optional_blocks, parse_at

_NEVERALLOW = re.compile(rb"\(\s*neverallow\s")
_MEMBERS = re.compile(rb"\(\s*typeattributeset\s+(?!cil_gen_require\b)([^\s()]+)\s")
SPECIAL = ("self", "notself", "other")
"""Targets that depend on the source."""


@dataclass(frozen=True)
class Neverallow:
    """One rule for one class. ``sources`` and ``targets`` are types; ``special`` is self, notself, other or empty.

    ``text`` is as in a policy's source; ``statement`` as the store has it, so that the same rule is found again in the
    store of another policy; ``exempting`` are the names that the source leaves out (``~{ can_load_policy }``).
    """

    text: str
    statement: str
    exempting: frozenset[str]
    sources: frozenset[str]
    targets: frozenset[str]
    special: str
    perms: frozenset[str]

    def forbids(self, source: str, target: str, perm: str) -> bool:
        """An allow rule for this access would break the rule."""
        if perm not in self.perms or source not in self.sources:
            return False
        if self.special == "self":
            return source == target
        if self.special in ("notself", "other"):
            return source != target and (self.special == "notself" or target in self.sources)
        return target in self.targets


def read_neverallows(modules: list[bytes], facts: Facts) -> Mapping[str, list[Neverallow]]:
    """All rules of a store's modules, by class. Raises SourceError for CIL that can't be read."""
    statements = [parse_at(data, found.start()) for data in modules for found in _NEVERALLOW.finditer(data)]
    sets = TypeSets(modules, facts)
    rules: dict[str, list[Neverallow]] = {}
    for statement in statements:
        if len(statement) == 4 and isinstance(statement, tuple):
            for tclass, rule in _rules_of(statement, sets, facts):
                rules.setdefault(tclass, []).append(rule)
    return rules


def _rules_of(statement: tuple[Expression, ...], sets: TypeSets, facts: Facts) -> list[tuple[str, Neverallow]]:
    """A statement's rules: one, or one a class where it names a set of permissions of a class map."""
    _, source, target, classperms = statement
    if not (isinstance(source, str) and isinstance(target, str)):
        return []
    special = target if target in SPECIAL else ""
    found = []
    for tclass, perms in read_classperms(classperms, facts):
        text = f"neverallow {sets.text(source)} {sets.text(target)}:{tclass} {{ {' '.join(sorted(perms))} }};"
        targets = frozenset[str]() if special else sets.of(target)
        raw, exempting = write_cil(statement), sets.left_out(source)
        found.append((tclass, Neverallow(text, raw, exempting, sets.of(source), targets, special, perms)))
    return found


def read_classperms(expression: Expression, facts: Facts) -> list[tuple[str, frozenset[str]]]:
    """``(class (perms))``; a class map or a named permission set is not resolved and gives nothing."""
    if isinstance(expression, str) or len(expression) != 2 or not isinstance(expression[0], str):
        return []
    tclass, perms = expression
    known = facts.permissions.get(str(tclass))
    return [] if known is None else [(str(tclass), _permissions(perms, known))]


def _permissions(expression: Expression, known: frozenset[str]) -> frozenset[str]:
    if isinstance(expression, str):
        return known if expression == "all" else known & {expression}
    if expression and expression[0] in _OPERATORS:
        return _operate(str(expression[0]), [_permissions(item, known) for item in expression[1:]], known)
    return frozenset[str]().union(*(_permissions(item, known) for item in expression))


_OPERATORS = ("and", "or", "xor", "not", "all")
_JOINS: Mapping[str, Callable[[frozenset[str], frozenset[str]], frozenset[str]]] = {
    "and": lambda left, right: left & right,
    "or": lambda left, right: left | right,
    "xor": lambda left, right: left ^ right,
}


def _operate(operator: str, operands: list[frozenset[str]], everything: frozenset[str]) -> frozenset[str]:
    """A CIL set operator. Raises SourceError when it lacks operands."""
    if operator == "all":
        return everything
    if not operands:
        raise SourceError(f"a module's CIL has `{operator}` without operands")
    if operator == "not":
        return everything - operands[0]
    return reduce(_JOINS[operator], operands)


def write_cil(expression: Expression) -> str:
    """An expression in one line, as the CIL compiler prints it."""
    return expression if isinstance(expression, str) else f"({' '.join(map(write_cil, expression))})"


class TypeSets:
    """The types behind the names that the rules of some CIL modules use."""

    def __init__(self, modules: list[bytes], facts: Facts) -> None:
        self._facts = facts
        self._everything = frozenset(facts.attributes)
        self._modules = modules
        self._blocks: dict[int, list[OptionalBlock]] = {}
        self._places: dict[str, list[tuple[int, int]]] = {}
        for number, data in enumerate(modules):
            for found in _MEMBERS.finditer(data):
                self._places.setdefault(found[1].decode("ascii", "replace"), []).append((number, found.start()))
        self._known: dict[str, frozenset[str]] = {}

    def of(self, name: str) -> frozenset[str]:
        """The types of an attribute or the type itself; none for a name the policy doesn't have."""
        if name not in self._known:
            self._known[name] = frozenset()  # what an attribute that names itself adds to itself
            self._known[name] = self._resolve(name)
        return self._known[name]

    def names(self) -> Iterable[str]:
        """The names that ``typeattributeset`` statements give members to."""
        return sorted(self._places)

    def left_out(self, name: str) -> frozenset[str]:
        """The names that stand under ``not`` in a set's expression: whoever joins one of them is left out."""
        found: set[str] = set()
        generated = "_typeattr_" in name or name not in self._facts.types
        for expression in self._expressions(name) if generated else []:
            _collect_left_out(expression, False, found)
        return frozenset(found)

    def text(self, name: str) -> str:
        """The name, or for a generated one its expression as in a policy's source."""
        expressions = self._expressions(name) if "_typeattr_" in name else []
        return self._write(expressions[0]) if len(expressions) == 1 else name

    def _resolve(self, name: str) -> frozenset[str]:
        if name in self._facts.types:
            return self._facts.types[name]
        real = self._facts.canonical(name)
        if real in self._everything:
            return frozenset((real,))
        return frozenset[str]().union(*(self.members(expression) for expression in self._expressions(name)))

    def members(self, expression: Expression) -> frozenset[str]:
        """The types of a name, a list of names, or an expression of set operators."""
        if isinstance(expression, str):
            return self._everything if expression == "all" else self.of(expression)
        if expression and expression[0] in _OPERATORS:
            return _operate(str(expression[0]), [self.members(item) for item in expression[1:]], self._everything)
        return frozenset[str]().union(*(self.members(item) for item in expression))

    def _expressions(self, name: str) -> list[Expression]:
        """What the enabled ``(typeattributeset name ...)`` statements say."""
        found = []
        for number, start in self._places.get(name, ()):
            statement = parse_at(self._modules[number], start)
            if len(statement) == 3 and self._in_force(number, start):
                found.append(statement[2])
        return found

    def _in_force(self, number: int, position: int) -> bool:
        """Every optional block around the statement has its requirements met."""
        if number not in self._blocks:
            self._blocks[number] = optional_blocks(self._modules[number])
        around = (block for block in self._blocks[number] if block.start < position < block.end)
        return all(self._exists(name) for block in around for name in block.required)

    def _exists(self, name: str) -> bool:
        facts = self._facts
        return facts.canonical(name) in facts.attributes or name in facts.types or name in self._places

    def _write(self, expression: Expression) -> str:
        """``(and (domain) (not (a b)))`` as ``{ domain -a -b }``; what has no such form stays as it is in CIL."""
        if isinstance(expression, str):
            return self.text(expression)
        if expression and expression[0] == "all":
            return "*"
        if expression and expression[0] == "not":
            return "~{ " + " ".join(self._words(expression[1])) + " }"
        if len(expression) == 3 and expression[0] == "and" and expression[2][0] == "not":
            without = (f"-{word}" for word in self._words(expression[2][1]))
            return "{ " + " ".join((*self._words(expression[1]), *without)) + " }"
        words = self._words(expression)
        return words[0] if len(words) == 1 else "{ " + " ".join(words) + " }"

    def _words(self, expression: Expression) -> list[str]:
        if isinstance(expression, str):
            return [self.text(expression)]
        if expression and expression[0] in _OPERATORS:
            return [self._write(expression)]
        return [word for item in expression for word in self._words(item)]


def _collect_left_out(expression: Expression, negated: bool, found: set[str]) -> None:
    if isinstance(expression, str):
        if negated and expression not in _OPERATORS:
            found.add(expression)
        return
    flips = bool(expression) and expression[0] == "not"
    for item in expression:
        _collect_left_out(item, negated != flips, found)
