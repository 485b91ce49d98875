"""Booleans for the whole plan: one that must be turned on anyway should serve every access it can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from polkit.minimize.causes.boolean import boolean_remedy
from polkit.minimize.grouping import Diagnosed
from polkit.model import BooleanOption


def choose_booleans(diagnosed: Sequence[Diagnosed]) -> tuple[Diagnosed, ...]:
    """Every boolean finding with its options reordered so that the plan as a whole turns on the least.

    Settings that are some access's only way are taken first and serve whatever else they can; what is left takes its
    cheapest, and a choice that another one makes superfluous is dropped.
    """
    offers = [one.diagnosis.main.remedy.options for one in diagnosed]
    chosen = {options[0].settings: options[0] for options in offers if len(options) == 1}
    for options in offers:
        if options and not any(option.settings in chosen for option in options):
            chosen[options[0].settings] = options[0]
    _drop_superfluous(chosen, offers)
    return tuple(_with_choice(one, chosen) for one in diagnosed)


def _drop_superfluous(
    chosen: dict[tuple[tuple[str, bool], ...], BooleanOption], offers: Sequence[tuple[BooleanOption, ...]]
) -> None:
    dearest_first = sorted(chosen, key=lambda settings: (-chosen[settings].grants.accesses, settings))
    for settings in dearest_first:
        rest = chosen.keys() - {settings}
        if all(not options or any(option.settings in rest for option in options) for options in offers):
            del chosen[settings]


def _with_choice(one: Diagnosed, chosen: dict[tuple[tuple[str, bool], ...], BooleanOption]) -> Diagnosed:
    options = one.diagnosis.main.remedy.options
    best = next((option for option in options if option.settings in chosen), None)
    if best is None or best is options[0]:
        return one
    ordered = (best, *(option for option in options if option is not best))
    main = replace(one.diagnosis.main, remedy=boolean_remedy(ordered))
    return replace(one, diagnosis=replace(one.diagnosis, main=main))
