"""CIL as udica writes it: one block that inherits the templates of container-selinux, for hosts that are kept that way.

udica(8) writes ``(block NAME (blockinherit container) ...)`` with rules of ``process``; the workload then runs as
``NAME.process``. The module's own types and file contexts are in the block too, which udica itself does not write. What
the module inherits of its base is replaced by the templates, as udica does it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from polkit.bundle.exporters.block_cil import BlockParts, block_parts, port_commands, renamed, rule_lines
from polkit.bundle.exporters.frame import Exported, Exporter, Shipment
from polkit.bundle.exporters.workload import Workload, for_each_workload
from polkit.bundle.sides import Rule, ports_of
from polkit.bundle.targets import TargetBuild
from polkit.module import PRIORITY

_TEMPLATES = "/usr/share/udica/templates"
_BLOCK = re.compile(r"[^A-Za-z0-9_]")


def export(shipment: Shipment) -> Exported:
    """``TARGET/NAME.cil`` for each target whose workload has a domain of its own."""
    return for_each_workload(shipment, "a block is for", _files)


def _files(workload: Workload, build: TargetBuild) -> dict[str, bytes]:
    block, parts = block_name(workload.name), block_parts(build, workload.base is not None)
    ports = port_commands(ports_of(build), parts.types, block)
    lines = (*_head(block, workload), *(f";   {command}" for command in ports), *_lines(block, workload, parts))
    return {f"{block}.cil": "".join(f"{line}\n" for line in lines).encode("ascii")}


def block_name(name: str) -> str:
    """What the block is called. A module of this name is another than the bundle's own, which it must not hide."""
    return f"{_BLOCK.sub('_', name)}_udica"


def _head(block: str, workload: Workload) -> Iterator[str]:
    templates = [] if workload.base is None else ["base_container", *(["net_container"] if workload.network else [])]
    yield f"; {workload.name} {workload.version} as udica writes it, for the target {workload.target}."
    paths = " ".join(f"{_TEMPLATES}/{template}.cil" for template in templates)
    if workload.base is not None:
        yield f"; The templates stand in for what {workload.base} may: the bundle's proof is not one of this block."
    yield f";   semodule -X {PRIORITY} -i {' '.join((f'{block}.cil', paths)).strip()}"
    yield f";   podman run --security-opt label=type:{block}.process ..."


def _lines(block: str, workload: Workload, parts: BlockParts) -> Iterator[str]:
    yield f"(block {block}"
    yield from (f"    {line}" for line in _statements(block, workload, parts))
    yield ")"


def _statements(block: str, workload: Workload, parts: BlockParts) -> Iterator[str]:
    names = {parts.domain: "process"}
    if workload.base is None:
        yield "(type process)"
    else:
        yield "(blockinherit container)"
        if workload.network:
            yield "(blockinherit net_container)"
    for name in parts.types:
        yield f"(type {name})"
        # The compiler wants it of a type in a file context, where the policy does not say it of file_type.
        yield f"(roletype object_r {name})"
    yield from (f"(typeattributeset {attribute} ({names.get(type_, type_)}))" for attribute, type_ in parts.joins)
    yield from _rules(block, parts.rules, names)
    yield from (renamed(one, names) for one in parts.others)
    yield from (renamed(one, names) for one in parts.contexts)


def _rules(block: str, rules: tuple[Rule, ...], names: dict[str, str]) -> Iterator[str]:
    """Rules under their conditions; those that the module can do without are optional here too."""
    optionals = 0
    for rule in rules:
        lines = list(rule_lines((rule,), names))
        if rule.condition:
            lines = [f"(booleanif {rule.condition} (true {line}))" for line in lines]
        for line in lines:
            if rule.optional:
                optionals += 1
                yield f"(optional {block}_optional_{optionals} {line})"
            else:
                yield line


EXPORTER = Exporter("CIL as udica writes it", export)
