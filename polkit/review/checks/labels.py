"""What the module's file contexts do: PK030 relabels the distribution's paths, PK031 matches too much, PK033 a later
entry of the module decides, PK034 names nobody's type, PK035 the policy's entries decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import Optional

from polkit.review.case import Case, Labelled
from polkit.review.findings import Finding, Fix
from polkit.review.labels.broad_labels import too_broad
from polkit.review.labels.label_world import ByStart, Entry, LabelWorld, label_world
from polkit.review.labels.labels_read import labels_of
from polkit.review.labels.path_patterns import path_pattern
from polkit.review.labels.relabelled import known_paths, relabels


def find(case: Case) -> Iterator[Finding]:
    """Every finding about what the entries of file contexts mean."""
    yield from _unknown_types(case)
    yield from _shadowed(labels_of(case))
    world = label_world(case)
    if world is None:
        for one in labels_of(case):
            broad = too_broad(one, None)
            yield from (broad,) if broad is not None else known_paths(one)
        return
    entries = {(one.labelled.place, one.label): one for one in world.entries}
    for one in labels_of(case):
        entry = entries.get((one.place, one.entry))
        if entry is not None and _is_the_policys(world, entry):
            continue
        broad = too_broad(one, world if entry is not None else None)
        relabelled = None if entry is None else relabels(world, entry)
        if broad is not None:
            yield broad
        if relabelled is not None and (broad is None or (relabelled.severity, broad.severity) == ("high", "medium")):
            yield relabelled
        if entry is not None and broad is None:
            yield from _not_deciding(world, entry, relabelled)


def _is_the_policys(world: LabelWorld, entry: Entry) -> bool:
    """The policy has the same entry with the same type: it changes nothing."""
    said = (entry.label.pattern, entry.label.kind, world.policy.type_name(entry.type))
    return any((one.pattern, one.kind, one.type) == said for one in world.theirs_at(entry))


def _not_deciding(world: LabelWorld, entry: Entry, relabelled: Optional[Finding]) -> Iterator[Finding]:
    """What keeps an entry from its paths, where no graver finding says what it does there."""
    contested = [] if relabelled is not None and relabelled.severity == "high" else _contested(world, entry)
    yield from contested
    if relabelled is None and not contested:
        yield from _never_in_force(world, entry)


# -- PK034 ------------------------------------------------------------------------------------------------------------


def _unknown_types(case: Case) -> Iterator[Finding]:
    policy = case.policy
    if policy is None:
        return
    for one in labels_of(case):
        if one.entry.context is None:
            continue
        user, role, type_ = one.entry.context
        said = None
        if type_ not in case.own and policy.type_name(type_) is None:
            said = f"type {type_}"
            near = policy.nearest("type", type_)
            more = f"The nearest that there are: {', '.join(near)}." if near else ""
            if policy.has_attribute(type_):
                more = f"{type_} is an attribute: a file has a type of its own."
        elif not policy.has_user(user):
            said, more = f"user {user}", "Files are labelled with the user system_u."
        elif not policy.has_role(role) and role not in case.own:
            said, more = f"role {role}", "Files are labelled with the role object_r."
        if said is not None:
            yield Finding(
                "PK034",
                "high",
                "high",
                one.place,
                f"{one.entry.pattern} is labelled with the {said}, which nobody declares",
                f"Neither the module nor the policy declares the {said}. The policy refuses the module as a whole, "
                "with every rule in it.",
                Fix(f"Declare it in the module, or name one that the policy has. {more}".strip()),
            )


# -- PK033 ------------------------------------------------------------------------------------------------------------


def _shadowed(labels: tuple[Labelled, ...]) -> Iterator[Finding]:
    """Entries whose every path another entry of the module decides for."""
    entries = [
        Entry(one, path_pattern(one.entry.pattern), "" if one.entry.context is None else one.entry.context[2])
        for one in labels
    ]
    index = ByStart(entries)
    alike: dict[tuple[str, str], list[Entry]] = {}
    for one in entries:
        alike.setdefault((one.label.pattern, one.label.kind), []).append(one)
    for one in entries:
        same = next((two for two in alike[one.label.pattern, one.label.kind] if _said_again(one, two)), None)
        if same is not None:
            yield _again(one, same)
            continue
        near = index.near(one.examples[0]) if one.examples else ()
        over = next((two for two in near if _decides_over(two, one)), None)
        if over is not None:
            yield _shadow(one, over)


def _alike(one: Entry, two: Entry) -> bool:
    return (one.label.pattern, one.label.kind) == (two.label.pattern, two.label.kind)


def _together(one: Entry, two: Entry) -> bool:
    """They may both be in force: they don't stand in opposite branches of an ifdef."""
    return not any(f"!{symbol}" in two.labelled.symbols for symbol in one.labelled.symbols) and not any(
        f"!{symbol}" in one.labelled.symbols for symbol in two.labelled.symbols
    )


def _said_again(one: Entry, two: Entry) -> bool:
    return one.labelled.place < two.labelled.place and _together(one, two)


def _decides_over(two: Entry, one: Entry) -> bool:
    if one is two or _alike(one, two) or not _together(one, two) or two.labelled.symbols != ():
        return False
    if two.label.kind not in ("", one.label.kind) or two.order <= one.order:
        return False
    return bool(one.examples) and all(map(two.pattern.matches, one.examples))


def _again(one: Entry, two: Entry) -> Finding:
    differ = (one.label.context, one.label.levels) != (two.label.context, two.label.levels)
    where = two.labelled.place
    if differ:
        return Finding(
            "PK033",
            "medium",
            "high",
            one.labelled.place,
            f"{one.label.pattern} gets another label at {where.text}",
            "Two entries for one pattern and kind of file name different labels. The module store keeps one of the two,"
            " or refuses the module, as its version has it.",
            Fix("Keep the one that is meant."),
        )
    return Finding(
        "PK033",
        "low",
        "high",
        one.labelled.place,
        f"{one.label.pattern} stands again at {where.text}",
        "The same entry is there twice. It does no harm until one of the two is changed; then which of them counts is "
        "left to chance.",
        Fix("Leave one out."),
    )


def _shadow(one: Entry, two: Entry) -> Finding:
    return Finding(
        "PK033",
        "low",
        "high" if len(one.examples) < 4 else "medium",
        one.labelled.place,
        f"{one.label.pattern} never decides: {two.label.pattern} does for all its paths",
        f"The module store sorts entries by the text before their first special character, and {two.label.pattern} "
        f"({two.labelled.place.text}) comes after this one and matches the same paths. Their label is {_type(two)}, "
        f"not {_type(one)}.",
        Fix(
            f"Leave it out if {_type(two)} is right; else spell out more of its path, or narrow the other pattern, so "
            "that this one comes later."
        ),
        tuple(f"{path}: {_type(two)}" for path in one.examples[:4]),
    )


def _type(one: Entry) -> str:
    return one.type or "<<none>>"


# -- PK035 ------------------------------------------------------------------------------------------------------------


def _contested(world: LabelWorld, entry: Entry) -> list[Finding]:
    """Of two entries for the same pattern libsepol 3.4 was seen to keep that of the module whose name comes first;
    newer ones refuse the module (libsepol/cil/src/cil_post.c, __cil_post_process_context_rules)."""
    same = (entry.label.pattern, entry.label.kind)
    theirs = next((one for one in world.theirs_at(entry) if (one.pattern, one.kind) == same), None)
    if theirs is None or theirs.type == (world.policy.type_name(entry.type) or entry.type):
        return []
    return [
        Finding(
            "PK035",
            "medium",
            "high",
            entry.labelled.place,
            f"{entry.label.pattern} stands in the policy already, as {theirs.type or '<<none>>'}",
            "Of two entries for one pattern and kind of file the module store keeps that of the module whose name "
            "comes first in the alphabet, or refuses the module, as its version has it. Which label files get is left "
            "to chance.",
            Fix(
                "Use the policy's type, or write an entry that names less than the policy's. On one host, an "
                "administrator's entry decides over both.",
                (_semanage(entry),),
            ),
            (f"{theirs.file}: {theirs.pattern} {theirs.kind} {theirs.type}".replace("  ", " "),),
        )
    ]


def _never_in_force(world: LabelWorld, entry: Entry) -> Iterator[Finding]:
    example = world.holds(entry)
    if example is None:
        return
    tclass = entry.tclass
    label = world.after.file_label(example, tclass)
    by = world.after.file_entry(example, tclass)
    which = "an entry of the policy" if by is None else f"{by.pattern} of the policy's {by.file}"
    given = "without a label" if label is None else label.type
    yield Finding(
        "PK035",
        "medium",
        "high",
        entry.labelled.place,
        f"{entry.label.pattern} is never in force: {which} decides",
        f"Of all entries that match a path the last decides, and {which} is sorted after this one. {example} stays "
        f"{given}, so what the module's rules allow on {entry.type} is never met there.",
        Fix(
            "Name the application's own directory, so that more of the path stands before the first special "
            "character. On one host, an administrator's entry decides over all others.",
            (_semanage(entry),),
        ),
        tuple(f"{path}: {given}" for path in entry.examples[:4]),
    )


def _semanage(entry: Entry) -> str:
    """The administrator's entry; kinds as semanage-fcontext(8) spells them."""
    kind = entry.label.kind
    option = f" -f {'f' if kind == '--' else kind[1:]}" if kind else ""
    return f"semanage fcontext -a{option} -t {entry.type} {quote(entry.label.pattern)}"
