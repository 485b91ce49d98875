"""The commands of a plan's remedies, as far as a machine can be changed by them. They are read, never run.

semanage-fcontext(8), semanage-port(8), restorecon(8), setsebool(8): the forms that ``polkit.minimize`` writes.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Optional, Union

from polkit.model import IDENTIFIER, FileContext

_KINDS = {"f": "--", "d": "-d", "c": "-c", "b": "-b", "s": "-s", "p": "-p", "l": "-l", "a": ""}
"""semanage-fcontext(8), --ftype, and what file_contexts(5) writes for it."""
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?\Z")
_PROTOCOLS = ("tcp", "udp", "dccp", "sctp")
_LOWEST_LEVEL = "s0"


@dataclass(frozen=True)
class Restore:
    """restorecon: ``below``: all that lies in it too (-R); ``force``: level and customizable types too (-F)."""

    path: str
    below: bool
    force: bool


@dataclass(frozen=True)
class Equivalence:
    """``path`` is labelled as if it were ``like`` (semanage fcontext -a -e)."""

    like: str
    path: str


@dataclass(frozen=True)
class PortRange:
    """semanage port, -a and -m alike."""

    protocol: str
    low: int
    high: int
    type: str


@dataclass(frozen=True)
class Setting:
    """setsebool of one boolean."""

    name: str
    value: bool


Change = Union[Restore, Equivalence, PortRange, Setting, FileContext]


def read_command(command: str) -> tuple[Change, ...]:
    """What a shell line changes; nothing where it is none of those that are known."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ()
    for begins, read in _FORMS:
        if tuple(words[: len(begins)]) == begins:
            return read(words[len(begins) :])
    return ()


def _restore(words: list[str]) -> tuple[Change, ...]:
    letters = [letter for word in words if word.startswith("-") for letter in word[1:]]
    paths = [word for word in words if not word.startswith("-")]
    if not paths or not set(letters) <= set("RrFv") or not all(map(_is_path, paths)):
        return ()
    below = not {"R", "r"}.isdisjoint(letters)
    return tuple(Restore(path.rstrip("/") or "/", below, "F" in letters) for path in paths)


def _settings(words: list[str]) -> tuple[Change, ...]:
    found = [re.match(r"([A-Za-z0-9_]+)=(on|off|1|0|true|false)\Z", word) for word in words if word != "-P"]
    if not found or not all(found):
        return ()
    return tuple(Setting(match[1], match[2] in ("on", "1", "true")) for match in found if match)


def _fcontext(words: list[str]) -> tuple[Change, ...]:
    told, rest = _options(words, ("-e", "-t", "-f"))
    if len(rest) != 1 or not rest[0].isprintable() or any(letter.isspace() for letter in rest[0]):
        return ()
    if told.keys() == {"-e"}:
        like, path = told["-e"], rest[0]
        return (Equivalence(like, path),) if all(_is_path(one) and " " not in one for one in (like, path)) else ()
    kind = _KINDS.get(told.get("-f", "a"))
    if "-t" not in told or "-e" in told or kind is None or not IDENTIFIER.match(told["-t"]):
        return ()
    return (FileContext(rest[0], kind, told["-t"], _LOWEST_LEVEL),)


def _port(words: list[str]) -> tuple[Change, ...]:
    told, rest = _options(words, ("-t", "-p"))
    numbers = _PORTS.match(rest[0]) if len(rest) == 1 else None
    if numbers is None or told.keys() != {"-t", "-p"} or told["-p"] not in _PROTOCOLS:
        return ()
    low, high = int(numbers[1]), int(numbers[2] or numbers[1])
    if not (1 <= low <= high <= 65535 and IDENTIFIER.match(told["-t"])):
        return ()
    return (PortRange(told["-p"], low, high, told["-t"]),)


def _options(words: Iterable[str], known: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    """Options with their values, and what else there is. An unknown option stays among the rest."""
    told: dict[str, str] = {}
    rest: list[str] = []
    option: Optional[str] = None
    for word in words:
        if option is not None:
            told[option], option = word, None
        elif word in known and word not in told:
            option = word
        else:
            rest.append(word)
    return told, rest if option is None else [*rest, option]


_FORMS: tuple[tuple[tuple[str, ...], Callable[[list[str]], tuple[Change, ...]]], ...] = (
    (("restorecon",), _restore),
    (("setsebool",), _settings),
    (("semanage", "fcontext", "-a"), _fcontext),
    (("semanage", "port", "-a"), _port),
    (("semanage", "port", "-m"), _port),
)


def _is_path(text: str) -> bool:
    return text.startswith("/") and text.isprintable()
