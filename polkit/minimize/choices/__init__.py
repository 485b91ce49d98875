"""What a person chose: the walk through the decisions, and the file in which choices are kept."""

from __future__ import annotations

from polkit.minimize.choices.choosers import Claimed, Repeating
from polkit.minimize.choices.saved import (
    Choices,
    Entry,
    Match,
    choices_object,
    choices_of,
    match,
    picks,
    read_choices,
    save_choices,
)
from polkit.minimize.choices.walk import LATER as LATER_KEY
from polkit.minimize.choices.walk import Walk, begin, press

__all__ = [
    "LATER_KEY",
    "Choices",
    "Claimed",
    "Entry",
    "Match",
    "Repeating",
    "Walk",
    "begin",
    "choices_object",
    "choices_of",
    "match",
    "picks",
    "press",
    "read_choices",
    "save_choices",
]
