"""The access vector rules of a policy, unexpanded, so that a look-up takes microseconds and the index megabytes.

One pass over the rules files each under class, source and target as written (type or attribute). A look-up joins what
stands under (type and its attributes) x (type and its attributes). A binary policy holds no ``self``: the compilers
have written such rules out as one rule a type, from the type to itself, and so they are found like any other.
Source: kernel ``ss/services.c`` ``context_struct_compute_av``, which walks the access vector table in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Callable, NamedTuple, Optional, TypeVar

from polkit.policy.protocols import SetoolsModule, SetoolsPolicy, SetoolsRule

T = TypeVar("T")


class Condition(NamedTuple):
    """The expression of an ``if`` block in postfix: names of booleans, and ``! && || ^ == !=``."""

    postfix: tuple[str, ...]
    booleans: tuple[str, ...]

    def holds(self, state: Mapping[str, bool]) -> bool:
        """Its value for a state of the booleans."""
        stack: list[bool] = []
        for item in self.postfix:
            if item == "!":
                stack.append(not stack.pop())
            elif item in _OPERATORS:
                right, left = stack.pop(), stack.pop()
                stack.append(_OPERATORS[item](left, right))
            else:
                stack.append(state[item])
        return stack.pop()


_OPERATORS = {
    "&&": lambda left, right: left and right,
    "||": lambda left, right: left or right,
    "^": lambda left, right: left != right,
    "!=": lambda left, right: left != right,
    "==": lambda left, right: left == right,
}


class ConditionalRule(NamedTuple):
    """A rule of an ``if`` block: in force when condition number ``condition`` has the value ``block``."""

    source: str
    target: str
    tclass: str
    mask: int
    condition: int
    block: bool


class XpermRule(NamedTuple):
    """An allowxperm, dontauditxperm or auditallowxperm rule; ``condition`` is None for one outside ``if`` blocks."""

    kind: str
    operation: str
    numbers: frozenset[int]
    condition: Optional[int]
    block: bool


Table = dict[str, dict[str, dict[str, int]]]
"""class -> source -> target -> mask of permissions."""
ConditionalTable = dict[str, dict[str, dict[str, list[ConditionalRule]]]]
XpermTable = dict[str, dict[str, dict[str, list[XpermRule]]]]


@dataclass(frozen=True)
class RuleIndex:
    """All access vector rules. Permissions are bits of a mask; each class has its own numbering."""

    bits: Mapping[str, Mapping[str, int]]
    """class -> permission -> its bit."""
    conditions: tuple[Condition, ...]
    allow: Table = field(default_factory=dict)
    dontaudit: Table = field(default_factory=dict)
    allow_if: ConditionalTable = field(default_factory=dict)
    dontaudit_if: ConditionalTable = field(default_factory=dict)
    xperms: XpermTable = field(default_factory=dict)

    def mask(self, tclass: str, perms: Iterable[str]) -> int:
        """The mask of some permissions of a class."""
        bits = self.bits[tclass]
        joined = 0
        for perm in perms:
            joined |= bits[perm]
        return joined

    def perms(self, tclass: str, mask: int) -> frozenset[str]:
        """The permissions of a mask."""
        return frozenset(perm for perm, bit in self.bits.get(tclass, {}).items() if mask & bit)

    @cached_property
    def allows_of_condition(self) -> Mapping[int, list[ConditionalRule]]:
        """The conditional allow rules by their condition's number."""
        found: dict[int, list[ConditionalRule]] = {}
        for by_source in self.allow_if.values():
            for by_target in by_source.values():
                for rules in by_target.values():
                    for rule in rules:
                        found.setdefault(rule.condition, []).append(rule)
        return found

    def truths(self, state: Mapping[str, bool]) -> tuple[bool, ...]:
        """The value of every condition for a state of the booleans."""
        return tuple(condition.holds(state) for condition in self.conditions)


def gather(table: Table, tclass: str, sources: Iterable[str], targets: Iterable[str]) -> int:
    """The joined mask of all rules from any of ``sources`` to any of ``targets``."""
    by_source = table.get(tclass)
    mask = 0
    if by_source:
        for source in sources:
            by_target = by_source.get(source)
            if by_target:
                for target in targets:
                    mask |= by_target.get(target, 0)
    return mask


def gather_lists(
    table: Mapping[str, Mapping[str, Mapping[str, list[T]]]],
    tclass: str,
    sources: Iterable[str],
    targets: Iterable[str],
) -> Iterator[T]:
    """The conditional or xperm rules from any of ``sources`` to any of ``targets``, in force or not."""
    by_source = table.get(tclass)
    if by_source:
        for source in sources:
            by_target = by_source.get(source)
            if by_target:
                for target in targets:
                    yield from by_target.get(target, ())


def build_index(
    setools: SetoolsModule,
    policy: SetoolsPolicy,
    permissions: Mapping[str, frozenset[str]],
    others: Optional[Callable[[str, SetoolsRule], None]] = None,
) -> RuleIndex:
    """Read all access vector rules of a policy: about a second for the 130,000 of a distribution. ``others`` is given
    every rule with the word for its kind: to list them a second time takes half as long again."""
    conditionals = list(policy.conditionals())
    conditions = tuple(make_condition(map(str, conditional.expression())) for conditional in conditionals)
    index = RuleIndex(number_permissions(permissions), conditions)
    not_conditional = setools.exception.RuleNotConditional
    numbers = {conditional: number for number, conditional in enumerate(conditionals)}
    names: dict[int, str] = {}  # an enumeration's member takes long to say what it is called
    for rule in policy.terules():
        member = rule.ruletype
        kind = names.get(id(member)) or names.setdefault(id(member), member.name)
        if others is not None:
            others(kind, rule)
        if kind in _FILED:
            try:
                conditional = rule.conditional
            except not_conditional:
                _file(index, rule, kind)
            else:
                _file_conditional(index, rule, kind, numbers[conditional], rule.conditional_block)
    return index


def number_permissions(permissions: Mapping[str, frozenset[str]]) -> Mapping[str, Mapping[str, int]]:
    """RuleIndex.bits, of the permissions of each class."""
    return {tclass: {perm: 1 << n for n, perm in enumerate(sorted(perms))} for tclass, perms in permissions.items()}


def make_condition(words: Iterable[str]) -> Condition:
    """The condition that a postfix expression stands for."""
    postfix = tuple(words)
    return Condition(postfix, tuple(sorted({word for word in postfix if word not in _OPERATORS and word != "!"})))


_FILED = frozenset(("allow", "dontaudit", "allowxperm", "dontauditxperm", "auditallowxperm"))


def _file(index: RuleIndex, rule: SetoolsRule, kind: str) -> None:
    """File a rule outside ``if`` blocks."""
    source, target, tclass = rule.source.name, rule.target.name, rule.tclass.name
    if kind not in ("allow", "dontaudit"):
        found = XpermRule(kind, rule.xperm_type, frozenset(rule.perms), None, True)
        index.xperms.setdefault(tclass, {}).setdefault(source, {}).setdefault(target, []).append(found)
        return
    table = index.allow if kind == "allow" else index.dontaudit
    by_target = table.setdefault(tclass, {}).setdefault(source, {})
    by_target[target] = by_target.get(target, 0) | index.mask(tclass, rule.perms)


def _file_conditional(index: RuleIndex, rule: SetoolsRule, kind: str, number: int, block: bool) -> None:
    """File a rule of ``if`` block ``number``."""
    source, target, tclass = rule.source.name, rule.target.name, rule.tclass.name
    if kind not in ("allow", "dontaudit"):
        xperms = XpermRule(kind, rule.xperm_type, frozenset(rule.perms), number, block)
        index.xperms.setdefault(tclass, {}).setdefault(source, {}).setdefault(target, []).append(xperms)
        return
    found = ConditionalRule(source, target, tclass, index.mask(tclass, rule.perms), number, block)
    table = index.allow_if if kind == "allow" else index.dontaudit_if
    table.setdefault(tclass, {}).setdefault(source, {}).setdefault(target, []).append(found)
