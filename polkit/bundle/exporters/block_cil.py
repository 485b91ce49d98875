"""A module as statements of a CIL block, whose domain is a type that the block inherits (``process``).

Container templates (https://github.com/containers/container-selinux, udica-templates) declare ``process`` and give it
its role and attributes, so those of the module's domain are left out. So is what the domain inherits of its base: that
is what the template stands in for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from polkit.bundle.sides import INHERITED, Port, Rule, domain_of, own_types, rules_of
from polkit.bundle.targets import TargetBuild
from polkit.model import TypeTransition

_FILECON = re.compile(r'^\(filecon "[^"]*" [a-z]+ \(\S+ \S+ \S+ \(.*\)\)\)$', re.MULTILINE)
_TOKEN = re.compile(r'"[^"]*"|[^\s()"]+')
_RANGE = re.compile(r"(0x[0-9a-f]+)-(0x[0-9a-f]+)\Z")
_XPERMS = ("allowx", "auditallowx", "dontauditx")
_TRANSITIONS = {"type_transition": "typetransition", "type_change": "typechange", "type_member": "typemember"}


@dataclass(frozen=True)
class BlockParts:
    """What a block says besides what it inherits: types with the attributes they join, rules, other statements and
    file contexts. ``domain`` is what the module calls its domain, empty without one."""

    domain: str
    types: tuple[str, ...]
    joins: tuple[tuple[str, str], ...]
    rules: tuple[Rule, ...]
    others: tuple[str, ...]
    contexts: tuple[str, ...]


def block_parts(build: TargetBuild, templated: bool) -> BlockParts:
    """The parts of a target's module that has a package. ``templated``: the block inherits a template, and its domain
    all that a domain needs."""
    found = domain_of(build)
    domain = "" if found is None else found[0]
    claims = build.claims
    roles = {one for one in claims.others if re.fullmatch(rf"\(roletype \S+ {re.escape(domain)}\)", one)}
    dropped = _inherited_transitions(build) | (roles if templated else set())
    return BlockParts(
        domain,
        tuple(one for one in own_types(build) if one != domain),
        tuple(sorted(pair for pair in claims.joins if not (templated and pair[1] == domain))),
        tuple(rule for rule in rules_of(build) if rule.origin != INHERITED),
        tuple(sorted(claims.others - dropped)),
        tuple(_FILECON.findall(build.cil)),
    )


def rule_lines(rules: Iterable[Rule], names: Mapping[str, str]) -> Iterator[str]:
    """CIL of rules, each on a line of its own; conditions and optional blocks are the caller's."""
    for rule in rules:
        source, target = (names.get(one, one) for one in (rule.source, rule.target))
        if rule.kind in _XPERMS:
            for operation, numbers in _by_operation(rule.perms).items():
                yield f"({rule.kind} {source} {target} ({operation} {rule.tclass} ({' '.join(numbers)})))"
        else:
            yield f"({rule.kind} {source} {target} ({rule.tclass} ({' '.join(rule.perms)})))"


def port_commands(ports: Iterable[Port], types: Iterable[str], block: str) -> Iterator[str]:
    """How a host labels the ports: no block does, for one that has a label already would keep it from loading."""
    own = frozenset(types)
    for port in ports:
        type_ = f"{block}.{port.type}" if port.type in own else port.type
        yield f"semanage port -a -t {type_} -p {port.protocol} {port.number}"


def renamed(statement: str, names: Mapping[str, str]) -> str:
    """A statement with other names for types; texts in quotes stay."""
    return _TOKEN.sub(lambda found: names.get(found[0], found[0]), statement)


def _by_operation(perms: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for perm in perms:
        operation, _, number = perm.partition(" ")
        span = _RANGE.match(number)
        found.setdefault(operation, []).append(f"(range {span[1]} {span[2]})" if span else number)
    return found


def _inherited_transitions(build: TargetBuild) -> set[str]:
    """Type transitions that came from the base, as CIL."""
    inherited = None if build.source is None else build.source.inherited
    found = set()
    for rule in () if inherited is None else inherited.every_rule():
        if isinstance(rule, TypeTransition):
            words = (_TRANSITIONS[rule.kind], rule.source, rule.target, rule.tclass, rule.name or "", rule.default)
            found.add(f"({' '.join(word for word in words if word)})")
    return found
