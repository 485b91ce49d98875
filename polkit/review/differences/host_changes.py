"""What changes of ports' labels, and of the booleans that bundles set, come to: who may use a port, what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Optional

from polkit.model import Port
from polkit.policy import PORT_USES, Between, TargetPolicy, label_effect
from polkit.review.differences.relabels import counted
from polkit.review.materials.inputs import Compared

_PORTCON = re.compile(r"portcon (\w+) (\d+)(?:-(\d+))? ([^\s:]+:[^\s:]+):([^\s:]+)(\S*)")
_MOST = 1024
"""Ports of a range that are looked at one by one; of a larger one it is not told who had it."""
_WAYS = {(True, True): "both", (True, False): "more", (False, True): "less", (False, False): "neither"}
_Ports = tuple[str, int, int]
_Set = Mapping[tuple[str, int], str]


def port_changes(found: Between, a: Compared, b: Compared) -> Iterator[tuple[str, str]]:
    """Each change of a port's label, with its way: more, less, both or neither for who may bind or connect to it.

    It counts both ways where a range is large, where more than the type changes, or where a policy does not know the
    type.
    """
    set_by = _set_on_host(a.host.ports), _set_on_host(b.host.ports)
    texts: dict[_Ports, list[tuple[bool, str]]] = {}
    for is_new, statements in ((True, found.added), (False, found.removed)):
        for text in statements:
            if (key := _ports_of(text)) is not None:
                texts.setdefault(key, []).append((is_new, text))
    for protocol, number in sorted(set_by[0].keys() | set_by[1].keys()):
        for is_new, mine, other in ((True, set_by[1], set_by[0]), (False, set_by[0], set_by[1])):
            type_ = mine.get((protocol, number))
            if type_ is not None and type_ != other.get((protocol, number)):
                said = (is_new, f"port {protocol} {number} {type_}")
                texts.setdefault((protocol, number, number), []).append(said)
    for key in sorted(texts):
        yield from _judged(found, key, texts[key], set_by)


def is_port_label(text: str) -> bool:
    """A statement that ``port_changes`` tells of."""
    return _ports_of(text) is not None


def _ports_of(text: str) -> Optional[_Ports]:
    match = _PORTCON.match(text)
    return None if match is None else (match[1], int(match[2]), int(match[3] or match[2]))


def _set_on_host(lines: Iterable[str]) -> _Set:
    words = (line.split() for line in lines)
    return {(protocol, int(number)): type_ for protocol, number, type_ in words}


def _judged(
    found: Between, key: _Ports, said: list[tuple[bool, str]], set_by: tuple[_Set, _Set]
) -> Iterator[tuple[str, str]]:
    protocol, low, high = key
    unknown = [("both", text if is_new else f"no longer: {text}") for is_new, text in said]
    contexts = {(match[4], match[6]) for _, text in said if (match := _PORTCON.match(text)) is not None}
    if high - low >= _MOST or len(contexts) > 1:
        yield from unknown
        return
    types = {
        tuple(_type(policy, one, protocol, number) for policy, one in ((found.old, set_by[0]), (found.new, set_by[1])))
        for number in range(low, high + 1)
    }
    changed = sorted((old, new) for old, new in types if old != new and old is not None and new is not None)
    effects = [label_effect(found, old, new, (f"{protocol}_socket",), PORT_USES) for old, new in changed]
    if any(None in pair and pair != (None, None) for pair in types) or None in effects or types == {(None, None)}:
        yield from unknown
        return
    name = f"port {protocol} {low}" if low == high else f"ports {protocol} {low}-{high}"
    for (old, new), effect in zip(changed, effects):
        if effect is not None:
            yield _WAYS[effect.gives, effect.takes], "; ".join((f"{name}: {old} -> {new}", *counted(effect)))
    if not changed:
        yield "neither", f"{name}: the type is the same without this entry"


def _type(policy: TargetPolicy, set_on_host: _Set, protocol: str, number: int) -> Optional[str]:
    by_bundle = set_on_host.get((protocol, number))
    if by_bundle is not None:
        return policy.type_name(by_bundle)
    label = policy.port_label(Port(protocol, number))
    return None if label is None else label.type


def boolean_changes(found: Between, a: Compared, b: Compared) -> Iterator[tuple[str, str]]:
    """Each boolean that one of two bundles sets and the other doesn't, or otherwise, with the way that it goes: what
    the rules under it allow more and less then."""
    old, new = (dict(line.rsplit(" ", 1) for line in side.host.booleans) for side in (a, b))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        text = f"boolean {name} {new[name]}" if name in new else f"no longer: boolean {name} {old[name]}"
        if name not in found.new.booleans or name not in found.old.booleans:
            yield "both", text
            continue
        was = old[name] == "on" if name in old else found.old.booleans[name]
        now = new[name] == "on" if name in new else found.new.booleans[name]
        before = found.new.with_booleans({name: was})
        more, less = before.grants_of(((name, now),)), before.with_booleans({name: now}).grants_of(((name, was),))
        counts = [
            f"{one.accesses:,} accesses {word}" for one, word in ((more, "more"), (less, "fewer")) if one.accesses
        ]
        yield _WAYS[bool(more.accesses), bool(less.accesses)], "; ".join((text, *counts))
