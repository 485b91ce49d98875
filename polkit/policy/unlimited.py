"""Where rules give every ioctl or nlmsg command: there an allowxperm would take commands away, not give some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from polkit.errors import PolkitError
from polkit.policy.index import gather, gather_lists
from polkit.policy.interface import Unlimited
from polkit.policy.rules import Rules
from polkit.policy.terms import Term, any_holds, states_of, term_of, text_of

NewTypes = Mapping[str, tuple[str, ...]]
"""Types that the policy lacks and a module declares, with the attributes they join."""


def unlimited(
    rules: Rules, source: str, target: str, tclass: str, operation: str, new: NewTypes
) -> Optional[Unlimited]:
    """When the rules give every command of an operation, in any state of the booleans; None for never.

    A rule on extended permissions of any kind and operation closes the list of commands where it is in force (see
    ``Rules.xperm_refused``), so one that always is leaves nothing to take away.
    """
    sources, targets = _sides(rules, source, new), _sides(rules, target, new)
    bit = rules.bit(tclass, operation)
    always = bool(gather(rules.index.allow, tclass, sources, targets) & bit)
    given = frozenset(
        term_of(rules, rule.condition, rule.block)
        for rule in gather_lists(rules.index.allow_if, tclass, sources, targets)
        if rule.mask & bit
    )
    closing: set[Term] = set()
    for rule in gather_lists(rules.index.xperms, tclass, sources, targets):
        if rule.condition is None:
            return None
        closing.add(term_of(rules, rule.condition, rule.block))
    terms = None if always else given
    ever, in_all = _when(terms, frozenset(closing))
    if not ever:
        return None
    now = any_holds(terms, rules.state) and not any_holds(closing, rules.state)
    return Unlimited(now, "" if in_all else _text(terms, frozenset(closing)))


def _when(given: Optional[frozenset[Term]], closing: frozenset[Term]) -> tuple[bool, bool]:
    """Whether some state of the booleans, and whether every state, gives the permission and closes no list."""
    if given is not None and not given:
        return False, False
    try:
        states = states_of(given or (), closing)
        open_ = [any_holds(given, state) and not any_holds(closing, state) for state in states]
    except PolkitError:  # more booleans than can be tried: taken as given, since to take away is what must not happen
        return True, False
    return any(open_), all(open_)


def _text(given: Optional[frozenset[Term]], closing: frozenset[Term]) -> str:
    parts = [text_of(given)] if given is not None else []
    parts += [f"!({text_of(closing)})"] if closing else []
    return " && ".join(f"({part})" if "||" in part and len(parts) > 1 else part for part in parts)


def _sides(rules: Rules, type_: str, new: NewTypes) -> frozenset[str]:
    """What rules may call a type: its name and its attributes."""
    known = rules.facts.sides.get(type_)
    return known if known is not None else frozenset((type_, *new.get(type_, ())))
