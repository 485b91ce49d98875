"""The version that a module needs after the one that was released, from what it grants and not from what it says.

Patch: nothing is more permissive. Minor: more, within the module's own domain and types. Major: grants to or from types
of others, attributes that exempt from a rule, risks that the catalogue calls high (docs/versions.md has the table).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Optional

from polkit.bundle.claims import Claims, Grant, read_claims
from polkit.bundle.manifest import target_entry
from polkit.bundle.optional_modules import PLACE
from polkit.bundle.project import Project
from polkit.bundle.released import Released, Side, released_module, side_of
from polkit.bundle.steps import Demand, Reason, Step, demand
from polkit.bundle.targets import TargetBuild, policy_of
from polkit.bundle.versions_hosts import Host, host_reasons
from polkit.bundle.words import joined
from polkit.errors import CompileError
from polkit.minimize import Progress
from polkit.model import PolicyInfo
from polkit.policy import (
    STRUCTURAL,
    AccessChange,
    DoesNotLink,
    Heir,
    ModuleFile,
    Succession,
    TargetPolicy,
    XpermChange,
    assess,
    load_policy,
    locate,
    succession,
)

_SILENT = ("dontaudit", "auditallow")
_TIGHTENING = ("constrain", "mlsconstrain", "validatetrans", "mlsvalidatetrans", "typebounds")
"""Statements that only ever refuse: more permissive is one that is gone."""
_AMONG_OWN = ("type_transition", "type_change", "type_member", "range_transition", "typealias")
"""Statements that stay within the module where they name its own types alone."""
_DOMAIN = "domain"


def needed_step(
    project: Project,
    builds: tuple[TargetBuild, ...],
    files: Mapping[str, bytes],
    released: Released,
    progress: Optional[Progress] = None,
) -> Demand:
    """What the version of a project has to be after ``released``. ``files``: those of the new bundle.

    Modules that changed are built into their targets' policies in both versions: some seconds for each. Raises what
    ``succession`` raises for a new module, SourceError for a released one that is no module.
    """
    compared = _Compared(project, released, progress)
    reasons = [reason for build in builds for reason in compared.target(build)]
    gone = sorted(released.targets.keys() - {build.name for build in builds})
    reasons += [Reason(Step.PATCH, name, "no target any more") for name in gone]
    reasons += _optional(project, files, released)
    if not any(build.info is not None for build in builds):
        reasons += _by_source(project.name, files, released)
    return demand(released.version, reasons)


@dataclass
class _Compared:
    project: Project
    released: Released
    progress: Optional[Progress]
    known: dict[tuple[object, ...], Succession] = field(default_factory=dict)
    """By policy and modules: targets that share them share the builds."""

    def target(self, build: TargetBuild) -> Iterator[Reason]:
        """What changed on one target."""
        if build.info is None:
            return
        old = self.released.targets.get(build.name)
        if old is None:
            yield Reason(Step.MINOR, build.name, "a target that the version before did not have")
            return
        new = _new_side(self.project, build)
        named = policy_of(self.project, self.project.config.targets[build.name])
        assert named is not None
        before, after = released_module(self.released, old), self._module(build)
        claims = [read_claims(one.cil) for one in (*before, *after)]
        own = frozenset(type_ for one in claims for type_ in one.types)
        policy = load_policy(*named)
        bases = (base for base in self.project.config.minimize.bases if policy.type_name(base) is not None)
        yield from host_reasons(Host(build.name, policy, own, new.base or next(bases, "")), old, new)
        if _statements(before) != _statements(after):
            yield from self._rules(build.name, named, build.info, policy, before, after, own, _heir(old, new))

    def _rules(
        self,
        target: str,
        named: tuple[str, Optional[str]],
        info: PolicyInfo,
        policy: TargetPolicy,
        before: tuple[ModuleFile, ...],
        after: tuple[ModuleFile, ...],
        own: frozenset[str],
        heir: Optional[Heir],
    ) -> Iterator[Reason]:
        key = (named, *map(_statements, (before, after)), heir)
        if key not in self.known:
            if self.progress is not None:
                self.progress.phase(f"comparing with version {self.released.version} on {target}")
            files = locate(*named)
            try:
                self.known[key] = succession(files, info, before, after, own, heir)
            except DoesNotLink as error:
                if not error.older:
                    raise
                # It can't be installed there any more, so all that the new one grants is new.
                self.known[key] = succession(files, info, (), after, own, None)
        yield from _reasons(target, self.known[key], own, policy)
        yield from _declared_reasons(target, before, after, own, self.known[key])

    def _module(self, build: TargetBuild) -> tuple[ModuleFile, ...]:
        if build.package is None:
            return ()
        return (ModuleFile(self.project.name, build.suffix, build.package, build.cil),)


def _new_side(project: Project, build: TargetBuild) -> Side:
    try:
        return side_of(target_entry(project, build))
    except (ValueError, re.error) as error:
        raise CompileError(f"target {build.name}: its file contexts are not read: {error}") from error


def _statements(modules: Iterable[ModuleFile]) -> tuple[str, ...]:
    """What modules say, without comments."""
    return tuple(line for one in modules for line in one.cil.splitlines() if not line.startswith(";"))


def _heir(old: Side, new: Side) -> Optional[Heir]:
    """The own domain that both versions have, from the same base."""
    if new.domain is None or new.base is None or (old.domain, old.base) != (new.domain, new.base):
        return None
    return Heir(new.domain, new.base, True)


def _reasons(target: str, found: Succession, own: frozenset[str], policy: TargetPolicy) -> Iterator[Reason]:
    """What of a comparison asks for which step."""
    for access in found.gained:
        yield _access_reason(target, access, _step_of(access, own), policy)
    for access in found.inherited:
        yield _access_reason(target, access, Step.MINOR, policy)
    for access in found.lost:
        yield Reason(Step.PATCH, target, f"no longer: {_in_words(access)}")
    for commands in found.commands:
        yield Reason(_step_of(commands, own), target, commands.text)
    for commands in found.lost_commands:
        yield Reason(Step.PATCH, target, f"no longer: {commands.text}")
    for type_, attribute in found.joined:
        yield _joined_reason(target, type_, attribute, own, found)
    for type_, attribute in found.left:
        step = Step.PATCH if type_ in own else Step.MAJOR
        yield Reason(step, target, f"{type_} is no longer in attribute {attribute}")
    for type_, constraint in found.weaker:
        text = f"a constraint on {constraint.tclass} that refused {type_} does not any more: {constraint.text}"
        yield Reason(Step.MAJOR, target, text)
    yield from _statement_reasons(target, found, own)


def _step_of(change: AccessChange | XpermChange, own: frozenset[str]) -> Step:
    return Step.MINOR if {change.source, change.target} <= own else Step.MAJOR


def _access_reason(target: str, access: AccessChange, step: Step, policy: TargetPolicy) -> Reason:
    risks = (assess(*access[:3], perm, policy) for perm in access.perms)
    grave = next((risk for risk in risks if risk is not None and risk.severity == "high"), None)
    if grave is not None:
        return Reason(Step.MAJOR, target, f"{_in_words(access)} (high risk: {grave.what})")
    return Reason(step, target, _in_words(access))


def _in_words(access: AccessChange) -> str:
    condition = f", while {access.condition}" if access.condition else ""
    perms = joined(access.perms)
    return f"allow {access.source} {access.target}:{access.tclass} {{ {perms} }}{condition}"


def _joined_reason(target: str, type_: str, attribute: str, own: frozenset[str], found: Succession) -> Reason:
    """A type of both versions that is in one more attribute: what rules give it for that stands among the accesses."""
    text = f"{type_} is in attribute {attribute}"
    if type_ not in own:
        return Reason(Step.MAJOR, target, f"{text}, a type of others")
    if found.exempting is None:
        return Reason(Step.MAJOR, target, f"{text}; no module store tells what it is exempt from")
    exempt = attribute in found.exempting and attribute != _DOMAIN
    return (
        Reason(Step.MAJOR, target, f"{text}, which a neverallow rule exempts")
        if exempt
        else Reason(Step.MINOR, target, text)
    )


def _statement_reasons(target: str, found: Succession, own: frozenset[str]) -> Iterator[Reason]:
    booleans = [{one.split()[1] for one in texts if one.startswith("bool ")} for texts in (found.removed, found.added)]
    flipped = booleans[0] & booleans[1]
    for is_new, statements in ((True, found.added), (False, found.removed)):
        for text in statements:
            step = _statement_step(text, is_new, found.named(text) <= own, flipped)
            if step is not None:
                yield Reason(step, target, text if is_new else f"no longer: {text}")


def _statement_step(text: str, is_new: bool, among_own: bool, flipped: set[str]) -> Optional[Step]:
    """The step for a statement that came or went; None for one that allows and refuses nothing."""
    words = text.split()
    kind = words[0]
    if kind in _SILENT or (kind == "role" and words[1] == "object_r"):
        return None
    if kind == "bool":
        return Step.MAJOR if words[1] in flipped else Step.MINOR if is_new else Step.PATCH
    if kind in _TIGHTENING:
        return Step.PATCH if is_new else Step.MAJOR
    if kind in ("role", "permissive") and not is_new:
        return Step.PATCH
    return Step.MINOR if kind in _AMONG_OWN and among_own else Step.MAJOR


def _declared_reasons(
    target: str,
    before: tuple[ModuleFile, ...],
    after: tuple[ModuleFile, ...],
    own: frozenset[str],
    found: Succession,
) -> Iterator[Reason]:
    """Types that the module did not declare before, and attributes that its types join beyond those of their kind."""
    old, new = ([read_claims(one.cil) for one in side] for side in (before, after))
    known = {type_ for one in old for type_ in one.types}
    joins = {join for one in old for join in one.joins}
    for claims in new:
        for type_ in sorted(claims.types - known):
            yield Reason(Step.MINOR, target, f"type {type_} is new")
        for attribute, type_ in sorted(claims.joins - joins):
            # A binary policy has lost the attributes that only neverallow rules name.
            if type_ in known or attribute not in STRUCTURAL:
                yield _joined_reason(target, type_, attribute, own, found)
    for type_ in sorted(known - {type_ for claims in new for type_ in claims.types}):
        yield Reason(Step.PATCH, target, f"type {type_} is gone")


def _by_source(name: str, files: Mapping[str, bytes], released: Released) -> Iterator[Reason]:
    """Without a policy, the modules' own words are compared."""
    path = f"source/{name}.cil"
    yield from by_claims("source", _claims_at(path, released.files), _claims_at(path, files))


def _optional(project: Project, files: Mapping[str, bytes], released: Released) -> Iterator[Reason]:
    """Modules that whoever wants them adds, compared by their words."""
    path = f"source/{project.name}.cil"
    own = {type_ for side in (released.files, files) for type_ in _claims_at(path, side).types}
    for place in sorted(one for one in released.files.keys() | files.keys() if one.startswith(f"{PLACE}/")):
        yield from by_claims(place, _claims_at(place, released.files), _claims_at(place, files), own)


def _claims_at(path: str, files: Mapping[str, bytes]) -> Claims:
    return read_claims(files.get(path, b"").decode("utf-8", "replace"))


def by_claims(target: str, old: Claims, new: Claims, others: Iterable[str] = ()) -> Iterator[Reason]:
    """What two versions of a module say, compared by their words: names are not expanded, and a rule that another
    covers counts as one. ``others``: further types that are the module's own."""
    own = {*old.types, *new.types, *others}
    for grant in sorted(new.grants - old.grants):
        if grant.kind == "allow":
            yield Reason(_step_of_grant(grant, own), target, _grant_in_words(grant))
    for grant in sorted(old.grants ^ new.grants):
        if grant.kind == "allowx":  # one that goes opens what it closed
            yield Reason(_step_of_grant(grant, own), target, f"changed: {_grant_in_words(grant)}")
    for attribute, type_ in sorted(new.joins - old.joins):
        yield Reason(Step.MAJOR, target, f"{type_} is in attribute {attribute}")
    for attribute, type_ in sorted(old.joins - new.joins):
        yield Reason(Step.MAJOR, target, f"{type_} is no longer in attribute {attribute}")
    for type_ in sorted(new.types - old.types):
        yield Reason(Step.MINOR, target, f"type {type_} is new")
    for text in sorted(new.others ^ old.others):
        tighter = text.startswith(("(constrain ", "(mlsconstrain "))
        step = Step.PATCH if tighter and text in new.others else Step.MAJOR
        yield Reason(step, target, text if text in new.others else f"no longer: {text}")


def _step_of_grant(grant: Grant, own: set[str]) -> Step:
    return Step.MINOR if grant.source in own and grant.target in {*own, "self"} else Step.MAJOR


def _grant_in_words(grant: Grant) -> str:
    condition = f", while {grant.condition}" if grant.condition else ""
    return f"{grant.kind} {grant.source} {grant.target}:{grant.tclass} {grant.perm}{condition}"
