"""port-label: a port is bound or connected to, and its label is the generic one or that of another service."""

from __future__ import annotations

from typing import Optional

from polkit.minimize.own_types import PORT_PERMISSIONS
from polkit.minimize.question import Finding, Question
from polkit.model import AvRule, Port, Remedy, TypeDeclaration

GENERIC_PORTS = frozenset({"port_t", "unreserved_port_t", "reserved_port_t", "hi_reserved_port_t", "ephemeral_port_t"})


def examine(question: Question) -> Optional[Finding]:
    """Gives the port a type of the module's own, and names who loses by it where the port had another one."""
    port = question.key.port
    if question.verdict is None or question.verdict.rule or port is None:
        return None
    if question.access.perm not in PORT_PERMISSIONS or question.policy.info is None or port not in question.own.ports:
        return None
    if question.access.perm == "name_connect" and question.target not in GENERIC_PORTS:
        return None  # the port is labelled for the service that listens there: its type is the narrowest there is
    own = question.own.ports[port]
    label = question.policy.port_label(port)
    defined = label is not None and label.low == label.high == port.number and label.type not in GENERIC_PORTS
    action = "-m" if defined else "-a"
    command = f"semanage port {action} -t {own} -p {port.protocol} {port.number}"
    text = f"Label {port.protocol} port {port.number} as {own} and allow that type alone.{_losers(question, port)}"
    rule = AvRule("allow", question.source, own, question.key.tclass, (question.access.perm,))
    attributes = ("port_type",) if question.policy.types("port_type") else ()
    remedy = Remedy(
        "port",
        text,
        (command,),
        type=own,
        protocol=port.protocol,
        port=port.number,
        rules=(rule,),
        types=(TypeDeclaration(own, attributes),),
    )
    kind = "the label of every port nobody labelled" if question.target in GENERIC_PORTS else "another service's label"
    ports = len(question.policy.port_entries(question.target))
    why = (
        f"Port {port} is {question.target}, {kind}: a rule on it would cover all of its {ports} port entries, "
        "not this port alone."
    )
    found = label.type if label is not None else "none"
    return Finding("port-label", remedy, why, asked=(f"port context of {port}? {found}",))


def _losers(question: Question, port: Port) -> str:
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
