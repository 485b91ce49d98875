"""port-label: a port is bound or connected to, and its label is the generic one or that of another service."""

from __future__ import annotations

from typing import Optional

from polkit.minimize.own_ports import GENERIC_PORTS, PORT_PERMISSIONS, covers_alone
from polkit.minimize.question import Finding, PortRange, Question
from polkit.model import AvRule, Port, Remedy, TypeDeclaration


def examine(question: Question) -> Optional[Finding]:
    """Gives the port a type of the module's own, and names who loses by it where the port had another one."""
    port = question.key.port
    if question.verdict is None or question.verdict.rule or port is None:
        return None
    if question.access.perm not in PORT_PERMISSIONS or question.policy.info is None or port not in question.own.ports:
        return None
    labelled = question.own.ports[port]
    attributes = ("port_type",) if question.policy.types("port_type") else ()
    remedy = Remedy(
        "port",
        _text(question, labelled),
        (_command(question, labelled),),
        type=labelled.type,
        protocol=port.protocol,
        port=labelled.low,
        rules=(AvRule("allow", question.source, labelled.type, question.key.tclass, (question.access.perm,)),)
        if labelled.own
        else (),
        types=(TypeDeclaration(labelled.type, attributes),) if labelled.own else (),
    )
    kind = "the label of every port nobody labelled" if question.target in GENERIC_PORTS else "another service's label"
    ports = len(question.policy.port_entries(question.target))
    why = (
        f"Port {port} is {question.target}, {kind}: a rule on it would cover all of its {ports} port entries, "
        "not this port alone."
    )
    label = question.policy.port_label(port)
    found = label.type if label is not None else "none"
    retarget = None if labelled.own else labelled.type
    return Finding("port-label", remedy, why, asked=(f"port context of {port}? {found}",), retarget=retarget)


def why_label_stays(question: Question) -> str:
    """Why the port of a refused access keeps its label, so that a rule on that is the narrowest; empty for no port."""
    port, target = question.key.port, question.target
    if port is None or question.access.perm not in PORT_PERMISSIONS or question.policy.info is None:
        return ""
    if target in GENERIC_PORTS:
        return (
            f" It connects to many ports of {target}, and such numbers differ from run to run: no label can follow "
            "them, so this type is the narrowest."
        )
    if covers_alone(port, target, question.policy):
        return f" {target} is the label of port {port.number} alone, so no narrower one could be made."
    entries = question.policy.port_entries(target)
    ports = ", ".join(f"{protocol}/{_numbers(low, high)}" for protocol, low, high in entries[:8])
    more = f" and {len(entries) - 8} more" if len(entries) > 8 else ""
    return (
        f" Port {port} is labelled for the service that listens there; the rule covers all of its ports "
        f"({ports}{more}), and another label would take this one from that service."
    )


def _text(question: Question, labelled: PortRange) -> str:
    numbers = _numbers(labelled.low, labelled.high)
    ports = f"{labelled.protocol} port{'s' if labelled.low != labelled.high else ''} {numbers}"
    if not labelled.own:
        return (
            f"Label {ports} as {labelled.type}: this type has no other port, and gives the domain exactly what was "
            "observed and nobody else anything."
        )
    return f"Label {ports} as {labelled.type} and allow that type alone.{_losers(question)}"


def _command(question: Question, labelled: PortRange) -> str:
    """``-m`` where the policy has an entry for exactly these ports: semanage refuses to add that again."""
    label = question.policy.port_label(Port(labelled.protocol, labelled.low))
    defined = label is not None and (label.low, label.high) == (labelled.low, labelled.high)
    numbers = _numbers(labelled.low, labelled.high)
    return f"semanage port {'-m' if defined else '-a'} -t {labelled.type} -p {labelled.protocol} {numbers}"


def _numbers(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def _losers(question: Question) -> str:
    """Which domains may use the port by its present label and could not any more."""
    if question.target in GENERIC_PORTS:
        return ""
    domains = sorted(
        domain
        for domain in question.policy.types("domain")
        if question.access.perm in question.policy.allowed(domain, question.target, question.key.tclass)
    )
    if not domains:
        return ""
    more = f" and {len(domains) - 4} more" if len(domains) > 4 else ""
    return f" These lose {question.access.perm} on it: {', '.join(domains[:4])}{more}."
