"""What a domain may do that puts it above others: what of the risk catalogue the policy allows it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from polkit.policy.domains import UNCONFINED_ATTRIBUTES, refused_as_base
from polkit.policy.interface import TargetPolicy
from polkit.policy.risk import Match, matches_of, risk_named
from polkit.policy.rules import Rules
from polkit.policy.target import rules_of

OVER_THE_KERNEL = (
    "memory",
    "raw-disk",
    "policy-load",
    "setenforce",
    "policy-files",
    "mac-admin",
    "module-load",
    "sys-rawio",
)
"""Who may do one of these ends the policy itself: no rule holds him any more."""
_POWERS = (
    *OVER_THE_KERNEL,
    "kernel-device",
    "kernel-settings",
    "shadow",
    "setbool",
    "runtime-exec",
    "runtime-socket",
    "host-executables",
    "audit-trail",
)
"""Of the risks, those that are about the whole host and that few domains may take (private keys: a fifth)."""
_LESSER = frozenset(("open", "setattr", "mounton", "ioctl", "sys_boot"))
"""Permissions of these risks that alone give no such power: containers and users' programs have them."""
_OF_USERS = frozenset(("removable_device_t", "user_cron_spool_t"))
"""What belongs to one user, or is handed in by one."""
UNCONFINED = "unconfined"
_NO_DOMAIN = ("the policy has no such type", "it is no domain")


def powers(rules: Rules, domain: str) -> tuple[str, ...]:
    """The ids of the powers that enabled rules give a domain, those over the kernel first; ``unconfined`` leads for one
    that no domain may inherit from (unconfined, the init system, the kernel, an engine)."""
    given: dict[str, Mapping[str, int]] = {}
    marks = (UNCONFINED,) if unlimited_because(rules, domain) else ()
    return (*marks, *(one for one in _POWERS if any(_has(rules, domain, match, given) for match in _matches(one))))


def unlimited_because(rules: Rules, domain: str) -> str:
    """Why a domain counts as unlimited whatever its rules are; empty for one that doesn't."""
    reason = refused_as_base(rules, domain)
    return "" if reason is None or reason in _NO_DOMAIN else reason


def privileged_because(rules: Rules, domain: str) -> str:
    """Why who runs in a domain is past the policy, in a few words; empty for a domain that the policy holds."""
    reason = unlimited_because(rules, domain)
    if reason:
        return reason
    over = [one for one in powers(rules, domain) if one in OVER_THE_KERNEL]
    return f"it has the power of {risk_named(over[0]).what}" if over else ""


def brought_by(rules: Rules, attribute: str) -> tuple[str, ...]:
    """The ids of the powers that rules on an attribute give each of its types, alone and whatever the booleans are.
    Attributes that mark unconfined domains lead with ``unconfined``."""
    given: dict[str, Mapping[str, int]] = {}
    for tclass, rows in rules.index.allow.items():
        given[tclass] = rows.get(attribute, {})
    marks = (UNCONFINED,) if attribute in UNCONFINED_ATTRIBUTES else ()
    return (*marks, *(one for one in _POWERS if any(_row_has(rules, match, given) for match in _matches(one))))


class Powers:
    """The powers of a loaded policy's domains, each worked out once."""

    def __init__(self, policy: TargetPolicy) -> None:
        self._rules = rules_of(policy)
        self._of: dict[str, tuple[str, ...]] = {}
        self._why: dict[str, str] = {}

    def of(self, domain: str) -> tuple[str, ...]:
        """See ``powers``; aliases are resolved."""
        real = self._rules.facts.canonical(domain)
        if real not in self._of:
            self._of[real] = powers(self._rules, real)
        return self._of[real]

    def why(self, domain: str) -> str:
        """See ``privileged_because``."""
        real = self._rules.facts.canonical(domain)
        if real not in self._why:
            self._why[real] = privileged_because(self._rules, real)
        return self._why[real]

    def enterers(self, domain: str) -> frozenset[str]:
        """The domains that rules let change into one by executing a program, without those that nothing holds."""
        rules, real = self._rules, self._rules.facts.canonical(domain)
        wanted, bit = rules.facts.sides.get(real, frozenset()), rules.bit("process", "transition")
        names = {
            name
            for name, row in rules.index.allow.get("process", {}).items()
            if any(row[target] & bit for target in wanted & row.keys())
        }
        found = {member for name in names for member in rules.facts.members(name)}
        return frozenset(one for one in found - {real} if not self.why(one))

    def brought_by(self, attribute: str) -> tuple[str, ...]:
        """See ``brought_by``."""
        return brought_by(self._rules, attribute)


@lru_cache(maxsize=64)
def _matches(risk_id: str) -> tuple[Match, ...]:
    """Those of named types, or of none: an attribute like ``exec_type`` has users' own scripts among its types, too."""
    given = (one for one in matches_of(risk_id) if one.classes is not None)
    return tuple(one for one in given if one.source_attributes is None and one.target_attributes is None)


def _has(rules: Rules, domain: str, match: Match, given: dict[str, Mapping[str, int]]) -> bool:
    for tclass in match.classes or ():
        if tclass not in given:
            given[tclass] = rules.given_to(domain, tclass)
    return _row_has(rules, match, given)


def _row_has(rules: Rules, match: Match, given: Mapping[str, Mapping[str, int]]) -> bool:
    """Whether what is given, by class and target as written, holds one of the accesses that match."""
    for tclass in (match.classes or frozenset()) & given.keys():
        bits = rules.index.bits.get(tclass, {})
        perms = bits.keys() if match.permissions is None else bits.keys() & match.permissions
        wanted = sum(bits[perm] for perm in perms - _LESSER)
        for target, mask in given[tclass].items():
            if mask & wanted and _is_target(rules, match, target):
                return True
    return False


def _is_target(rules: Rules, match: Match, name: str) -> bool:
    """One of the types behind a name, as rules have it, is what the risk is about."""
    return match.targets is None or not rules.facts.members(name).isdisjoint(match.targets - _OF_USERS)
