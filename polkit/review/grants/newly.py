"""What a module newly allows, access by access, and where its source says so.

Where the policy with the module was built, that is the difference of the two policies; else it is what the module's
rules say, attributes expanded as the target policy has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product
from typing import NamedTuple, Optional

from polkit.minimize import GateNames
from polkit.model import SELF
from polkit.module import NameSet
from polkit.module.source import Declaration, Located, Rule
from polkit.policy import STRUCTURAL, Rectangle, TargetPolicy, load_policy
from polkit.review.case import Case, place_of
from polkit.review.findings import Place
from polkit.review.grants.on_policy import names_of

_MOST_PAIRS = 1_000_000
"""Of one rule, where nothing was built: more than all domains on all files of a distribution's policy."""
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
        names = self.case.names or names_of(self.case.statements, self.policy, ())
        return {name: names.attributes(name) for name in names.types}

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
        """All that the module allows; where the policy with it was not built, ``new`` of it is newly allowed."""
        built = self.case.built
        return tuple(self._stated() if built is None else self._gained())

    def new(self, grant: Grant) -> Grant:
        """What of it the policy does not allow whatever the booleans are."""
        if self.case.built is not None or self.case.names is None:
            return grant
        have = self.policy.always_allowed(*grant[:3])
        return grant._replace(perms=tuple(one for one in grant.perms if one not in have))

    @cached_property
    def by_own_rules(self) -> tuple[Grant, ...]:
        """Without what rules of the policy give on types of the module, and without what a domain of the module has in
        place of its base."""
        return tuple(
            found for one in self.every if not one.standing and (found := self.beyond_base(self.new(one))).perms
        )

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
                    known[name] = bool(old.types(name))
            standing = not known[change.target] and known[source] and known[target]
            lies = change.tclass == _ON_WHAT_IT_LIES and change.source in self._own_objects
            structural = lies or (standing and target in STRUCTURAL)
            yield Grant(*change[:3], change.perms, change.condition, source, target, standing or lies, structural)

    def _stated(self) -> Iterator[Grant]:
        """What the module's rules give. Rules with one meaning are told twice."""
        if self.case.names is None:
            yield from self._by_name()
            return
        for rule in self.case.rules:
            access, written = rule.access, _written(rule.where)
            perms, condition = tuple(sorted(access.perms)), rule.where.condition
            for source, target in islice(_pairs(access), _MOST_PAIRS):
                yield Grant(source, target, access.tclass, perms, condition, *written)

    def _by_name(self) -> Iterator[Grant]:
        """Without a policy: what the rules name."""
        for located, rule in self._rules:
            for source, target, tclass in product(rule.sources.names, rule.targets.names, rule.classes.names):
                on = source if target == SELF else target
                yield Grant(source, on, tclass, rule.perms.names, located.condition, *_written(located))

    @cached_property
    def bases(self) -> Mapping[str, str]:
        """From each domain of the module to what it stands in for, where that is among those of the configuration."""
        return {} if self.case.names is None else self.case.names.bases

    @cached_property
    def _own_objects(self) -> frozenset[str]:
        return frozenset(self.own) - self._own_domains

    @cached_property
    def _own_domains(self) -> frozenset[str]:
        return frozenset(type_ for type_ in self.own if "domain" in {*self.own[type_], *self.changed.attributes(type_)})

    def beyond_base(self, grant: Grant) -> Grant:
        """Without what a domain of the module has, or others have on it, in place of its base."""
        source, target = (self.bases.get(one, one) for one in grant[:2])
        if (source, target) == grant[:2] or None in (self.policy.type_name(source), self.policy.type_name(target)):
            return grant
        have = self.policy.allowed(source, target, grant.tclass)
        kept = tuple(one for one in grant.perms if one not in have)
        if grant.condition and self.case.names is not None:
            states = self.case.names.otherwise
            had = frozenset[str]().union(*(one.allowed(source, target, grant.tclass) for one in states))
            kept = tuple(one for one in kept if one not in had)
        return grant._replace(perms=kept)


def _pairs(access: Rectangle) -> Iterator[tuple[str, str]]:
    yield from product(sorted(access.sources), sorted(access.targets))
    if access.to_self:
        yield from ((one, one) for one in sorted(access.sources - access.targets))


def _written(one: Located) -> tuple[str, str]:
    rule = one.statement
    assert isinstance(rule, Rule)
    return " ".join(rule.sources.names), " ".join(rule.targets.names)


def _names(written: NameSet, wanted: Iterable[str]) -> bool:
    """Whether a set as it is written holds one of the names."""
    if written.others or "*" in written.names:
        return not set(wanted) <= set(written.names)
    return not set(written.names).isdisjoint(wanted) and set(written.without).isdisjoint(wanted)
