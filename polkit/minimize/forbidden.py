"""What the names in the gates of a polkit.toml stand for on a policy, and which accesses a gate forbids.

Shared by whoever holds gates: generate and package against a plan's rules, prove and review against what a module does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Optional

from polkit.config import Denied, Forbid
from polkit.policy import TargetPolicy


@dataclass(frozen=True)
class GateNames:
    """Types behind names. ``own``: the types that the module declares and ``policy`` may lack, each with the
    attributes that it joins."""

    policy: TargetPolicy
    own: Mapping[str, Iterable[str]] = field(default_factory=dict)

    def types(self, names: Iterable[str]) -> frozenset[str]:
        """Every type that one of the names is, or that is in an attribute of one of these names."""
        wanted = frozenset(names)
        found = {type_ for name in wanted for type_ in self.policy.types(name)}
        joined = (type_ for type_, attributes in self.own.items() if type_ in wanted or wanted.intersection(attributes))
        return frozenset((*found, *joined))

    def unknown(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those that no type is, and that no type is in, in their order: an attribute that a binary policy has lost is
        one of them."""
        return tuple(name for name in names if not self.types((name,)))


class Forbidden:
    """A gate that forbids, with its names looked up once: it is asked of many thousand accesses."""

    def __init__(self, gate: Forbid, names: GateNames) -> None:
        self.gate = gate
        self._sources = names.types(gate.source) if gate.source else None
        self._targets = names.types(gate.target) if gate.target else None
        self._besides = names.types(gate.besides)

    def perms(self, source: str, target: str, tclass: str, perms: Iterable[str]) -> tuple[str, ...]:
        """Those of the permissions that it forbids between two types."""
        gate = self.gate
        if source in self._besides or (self._sources is not None and source not in self._sources):
            return ()
        if (self._targets is not None and target not in self._targets) or (gate.classes and tclass not in gate.classes):
            return ()
        return tuple(perm for perm in perms if not gate.perms or perm in gate.perms)


def still_allowed(gate: Denied, targets: Iterable[str], names: GateNames) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Source, target and permissions of what must be refused and the policy allows, as its booleans stand. ``targets``:
    those of the gate, or the type of its path."""
    others = sorted(names.types(targets))
    for source in sorted(names.types(gate.source) - names.types(gate.besides)):
        for target in others:
            allowed = names.policy.allowed(source, target, gate.tclass)
            perms = tuple(one for one in gate.perms if one in allowed)
            if perms:
                yield source, target, perms


def gate_name(title: str, kind: str, number: int) -> str:
    """What reports call a gate: as its author does, else by its number among those of its kind."""
    return title or f"{kind} {number}"


def allow_text(source: str, target: str, tclass: str, perms: Iterable[str], condition: Optional[str] = None) -> str:
    """An access as a rule."""
    listed = " ".join(perms)
    under = f" while {condition}" if condition else ""
    return f"allow {source} {target}:{tclass} {{ {listed} }}{under}"
