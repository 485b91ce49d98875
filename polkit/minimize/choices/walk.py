"""The walk through the decisions as a state machine: one key, one new state. It knows nothing of terminals or files.

A choice is lost by no key: only choosing again at the same step changes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Optional

ENTER, BACK, SKIP, MORE, DONE, LATER, HELP = "enter", "b", "s", "v", "d", "q", "?"
"""The keys, besides ``1`` to ``9``."""


@dataclass(frozen=True)
class Walk:
    """Where a person is, and what was chosen. Steps are counted from 0; ``index`` is their number at the end.

    ``choices``: for each step the option that a person chose (from 0), or None. ``seen``: for each step whether it was
    answered, be it by skipping it. ``more``: all evidence is shown; ``help``: what the keys do. ``unknown`` is the last
    key where it meant nothing there. ``over``: ``done`` or ``later`` once the walk has ended.
    """

    sizes: tuple[int, ...]
    choices: tuple[Optional[int], ...]
    seen: tuple[bool, ...]
    index: int = 0
    more: bool = False
    help: bool = False
    unknown: str = ""
    over: str = ""

    @property
    def at_end(self) -> bool:
        """Every step lies behind."""
        return self.index == len(self.sizes)


def begin(sizes: Sequence[int], choices: Sequence[Optional[int]] = (), seen: Optional[Sequence[bool]] = None) -> Walk:
    """The walk over steps with so many options each, at the first that was not answered yet."""
    answers = tuple(choices) or (None,) * len(sizes)
    known = tuple(seen) if seen is not None else tuple(choice is not None for choice in answers)
    index = next((number for number, answered in enumerate(known) if not answered), len(sizes))
    return Walk(tuple(sizes), answers, known, index)


def press(walk: Walk, key: str) -> Walk:
    """The state after a key: ``1`` to ``9`` and Enter choose and go on, ``b`` goes back, ``s`` goes on and leaves the
    step as it stands, ``v`` and ``?`` show more, ``d`` and ``q`` end the walk. At the end Enter is ``d``."""
    if walk.over:
        return walk
    walk = replace(walk, unknown="", help=False)
    if key in (DONE, LATER):
        return replace(walk, over="done" if key == DONE else "later")
    if key == HELP:
        return replace(walk, help=True)
    if key == BACK and walk.index > 0:
        return replace(walk, index=walk.index - 1, more=False)
    return _at_end(walk, key) if walk.at_end else _at_step(walk, key)


def _at_end(walk: Walk, key: str) -> Walk:
    return replace(walk, over="done") if key == ENTER else replace(walk, unknown=key)


def _at_step(walk: Walk, key: str) -> Walk:
    option = 0 if key == ENTER else int(key) - 1 if key in "123456789" and len(key) == 1 else None
    if option is not None and option < walk.sizes[walk.index]:
        return _answered(walk, option)
    if key == SKIP:
        return _answered(walk, walk.choices[walk.index])
    if key == MORE:
        return replace(walk, more=not walk.more)
    return replace(walk, unknown=key)


def _answered(walk: Walk, option: Optional[int]) -> Walk:
    here, after = walk.index, walk.index + 1
    choices = (*walk.choices[:here], option, *walk.choices[after:])
    seen = (*walk.seen[:here], True, *walk.seen[after:])
    return replace(walk, index=after, choices=choices, seen=seen, more=False)
