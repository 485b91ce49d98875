"""Sets of ioctl or nlmsg commands: an integer with bit N for command N, and ranges for people and JSON."""

from __future__ import annotations

from collections.abc import Iterable

EVERY_COMMAND = (1 << 65536) - 1
"""The set of all commands: the kernel compares 16 bits."""
OPERATIONS = ("ioctl", "nlmsg")
"""The permissions that have commands."""

Ranges = tuple[tuple[int, int], ...]


def set_of(numbers: Iterable[int]) -> int:
    """The set of some commands."""
    joined = 0
    for number in numbers:
        joined |= 1 << number
    return joined


def ranges(commands: int) -> Ranges:
    """A set of commands as ranges, both ends included."""
    found: list[tuple[int, int]] = []
    start = 0
    while commands >> start:
        start += ((commands >> start) & -(commands >> start)).bit_length() - 1
        inverted = ~(commands >> start)
        length = (inverted & -inverted).bit_length() - 1
        found.append((start, start + length - 1))
        start += length
    return tuple(found)


def bitset(numbers: Ranges) -> int:
    """The set of commands of some ranges."""
    joined = 0
    for first, last in numbers:
        joined |= ((1 << (last - first + 1)) - 1) << first
    return joined
