"""All that differs between two whole policies: rules, statements, types, memberships, defaults of booleans, constraints
that a type comes past, labels; and for each rule that changed, the one in the policy's own words that gives it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.errors import SourceError
from polkit.policy.both import load_both
from polkit.policy.difference import AccessChange, RuleDifference, compare_rules
from polkit.policy.grants import newly_given
from polkit.policy.interface import TargetPolicy, Weaker
from polkit.policy.label_files import LabelLine, lines_in_order
from polkit.policy.locate import PolicyFiles
from polkit.policy.parity import weaker
from polkit.policy.rules import Rules
from polkit.policy.target import LoadedPolicy

_GENERATED = re.compile(r"\w+_typeattr_\d+\Z")
"""What the CIL compiler calls an expression of types (libsepol ``module_to_cil.c``, ``cil_post.c``): the number is
another with every build."""
_WORD = re.compile(r"[^\s:;{}(),\"~]+")
_REROUTING = re.compile(r"(?:type|range)_(?:transition|change|member)\b")
_SHOWN_MEMBERS = 4


class WrittenChange(NamedTuple):
    """A change, and the source and target of the rule that gives it, as written: types or attributes."""

    change: AccessChange
    source: str
    target: str


class DefaultChange(NamedTuple):
    """A boolean whose default changed: how many accesses are in force for it alone, and were."""

    name: str
    was: bool
    more: int
    less: int


@dataclass(frozen=True)
class Between:
    """What the new policy has and the old one lacks (gained, added, joined, weaker), and the other way round.

    ``gained`` and ``lost`` are those of ``rules``, split by the rules that give them. ``added`` and ``removed`` are
    statements that are no access vector rules. ``joined`` and ``left``: (type, attribute) that both policies have.
    ``rerouted``: those of them whose attribute type transitions name.
    ``weaker``: (type, constraint) of the old policy that refused the type and does not for its attributes in the new
    one; ``stricter`` the other way round. Labels are None where one of the two has no file contexts.
    """

    old: TargetPolicy
    new: TargetPolicy
    rules: RuleDifference
    gained: tuple[WrittenChange, ...]
    lost: tuple[WrittenChange, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    types_added: tuple[str, ...]
    types_removed: tuple[str, ...]
    joined: tuple[tuple[str, str], ...]
    left: tuple[tuple[str, str], ...]
    rerouted: tuple[tuple[str, str], ...]
    defaults: tuple[DefaultChange, ...]
    weaker: tuple[tuple[str, Weaker], ...]
    stricter: tuple[tuple[str, Weaker], ...]
    labels_added: Optional[tuple[str, ...]]
    labels_removed: Optional[tuple[str, ...]]
    process_transitions: tuple[frozenset[str], frozenset[str]]
    """The type_transition statements for processes, of the old policy and of the new one."""
    label_lines: Optional[tuple[tuple[LabelLine, ...], tuple[LabelLine, ...]]] = None
    """All entries of both's file contexts, of which the last that matches a path decides; where any differ."""


def between(old_files: PolicyFiles, new_files: PolicyFiles, built: tuple[bool, bool] = (False, False)) -> Between:
    """Compare two policies whole; seconds for a distribution's. ``built``: which of the two were built just now, so
    that their labels lie in their module stores.

    Raises SourceError, MissingDependency without setools, PolkitError where they differ in too much to be compared.
    """
    before, after = load_both((old_files, new_files), built)
    statements = before.statements, after.statements
    return between_loaded(before.policy, after.policy, (old_files, new_files), built, statements)


def between_loaded(
    before: LoadedPolicy,
    after: LoadedPolicy,
    files: tuple[PolicyFiles, PolicyFiles],
    built: tuple[bool, bool],
    statements: tuple[frozenset[str], frozenset[str]],
    found: Optional[RuleDifference] = None,
) -> Between:
    """``between`` for two policies that are loaded already, from ``files``, with their statements and, where it is
    known, the difference of their rules."""
    old, new = before.rules, after.rules
    if found is None:
        found = compare_rules(old, new)
    added, removed = _statements(statements, old, new)
    known, now = old.facts.attributes.keys(), new.facts.attributes.keys()
    moved = sorted(type_ for type_ in known & now if old.facts.sides[type_] != new.facts.sides[type_])
    labels = _labels(*files, built)
    mains = tuple(_main(one, fresh) for one, fresh in zip(files, built))
    return Between(
        old=before,
        new=after,
        rules=found,
        gained=tuple(_written(found.gained, new, old)),
        lost=tuple(_written(found.lost, old, new)),
        added=added,
        removed=removed,
        types_added=tuple(sorted(now - known)),
        types_removed=tuple(sorted(known - now)),
        joined=_nameable(found.joined),
        left=_nameable(found.left),
        rerouted=tuple(_rerouted((*found.joined, *found.left), statements)),
        defaults=tuple(_defaults(old, new)),
        weaker=tuple((one, text) for one in moved for text in weaker(old, one, new.facts.sides[one])),
        stricter=tuple((one, text) for one in moved for text in weaker(new, one, old.facts.sides[one])),
        labels_added=_apart(labels[1], labels[0]),
        labels_removed=_apart(labels[0], labels[1]),
        process_transitions=(_of_processes(statements[0]), _of_processes(statements[1])),
        label_lines=None
        if labels[0] == labels[1] or mains[0] is None or mains[1] is None
        else (lines_in_order(mains[0], not any(built)), lines_in_order(mains[1], not any(built))),
    )


def with_labels_of(found: Between, file_contexts: Optional[Path], old: Iterable[str], new: Iterable[str]) -> Between:
    """The same with the entries that modules set, where no module store says what comes of them: ``old`` and ``new``,
    each among those of the policy that both were put onto."""
    before, after = frozenset(old), frozenset(new)
    lines = None
    if file_contexts is not None:
        lines = lines_in_order(file_contexts, True, before), lines_in_order(file_contexts, True, after)
    return replace(found, labels_added=_apart(after, before), labels_removed=_apart(before, after), label_lines=lines)


def mirrored(found: Between) -> Between:
    """The same difference seen from the new policy."""
    rules, lines = found.rules, found.label_lines
    return Between(
        old=found.new,
        new=found.old,
        rules=RuleDifference(
            rules.lost, rules.gained, rules.lost_xperms, rules.gained_xperms, rules.left, rules.joined
        ),
        gained=found.lost,
        lost=found.gained,
        added=found.removed,
        removed=found.added,
        types_added=found.types_removed,
        types_removed=found.types_added,
        joined=found.left,
        left=found.joined,
        rerouted=found.rerouted,
        defaults=tuple(DefaultChange(one.name, not one.was, one.less, one.more) for one in found.defaults),
        weaker=found.stricter,
        stricter=found.weaker,
        labels_added=found.labels_removed,
        labels_removed=found.labels_added,
        process_transitions=(found.process_transitions[1], found.process_transitions[0]),
        label_lines=None if lines is None else (lines[1], lines[0]),
    )


def _of_processes(statements: frozenset[str]) -> frozenset[str]:
    return frozenset(one for one in statements if ":process " in one and one.startswith("type_transition "))


def _nameable(joins: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Without attributes that the compiler named: what they bring is among the rules and statements."""
    return tuple(one for one in joins if not _GENERATED.match(one[1]))


def _rerouted(
    joins: tuple[tuple[str, str], ...], statements: tuple[frozenset[str], frozenset[str]]
) -> Iterator[tuple[str, str]]:
    wanted = {attribute for _, attribute in joins}
    if wanted:
        found = (text.split(":")[0].split()[1:] for texts in statements for text in texts if _REROUTING.match(text))
        named = wanted.intersection(word for words in found for word in words)
        yield from _nameable(sorted(one for one in joins if one[1] in named))


def _statements(
    statements: tuple[frozenset[str], frozenset[str]], old: Rules, new: Rules
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Statements that only one has. Attributes that the compiler named count by their members, of those types that both
    policies know."""
    known = old.facts.attributes.keys() & new.facts.attributes.keys()
    sides = []
    for texts, rules in zip(statements, (old, new)):
        names = {
            name: _by_members(members & known) for name, members in rules.facts.types.items() if _GENERATED.match(name)
        }
        sides.append({_renamed(text, names) for text in texts})
    return tuple(sorted(sides[1] - sides[0])), tuple(sorted(sides[0] - sides[1]))


def _renamed(text: str, names: Mapping[str, str]) -> str:
    return _WORD.sub(lambda found: names.get(found[0], found[0]), text) if "_typeattr_" in text else text


def _by_members(members: frozenset[str]) -> str:
    listed = " ".join(sorted(members))
    if len(members) <= _SHOWN_MEMBERS:
        return f"{{ {listed} }}"
    first = " ".join(sorted(members)[:_SHOWN_MEMBERS])
    return f"{{ {first} and {len(members) - _SHOWN_MEMBERS} more, {zlib.crc32(listed.encode()):08x} }}"


def _defaults(old: Rules, new: Rules) -> Iterator[DefaultChange]:
    """Booleans of both that stand otherwise from the start, each with what it alone turns on and off."""
    for name in sorted(old.facts.booleans.keys() & new.facts.booleans.keys()):
        was, now = old.facts.booleans[name], new.facts.booleans[name]
        if was != now:
            as_before = new.with_state({name: was})
            counts = (newly_given(as_before, {name: now}), newly_given(new, {name: was}))
            more, less = (sum(bin(mask).count("1") for mask in given.values()) for given in counts)
            yield DefaultChange(name, was, more, less)


def _written(changes: Iterable[AccessChange], rules: Rules, other: Rules) -> Iterator[WrittenChange]:
    """Each change with the rules that give it: one that the other policy lacks before one that it has, too (then it is
    a type that joined), and the one that reaches most types."""
    for change in changes:
        candidates = _candidates(change, rules, other)
        parts: dict[tuple[str, str], list[str]] = {}
        for perm in change.perms:
            bit = rules.bit(change.tclass, perm)
            giving = (key for key, mask in candidates if mask & bit)
            source, target = next(giving, (change.source, change.target))
            parts.setdefault((source, target), []).append(perm)
        for (source, target), perms in sorted(parts.items()):
            yield WrittenChange(change._replace(perms=tuple(perms)), source, target)


def _candidates(change: AccessChange, rules: Rules, other: Rules) -> list[tuple[tuple[str, str], int]]:
    sides, index = rules.facts.sides, rules.index
    table: dict[tuple[str, str], int] = {}
    rows = index.allow.get(change.tclass, {})
    rows_if = index.allow_if.get(change.tclass, {})
    for source in sides[change.source]:
        for target in rows.get(source, {}).keys() & sides[change.target] if not change.condition else ():
            table[source, target] = rows[source][target]
        for target in rows_if.get(source, {}).keys() & sides[change.target] if change.condition else ():
            for rule in rows_if[source][target]:
                table[source, target] = table.get((source, target), 0) | rule.mask
    there = other.index.allow_if if change.condition else other.index.allow

    def order(key: tuple[str, str]) -> tuple[bool, int, str, str]:
        source, target = key
        known = target in there.get(change.tclass, {}).get(source, {})
        return known, -len(rules.facts.members(source)) * len(rules.facts.members(target)), source, target

    return [(key, table[key]) for key in sorted(table, key=order)]


def _labels(
    old: PolicyFiles, new: PolicyFiles, built: tuple[bool, bool]
) -> tuple[Optional[frozenset[str]], Optional[frozenset[str]]]:
    """The entries of both's file contexts, those of an administrator among them; None where there are none.

    Those of home directories are written for the users of the machine that builds a store; where both have a store,
    what they are written from is compared instead.
    """
    sides: list[Optional[frozenset[str]]] = []
    from_stores = old.store is not None and new.store is not None
    for files, fresh in zip((old, new), built):
        active = None if files.store is None else files.store / "active"
        main = _main(files, fresh)
        if main is None:
            sides.append(None)
            continue
        beside = [main.with_name(f"{main.name}.local")]
        if from_stores and active is not None:
            beside.append(active / "homedir_template")
        elif not any(built):
            beside.append(main.with_name(f"{main.name}.homedirs"))
        sides.append(_entries([main, *(path for path in beside if path.exists())]))
    return sides[0], sides[1]


def _main(files: PolicyFiles, fresh: bool) -> Optional[Path]:
    """The main file of a policy's file contexts; of one that was built just now it lies in the module store."""
    if not fresh:
        return files.file_contexts
    return None if files.store is None else files.store / "active/file_contexts"


def _entries(paths: Iterable[Path]) -> frozenset[str]:
    found: set[str] = set()
    for path in paths:
        try:
            text = path.read_text("utf-8", "backslashreplace")
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from error
        found.update(" ".join(line.split()) for line in text.splitlines() if not line.lstrip().startswith("#"))
    return frozenset(found - {""})


def _apart(one: Optional[frozenset[str]], other: Optional[frozenset[str]]) -> Optional[tuple[str, ...]]:
    return None if one is None or other is None else tuple(sorted(one - other))
