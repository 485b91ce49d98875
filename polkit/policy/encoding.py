"""The contents of a policy as bytes and back, without setools: some 40 ms for a distribution's.

JSON: it can't run code, and its scanner builds the nested tables of rules, names shared, faster than a loop over
packed numbers would (measured: 17 ms against 26). What is derived from other parts (what rules may call a type, the
bits of permissions, the text of a constraint) isn't kept but derived again. Equal contents give equal bytes.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from itertools import chain
from operator import or_
from sys import intern
from typing import Any, Optional, Union

from polkit.model import Party
from polkit.model.levels import EQUAL_LEVELS
from polkit.policy.constraints import Asked, Comparison, Constraint, Names, evaluate, make_constraint
from polkit.policy.contents import Contents
from polkit.policy.facts import Facts, sides_of
from polkit.policy.index import (
    Condition,
    ConditionalRule,
    ConditionalTable,
    RuleIndex,
    Table,
    XpermRule,
    XpermTable,
    make_condition,
    number_permissions,
)
from polkit.policy.ports import PortContexts

_HIGHEST_XPERM = 0xFFFF
_HANDLINGS = ("allow", "deny", "reject")
_NOBODY = Party("", "", "")
_TRIAL = Asked(_NOBODY, _NOBODY, EQUAL_LEVELS, {})


def pack(contents: Contents) -> bytes:
    """The contents as JSON. Mappings keep their order, so that answers that follow it are the same ones."""
    facts, index = contents.facts, contents.index
    members = _Pool()
    document = {
        "policy": [contents.version, contents.mls, contents.handle_unknown],
        "permissions": _lists(facts.permissions),
        "attributes": _lists(facts.attributes),
        "types": _lists(facts.types),
        "aliases": facts.aliases,
        "booleans": facts.booleans,
        "users": sorted(facts.users),
        "roles": _lists(facts.roles),
        "dominated": _lists(facts.dominated),
        "role_allows": sorted(facts.role_allows),
        "bounds": facts.bounds,
        "constraints": {
            tclass: [_pack_constraint(statement, members) for statement in statements]
            for tclass, statements in facts.constraints.items()
        },
        "members": members.sets,
        "ports": facts.ports.entries,
        "default_port": facts.ports.default,
        "conditions": [one.postfix for one in index.conditions],
        "allow": index.allow,
        "dontaudit": index.dontaudit,
        "allow_if": _pack_conditional(index.allow_if),
        "dontaudit_if": _pack_conditional(index.dontaudit_if),
        "xperms": _pack_xperms(index.xperms),
    }
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def unpack(data: bytes) -> Contents:
    """The contents that ``pack`` was given. Raises ValueError for anything that could not have come from it and would
    later make a question fail.
    """
    try:
        with _no_collection():
            return _unpack(json.loads(data))
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError("not the contents of a policy") from error


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the collector of garbage, which would look a hundred times over what all stays: a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Pool:
    """Sets of names by number: few are distinct, and a set of all domains stands in dozens of constraints."""

    def __init__(self) -> None:
        self.sets: list[list[str]] = []
        self._numbers: dict[frozenset[str], int] = {}

    def number(self, names: frozenset[str]) -> int:
        if names not in self._numbers:
            self._numbers[names] = len(self.sets)
            self.sets.append(sorted(names))
        return self._numbers[names]


def _lists(mapping: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    return {name: sorted(names) for name, names in mapping.items()}


def _pack_constraint(statement: Constraint, members: _Pool) -> list[Any]:
    """``[kind, permissions, postfix]``; a comparison is ``[left, operator, word]`` or ``[.., set's number, text]``."""
    postfix: list[Any] = []
    for item in statement.postfix:
        if isinstance(item, str):
            postfix.append(item)
        elif isinstance(item.right, str):
            postfix.append([item.left, item.operator, item.right])
        else:
            postfix.append([item.left, item.operator, members.number(item.right.members), item.right.text])
    return [statement.kind, sorted(statement.perms), postfix]


def _pack_conditional(table: ConditionalTable) -> dict[str, Any]:
    """The rules as ``[mask, condition, block]``; the rest of each is where it stands."""
    return {
        tclass: {
            source: {target: [rule[3:] for rule in rules] for target, rules in by_target.items()}
            for source, by_target in by_source.items()
        }
        for tclass, by_source in table.items()
    }


def _pack_xperms(table: XpermTable) -> dict[str, Any]:
    return {
        tclass: {
            source: {
                target: [[rule.kind, rule.operation, _folded(rule.numbers), *rule[3:]] for rule in rules]
                for target, rules in by_target.items()
            }
            for source, by_target in by_source.items()
        }
        for tclass, by_source in table.items()
    }


def _folded(numbers: Iterable[int]) -> list[list[int]]:
    """``[low, high]`` of each range; a rule may name all but one of 65,536."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges


def _unpack(document: Any) -> Contents:
    version, mls, handle_unknown = document["policy"]
    _require(type(version) is int and type(mls) is bool and handle_unknown in _HANDLINGS)
    facts = _unpack_facts(document)
    index = _unpack_index(document, facts.permissions)
    index.truths(facts.booleans)  # fails for a condition that can't be evaluated
    return Contents(version, mls, handle_unknown, facts, index)


def _unpack_facts(document: Any) -> Facts:
    attributes = _sets(document["attributes"])
    members = [_names(names) for names in document["members"]]
    booleans = document["booleans"]
    _require(all(type(value) is bool for value in booleans.values()))
    return Facts(
        permissions=_sets(document["permissions"]),
        attributes=attributes,
        types=_sets(document["types"]),
        sides=sides_of(attributes),
        aliases=_words(document["aliases"]),
        booleans=booleans,
        users=_names(document["users"]),
        roles=_sets(document["roles"]),
        dominated=_sets(document["dominated"]),
        role_allows=frozenset((intern(source), intern(target)) for source, target in document["role_allows"]),
        bounds=_unpack_bounds(document["bounds"]),
        constraints={
            tclass: tuple(_unpack_constraint(statement, members) for statement in statements)
            for tclass, statements in document["constraints"].items()
        },
        ports=_unpack_ports(document["ports"], document["default_port"]),
    )


def _unpack_bounds(mapping: Any) -> dict[str, str]:
    bounds = _words(mapping)
    for bounded in bounds:
        above, seen = bounds.get(bounded), {bounded}
        while above is not None:
            _require(above not in seen)  # a circle would never be decided
            seen.add(above)
            above = bounds.get(above)
    return bounds


def _unpack_constraint(statement: Any, members: list[frozenset[str]]) -> Constraint:
    kind, perms, items = statement
    postfix = tuple(item if isinstance(item, str) else _unpack_comparison(*item, members=members) for item in items)
    evaluate(postfix, _TRIAL)  # looks at every part, so one that can't be evaluated fails here
    return make_constraint(intern(kind), _names(perms), postfix)


def _unpack_comparison(
    left: str, operator: str, right: Union[str, int], text: str = "", *, members: list[frozenset[str]]
) -> Comparison:
    if isinstance(right, str):
        return Comparison(intern(left), intern(operator), intern(right))
    return Comparison(intern(left), intern(operator), Names(members[right], intern(text)))


def _unpack_ports(entries: Any, default: Any) -> PortContexts:
    _require(default is None or isinstance(default, str))
    for _, low, high, _ in entries:
        _require(type(low) is int and type(high) is int)
    known = tuple((intern(protocol), low, high, intern(type_)) for protocol, low, high, type_ in entries)
    return PortContexts(known, default)


def _unpack_index(document: Any, permissions: Mapping[str, frozenset[str]]) -> RuleIndex:
    conditions = tuple(make_condition(map(intern, postfix)) for postfix in document["conditions"])
    return RuleIndex(
        bits=number_permissions(permissions),
        conditions=conditions,
        allow=_unpack_table(document["allow"]),
        dontaudit=_unpack_table(document["dontaudit"]),
        allow_if=_unpack_conditional(document["allow_if"], conditions),
        dontaudit_if=_unpack_conditional(document["dontaudit_if"], conditions),
        xperms=_unpack_xperms(document["xperms"], conditions),
    )


def _unpack_table(table: Any) -> Table:
    """The table as it was scanned. Joining all masks fails for one that is no number, at the cost of a look at each."""
    rows = chain.from_iterable(map(dict.values, table.values()))
    joined: int = reduce(or_, chain.from_iterable(map(dict.values, rows)), 0)
    _require(joined >= 0)
    checked: Table = table
    return checked


def _unpack_conditional(table: Any, conditions: tuple[Condition, ...]) -> ConditionalTable:
    found: ConditionalTable = {}
    for tclass, by_source in table.items():
        for source, by_target in by_source.items():
            row = found.setdefault(tclass, {})[source] = {}
            for target, rules in by_target.items():
                row[target] = [ConditionalRule(source, target, tclass, *rule) for rule in rules]
                for rule in row[target]:
                    _require(type(rule.mask) is int and _decidable(rule.condition, rule.block, conditions))
    return found


def _unpack_xperms(table: Any, conditions: tuple[Condition, ...]) -> XpermTable:
    found: XpermTable = {}
    for tclass, by_source in table.items():
        for source, by_target in by_source.items():
            row = found.setdefault(tclass, {})[source] = {}
            for target, rules in by_target.items():
                row[target] = [_unpack_xperm(*rule) for rule in rules]
                for rule in row[target]:
                    _require(rule.condition is None or _decidable(rule.condition, rule.block, conditions))
    return found


def _unpack_xperm(kind: str, operation: str, ranges: Any, number: Optional[int], block: bool) -> XpermRule:
    _require(all(0 <= low <= high <= _HIGHEST_XPERM for low, high in ranges))
    numbers = frozenset(chain.from_iterable(range(low, high + 1) for low, high in ranges))
    return XpermRule(intern(kind), intern(operation), numbers, number, block)


def _decidable(number: object, block: object, conditions: tuple[Condition, ...]) -> bool:
    return type(number) is int and 0 <= number < len(conditions) and type(block) is bool


def _sets(mapping: Any) -> dict[str, frozenset[str]]:
    return {intern(name): _names(names) for name, names in mapping.items()}


def _words(mapping: Any) -> dict[str, str]:
    return {intern(name): intern(word) for name, word in mapping.items()}


def _names(names: Any) -> frozenset[str]:
    """Interned: one string for a name wherever it stands, and what is no string is refused."""
    return frozenset(map(intern, names))


def _require(sound: bool) -> None:
    if not sound:
        raise ValueError("not the contents of a policy")
