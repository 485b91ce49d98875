"""``polkit diff``: which of two allows more, a witness for it, and what changed, grouped by what it means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Callable, NamedTuple, Optional, Union

from polkit.bundle import as_file_contexts, read_claims
from polkit.errors import UsageError
from polkit.policy import (
    AccessChange,
    Between,
    DomainStep,
    Risk,
    TargetPolicy,
    WrittenChange,
    XpermChange,
    assess,
    between,
    both_built,
    domain_steps,
    load_policy,
    locate,
    mirrored,
    sensitive_types,
    with_labels_of,
)
from polkit.review.differences.meaning import Relation, relation_of
from polkit.review.differences.relabels import Relabel, relabels
from polkit.review.materials.inputs import Compared, is_policy, read_module, read_policy

EXISTING, DOMAIN, TYPE = "existing-types", "new-domain", "new-type"
GROUPS = (EXISTING, DOMAIN, TYPE)
"""What an access is between: types that both have; from a type that one alone has; onto one that one alone has."""
Phase = Callable[[str], None]
_GRAVITY = ("high", "medium", "low")


class Entry(NamedTuple):
    """Accesses from one type to another that one of the two allows: permissions, and what gives them as it is written
    (types or attributes). ``risk``: the gravest of the catalogue, of permission ``risky``."""

    group: str
    source: str
    target: str
    tclass: str
    perms: tuple[str, ...]
    condition: str
    written_source: str
    written_target: str
    risk: Optional[Risk]
    risky: str


class Witness(NamedTuple):
    """One thing that the new one (``way`` is more) or the old one (less) allows and the other doesn't: an access where
    there is one, then ``perm`` of ``entry``; else ``text`` alone says it."""

    way: str
    text: str
    entry: Optional[Entry] = None
    perm: str = ""


class Group(NamedTuple):
    """Entries that one rule gives: ``accesses`` in all, ``sensitive`` the targets that matter most, ``risk`` the
    gravest. ``expanded``: the rule names an attribute."""

    source: str
    target: str
    tclass: str
    perms: tuple[str, ...]
    condition: str
    accesses: int
    sources: int
    targets: int
    sensitive: tuple[str, ...]
    risk: Optional[Risk]
    expanded: bool


@dataclass(frozen=True)
class Difference:
    """``verdict``: equivalent, less-permissive, more-permissive (B allows more) or incomparable. ``build``: store or
    binary, how modules were put onto ``policy``; whole where none was. ``counter`` is the witness of the other way, of
    two that are incomparable. ``relation`` names what decided. ``commands`` are those on extended permissions;
    ``labels`` is None where one of the two has no file contexts."""

    a: Compared
    b: Compared
    policy: Optional[str]
    build: str
    verdict: str
    witness: Optional[Witness]
    counter: Optional[Witness]
    relation: Relation
    added: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    commands_added: tuple[XpermChange, ...]
    commands_removed: tuple[XpermChange, ...]
    labels: Optional[tuple[Relabel, ...]]
    found: Between

    @cached_property
    def transitions(self) -> tuple[tuple[DomainStep, ...], tuple[DomainStep, ...]]:
        """The changes of domain that B alone allows in one step, and those that A alone does. Their parts are among the
        rules, so that they decide nothing themselves."""
        return domain_steps(self.found), domain_steps(mirrored(self.found))


def diff(
    a: Union[str, Path],
    b: Union[str, Path],
    policy: Optional[str] = None,
    store: Optional[str] = None,
    target: Optional[str] = None,
    phase: Phase = lambda text: None,
    headers: Optional[Path] = None,
) -> Difference:
    """Compare two modules, bundles or policies. ``policy`` and ``store`` name what modules are put onto, ``target``
    which target of a bundle counts. ``phase`` is told what takes a while. ``headers``: a directory of the
    interfaces that sources call, instead of the policy's or this host's.

    Modules are built into copies of the policy; nothing is installed. Raises UsageError without a policy where one is
    needed, SourceError for what can't be read, CompileError for a module that does not compile or link,
    MissingDependency without the tools, PolkitError where the two differ in too much to be compared.
    """
    named = (str(a), str(b))
    whole = [is_policy(spec) for spec in named]
    if all(whole):
        one, other = map(read_policy, named)
        phase("comparing the policies")
        assert one.files is not None and other.files is not None
        return concluded(one, other, None, "whole", between(one.files, other.files))
    if policy in (None, "none"):
        raise UsageError("modules are compared on a policy", "name it with --policy: a binary policy, a root, or auto")
    assert policy is not None
    phase("loading the policy")
    info = load_policy(policy, store).info
    assert info is not None  # --policy none was refused
    files = locate(policy, store)
    roots = (*((files.root,) if files.root is not None else ()), Path("/"))
    one, other = (
        read_policy(spec) if is_whole else read_module(spec, info.mls, target, roots, headers)
        for spec, is_whole in zip(named, whole)
    )
    build = "binary" if files.store is None else "store"
    phase("building the policy with either")
    with both_built(files, info, one.modules, other.modules) as built:
        phase("comparing the policies")
        chosen = tuple(side.files or made for side, made in zip((one, other), built))
        found = between(chosen[0], chosen[1], (not whole[0], not whole[1]))
    if build == "binary":
        found = with_labels_of(found, files.file_contexts, _labels_of(one), _labels_of(other))
    return concluded(one, other, str(files.policy), build, found)


def _labels_of(side: Compared) -> list[str]:
    """The entries of file contexts that its modules set."""
    return [line for one in side.modules for line in as_file_contexts(read_claims(one.cil).contexts).splitlines()]


def concluded(a: Compared, b: Compared, policy: Optional[str], build: str, found: Between) -> Difference:
    """The difference for what was found between the policies of two sides; the fields are those of ``Difference``."""
    added = tuple(_entries(found.gained, found.old))
    removed = tuple(_entries(found.lost, found.new))
    labels = relabels(found)
    relation = relation_of(found, a, b, labels or ())
    more, less = _witness("more", added, relation.more), _witness("less", removed, relation.less)
    verdict = {
        (False, False): "equivalent",
        (True, False): "more-permissive",
        (False, True): "less-permissive",
        (True, True): "incomparable",
    }[more is not None, less is not None]
    return Difference(
        a=a,
        b=b,
        policy=policy,
        build=build,
        verdict=verdict,
        witness=more or less,
        counter=less if more is not None else None,
        relation=relation,
        added=added,
        removed=removed,
        commands_added=found.rules.gained_xperms,
        commands_removed=found.rules.lost_xperms,
        labels=labels,
        found=found,
    )


def _entries(changes: Iterable[WrittenChange], without: TargetPolicy) -> Iterator[Entry]:
    """The accesses that the policy ``without`` doesn't allow, with what each is between and its risk there."""
    for change, source, target in changes:
        known = [without.type_name(one) == one for one in change[:2]]
        group = EXISTING if all(known) else TYPE if known[0] else DOMAIN
        risk, perm = _gravest(change, without)
        yield Entry(group, *change[:3], change.perms, change.condition, source, target, risk, perm)


def narrowed(entry: Entry, perms: tuple[str, ...], without: TargetPolicy) -> Entry:
    """The same entry for some of its permissions."""
    if perms == entry.perms:
        return entry
    risk, perm = _gravest(AccessChange(*entry[1:4], entry.condition, perms), without)
    return entry._replace(perms=perms, risk=risk, risky=perm)


def _gravest(change: AccessChange, policy: TargetPolicy) -> tuple[Optional[Risk], str]:
    found = [(assess(*change[:3], perm, policy), perm) for perm in change.perms]
    risks = [(risk, perm) for risk, perm in found if risk is not None]
    return min(risks, key=lambda pair: _GRAVITY.index(pair[0].severity)) if risks else (None, "")


def _weight(entry: Entry) -> tuple[int, int, bool, tuple[str, ...]]:
    """The gravest first, then those between types that both have, then those that are allowed always."""
    gravity = len(_GRAVITY) if entry.risk is None else _GRAVITY.index(entry.risk.severity)
    return gravity, GROUPS.index(entry.group), bool(entry.condition), (*entry[1:4], entry.condition, *entry.perms)


def _witness(way: str, entries: tuple[Entry, ...], reasons: tuple[str, ...]) -> Optional[Witness]:
    """An access where there is one, else the first reason."""
    entry = min(entries, key=_weight, default=None)
    if entry is None:
        return Witness(way, reasons[0]) if reasons else None
    perm = entry.risky or entry.perms[0]
    condition = f" while {entry.condition}" if entry.condition else ""
    return Witness(way, f"allow {entry.source} {entry.target}:{entry.tclass} {perm}{condition}", entry, perm)


def grouped(entries: Iterable[Entry], group: str) -> tuple[Group, ...]:
    """The entries of one of GROUPS, those that one rule gives together; the gravest first."""
    found: dict[tuple[str, str, str, str], list[Entry]] = {}
    for entry in entries:
        if entry.group == group:
            key = (entry.written_source, entry.written_target, entry.tclass, entry.condition)
            found.setdefault(key, []).append(entry)
    return tuple(_group(key, found[key]) for key in sorted(found, key=lambda key: min(map(_weight, found[key]))))


def _group(key: tuple[str, str, str, str], entries: list[Entry]) -> Group:
    gravest = min(entries, key=_weight)
    targets = {entry.target for entry in entries}
    risky = [entry.target for entry in sorted(entries, key=_weight) if entry.risk is not None]
    named = dict.fromkeys([*risky, *(type_ for type_ in sensitive_types() if type_ in targets)])
    return Group(
        *key[:3],
        tuple(sorted({perm for entry in entries for perm in entry.perms})),
        key[3],
        sum(len(entry.perms) for entry in entries),
        len({entry.source for entry in entries}),
        len(targets),
        tuple(named)[:4],
        gravest.risk,
        any(entry[1:3] != key[:2] for entry in entries),
    )
