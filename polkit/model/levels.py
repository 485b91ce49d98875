"""Security levels and the six comparisons between them that a constraint can make.

Source: the SELinux Notebook, "mlsconstrain"; libsepol ``constraint_expr_eval_reason`` (L1L2, L1H2, H1L2, H1H2,
L1H1, L2H2).
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

EQUAL, DOMINATES, DOMINATED, INCOMPARABLE, UNKNOWN = "equal", "dominates", "dominated", "incomparable", "unknown"
"""The outcome of comparing two levels; ``unknown`` where a side has no level or one we can't read (``SystemHigh``)."""

_SENSITIVITY = re.compile(r"s(\d{1,5})\Z")
_CATEGORY = re.compile(r"c(\d{1,5})(?:\.c(\d{1,5}))?\Z")
_MOST_CATEGORIES = 65536


class Level(NamedTuple):
    """One level: a sensitivity's number and its categories, bit N for category N.

    A set of numbers would take a second for a level made to be slow (``c0.c65535`` some hundred times).
    """

    sensitivity: int
    categories: int


class LevelRange(NamedTuple):
    """A low and a high level; equal where a context names only one."""

    low: Level
    high: Level


def parse_level(text: str) -> Optional[Level]:
    """``s0:c1,c3.c5`` as a Level, or None for anything else (translated names such as ``SystemHigh``)."""
    sensitivity, _, categories = text.partition(":")
    found = _SENSITIVITY.match(sensitivity)
    if not found:
        return None
    numbers = 0
    for part in categories.split(",") if categories else ():
        category = _CATEGORY.match(part)
        if not category:
            return None
        first, last = int(category[1]), int(category[2] or category[1])
        if last < first or last >= _MOST_CATEGORIES:
            return None
        numbers |= ((1 << (last - first + 1)) - 1) << first
    return Level(int(found[1]), numbers)


def parse_range(text: str) -> Optional[LevelRange]:
    """``s0-s0:c0.c1023`` as a LevelRange, or None."""
    low_text, dash, high_text = text.partition("-")
    low = parse_level(low_text)
    high = parse_level(high_text) if dash else low
    if low is None or high is None:
        return None
    return LevelRange(low, high)


def compare(one: Level, other: Level) -> str:
    """How ``one`` stands to ``other``: equal, dominates, dominated or incomparable."""
    if one == other:
        return EQUAL
    common = one.categories & other.categories
    if one.sensitivity >= other.sensitivity and common == other.categories:
        return DOMINATES
    if one.sensitivity <= other.sensitivity and common == one.categories:
        return DOMINATED
    return INCOMPARABLE


class LevelRelations(NamedTuple):
    """What constraints can learn of the levels of a source (1) and a target (2); the levels themselves are not kept."""

    l1_l2: str
    l1_h2: str
    h1_l2: str
    h1_h2: str
    l1_h1: str
    l2_h2: str


UNKNOWN_LEVELS = LevelRelations(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
EQUAL_LEVELS = LevelRelations(EQUAL, EQUAL, EQUAL, EQUAL, EQUAL, EQUAL)


def relate(source: str, target: str) -> LevelRelations:
    """The six comparisons for the level texts of two contexts; all unknown when either can't be read."""
    one, two = parse_range(source), parse_range(target)
    if one is None or two is None:
        return UNKNOWN_LEVELS
    return LevelRelations(
        compare(one.low, two.low),
        compare(one.low, two.high),
        compare(one.high, two.low),
        compare(one.high, two.high),
        compare(one.low, one.high),
        compare(two.low, two.high),
    )
