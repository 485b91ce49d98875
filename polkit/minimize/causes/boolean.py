"""boolean: a rule that the policy already holds under a boolean would give the access."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from polkit.minimize.question import Finding, Question
from polkit.model import BooleanOption, Remedy
from polkit.policy import BooleanSet, TargetPolicy

_NARROW = 4
"""A boolean that opens more types than this is no narrow change: its most sensitive ones are named."""


def examine(question: Question) -> Optional[Finding]:
    """All sets of one or two booleans that would do, the one that turns on the least first."""
    if question.verdict is None or question.verdict.rule or not question.verdict.booleans:
        return None
    options = boolean_options(question.policy, question.verdict.booleans)
    asked = tuple(f"would {describe(option)} allow it? yes" for option in options)
    why = (
        f"The target policy has a rule for it under {describe(options[0])}, which is not so on this host."
        if len(options) == 1
        else f"The target policy has rules for it under {len(options)} choices of booleans; the narrowest comes first."
    )
    return Finding("boolean", boolean_remedy(options), why, asked=asked)


def boolean_options(policy: TargetPolicy, sets: Iterable[BooleanSet]) -> tuple[BooleanOption, ...]:
    """Sets of booleans with what each newly allows in the whole policy, the cheapest first."""
    return tuple(sorted((BooleanOption(one.settings, policy.grants_of(one.settings)) for one in sets), key=price))


def price(option: BooleanOption) -> tuple[object, ...]:
    """What opens something that is refused elsewhere is dearer than anything that does not; then what opens more."""
    return (bool(option.grants.refused), option.grants.accesses, option.settings)


def boolean_remedy(options: tuple[BooleanOption, ...]) -> Remedy:
    """The remedy for these options, of which the first is chosen."""
    chosen = options[0]
    words = " ".join(f"{name}={'on' if value else 'off'}" for name, value in chosen.settings)
    grants = chosen.grants
    newly = _count(grants.accesses, "access", "accesses")
    reach = f"{_count(grants.domains, 'domain', 'domains')} to {_count(grants.types, 'type', 'types')}"
    text = f"Turn {describe(chosen)}; in the whole policy that newly allows {newly} of {reach}."
    if grants.refused:
        text += f" Among them what is refused elsewhere: {', '.join(grants.refused[:6])}."
    elif grants.types > _NARROW and grants.sample:
        text += f" Among them: {', '.join(grants.sample[:4])}."
    if grants.refused or grants.types > _NARROW:
        text += " Leave it off if one access is all that asks for it."
    if len(options) > 1:
        others = "; ".join(f"{describe(option)} would allow {option.grants.accesses}" for option in options[1:4])
        text += f" ({others}.)"
    return Remedy("boolean", text, (f"setsebool -P {words}",), options=options)


def describe(option: BooleanOption) -> str:
    """``container_use_devices on``, or two of them joined by "and"."""
    return " and ".join(f"{name} {'on' if value else 'off'}" for name, value in option.settings)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
