"""Which ports get a type of the module's own, in which ranges, and which keep the type that they have.

Ports that the same domains use in the same way share one type: a rule on it then gives nothing that was not observed.
A port keeps its type where that is the narrowest there is: it covers this port alone, or belongs to the service that
is connected to, or the numbers differ from run to run so that no label can follow them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from polkit.minimize.existing_types import Wanted, fitting_port_type
from polkit.minimize.question import PortRange, Settings
from polkit.model import Counted, Port
from polkit.policy import TargetPolicy

PORT_PERMISSIONS = frozenset({"name_bind", "name_connect"})
GENERIC_PORTS = frozenset({"port_t", "unreserved_port_t", "reserved_port_t", "hi_reserved_port_t", "ephemeral_port_t"})
MANY = 8
"""One domain that connects to more generic ports than this takes them as they come."""

_Use = frozenset[tuple[str, str]]
"""(domain, permission) pairs."""


def own_ports(counted: Iterable[Counted], policy: TargetPolicy, settings: Settings) -> dict[Port, PortRange]:
    """From each port that needs a label to the range that is labelled with it."""
    uses = _uses(counted, policy)
    groups: dict[_Use, list[Port]] = {}
    for port, use in uses.items():
        groups.setdefault(use, []).append(port)
    found: dict[Port, PortRange] = {}
    for use, ports in groups.items():
        first = min(ports)
        own = f"{settings.module}_port_t"
        if len(groups) > 1:
            own = f"{settings.module}_{first.protocol}{first.number}_port_t"
        existing = None if len(ports) > 1 else fitting_port_type(_wanted(first, use, policy), policy, settings)
        for low, high in _ranges(ports, policy):
            labelled = PortRange(low.protocol, low.number, high.number, existing or own, existing is None)
            found.update((Port(low.protocol, number), labelled) for number in range(low.number, high.number + 1))
    return dict(sorted(found.items()))


def covers_alone(port: Port, type_: str, policy: TargetPolicy) -> bool:
    """A type has no port but this one (by whatever protocol)."""
    entries = policy.port_entries(type_)
    return bool(entries) and all(low == high == port.number for _, low, high in entries)


def _uses(counted: Iterable[Counted], policy: TargetPolicy) -> dict[Port, _Use]:
    """Who wants what of each port that gets a label."""
    found: dict[Port, set[tuple[str, str]]] = {}
    connected: dict[tuple[str, str, str], set[Port]] = {}
    bound: set[Port] = set()
    for port, source, target, tclass, perm in _wants(counted, policy):
        if perm == "name_connect" and target in GENERIC_PORTS:
            connected.setdefault((source, target, tclass), set()).add(port)
        if perm == "name_bind" and not covers_alone(port, target, policy):
            bound.add(port)
        found.setdefault(port, set()).add((source, perm))
    by_chance = {port for ports in connected.values() if len(ports) > MANY for port in ports}
    few = {port for ports in connected.values() for port in ports} - by_chance
    return {port: frozenset(use) for port, use in found.items() if port in bound | few}


def _wants(counted: Iterable[Counted], policy: TargetPolicy) -> Iterator[tuple[Port, str, str, str, str]]:
    """(port, domain, its present type, class, permission) of everything on ports that no rule gives."""
    for one in counted:
        key = one.key
        source, target = policy.type_name(key.source.type), policy.type_name(key.target.type)
        if key.port is None or source is None or target is None:
            continue
        for perm in PORT_PERMISSIONS.intersection(key.perms) - policy.allowed(source, target, key.tclass):
            yield key.port, source, target, key.tclass, perm


def _ranges(ports: Iterable[Port], policy: TargetPolicy) -> Iterator[tuple[Port, Port]]:
    """Neighbouring ports with one label as (lowest, highest); a port that has an entry of its own stands alone."""
    run: list[Port] = []
    for port in sorted(ports):
        if run and not (
            (port.protocol, port.number) == (run[-1].protocol, run[-1].number + 1)
            and policy.port_label(port) == policy.port_label(run[-1])
        ):
            yield run[0], run[-1]
            run = []
        run.append(port)
    if run:
        yield run[0], run[-1]


def _wanted(port: Port, use: _Use, policy: TargetPolicy) -> Wanted:
    label = policy.port_label(port)
    tclass = f"{port.protocol}_socket"
    perms: dict[tuple[str, str], frozenset[str]] = {}
    for domain, perm in use:
        perms[domain, tclass] = perms.get((domain, tclass), frozenset()) | {perm}
    return Wanted(perms, frozenset((label.type,)) if label is not None else frozenset(), frozenset((tclass,)))
