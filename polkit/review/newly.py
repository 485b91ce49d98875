"""What a module newly allows, access by access, and where its source says so.

Where the policy with the module was built, that is the difference of the two policies; else it is what the module's
rules say, attributes expanded as the target policy has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Optional

from polkit.minimize import GateNames
from polkit.model import EQUAL_LEVELS, SELF, Party
from polkit.module import NameSet
from polkit.module.source import Declaration, Located, Rule
from polkit.policy import STRUCTURAL, Access, TargetPolicy, load_policy
from polkit.review.case import Case, place_of
from polkit.review.findings import Place
from polkit.review.on_policy import base_of

_MOST_PAIRS = 20_000
"""Of types behind one rule that are looked at one by one where nothing was built: a rule on two large attributes says
what it says by its first ones."""
_ON_WHAT_IT_LIES = "filesystem"
"""The class of what a type of files needs to lie on a disk."""


class Grant(NamedTuple):
    """Permissions between two types that the module newly gives. ``written_source`` and ``written_target``: the rule
    that gives them, types or attributes. ``standing``: a rule of the policy gives them on a new type of the module, for
    an attribute that it joins, or to a new type of files, so that it may lie on a disk; ``structural``: for no more
    than being a type of files, nodes or ports at all."""

    source: str
    target: str
    tclass: str
    perms: tuple[str, ...]
    condition: str
    written_source: str
    written_target: str
    standing: bool = False
    structural: bool = False


@dataclass(frozen=True)
class Newly:
    """The answers about one case."""

    case: Case

    @cached_property
    def own(self) -> Mapping[str, frozenset[str]]:
        """The types that the module declares, with the attributes that its statements put them in."""
        found: dict[str, set[str]] = {}
        for one in self._declarations:
            if one.kind == "type":
                for name in one.names.names:
                    found.setdefault(name, set()).update(one.values.names)
        for one in self._declarations:
            if one.kind == "typeattribute":
                for name in found.keys() & set(one.names.names):
                    found[name].update(one.values.names)
        return {name: frozenset(attributes) for name, attributes in found.items()}

    @cached_property
    def policy(self) -> TargetPolicy:
        """The policy without the module; where there is none, one for which every name is a type."""
        return self.case.policy or load_policy("none")

    @cached_property
    def changed(self) -> TargetPolicy:
        """The policy with the module where it was built, else the one without it."""
        return self.policy if self.case.built is None else self.case.built.new

    @cached_property
    def names(self) -> GateNames:
        """What names stand for with the module."""
        return GateNames(self.changed, self.own)

    @cached_property
    def every(self) -> tuple[Grant, ...]:
        """All that the module newly allows."""
        built = self.case.built
        return tuple(self._stated() if built is None else self._gained())

    @cached_property
    def by_own_rules(self) -> tuple[Grant, ...]:
        """Without what rules of the policy give on types of the module, and without what a domain of the module has in
        place of its base."""
        return tuple(found for one in self.every if (found := self._beyond_base(one)).perms and not one.standing)

    def place(self, grant: Grant) -> Optional[Place]:
        """Where the source gives it: by a rule, else by the declaration that joins an attribute."""
        sources = {grant.source, grant.written_source, *self.changed.attributes(grant.source)}
        targets = {grant.target, grant.written_target, *self.changed.attributes(grant.target)}
        if grant.source == grant.target:
            targets.add(SELF)
        for located, rule in self._rules:
            if (
                _names(rule.sources, sources)
                and _names(rule.targets, targets)
                and _names(rule.classes, {grant.tclass})
                and _names(rule.perms, set(grant.perms))
            ):
                return place_of(located)
        return self._joined_at(grant)

    def _joined_at(self, grant: Grant) -> Optional[Place]:
        wanted = {grant.source: grant.written_source, grant.target: grant.written_target}
        for located in self.case.statements:
            one = located.statement
            if isinstance(one, Declaration) and one.kind in ("type", "typeattribute"):
                for name in one.names.names:
                    if name in wanted and {name, wanted[name]} & {*one.values.names, *one.names.names}:
                        return place_of(located)
        return None

    @cached_property
    def _declarations(self) -> tuple[Declaration, ...]:
        return tuple(one.statement for one in self.case.statements if isinstance(one.statement, Declaration))

    @cached_property
    def _rules(self) -> tuple[tuple[Located, Rule], ...]:
        rules = ((one, one.statement) for one in self.case.statements)
        return tuple((one, rule) for one, rule in rules if isinstance(rule, Rule) and rule.kind == "allow")

    def _gained(self) -> Iterator[Grant]:
        assert self.case.built is not None
        old = self.case.built.old
        known: dict[str, bool] = {}
        for change, source, target in self.case.built.between.gained:
            for name in (source, target, change.target):
                if name not in known:
                    known[name] = old.type_name(name) is not None or old.has_attribute(name)
            standing = not known[change.target] and known[source] and known[target]
            lies = change.tclass == _ON_WHAT_IT_LIES and change.source in self._own_objects
            structural = lies or (standing and target in STRUCTURAL)
            yield Grant(*change[:3], change.perms, change.condition, source, target, standing or lies, structural)

    def _stated(self) -> Iterator[Grant]:
        """What the module's rules give that the policy doesn't. Rules with one meaning are told twice."""
        for located, rule in self._rules:
            sources = self._types(rule.sources)
            for tclass in rule.classes.names:
                perms = self._perms(rule.perms, tclass)
                for source, target in self._pairs(sources, rule.targets):
                    have = self.policy.always_allowed(source, target, tclass) if self.case.policy else frozenset()
                    new = tuple(sorted(perms - have))
                    if new:
                        written = " ".join(rule.sources.names), " ".join(rule.targets.names)
                        yield Grant(source, target, tclass, new, located.condition, *written)

    def _pairs(self, sources: frozenset[str], targets: NameSet) -> Iterator[tuple[str, str]]:
        others = sorted(self._types(targets))
        to_self = SELF in targets.names
        for number, source in enumerate(sorted(sources)):
            if number * max(1, len(others)) > _MOST_PAIRS:
                return
            if to_self:
                yield source, source
            yield from ((source, target) for target in others if target != SELF)

    def _types(self, named: NameSet) -> frozenset[str]:
        """The types behind a set as it is written; of a complement those of domains and files, which are nearly all."""
        left_out = self.names.types(named.without)
        if named.others or "*" in named.names:
            every = self.names.types(("domain", "file_type", *self.own))
            return every - left_out - (self.names.types(named.names) if named.others else frozenset())
        return self.names.types(named.names) - left_out

    def _perms(self, named: NameSet, tclass: str) -> frozenset[str]:
        every = frozenset(self.policy.permissions(tclass)) if self.case.policy is not None else frozenset[str]()
        if named.others:
            return every - frozenset(named.names)
        return every if "*" in named.names else frozenset(named.names)

    @cached_property
    def _bases(self) -> Mapping[str, str]:
        """From each domain of the module to what it stands in for, where that is among those of the configuration."""
        names = self.case.names
        found = {} if names is None else {one: base_of(one, names) for one in self._own_domains}
        return {domain: base for domain, base in found.items() if base is not None}

    @cached_property
    def _own_objects(self) -> frozenset[str]:
        return frozenset(self.own) - self._own_domains

    @cached_property
    def _own_domains(self) -> frozenset[str]:
        return frozenset(type_ for type_ in self.own if "domain" in {*self.own[type_], *self.changed.attributes(type_)})

    def _beyond_base(self, grant: Grant) -> Grant:
        """Without the permissions that the base has, too."""
        source, target = (self._bases.get(one, one) for one in grant[:2])
        if (source, target) == grant[:2] or None in (self.policy.type_name(source), self.policy.type_name(target)):
            return grant
        have = self.policy.allowed(source, target, grant.tclass)
        kept = tuple(one for one in grant.perms if one not in have)
        if grant.condition:
            kept = tuple(one for one in kept if not self._under_booleans(source, target, grant.tclass, one))
        return grant._replace(perms=kept)

    def _under_booleans(self, source: str, target: str, tclass: str, perm: str) -> bool:
        one, other = Party("", "", source), Party("", "", target)
        return bool(self.policy.decide(Access(one, other, tclass, perm, EQUAL_LEVELS)).booleans)


def _names(written: NameSet, wanted: Iterable[str]) -> bool:
    """Whether a set as it is written holds one of the names."""
    if written.others or "*" in written.names:
        return not set(wanted) <= set(written.names)
    return not set(written.names).isdisjoint(wanted) and set(written.without).isdisjoint(wanted)
