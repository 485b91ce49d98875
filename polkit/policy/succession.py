"""Two versions of a module on one policy: what the newer one gives that the older one doesn't.

Both are built into copies of the policy, and the two results compared, so that what an attribute, a condition or a rule
on extended permissions comes to is counted, and not how it was written.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from polkit.model import PolicyInfo
from polkit.module import fast_place, run_tools
from polkit.policy.builds import SECONDS, ModuleFile, binary_build, demand, store_build
from polkit.policy.difference import AccessChange, RuleDifference, XpermChange, compare_rules
from polkit.policy.heir import Heir, Heirlooms
from polkit.policy.index import gather, gather_lists
from polkit.policy.interface import Weaker
from polkit.policy.locate import PolicyFiles
from polkit.policy.parity import weaker
from polkit.policy.rules import Rules
from polkit.policy.statements import read_statements
from polkit.policy.target import load
from polkit.policy.violations import exempting_attributes
from polkit.policy.whatif import binary_commands, write_as_cil

STRUCTURAL = frozenset(("file_type", "device_node", "port_type"))
"""Attributes that a new type of a file, a device node or a port joins to exist."""
_WORD = re.compile(r"[^\s:;{}(),\"]+")


@dataclass(frozen=True)
class Succession:
    """What the policy with the newer modules gives more (``gained``, ``commands``, ``added``) and less than the one
    with the older.

    Apart from ``gained``: ``inherited``, which the base of the modules' own domain has too, and ``structural``, which
    types that are new get from rules of the policy on the attributes they join to exist. ``added`` and ``removed`` are
    statements that are no access vector rules, inherited ones left out. ``joined`` and ``left`` are (type, attribute)
    of types that both have; ``weaker`` the constraints that refuse a type with the older modules and not with the
    newer. ``exempting``: attributes that a neverallow rule leaves out; None where the policy has no module store to
    tell. ``names``: every type and attribute of either policy.
    """

    gained: tuple[AccessChange, ...]
    inherited: tuple[AccessChange, ...]
    structural: tuple[AccessChange, ...]
    lost: tuple[AccessChange, ...]
    commands: tuple[XpermChange, ...]
    lost_commands: tuple[XpermChange, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    joined: tuple[tuple[str, str], ...]
    left: tuple[tuple[str, str], ...]
    weaker: tuple[tuple[str, Weaker], ...]
    exempting: Optional[frozenset[str]]
    names: frozenset[str]

    def named(self, statement: str) -> frozenset[str]:
        """The types and attributes that a statement names."""
        return self.names.intersection(_WORD.findall(statement))


def succession(
    files: PolicyFiles,
    info: PolicyInfo,
    older: tuple[ModuleFile, ...],
    newer: tuple[ModuleFile, ...],
    own: frozenset[str],
    heir: Optional[Heir] = None,
) -> Succession:
    """Compare a policy with the older modules and with the newer ones; either may be none. ``own`` are the types that
    the modules declare; ``heir``: their own domain, where both have it from the same base.

    Some seconds for a distribution's policy. Raises CompileError for modules that don't link, SourceError,
    MissingDependency without the tools, PolkitError where the two differ in more than can be compared.
    """
    with both_built(files, info, older, newer) as (before_files, after_files):
        before, after = (load(one, to_cache=False) for one in (before_files, after_files))
        old, new = before.rules, after.rules
        statements = read_statements(before_files.policy), read_statements(after_files.policy)
        found = compare_rules(old, new)
        heir = heir if heir is not None and {heir.own, heir.base} <= new.facts.attributes.keys() else None
        heirlooms = None if heir is None else Heirlooms(heir, old, new, statements[0])
        exempting = None if after.neverallows is None else frozenset(exempting_attributes(after.neverallows))
        return _sorted_out(found, old, new, statements, own, heirlooms, exempting)


def _sorted_out(
    found: RuleDifference,
    old: Rules,
    new: Rules,
    statements: tuple[frozenset[str], frozenset[str]],
    own: frozenset[str],
    heirlooms: Optional[Heirlooms],
    exempting: Optional[frozenset[str]],
) -> Succession:
    parts: dict[str, list[AccessChange]] = {"gained": [], "inherited": [], "structural": []}
    for change in found.gained:
        given = structural_part(change, old, new, own)
        handed_down = frozenset[str]() if heirlooms is None else heirlooms.inherited(change, frozenset())
        for part, perms in (
            ("inherited", handed_down),
            ("structural", given - handed_down),
            ("gained", set(change.perms) - given - handed_down),
        ):
            if perms:
                parts[part].append(change._replace(perms=tuple(sorted(perms))))
    aside = {(*one[:3], perm) for part in ("inherited", "structural") for one in parts[part] for perm in one.perms}
    before, after = statements
    added = (one for one in after - before if heirlooms is None or not heirlooms.has_statement(one))
    return Succession(
        gained=tuple(parts["gained"]),
        inherited=tuple(parts["inherited"]),
        structural=tuple(parts["structural"]),
        lost=found.lost,
        commands=tuple(one for one in found.gained_xperms if one[:4] not in aside),
        lost_commands=found.lost_xperms,
        added=tuple(sorted(added)),
        removed=tuple(sorted(before - after)),
        joined=found.joined,
        left=found.left,
        weaker=_weaker(old, new, own | {type_ for type_, _ in (*found.joined, *found.left)}),
        exempting=exempting,
        names=frozenset((*old.facts.sides, *new.facts.sides, *old.facts.types, *new.facts.types)),
    )


def structural_part(change: AccessChange, old: Rules, new: Rules, own: frozenset[str]) -> frozenset[str]:
    """What rules of the policy give others on a new type of the module, for the attributes it joins to exist."""
    if change.target not in own or change.source in own or change.target in old.facts.attributes:
        return frozenset()
    sources, targets = new.facts.sides[change.source], new.facts.attributes[change.target] & STRUCTURAL
    mask = gather(old.index.allow, change.tclass, sources, targets)
    for rule in gather_lists(old.index.allow_if, change.tclass, sources, targets):
        mask |= rule.mask
    return old.index.perms(change.tclass, mask).intersection(change.perms)


def _weaker(old: Rules, new: Rules, types: Iterable[str]) -> tuple[tuple[str, Weaker], ...]:
    """Constraints of the old policy that a type of both comes past for its attributes in the new one."""
    return tuple(
        (type_, one)
        for type_ in sorted(types)
        if type_ in old.facts.sides and type_ in new.facts.sides and old.facts.sides[type_] != new.facts.sides[type_]
        for one in weaker(old, type_, new.facts.sides[type_])
    )


@contextmanager
def both_built(
    files: PolicyFiles, info: PolicyInfo, older: tuple[ModuleFile, ...], newer: tuple[ModuleFile, ...]
) -> Iterator[tuple[PolicyFiles, PolicyFiles]]:
    """The policy with either, built side by side; gone after the block. Raises as ``succession``."""
    sides = (("older", older), ("newer", newer))
    with tempfile.TemporaryDirectory(prefix="polkit-versions-", dir=fast_place()) as scratch:
        place = Path(scratch)
        if files.store is None:
            levels, common = binary_commands(info)
            write_as_cil(files, levels, place)
            builds = [binary_build(files, common, modules, place, word) for word, modules in sides]
        else:
            names = {one.name for one in (*older, *newer)}
            builds = [
                store_build(files.store, files.file_contexts, names, modules, place / word) for word, modules in sides
            ]
        runs = run_tools([(one.command, one.work) for one in builds], SECONDS)
        for run, (word, modules) in zip(runs, sides):
            demand(run, modules, files.store or files.policy, word == "older")
        yield builds[0].files(), builds[1].files()
