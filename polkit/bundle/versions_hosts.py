"""What a newer version changes on a host besides rules: labels of files, ports, booleans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Optional

from polkit.bundle.paths import Entry, Place, places
from polkit.bundle.released import Side
from polkit.bundle.steps import Reason, Step
from polkit.minimize import GENERIC_PORTS, why_generic
from polkit.model import FileContext, Port
from polkit.policy import TargetPolicy

_CLASSES = {
    "": ("dir", "file"),
    "--": ("file",),
    "-d": ("dir",),
    "-l": ("lnk_file",),
    "-c": ("chr_file",),
    "-b": ("blk_file",),
    "-s": ("sock_file",),
    "-p": ("fifo_file",),
}
"""The classes that an entry of each kind labels."""


@dataclass(frozen=True)
class Host:
    """A target: its name, its policy, the types that the module declares there, and what its domain is like."""

    target: str
    policy: TargetPolicy
    own: frozenset[str]
    like: str


def host_reasons(host: Host, old: Side, new: Side) -> Iterator[Reason]:
    """What of labels, ports and booleans decides about the step."""
    yield from _label_reasons(host, old.contexts, new.contexts)
    yield from _port_reasons(host, old.ports, new.ports)
    yield from _boolean_reasons(host, old.booleans, new.booleans)


def _label_reasons(host: Host, old: tuple[Entry, ...], new: tuple[Entry, ...]) -> Iterator[Reason]:
    """The labels that are in force, compared where either version has an entry."""
    before, after = _with(host.policy, old), _with(host.policy, new)
    for entry in sorted(set(old) ^ set(new)):
        (place,) = places(f"{entry.pattern} {entry.kind} {entry.context}\n")
        if place.kind == "pattern" or not host.policy.has_file_contexts:
            yield from _pattern_reasons(host, entry, entry in new)
            continue
        for path, tclass in _samples(place, entry.kind):
            was, now = (_type_at(policy, path, tclass) for policy in (before, after))
            if was != now:
                yield _label_reason(host, path, tclass, was, now)


def _with(policy: TargetPolicy, contexts: Iterable[Entry]) -> TargetPolicy:
    return policy.with_contexts(tuple(FileContext(one.pattern, one.kind, _type(one.context)) for one in contexts))


def _type(context: str) -> str:
    """The type in a context; the whole of what is none (``<<none>>``)."""
    parts = context.split(":")
    return parts[2] if len(parts) > 2 else context


def _samples(place: Place, kind: str) -> Iterator[tuple[str, str]]:
    """Paths that an entry is about, with the class of what may be there."""
    for tclass in _CLASSES.get(kind, ("file",)):
        if place.kind == "file" or tclass == "dir":
            yield place.path, tclass
        else:
            yield f"{place.path}/0", tclass


def _type_at(policy: TargetPolicy, path: str, tclass: str) -> Optional[str]:
    label = policy.file_label(path, tclass)
    return None if label is None else label.type


def _label_reason(host: Host, path: str, tclass: str, was: Optional[str], now: Optional[str]) -> Reason:
    if now in host.own:
        taken = was not in host.own and was is not None and not why_generic(host.policy, host.like, was, tclass)
        step = Step.MAJOR if taken else Step.MINOR
        return Reason(step, host.target, f"files at {path} are labelled {now}" + (f", not {was}" if was else ""))
    if was in host.own:
        return Reason(Step.MAJOR, host.target, f"files at {path} go back to {now or 'no label'}, from {was}")
    return Reason(Step.MAJOR, host.target, f"files at {path} are labelled {now}, a type of others, not {was}")


def _pattern_reasons(host: Host, entry: Entry, is_new: bool) -> Iterator[Reason]:
    """An entry whose paths can't be listed: what it takes, and from whom, is not known."""
    what = "are" if is_new else "are no longer"
    text = f"files that match {entry.pattern} {what} labelled {_type(entry.context)}"
    yield Reason(Step.MAJOR, host.target, text)


def _port_reasons(
    host: Host, old: Mapping[tuple[str, int], str], new: Mapping[tuple[str, int], str]
) -> Iterator[Reason]:
    for protocol, number in sorted(old.keys() | new.keys()):
        was, now = old.get((protocol, number)), new.get((protocol, number))
        if was == now:
            continue
        name = f"port {number}/{protocol}"
        if now is None:
            yield Reason(Step.MAJOR, host.target, f"{name} goes back to what the policy calls it, from {was}")
            continue
        label = host.policy.port_label(Port(protocol, number))
        taken = was is None and label is not None and label.type not in GENERIC_PORTS
        foreign = now not in host.own or (was is not None and was not in host.own)
        step = Step.MAJOR if foreign or taken else Step.MINOR
        of_others = f", not {label.type}" if taken and label is not None else ""
        yield Reason(step, host.target, f"{name} is labelled {now}{of_others}")


def _boolean_reasons(host: Host, old: Mapping[str, bool], new: Mapping[str, bool]) -> Iterator[Reason]:
    """A boolean is the whole host's. One that is no longer turned on only takes away."""
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        if now is None:
            step, text = (Step.PATCH if was else Step.MAJOR), f"boolean {name} is no longer set"
        else:
            step, text = Step.MAJOR, f"boolean {name} is turned {'on' if now else 'off'} for the whole host"
        yield Reason(step, host.target, text)
