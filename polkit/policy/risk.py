"""The risk of one access, from the catalogue in ``risk.toml`` beside this file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.resources import files
from typing import Any, Optional

from polkit.policy.interface import TargetPolicy

_SEVERITIES = ("low", "medium", "high")


@dataclass(frozen=True)
class Risk:
    """A catalogue entry that an access matches. ``refuse``: not granted unless ``--accept`` names ``id``."""

    id: str
    severity: str
    """low, medium or high."""
    refuse: bool
    what: str
    why: str
    reference: str
    story: str = ""
    """How an intruder would use it and what he has then; empty for what the catalogue has none of."""


@dataclass(frozen=True)
class Match:
    """What an access must be; None where anything will do."""

    sources: Optional[frozenset[str]]
    targets: Optional[frozenset[str]]
    source_attributes: Optional[frozenset[str]]
    target_attributes: Optional[frozenset[str]]
    classes: Optional[frozenset[str]]
    permissions: Optional[frozenset[str]]
    relation: Optional[str]
    known: Optional[bool]

    def asks_for(self, tclass: str, perm: str) -> bool:
        """The class and permission are among those named."""
        named = self.permissions is None or perm in self.permissions
        return named and (self.classes is None or tclass in self.classes)

    def fits(self, source: str, target: str, policy: TargetPolicy) -> bool:
        """What is named of the types holds; the cheap questions come first."""
        return (
            (self.sources is None or source in self.sources)
            and (self.targets is None or target in self.targets)
            and (self.relation is None or (source == target) == (self.relation == "self"))
            and (self.known is None or (policy.type_name(target) is not None) == self.known)
            and (self.source_attributes is None or not self.source_attributes.isdisjoint(policy.attributes(source)))
            and (self.target_attributes is None or not self.target_attributes.isdisjoint(policy.attributes(target)))
        )


def assess(source: str, target: str, tclass: str, perm: str, policy: TargetPolicy) -> Optional[Risk]:
    """The gravest catalogue entry that an access matches; None when none does.

    ``target`` may be ``self``. Aliases are resolved; a type the policy doesn't have counts as the module's own.
    """
    one = policy.type_name(source) or source
    two = one if target == "self" else policy.type_name(target) or target
    for risk, match in _candidates(tclass, perm):
        if match.fits(one, two, policy):
            return risk
    return None


@lru_cache(maxsize=4096)
def may_be_refused(tclass: str, perm: str) -> bool:
    """Whether a catalogue entry refuses this permission for any types at all."""
    return any(risk.refuse for risk, _ in _candidates(tclass, perm))


def risk_ids() -> tuple[str, ...]:
    """The id of every catalogue entry, gravest first: what ``--accept`` may name."""
    return tuple(risk.id for risk, _ in _catalogue())


def risk_named(risk_id: str) -> Risk:
    """The catalogue entry with this id; KeyError for an id that ``risk_ids`` does not list."""
    return {risk.id: risk for risk, _ in _catalogue()}[risk_id]


def sensitive_types() -> tuple[str, ...]:
    """The types that a sample of a change's targets should show first, most sensitive first."""
    return tuple(_document()["sensitive"])


def matches_of(risk_id: str) -> tuple[Match, ...]:
    """What an access must be for the catalogue entry with this id, for this room; KeyError as ``risk_named``."""
    return {risk.id: matches for risk, matches in _catalogue()}[risk_id]


@lru_cache(maxsize=1)
def _document() -> Mapping[str, Any]:
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    document: Mapping[str, Any] = toml.loads(files("polkit.policy").joinpath("risk.toml").read_text("utf-8"))
    return document


@lru_cache(maxsize=1)
def _catalogue() -> tuple[tuple[Risk, tuple[Match, ...]], ...]:
    """Every entry with its matches, gravest first; entries of one gravity in the file's order."""
    document = _document()
    entries = []
    for entry in document["risk"]:
        fields = {key: value for key, value in entry.items() if key != "match"}
        matches = tuple(_match(table, document["groups"]) for table in entry["match"])
        entries.append((Risk(**{"refuse": False, **fields}), matches))
    return tuple(sorted(entries, key=lambda item: (-_SEVERITIES.index(item[0].severity), not item[0].refuse)))


@lru_cache(maxsize=4096)
def _candidates(tclass: str, perm: str) -> tuple[tuple[Risk, Match], ...]:
    """The matches for a permission, gravest first: few of all. A boolean's price asks for many thousand types."""
    return tuple((risk, match) for risk, found in _catalogue() for match in found if match.asks_for(tclass, perm))


def _match(table: Mapping[str, Any], groups: Mapping[str, list[str]]) -> Match:
    return Match(
        sources=_names(table.get("sources"), groups),
        targets=_names(table.get("targets"), groups),
        source_attributes=_names(table.get("source_attributes"), groups),
        target_attributes=_names(table.get("target_attributes"), groups),
        classes=_names(table.get("classes"), groups),
        permissions=_names(table.get("permissions"), groups),
        relation=table.get("relation"),
        known=table.get("known"),
    )


def _names(listed: Optional[list[str]], groups: Mapping[str, list[str]]) -> Optional[frozenset[str]]:
    """A list with its ``@groups`` written out."""
    if listed is None:
        return None
    return frozenset(name for item in listed for name in (groups[item[1:]] if item.startswith("@") else (item,)))
