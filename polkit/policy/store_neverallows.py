"""The neverallow rules of a module store, read when first asked for and then kept in the cache.

Reading them takes most of a second for a distribution's store, since every module has to be unpacked and searched. An
entry is kept under the digests of the policy, whose types and attributes the rules are expanded by, and of every
enabled module, packed as it lies there (10 ms): a store that differs in a byte that counts has another entry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from sys import intern
from typing import Any, Optional

from polkit.policy.cache import entry_key, fetch, keep
from polkit.policy.facts import Facts
from polkit.policy.neverallow import SPECIAL, Neverallow, read_neverallows
from polkit.policy.store import modules_digest, read_packed, unpack_modules

Rules = Mapping[str, list[Neverallow]]
"""By class."""


class Neverallows:
    """All neverallow rules of a store; read at the first question."""

    def __init__(self, store: Path, facts: Facts, policy_sha256: Optional[str]) -> None:
        """``policy_sha256``: the digest of the policy that the facts are of; None leaves the cache alone."""
        self._store = store
        self._facts = facts
        self._policy_sha256 = policy_sha256
        self._rules: Optional[Rules] = None

    def find(self, source: str, target: str, tclass: str, perm: str) -> Optional[str]:
        """The text of a rule that ``allow source target:tclass perm`` would break. Names are canonical."""
        for rule in self.rules().get(tclass, ()):
            if rule.forbids(source, target, perm):
                return rule.text
        return None

    def rules(self) -> Rules:
        """All rules, by class. Raises SourceError when the store can't be read."""
        if self._rules is None:
            self._rules = self._read()
        return self._rules

    def _read(self) -> Rules:
        packed = list(read_packed(self._store))
        key = None if self._policy_sha256 is None else entry_key(self._policy_sha256, modules_digest(packed))
        kept = None if key is None else fetch(key)
        if kept is not None:
            with suppress(ValueError):  # what isn't a store's rules is replaced below
                return unpack_rules(kept)
        rules = read_neverallows(list(unpack_modules(packed)), self._facts)
        if key is not None:
            keep(key, pack_rules(rules))
        return rules


def pack_rules(rules: Rules) -> bytes:
    """The rules as JSON, the many sets that are equal once. Their order is kept: the first that forbids is named."""
    sets: dict[frozenset[str], int] = {}
    packed = {
        tclass: [
            [
                rule.text,
                rule.statement,
                rule.special,
                *(sets.setdefault(names, len(sets)) for names in _sets_of(rule)),
            ]
            for rule in found
        ]
        for tclass, found in rules.items()
    }
    document = {"rules": packed, "sets": [sorted(names) for names in sets]}
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def unpack_rules(data: bytes) -> Rules:
    """The rules that ``pack_rules`` was given. Raises ValueError for anything that could not have come from it and
    would later make a question fail.
    """
    try:
        document = json.loads(data)
        sets = [frozenset(map(intern, names)) for names in document["sets"]]
        return {
            intern(tclass): [_unpacked(sets, *rule) for rule in found] for tclass, found in document["rules"].items()
        }
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("not the rules of a store") from error


def _sets_of(rule: Neverallow) -> tuple[frozenset[str], ...]:
    return rule.exempting, rule.sources, rule.targets, rule.perms


def _unpacked(sets: list[frozenset[str]], text: str, statement: str, special: str, *numbers: Any) -> Neverallow:
    exempting, sources, targets, perms = (sets[number] for number in numbers)
    if special and special not in SPECIAL:
        raise ValueError("not the rules of a store")
    return Neverallow(intern(text), intern(statement), exempting, sources, targets, special, perms)
