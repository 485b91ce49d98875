"""A policy loaded from a binary file, with what lies beside it: the answers behind the TargetPolicy interface."""

# ruff: noqa: D102 (the interface documents the methods)
from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional

from polkit.errors import SourceError
from polkit.model import Context, FileContext, Grants, PolicyInfo, Port
from polkit.policy import domains, forbidding, grants
from polkit.policy.cache import entry_key, fetch, keep
from polkit.policy.capabilities import capabilities
from polkit.policy.constraints import refusals_of_types
from polkit.policy.contents import Contents, read_contents
from polkit.policy.decide import decide
from polkit.policy.encoding import pack, unpack
from polkit.policy.interface import (
    Access,
    FailedConstraint,
    FileEntry,
    Forbidden,
    Inheritance,
    ListedLabel,
    PortLabel,
    Rectangle,
    TargetPolicy,
    Unlimited,
    Verdict,
    Weaker,
)
from polkit.policy.labels import FileLabels, read_customizable
from polkit.policy.locate import PolicyFiles
from polkit.policy.names import NameIndex
from polkit.policy.parity import weaker_than
from polkit.policy.risk import assess, may_be_refused, sensitive_types
from polkit.policy.rules import Rules
from polkit.policy.standin import own_domain
from polkit.policy.store import module_priorities, store_attributes
from polkit.policy.store_neverallows import Neverallows
from polkit.policy.transitions import Transitions
from polkit.policy.unlimited import unlimited

DISTRIBUTION = 100
"""The priority of a distribution's own modules; semodule(8)."""


@dataclass(frozen=True, eq=False, repr=False)
class LoadedPolicy:
    """See TargetPolicy for what each question means. Two are equal when they are the same object."""

    files: PolicyFiles
    _info: PolicyInfo
    _rules: Rules
    _labels: Optional[FileLabels]
    _customizable: frozenset[str]
    _neverallows: Optional[Neverallows]
    _names: dict[tuple[str, str], NameIndex]
    """Built when first asked for: by kind and class."""
    _grants: dict[tuple[tuple[str, bool], ...], Grants]
    """What was worked out for this state of the booleans."""
    _refusals: dict[tuple[str, str, str, bool], Optional[str]]
    """The refused risk that was found: by target, class, permission and whether the target is the source."""
    _transitions: Transitions
    _stand_ins: Mapping[str, str] = field(default_factory=dict)
    """From a domain that was added to the one it is like."""
    _in_store: list[frozenset[str]] = field(default_factory=list)
    """The attributes that the module store declares, read when first asked for."""

    @property
    def rules(self) -> Rules:
        """The rules themselves, for this room."""
        return self._rules

    @property
    def neverallows(self) -> Optional[Neverallows]:
        """The neverallow rules of the module store, for this room."""
        return self._neverallows

    @property
    def info(self) -> Optional[PolicyInfo]:
        return self._info

    @property
    def booleans(self) -> Mapping[str, bool]:
        return self._rules.state

    def with_booleans(self, state: Mapping[str, bool]) -> TargetPolicy:
        return replace(self, _rules=self._rules.with_state(state), _grants={})

    def type_name(self, name: str) -> Optional[str]:
        real = self._rules.facts.canonical(name)
        return real if real in self._rules.facts.attributes else None

    def has_class(self, tclass: str) -> bool:
        return tclass in self._rules.facts.permissions

    def has_user(self, user: str) -> bool:
        return user in self._rules.facts.users

    def has_role(self, role: str) -> bool:
        return role in self._rules.facts.roles

    def has_capability(self, name: str) -> bool:
        return name in capabilities(self.files.policy)

    def permissions(self, tclass: str) -> frozenset[str]:
        return self._rules.facts.permissions.get(tclass, frozenset())

    def nearest(self, kind: str, name: str, tclass: str = "") -> tuple[str, ...]:
        facts = self._rules.facts
        key = (kind, tclass if kind == "permission" else "")
        if key not in self._names:
            known = {
                "type": (*facts.attributes, *facts.aliases),
                "class": tuple(facts.permissions),
                "attribute": tuple(facts.types),
                "boolean": tuple(self.booleans),
                "role": tuple(facts.roles),
            }
            names = known.get(kind, tuple(self.permissions(tclass)))
            self._names[key] = NameIndex(names, facts.aliases if kind == "type" else {})
        return self._names[key].nearest(name)

    def attributes(self, type_: str) -> frozenset[str]:
        return self._rules.facts.attributes.get(self._rules.facts.canonical(type_), frozenset())

    def has_attribute(self, attribute: str) -> bool:
        if attribute in self._rules.facts.types:
            return True
        if not self._in_store:
            try:
                self._in_store.append(frozenset() if self.files.store is None else store_attributes(self.files.store))
            except SourceError:  # by whoever may not read it
                self._in_store.append(frozenset())
        return attribute in self._in_store[0]

    def types(self, attribute: str) -> frozenset[str]:
        members = self._rules.facts.types.get(attribute)
        if members is not None:
            return members
        real = self.type_name(attribute)
        return frozenset() if real is None else frozenset((real,))

    @property
    def every_type(self) -> frozenset[str]:
        return frozenset(self._rules.facts.attributes)

    def decide(self, access: Access) -> Verdict:
        return decide(self._rules, access)

    def constraints_on(self, source: str, target: str, tclass: str, perm: str) -> tuple[FailedConstraint, ...]:
        return refusals_of_types(self._rules.facts.constraints.get(tclass, ()), perm, *self._pair(source, target))

    def let_through(self, base: frozenset[str], sides: frozenset[str]) -> tuple[Weaker, ...]:
        return weaker_than(self._rules, base, sides)

    def bounding(self, type_: str) -> Optional[str]:
        return self._rules.facts.bounds.get(self._rules.facts.canonical(type_))

    def validatetrans(self, tclass: str) -> tuple[str, ...]:
        statements = self._rules.facts.constraints.get(tclass, ())
        return tuple(sorted(one.text for one in statements if one.kind.endswith("validatetrans")))

    def allowed(self, source: str, target: str, tclass: str) -> frozenset[str]:
        return self._rules.index.perms(tclass, self._rules.allowed(*self._pair(source, target), tclass))

    def always_allowed(self, source: str, target: str, tclass: str) -> frozenset[str]:
        return self._rules.index.perms(tclass, self._rules.always_allowed(*self._pair(source, target), tclass))

    def dontaudited(self, source: str, target: str, tclass: str) -> frozenset[str]:
        return self._rules.index.perms(tclass, self._rules.dontaudited(*self._pair(source, target), tclass))

    def transition(self, source: str, target: str, tclass: str) -> Optional[str]:
        found = self._transitions.of(*self._pair(source, target), tclass, self._rules.state)
        return None if found is None else self._rules.facts.canonical(found)

    def has_xperm_rule(self, source: str, target: str, tclass: str) -> bool:
        return bool(self._rules.xperm_rules(*self._pair(source, target), tclass))

    def unlimited(
        self, source: str, target: str, tclass: str, operation: str, new: Mapping[str, tuple[str, ...]]
    ) -> Optional[Unlimited]:
        return unlimited(self._rules, *self._pair(source, target), tclass, operation, new)

    def grants_of(self, settings: tuple[tuple[str, bool], ...]) -> Grants:
        if settings not in self._grants:
            new = grants.newly_given(self._rules, dict(settings))
            found = grants.counted(new, sensitive_types())
            self._grants[settings] = replace(found, refused=self._refused(new))
        return self._grants[settings]

    def _refused(self, given: grants.Masks) -> tuple[str, ...]:
        """The refused risks among accesses. The catalogue goes by types and classes: one domain a target is asked."""
        asked: dict[tuple[str, str, bool], tuple[str, int]] = {}
        for (source, target, tclass), mask in given.items():
            key = (target, tclass, source == target)
            asked[key] = (source, asked.get(key, (source, 0))[1] | mask)
        risks: set[Optional[str]] = set()
        perms: dict[tuple[str, int], list[str]] = {}
        for (target, tclass, to_self), (source, mask) in asked.items():
            if (tclass, mask) not in perms:
                given_perms = self._rules.index.perms(tclass, mask)
                perms[tclass, mask] = [perm for perm in given_perms if may_be_refused(tclass, perm)]
            for perm in perms[tclass, mask]:
                one = (target, tclass, perm, to_self)
                if one not in self._refusals:
                    risk = assess(source, target, tclass, perm, self)
                    self._refusals[one] = risk.id if risk is not None and risk.refuse else None
                risks.add(self._refusals[one])
        return tuple(sorted(risk for risk in risks if risk is not None))

    def structural(self, attributes: tuple[str, ...]) -> Grants:
        return grants.structural(self._rules, attributes)

    def role_has_type(self, role: str, type_: str) -> bool:
        """``object_r`` has every type (libsepol ``context_is_valid``, kernel ``policydb_context_isvalid``)."""
        real = self.type_name(type_)
        if real is None or not self.has_role(role):
            return False
        return role == "object_r" or real in self._rules.facts.roles[role]

    def neverallowed(self, source: str, target: str, tclass: str, perm: str) -> Optional[str]:
        if self._neverallows is None:
            return None
        return self._neverallows.find(*self._pair(source, target), tclass, perm)

    def forbidden(self, asked: Rectangle, new: Mapping[str, tuple[str, ...]]) -> tuple[Forbidden, ...]:
        return () if self._neverallows is None else forbidding.forbidden(self._neverallows, self._rules, asked, new)

    def exempted(self, type_: str, attribute: str, joined: frozenset[str]) -> tuple[str, ...]:
        if self._neverallows is None:
            return ()
        return forbidding.exempted(self._neverallows, self._rules, type_, attribute, joined)

    @property
    def knows_neverallows(self) -> bool:
        return self._neverallows is not None

    def module_priorities(self, name: str) -> tuple[int, ...]:
        return () if self.files.store is None else module_priorities(self.files.store, name)

    def port_label(self, port: Port) -> Optional[PortLabel]:
        return self._rules.facts.ports.label(port)

    def port_entries(self, type_: str) -> tuple[tuple[str, int, int], ...]:
        return self._rules.facts.ports.of_type(self._rules.facts.canonical(type_))

    def file_label(self, path: str, tclass: str) -> Optional[Context]:
        found = None if self._labels is None else self._labels.label(path, tclass)
        return None if found is None else found._replace(type=self._rules.facts.canonical(found.type))

    def file_entry(self, path: str, tclass: str) -> Optional[FileEntry]:
        return None if self._labels is None else self._labels.entry(path, tclass)

    def file_entries(self) -> tuple[ListedLabel, ...]:
        return () if self._labels is None else self._labels.entries()

    def spoken_of(self, path: str) -> str:
        return path if self._labels is None else self._labels.spoken_of(path)

    def with_contexts(self, contexts: tuple[FileContext, ...], local: tuple[FileContext, ...] = ()) -> TargetPolicy:
        if self._labels is None:
            return self
        return replace(self, _labels=self._labels.with_entries(contexts, local, self._info.mls))

    @property
    def has_file_contexts(self) -> bool:
        return self._labels is not None

    def is_customizable(self, type_: str) -> bool:
        return self._rules.facts.canonical(type_) in self._customizable

    def entrypoint_domains(self, type_: str) -> frozenset[str]:
        return domains.entrypoint_domains(self._rules, self._rules.facts.canonical(type_))

    def is_domain(self, type_: str) -> bool:
        return domains.is_domain(self._rules, self._rules.facts.canonical(type_))

    def is_container_domain(self, type_: str) -> bool:
        real = self._rules.facts.canonical(type_)
        return domains.is_container_domain(self._rules, self._stand_ins.get(real, real))

    def container_file_type(self) -> Optional[str]:
        return domains.container_file_type(self._rules)

    def shared_because(self, type_: str) -> Optional[str]:
        real = self._rules.facts.canonical(type_)
        reason = domains.shared_because(self._rules, real)
        if reason == domains.EVERY_CONTAINER and self._is_of_own_module(real):
            return None
        return reason

    def _is_of_own_module(self, type_: str) -> bool:
        """A domain ``NAME_t`` of a module NAME that is not the distribution's: made for one workload."""
        priorities = self.module_priorities(type_[:-2]) if type_.endswith("_t") else ()
        return bool(priorities) and DISTRIBUTION not in priorities

    def refused_as_base(self, type_: str) -> Optional[str]:
        return domains.refused_as_base(self._rules, self._rules.facts.canonical(type_))

    def with_domain(self, name: str, like: Optional[str]) -> TargetPolicy:
        rules = self._rules
        stand_ins = dict(self._stand_ins) if like is None else {**self._stand_ins, name: like}
        if self.type_name(name) is not None:
            return replace(self, _stand_ins=stand_ins)
        attributes = frozenset(("domain",)) & rules.facts.types.keys()
        added = Rules(rules.facts.with_type(name, attributes), rules.index, rules.state, rules.truths)
        return replace(self, _rules=added, _stand_ins=stand_ins)

    def own_domain(self, own: str, like: str, inherits: bool) -> Inheritance:
        return own_domain(self.files, self._info, self._rules, own, self._rules.facts.canonical(like), inherits)

    def _pair(self, source: str, target: str) -> tuple[str, str]:
        return self._rules.facts.canonical(source), self._rules.facts.canonical(target)


def rules_of(policy: TargetPolicy) -> Rules:
    """The rules of a loaded policy, for this room."""
    assert isinstance(policy, LoadedPolicy), "only a policy that was read has rules"
    return policy.rules


def load(files: PolicyFiles, to_cache: bool = True) -> LoadedPolicy:
    """Load a binary policy: about a second for a distribution's, a tenth of that where the cache has it.

    ``to_cache`` false: a policy that nobody will load again is not kept.
    Raises SourceError for a file that can't be read or is no policy, MissingDependency without setools.
    """
    sha256 = digest_of(files.policy)
    contents, certain = _contents(files.policy, sha256, to_cache)
    return loaded(files, sha256, contents, certain)


def loaded(files: PolicyFiles, sha256: str, contents: Contents, certain: bool) -> LoadedPolicy:
    """A policy with this digest whose contents were read. ``certain``: they are sure to be of the digest and meant
    to be kept, so that what is worked out from them may be kept under it."""
    facts, index = contents.facts, contents.index
    rules = Rules(facts, index, facts.booleans, index.truths(facts.booleans))
    info = PolicyInfo(str(files.policy), sha256, contents.version, contents.mls, contents.handle_unknown)
    customizable = read_customizable(files.file_contexts)
    return LoadedPolicy(
        files=files,
        _info=info,
        _rules=rules,
        _labels=None if files.file_contexts is None else FileLabels(files.file_contexts),
        _customizable=frozenset(facts.canonical(type_) for type_ in customizable),
        _neverallows=None if files.store is None else Neverallows(files.store, facts, sha256 if certain else None),
        _names={},
        _grants={},
        _refusals={},
        _transitions=Transitions(files.policy),
    )


def _contents(path: Path, sha256: str, to_cache: bool) -> tuple[Contents, bool]:
    """The contents of a policy, from the cache where it has them; and whether they are certain to be those of the
    policy with this digest and meant to be kept, so that what is worked out from them may be kept under it too.
    """
    key = entry_key(sha256)
    kept = None if key is None else fetch(key)
    if kept is not None:
        with suppress(ValueError):  # what isn't the contents of a policy is replaced below
            return unpack(kept), to_cache
    contents = read_contents(path)
    certain = to_cache and digest_of(path) == sha256  # it may have been installed anew while it was read
    if certain and key is not None:
        keep(key, pack(contents))
    return contents, certain


def digest_of(path: Path) -> str:
    """The SHA-256 of a policy file. Raises SourceError for one that can't be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
