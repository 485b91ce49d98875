"""Which way a change that is no allow rule goes: whether the new policy allows more for it, less, or something else.

Something else counts as both: who is confined otherwise may do what he could not, and not do what he could.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from polkit.policy import Between
from polkit.review.differences.host_changes import boolean_changes, is_port_label, port_changes
from polkit.review.differences.relabels import Relabel
from polkit.review.materials.inputs import Compared

_SILENT = ("dontaudit", "auditallow", "typealias")
"""These decide what is logged, or what else a type is called."""
_REFUSING = ("constrain", "mlsconstrain", "validatetrans", "mlsvalidatetrans", "typebounds")
_GRANTING = ("permissive", "role", "allow", "user")
"""Gone, they take away. What a role may be, and what a user may have, stands in one statement each."""
_LABELLING = ("type_transition", "type_change", "type_member", "range_transition", "role_transition")
_WORD = re.compile(r"[^\s:;{}(),\"]+")


@dataclass(frozen=True)
class Relation:
    """Why the new one allows more and why less, a sentence each, beside its allow rules; those of ``silent`` decide
    nothing."""

    more: tuple[str, ...]
    less: tuple[str, ...]
    silent: tuple[str, ...]


def relation_of(found: Between, a: Compared, b: Compared, labels: Iterable[Relabel]) -> Relation:
    """Everything that changed but allow rules, by the way that it goes."""
    more, less, silent = [], [], []
    for change in found.rules.gained_xperms:
        more.append(change.text)
    for change in found.rules.lost_xperms:
        less.append(f"no longer: {change.text}")
    for way, text in _changes(found, a, b, labels):
        if way in ("more", "both"):
            more.append(text)
        if way in ("less", "both"):
            less.append(text)
        if way == "neither":
            silent.append(text)
    return Relation(tuple(more), tuple(less), tuple(silent))


def _changes(found: Between, a: Compared, b: Compared, labels: Iterable[Relabel]) -> Iterator[tuple[str, str]]:
    fresh = {*found.types_added, *found.types_removed}
    for is_new, statements in ((True, found.added), (False, found.removed)):
        for text in statements:
            if is_port_label(text):
                continue
            yield statement_way(text, is_new, fresh), text if is_new else f"no longer: {text}"
    for one in found.defaults:
        way = {(True, True): "both", (True, False): "more", (False, True): "less"}
        text = f"boolean {one.name} is {'off' if one.was else 'on'} from the start"
        yield way.get((bool(one.more), bool(one.less)), "neither"), text
    for type_, constraint in found.weaker:
        yield "more", f"a constraint on {constraint.tclass} that refused {type_} does not any more: {constraint.text}"
    for type_, constraint in found.stricter:
        yield "less", f"a constraint on {constraint.tclass} refuses {type_}: {constraint.text}"
    for type_, attribute in found.rerouted:
        yield "both", f"{type_} is in attribute {attribute} of one only, which type transitions name"
    for relabel in labels:
        yield relabel.way, relabel.text
    yield from port_changes(found, a, b)
    yield from boolean_changes(found, a, b)


def statement_way(text: str, is_new: bool, fresh: Iterable[str]) -> str:
    """more, less, both or neither, for a statement that came or went. ``fresh``: types that one policy alone has."""
    words = _WORD.findall(text)
    kind = words[0]
    if kind in _SILENT or kind == "bool" or (kind == "role" and words[1] == "object_r"):
        return "neither"  # defaults and what stands under a boolean are compared as such
    if kind in _REFUSING:
        return "less" if is_new else "more"
    if kind in _GRANTING:
        return "more" if is_new else "less"
    if kind in _LABELLING and not set(fresh).isdisjoint(words[1:3]):
        return "neither"  # a domain, or an object, that the other policy does not know at all
    return "both"
