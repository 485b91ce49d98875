"""A plan as ``polkit.plan/1``, the JSON that others rely on (docs/schemas/polkit.plan-1.schema.json)."""

from __future__ import annotations

import json
from typing import Any, Optional

from polkit.audit import summary_object
from polkit.minimize.running import how_to_run
from polkit.model import (
    Alternative,
    AvRule,
    BooleanOption,
    Decision,
    DeviceCommand,
    Evidence,
    FileContext,
    Grants,
    InterfaceCall,
    ModuleInfo,
    OwnDomain,
    Plan,
    Remedy,
    RoleAllow,
    RoleTypes,
    Rule,
    XpermRule,
    iso_time,
)

SCHEMA = "polkit.plan/1"
_LABELS = ("relabel", "fcontext", "equivalence", "mount")
_WITH_COMMAND = (*_LABELS, "port")


def plan_text(plan: Plan) -> str:
    """The plan as indented JSON with a newline at its end, in ASCII: no byte of a log can do harm on a terminal."""
    return json.dumps(plan_object(plan), indent=2) + "\n"


def plan_object(plan: Plan) -> dict[str, Any]:
    """The plan as plain dictionaries and lists."""
    return {
        "schema": SCHEMA,
        "policy": vars(plan.policy).copy() if plan.policy is not None else None,
        "input": summary_object(plan.input),
        "decisions": [_decision(decision) for decision in plan.decisions],
        "domain": _domain(plan.domain) if plan.domain is not None else None,
        "module": _module(plan.module) if plan.module is not None else None,
        "predicted": [_decision(decision) for decision in plan.predicted],
        "interfaces": [_interface_call(call) for call in plan.interfaces],
        "notes": list(plan.notes),
    }


def _interface_call(call: InterfaceCall) -> dict[str, Any]:
    return {
        "call": call.text,
        "name": call.name,
        "arguments": list(call.arguments),
        "header": call.header,
        "used": call.used,
        "rules": [rule_object(rule) for rule in call.rules],
        "given": call.given,
        "extra": call.extra,
        "extra_rules": [rule_object(rule) for rule in call.extra_rules],
        "refused": list(call.refused),
    }


def _domain(domain: OwnDomain) -> dict[str, Any]:
    return {"name": domain.name, "base": domain.base, "sources": list(domain.sources), "run": how_to_run(domain)}


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "id": decision.id,
        "source": decision.source,
        "target": decision.target,
        "class": decision.tclass,
        "perms": list(decision.perms),
        "xperms": list(decision.xperms),
        "cause": decision.cause,
        "also": list(decision.also),
        "remedy": _remedy(decision.remedy),
        "also_remedies": [_remedy(remedy) for remedy in decision.also_remedies],
        "risk": decision.risk,
        "risk_id": decision.risk_id or None,
        "why": decision.why,
        "asked": list(decision.asked),
        "device_commands": [_device_command(one) for one in decision.device_commands],
        "follows": list(decision.follows),
        "evidence": _evidence(decision.evidence),
        **_choice(decision),
    }


def _device_command(one: DeviceCommand) -> dict[str, Any]:
    return {
        "xperm": one.xperm,
        "names": list(one.names),
        "drivers": list(one.drivers),
        "sources": list(one.sources),
        "measured": one.measured,
        "why": one.why,
    }


def _choice(decision: Decision) -> dict[str, Any]:
    """What was chosen, by whom, and out of what; the tool's own choice comes first."""
    found: dict[str, Any] = {"chosen_by": decision.chosen_by}
    if decision.alternatives:
        listed = [_alternative(one) for one in decision.alternatives]
        found.update(key=decision.key, chosen=decision.chosen, alternatives=listed)
    return found


def _alternative(one: Alternative) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.remedy.kind,
        "accesses": one.cost.accesses,
        "domains": one.cost.domains,
        "cost": one.cost.text,
        "risk": one.risk,
        "risk_id": one.risk_id or None,
        "widens": one.widens,
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "records": evidence.records,
        "accesses": evidence.accesses,
        "first": _time(evidence.first),
        "last": _time(evidence.last),
        "comms": list(evidence.comms),
        "paths": list(evidence.paths),
        "names": list(evidence.names),
        "devices": list(evidence.devices),
        "exes": list(evidence.exes),
        "syscalls": list(evidence.syscalls),
        "calls": list(evidence.calls),
        "nodes": list(evidence.nodes),
        "answers": list(evidence.answers),
        "commands": list(evidence.commands),
        "addresses": list(evidence.addresses),
        "ports": list(evidence.ports),
        "levels": list(evidence.levels),
        "hosts": list(evidence.hosts),
        "permissive": evidence.permissive,
    }


def _time(milliseconds: Optional[int]) -> Optional[str]:
    return iso_time(milliseconds) if milliseconds is not None else None


def _remedy(remedy: Remedy) -> dict[str, Any]:
    """The kind's own keys, ``text`` for a person, and rules, types and labels where it carries any."""
    found: dict[str, Any] = {"kind": remedy.kind, "text": remedy.text}
    if remedy.kind == "boolean":
        found.update(_boolean(remedy.options))
    elif remedy.options:
        found["booleans"] = _options(remedy.options)
    if remedy.kind in _LABELS:
        found.update(path=remedy.path, pattern=remedy.pattern, type=remedy.type)
    if remedy.kind == "port":
        found.update(protocol=remedy.protocol, port=remedy.port, type=remedy.type)
    if remedy.hint is not None:
        found["hint"] = remedy.hint
    if remedy.commands or remedy.kind in _WITH_COMMAND:
        found.update(command=remedy.commands[0] if remedy.commands else None, commands=list(remedy.commands))
    if remedy.rules or remedy.kind == "allow":
        found["rules"] = [rule_object(rule) for rule in remedy.rules]
    if remedy.xperm_note:
        found["xperm_note"] = remedy.xperm_note
    if remedy.types:
        found["types"] = [{"name": one.name, "attributes": list(one.attributes)} for one in remedy.types]
    if remedy.contexts:
        found["contexts"] = [_context(context) for context in remedy.contexts]
    if remedy.kind == "none" and (remedy.nearest or remedy.type):
        found.update(nearest=list(remedy.nearest), type=remedy.type)
    return found


def _boolean(options: tuple[BooleanOption, ...]) -> dict[str, Any]:
    name, value = options[0].settings[0]
    return {
        "name": name,
        "value": value,
        "settings": dict(options[0].settings),
        "also_allows": _grants(options[0].grants),
        "options": _options(options),
    }


def _options(options: tuple[BooleanOption, ...]) -> list[dict[str, Any]]:
    return [{"settings": dict(one.settings), "also_allows": _grants(one.grants)} for one in options]


def _grants(grants: Grants) -> dict[str, Any]:
    return {
        "accesses": grants.accesses,
        "domains": grants.domains,
        "types": grants.types,
        "sample": list(grants.sample),
        "refused": list(grants.refused),
    }


def rule_object(rule: Rule) -> dict[str, Any]:
    """One rule as an object; ``kind`` tells which keys it has."""
    if isinstance(rule, AvRule):
        return {
            "kind": rule.kind,
            "source": rule.source,
            "target": rule.target,
            "class": rule.tclass,
            "perms": list(rule.perms),
        }
    if isinstance(rule, XpermRule):
        return {
            "kind": rule.kind,
            "source": rule.source,
            "target": rule.target,
            "class": rule.tclass,
            "operation": rule.operation,
            "xperms": [f"0x{number:04x}" for number in rule.numbers],
        }
    if isinstance(rule, RoleAllow):
        return {"kind": "role_allow", "source": rule.source, "target": rule.target}
    if isinstance(rule, RoleTypes):
        return {"kind": "role_types", "role": rule.role, "type": rule.type}
    return {"kind": "typebounds", "parent": rule.parent, "child": rule.child}


def _context(context: FileContext) -> dict[str, Any]:
    return {"pattern": context.pattern, "kind": context.kind, "type": context.type, "level": context.level}


def _module(module: ModuleInfo) -> dict[str, Any]:
    found = vars(module).copy()
    return {**found, "widened": list(module.widened), "files": list(module.files)}
