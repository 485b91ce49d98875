"""Draws accesses that a policy's kernel could be asked about: contexts are valid, so that libsepol answers on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random
from struct import pack, pack_into, unpack_from
from typing import NamedTuple

import setools

from polkit.model import Context, relate
from polkit.policy import Access, OracleAnswer, TargetPolicy

LEVELS = (
    *("s0", "s0:c1,c2", "s0:c1,c2,c3", "s0:c8,c9"),
    *("s0-s0:c0.c1023", "s0-s0:c1,c2", "s0:c1-s0:c1,c2", "s0:c8-s0:c8,c9"),
)
"""Equal, dominating, dominated and disjoint ones among them."""
SHARES = {
    "blind": 8,
    "allow": 11,
    "dontaudit": 7,
    "conditional": 14,
    "constrained": 4,
    "transition": 3,
    "bounded": 2,
    "role_change": 2,
}
"""How many accesses of each kind ``Sampler.mixed`` draws in a round."""


class Asked(NamedTuple):
    """One access, as contexts for libsepol and as ours."""

    source: Context
    target: Context
    access: Access


class Drawn(NamedTuple):
    """A rule to draw an access from."""

    source: str
    target: str
    tclass: str
    perms: tuple[str, ...]


def asked(source: Context, target: Context, tclass: str, perm: str) -> Asked:
    """The access between two contexts."""
    access = Access(source.party, target.party, tclass, perm, relate(source.level, target.level))
    return Asked(source, target, access)


def predicted(policy: TargetPolicy, access: Access) -> OracleAnswer:
    """What libsepol should answer, going by our verdict: it stops at the first kind of reason, ignores extended
    permissions, and names the booleans that alone would allow the access altogether.
    """
    verdict = policy.decide(access)
    if not verdict.rule:
        singles = [found.settings for found in verdict.booleans if len(found.settings) == 1]
        enough = [only for only in singles if _reason(policy.with_booleans(dict(only)), access) == "ALLOW"]
        if enough:
            return OracleAnswer("BOOLEAN", booleans=tuple(sorted(only[0] for only in enough)))
        return OracleAnswer("DONTAUDIT" if verdict.dontaudit else "TERULE")
    return OracleAnswer(_reason(policy, access))


def _reason(policy: TargetPolicy, access: Access) -> str:
    """The first kind of reason for an access that has its rule. libsepol says BOUNDS for the whole access vector as
    soon as the bounds take away any permission of it, asked for or not (``type_attribute_bounds_av``).
    """
    verdict = policy.decide(access)
    if verdict.constraints or verdict.role:
        return "CONSTRAINT" if verdict.constraints else "RBAC"
    vector = [policy.decide(replace(access, perm=perm)) for perm in policy.permissions(access.tclass)]
    masked = any(other.bounds and not (other.constraints or other.role) for other in vector)
    return "BOUNDS" if masked else "ALLOW"


def every_access(path: Path, levels: tuple[str, ...] = ("",)) -> Iterator[Asked]:
    """Every access of a small policy: all valid contexts (``object_r`` aside) with one another, all permissions."""
    policy = setools.SELinuxPolicy(str(path))
    contexts = [
        Context(user.name, role.name, type_.name, level)
        for user in policy.users()
        for role in user.roles
        if role.name != "object_r"
        for type_ in role.types()
        for level in levels
    ]
    users = sorted({context.user for context in contexts})
    objects = [Context(users[0], "object_r", type_.name, level) for type_ in policy.types() for level in levels]
    for tclass in policy.classes():
        for source, target in product(sorted(contexts), sorted({*contexts, *objects})):
            for perm in sorted(tclass.perms):
                yield asked(source, target, tclass.name, perm)


def with_booleans(binary: bytes, state: Mapping[str, bool]) -> bytes:
    """A binary policy with other defaults of its booleans (libsepol ``cond_write_bool``: value, state, length of the
    name, name). The conditions in it keep the old ones' values: libsepol works them out anew at the first question
    that is refused.
    """
    changed = bytearray(binary)
    for name, value in state.items():
        text = pack("<I", len(name)) + name.encode()
        places = [at for at in _places(binary, text) if unpack_from("<I", binary, at - 4)[0] in (0, 1)]
        (place,) = (at for at in places if 1 <= unpack_from("<I", binary, at - 8)[0] <= len(state))
        pack_into("<I", changed, place - 4, int(value))
    return bytes(changed)


def _places(binary: bytes, text: bytes) -> Iterator[int]:
    at = binary.find(text)
    while at != -1:
        yield at
        at = binary.find(text, at + 1)


class Sampler:
    """Accesses of a large policy, drawn with a fixed seed."""

    def __init__(self, path: Path, seed: int) -> None:
        self._random = Random(seed)
        policy = setools.SELinuxPolicy(str(path))
        self._members = {a.name: sorted(t.name for t in a.expand()) for a in policy.typeattributes()}
        self._types = sorted(t.name for t in policy.types())
        self._levels = {user.name: _levels_of(user) for user in policy.users()}
        self._users: dict[str, list[str]] = {}
        for user in sorted(policy.users(), key=lambda user: user.name):
            for role in user.roles:
                self._users.setdefault(role.name, []).append(user.name)
        self._roles: dict[str, list[str]] = {}
        for role in sorted(policy.roles(), key=lambda role: role.name):
            if role.name in self._users and role.name != "object_r":
                for type_ in role.types():
                    self._roles.setdefault(type_.name, []).append(role.name)
        self._classes = {tclass.name: _permissions(tclass) for tclass in policy.classes()}
        self._rules = _rules_by_kind(policy)
        self._role_allows = {
            (rule.source.name, rule.target.name) for rule in policy.rbacrules() if rule.ruletype.name == "allow"
        }

    def mixed(self, count: int) -> list[Asked]:
        """Distinct accesses of all kinds."""
        found: dict[Asked, None] = {}
        while len(found) < count:
            for kind, share in SHARES.items():
                for _ in range(share):
                    found[self.drawn(kind)] = None
        return list(found)[:count]

    def drawn(self, kind: str) -> Asked:
        """One access of a kind in SHARES."""
        named = {"blind": self.blind, "role_change": self.role_change}
        return named[kind]() if kind in named else self.near(kind)

    def of(self, types: tuple[str, ...]) -> Asked:
        """An access with one of these types on a side, the other side and what is asked as a rule has them."""
        while True:
            one = self.drawn(self._random.choice(("blind", "allow", "conditional", "dontaudit")))
            mine, tclass = self._random.choice(types), one.access.tclass
            other = self._random.choice((one.source.type, one.target.type, *types))
            source, target = self._random.choice(((mine, other), (other, mine)))
            if source in self._roles:
                return self._asked(source, target, tclass, one.access.perm)

    def blind(self) -> Asked:
        """Any source, any target, any permission: mostly refused for want of a rule."""
        tclass = self._random.choice(sorted(self._classes))
        source = self._random.choice(sorted(self._roles))
        return self._asked(source, self._random.choice(self._types), tclass, self._random.choice(self._classes[tclass]))

    def near(self, kind: str) -> Asked:
        """An access that a rule of this kind speaks of, or (one in four) another permission of its class.

        Kinds: allow, dontaudit, conditional, transition, bounded (the source has a bounding type), constrained (an
        allow rule on a class whose constraints look at users or roles).
        """
        while True:
            rule = self._random.choice(self._rules[kind])
            domains = [t for t in self._members.get(rule.source, [rule.source]) if t in self._roles]
            targets = self._members.get(rule.target, [rule.target])
            if domains and targets:
                perms = self._classes[rule.tclass] if self._random.random() < 0.25 else rule.perms
                pair = self._random.choice(domains), self._random.choice(targets)
                return self._asked(*pair, rule.tclass, self._random.choice(perms))

    def role_change(self) -> Asked:
        """A process transition between two roles of one user, the levels equal, that a rule allows for the types.

        One in two is one that no role rule allows, out of a domain that the reference policy lets change roles
        (another's is refused by a constraint first).
        """
        forbidden = self._random.random() < 0.5
        while True:
            rule = self._random.choice(self._rules["transition"])
            source = self._random.choice(self._members.get(rule.source, [rule.source]) or [""])
            target = self._random.choice(self._members.get(rule.target, [rule.target]) or [""])
            if forbidden and source not in self._members["can_change_process_role"]:
                continue
            changes = [
                (user, one, two)
                for user in sorted(self._levels)
                for one, two in product(self._roles_for(user, source), self._roles_for(user, target))
                if one != two and not (forbidden and (one, two) in self._role_allows)
            ]
            if changes:
                user, one, two = self._random.choice(changes)
                return asked(
                    Context(user, one, source, "s0"), Context(user, two, target, "s0"), "process", "transition"
                )

    def _roles_for(self, user: str, type_: str) -> list[str]:
        return [role for role in self._roles.get(type_, ()) if user in self._users[role]]

    def _asked(self, source: str, target: str, tclass: str, perm: str) -> Asked:
        return asked(self._process(source), self._target(target, tclass), tclass, perm)

    def _target(self, type_: str, tclass: str) -> Context:
        """A process where the class is one's, and now and then where it isn't: a socket or /proc file of a process."""
        of_process = tclass == "process" or self._random.random() < 0.5
        return self._process(type_) if of_process and type_ in self._roles else self._object(type_)

    def _process(self, type_: str) -> Context:
        role = self._random.choice(self._roles[type_])
        user = self._random.choice(self._users[role])
        return Context(user, role, type_, self._random.choice(self._levels[user]))

    def _object(self, type_: str) -> Context:
        return Context(self._random.choice(sorted(self._levels)), "object_r", type_, self._random.choice(LEVELS))


def _levels_of(user: setools.policyrep.User) -> tuple[str, ...]:
    """The levels a user may have: all of ours, or the one of a user without categories."""
    return LEVELS if "c0" in str(user.mls_range) else ("s0",)


def _permissions(tclass: setools.policyrep.ObjClass) -> tuple[str, ...]:
    try:
        return tuple(sorted(tclass.perms | tclass.common.perms))
    except setools.exception.NoCommon:
        return tuple(sorted(tclass.perms))


def _rules_by_kind(policy: setools.SELinuxPolicy) -> dict[str, list[Drawn]]:
    bounded = {bounds.child.name for bounds in policy.bounds()}
    watched = {one.tclass.name for one in policy.constraints() if {"u1", "r1"} & {str(item) for item in one.expression}}
    kinds: dict[str, set[Drawn]] = {}
    for rule in policy.terules():
        if rule.ruletype.name in ("allow", "dontaudit"):
            drawn = Drawn(rule.source.name, rule.target.name, rule.tclass.name, tuple(sorted(rule.perms)))
            kinds.setdefault(rule.ruletype.name, set()).add(drawn)
            if drawn.tclass == "process" and "transition" in drawn.perms and rule.ruletype.name == "allow":
                kinds.setdefault("transition", set()).add(drawn)
            if drawn.source in bounded:
                kinds.setdefault("bounded", set()).add(drawn)
            if drawn.tclass in watched and rule.ruletype.name == "allow":
                kinds.setdefault("constrained", set()).add(drawn)
    for conditional in policy.conditionals():
        for rule in (*conditional.true_rules(), *conditional.false_rules()):
            if rule.ruletype.name == "allow":
                drawn = Drawn(rule.source.name, rule.target.name, rule.tclass.name, tuple(sorted(rule.perms)))
                kinds.setdefault("conditional", set()).add(drawn)
    return {kind: sorted(rules) for kind, rules in kinds.items()}
