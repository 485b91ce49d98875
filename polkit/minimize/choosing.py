"""Booleans for one (source, target, class): what must be turned on anyway should serve every permission it can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from polkit.minimize.causes.boolean import boolean_remedy, price
from polkit.minimize.grouping import Diagnosed
from polkit.model import BooleanOption

_Settings = tuple[tuple[str, bool], ...]
_Chosen = dict[_Settings, BooleanOption]


def choose_booleans(diagnosed: Sequence[Diagnosed]) -> tuple[Diagnosed, ...]:
    """Every boolean finding with its options reordered so that each tuple turns on the least as a whole.

    Tuples are settled one by one: a dear boolean that one of them needs does not become another's remedy, so that
    the user may well leave that one refused.
    """
    tuples: dict[tuple[str, str, str], list[tuple[BooleanOption, ...]]] = {}
    for one in diagnosed:
        options = one.diagnosis.main.remedy.options
        if options:
            tuples.setdefault(_tuple_of(one), []).append(options)
    chosen = {key: _choose(offers) for key, offers in tuples.items()}
    return tuple(_with_choice(one, chosen.get(_tuple_of(one), {})) for one in diagnosed)


def _tuple_of(one: Diagnosed) -> tuple[str, str, str]:
    return (one.question.source, one.question.target, one.question.key.tclass)


def _choose(offers: Sequence[tuple[BooleanOption, ...]]) -> _Chosen:
    """Settings that are some permission's only way first; then the cheapest for what is left; superfluous ones out."""
    chosen = {options[0].settings: options[0] for options in offers if len(options) == 1}
    for options in offers:
        if not any(option.settings in chosen for option in options):
            chosen[options[0].settings] = options[0]
    dearest_first = sorted(chosen, key=lambda settings: price(chosen[settings]), reverse=True)
    for settings in dearest_first:
        rest = chosen.keys() - {settings}
        if all(any(option.settings in rest for option in options) for options in offers):
            del chosen[settings]
    return chosen


def _with_choice(one: Diagnosed, chosen: _Chosen) -> Diagnosed:
    options = one.diagnosis.main.remedy.options
    best = next((option for option in options if option.settings in chosen), None)
    if best is None or best is options[0]:
        return one
    ordered = (best, *(option for option in options if option is not best))
    main = replace(one.diagnosis.main, remedy=boolean_remedy(ordered))
    return replace(one, diagnosis=replace(one.diagnosis, main=main))
