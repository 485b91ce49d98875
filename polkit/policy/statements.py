"""Everything of a binary policy that is no access vector rule, as text: what two policies say can be compared by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polkit.policy.binary import open_policy
from polkit.policy.cache import entry_key, fetch, keep
from polkit.policy.capabilities import capabilities

_TRANSITIONS = frozenset(("type_transition", "type_change", "type_member"))
_SILENT = frozenset(("auditallow", "dontaudit"))
_BY_STATEMENT = (
    "users",
    "initialsids",
    "fs_uses",
    "genfscons",
    "portcons",
    "nodecons",
    "netifcons",
    "ibpkeycons",
    "ibendportcons",
    "defaults",
    "bounds",
    "mlsrules",
    "constraints",
    "rbacrules",
    "classes",
    "commons",
    "sensitivities",
    "categories",
    "levels",
)
"""What setools lists and writes as a statement each (``setools.SELinuxPolicy``)."""


def read_statements(policy: Path) -> frozenset[str]:
    """One text a statement: transitions, audit rules, roles and their types, users, booleans with their defaults,
    constraints, permissive types, labels of the kernel's own objects, classes, levels, capabilities of the policy.

    Rules name attributes, as the policy does. A second for a distribution's policy. Raises SourceError for what is no
    policy, MissingDependency without setools.
    """
    opened: Any = open_policy(policy)
    found = {_text(item) for name in _BY_STATEMENT for item in getattr(opened, name)()}
    found.update(_rules(opened), _types(opened))
    found.update(f"bool {item.name} {str(bool(item.state)).lower()};" for item in opened.bools())
    found.update(f"role {role.name} types {type_.name};" for role in opened.roles() for type_ in role.types())
    found.update(f"policycap {name};" for name in capabilities(policy))
    found.add(f"handle_unknown {opened.handle_unknown.name};")
    found.add(f"mls {str(bool(opened.mls)).lower()};")
    return frozenset(found)


def kept_statements(policy: Path, sha256: str) -> frozenset[str]:
    """What ``read_statements`` says of a policy with this digest; from the cache where it has them, else kept there.

    Raises SourceError, MissingDependency.
    """
    key = entry_key(sha256, "statements")
    kept = None if key is None else fetch(key)
    if kept is not None:
        return frozenset(kept.decode("utf-8", "surrogateescape").split("\n"))
    found = read_statements(policy)
    if key is not None:
        keep(key, "\n".join(sorted(found)).encode("utf-8", "surrogateescape"))
    return found


def _rules(opened: Any) -> Iterator[str]:
    names: dict[int, str] = {}  # an enumeration's member takes long to say what it is called
    for rule in opened.terules():
        member = rule.ruletype
        kind = names.get(id(member)) or names.setdefault(id(member), member.name)
        if kind in _TRANSITIONS or kind in _SILENT:
            yield str(rule)


def _types(opened: Any) -> Iterator[str]:
    for type_ in opened.types():
        if type_.ispermissive:
            yield f"permissive {type_.name};"
        for alias in type_.aliases():
            yield f"typealias {type_.name} alias {alias};"


def _text(item: Any) -> str:
    """Rules, constraints and default statements are written by ``str``; of the rest, ``str`` is the name alone."""
    statement = getattr(item, "statement", None)
    return " ".join((str(item) if statement is None else statement()).split())
