"""Everything of a binary policy that is no access vector rule, as text: what two policies say can be compared by it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Optional

from polkit.policy.binary import open_policy
from polkit.policy.cache import entry_key, fetch, keep
from polkit.policy.capabilities import capabilities

_RULES = frozenset(("type_transition", "type_change", "type_member", "auditallow", "dontaudit"))
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
    rules = set[str]()
    names: dict[int, str] = {}  # an enumeration's member takes long to say what it is called
    for rule in opened.terules():
        member = rule.ruletype
        add_rule(rules, names.get(id(member)) or names.setdefault(id(member), member.name), rule)
    return statements_of(policy, opened, rules)


def add_rule(found: set[str], kind: str, rule: object) -> None:
    """Add a rule of the kind with this name, if it is among the statements."""
    if kind in _RULES:
        found.add(str(rule))


def statements_of(policy: Path, opened: Any, rules: Iterable[str]) -> frozenset[str]:
    """What ``read_statements`` says of a policy that is ``opened``, with the rules that ``add_rule`` took."""
    found = {_text(item) for name in _BY_STATEMENT for item in getattr(opened, name)()}
    found.update(rules, _types(opened))
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
    kept = fetch_statements(sha256)
    if kept is not None:
        return kept
    found = read_statements(policy)
    keep_statements(found, sha256)
    return found


def fetch_statements(sha256: str) -> Optional[frozenset[str]]:
    """Those that the cache has of a policy with this digest."""
    key = entry_key(sha256, "statements")
    kept = None if key is None else fetch(key)
    return None if kept is None else unpack_statements(kept)


def keep_statements(found: frozenset[str], sha256: str) -> None:
    """Put them into the cache, where there is one."""
    key = entry_key(sha256, "statements")
    if key is not None:
        keep(key, pack_statements(found))


def pack_statements(found: frozenset[str]) -> bytes:
    """Statements as bytes."""
    return "\n".join(sorted(found)).encode("utf-8", "surrogateescape")


def unpack_statements(data: bytes) -> frozenset[str]:
    """What ``pack_statements`` packed."""
    return frozenset(data.decode("utf-8", "surrogateescape").split("\n"))


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
