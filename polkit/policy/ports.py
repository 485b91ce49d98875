"""Port contexts: which type a port has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from polkit.model import Port
from polkit.policy.interface import PortLabel
from polkit.policy.protocols import SetoolsPolicy

_HIGHEST = 65535


@dataclass(frozen=True)
class PortContexts:
    """All portcon statements in the order of the policy; ``default`` is the type of the initial SID ``port``."""

    entries: tuple[tuple[str, int, int, str], ...] = ()
    """(protocol, low, high, type)."""
    default: Optional[str] = None

    def label(self, port: Port) -> Optional[PortLabel]:
        """The port's label: the first entry that covers it, else the initial SID's; None without port contexts.

        First match is what the kernel does (``security_port_sid``); the compilers write the narrower range first
        (libsepol ``cil_post_portcon_compare``, checkpolicy refuses hidden entries), so it is the narrowest too.
        """
        for protocol, low, high, type_ in self.entries:
            if protocol == port.protocol and low <= port.number <= high:
                return PortLabel(type_, low, high)
        if self.entries and self.default is not None:
            return PortLabel(self.default, 0, _HIGHEST)
        return None

    def of_type(self, type_: str) -> tuple[tuple[str, int, int], ...]:
        """(protocol, low, high) of every entry with this type, sorted."""
        return tuple(sorted(entry[:3] for entry in self.entries if entry[3] == type_))


def read_ports(policy: SetoolsPolicy) -> PortContexts:
    """All port contexts of a policy."""
    entries = tuple(
        (statement.protocol.name, statement.ports.low, statement.ports.high, statement.context.type_.name)
        for statement in policy.portcons()
    )
    if not entries:
        return PortContexts()
    default = [sid.context.type_.name for sid in policy.initialsids() if sid.name == "port"]
    return PortContexts(entries, default[0] if default else None)
