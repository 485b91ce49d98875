"""PK030: an entry of file contexts that gives paths of the distribution another label, and who may then use them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from polkit.policy import sensitive_types
from polkit.review.case import Labelled
from polkit.review.findings import SEVERITIES, Finding, Fix
from polkit.review.labels.label_world import Entry, Gained, LabelWorld, Taken
from polkit.review.labels.path_patterns import path_pattern

_FEW = 8
"""A type that so few domains are entered by is a program's, not that of programs as such (bin_t)."""
_GENERIC = ("device_t", "etc_t", "user_home_t")
"""Sensitive as a whole; one path of theirs is not for that."""
_KNOWN = {
    "/etc/shadow": "the password hashes",
    "/etc/gshadow": "the hashes of group passwords",
    "/etc/passwd": "the list of users",
    "/etc/sudoers": "who may become root",
    "/etc/ssh/ssh_host_rsa_key": "the host's keys",
    "/dev/mem": "physical memory",
    "/dev/kmem": "kernel memory",
    "/dev/sda": "a raw disk",
    "/usr/bin/passwd": "a program that runs with root's rights",
    "/usr/bin/sudo": "a program that runs with root's rights",
    "/usr/bin/runc": "the program that starts containers",
    "/usr/bin/dockerd": "the container engine",
    "/usr/bin/podman": "the container engine",
    "/usr/sbin/sshd": "the program that lets users in",
    "/root/.ssh/authorized_keys": "who may log in as root",
}
"""Paths that every distribution has a label of its own for; asked where there is no policy."""


def known_paths(labelled: Labelled) -> Iterator[Finding]:
    """Without a policy: an entry for one of the few paths whose label matters on every host."""
    label = labelled.entry
    pattern = path_pattern(label.pattern)
    found = {path: what for path, what in _KNOWN.items() if pattern.matches(path)}
    if found and label.context is not None:
        path = next(iter(found))
        yield Finding(
            "PK030",
            "high",
            "medium",
            labelled.place,
            f"{label.pattern} labels {path}: {found[path]}",
            f"Every distribution has a label of its own for {path}, and its rules go by it. As {label.context[2]} it "
            "is open to others than before, and perhaps closed to those who need it.",
            _FIX,
            tuple(f"{one}: {what}" for one, what in found.items()),
        )


_FIX = Fix(
    "Leave the distribution's label, and allow the module's domain what it needs of that type, or give the application "
    "a file of its own."
)


def relabels(world: LabelWorld, entry: Entry) -> Optional[Finding]:
    """The finding for an entry that takes paths over from entries of the policy; None for one that takes none."""
    taken = {(one.path, one.old): one for one in (*world.taken(entry), *world.inside(entry))}
    if not taken:
        return None
    by_old = {one.old: one for one in reversed(taken.values())}
    judged = [(old, _judged(world, old, one)) for old, one in by_old.items()]
    gravest = max(judged, key=lambda pair: (SEVERITIES.index(pair[1][0]), -list(by_old).index(pair[0])))
    old, (severity, gained, because) = gravest
    one = by_old[old]
    return Finding(
        "PK030",
        severity,
        "high",
        entry.labelled.place,
        f"{entry.label.pattern} labels {one.path} {entry.type}, where the policy has {old}{because}",
        f"The policy has an entry of its own for it, {one.theirs.pattern}, and its rules go by {old}. "
        f"{_who(gained, one)}",
        _FIX,
        tuple(f"{each.path}: {each.old}, with the module {each.new}" for each in list(taken.values())[:8]),
    )


def _judged(world: LabelWorld, old: str, one: Taken) -> tuple[str, Gained, str]:
    """How grave it is that ``one`` loses its type, who gains by it, and what makes the old type special."""
    gained = world.gained(old, one.new, one.tclass)
    entered = world.policy.entrypoint_domains(old)
    if 0 < len(entered) <= _FEW:
        return "high", gained, f", the program of {_names(sorted(entered), 2)}"
    if old in sensitive_types() and old not in _GENERIC:
        return "high", gained, ", which the catalogue of risks names"
    if not (gained.reads or gained.writes):
        return "low", gained, ""
    return max(gained.severity, "medium" if gained.others else "low", key=SEVERITIES.index), gained, ""


def _who(gained: Gained, one: Taken) -> str:
    """Who may read or change the path, and could not."""
    said = [
        f"{verb} by {_names(list(domains), 3)}"
        for verb, domains in (("read", gained.reads), ("changed", gained.writes))
        if domains
    ]
    if not said:
        return f"With {one.new} nobody may read or change it who could not before, but some who could may no longer."
    return f"With {one.new} it can newly be {' and '.join(said)}."


def _names(domains: list[str], most: int) -> str:
    shown = ", ".join(domains[:most])
    left = len(domains) - most
    return shown if left <= 0 else f"{shown} and {left} {'domain' if left == 1 else 'domains'} more"
