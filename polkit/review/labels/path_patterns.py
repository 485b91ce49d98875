"""What a pattern of file contexts matches, by example: a few paths for each of its branches.

A pattern is a regular expression of PCRE2, anchored at both ends (libselinux/src/regex.c). Python's reads all that
distributions write; what it can't read has no examples, and nothing is said of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import import_module
from typing import Any, Optional

_SPECIAL = re.compile(r"[.^$?*+|\[({]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_FIXED = re.compile(r"(?:[^\\.^$?*+|\[\](){}]|\\[^\w])*", re.ASCII)
_QUANTIFIER = re.compile(r"[?*+{]")
_SIMPLE = re.compile(r"((?:[^\\.^$?*+|\[\](){}]|\\[^\w])*)(\(/\.\*\)\?|/\.\*)?", re.ASCII)
_HOMES = (("HOME_DIR", "/home/x"), ("HOME_ROOT", "/home"))
"""What genhomedircon writes for the words that stand for home directories; the user's name is not known here."""
_MOST = 24
_LONGEST, _MOST_REPEATS = 1000, 5
_ANY = "x"
_DEEPER = ("x", "x/x")
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_ATOMS = ("LITERAL", "NOT_LITERAL", "ANY", "IN", "AT")


@dataclass(frozen=True)
class PathPattern:
    """A pattern as it is written in file contexts."""

    text: str

    @cached_property
    def plain(self) -> str:
        """The pattern with the words for home directories replaced."""
        for word, path in _HOMES:
            if self.text.startswith(word):
                return path + self.text[len(word) :]
        return self.text

    @cached_property
    def intricate(self) -> bool:
        """Whether it may take for ever to tell if a path matches: a stranger's pattern is not tried then."""
        if _SIMPLE.fullmatch(self.plain):
            return False
        try:
            return len(self.plain) > _LONGEST or _repeats(_parsed(self.plain)) > _MOST_REPEATS
        except (re.error, RecursionError, OverflowError):
            return False  # it is no expression at all

    @cached_property
    def expression(self) -> Optional[re.Pattern[str]]:
        """What matches a whole path; None where Python can't read it, or should not try."""
        try:
            return None if self.intricate else re.compile(self.plain, re.DOTALL)
        except (re.error, RecursionError, OverflowError):
            return None

    @cached_property
    def start(self) -> str:
        """The text that every path begins with, up to the first special character; escapes are taken off."""
        found = _FIXED.match(self.plain)
        text = "" if found is None else found[0]
        if _QUANTIFIER.match(self.plain, len(text)) and text:  # it is about the last character
            text = text[:-2] if text[-2:-1] == "\\" else text[:-1]
        if _has_bare_bar(self.plain):
            return ""
        return _ESCAPED.sub(r"\1", text)

    @cached_property
    def examples(self) -> tuple[str, ...]:
        """Some of the paths that it matches: absolute, without doubled or trailing slash. The shortest comes first."""
        simple = _SIMPLE.fullmatch(self.plain)
        if simple is not None:
            base = _ESCAPED.sub(r"\1", simple[1])
            ends = {None: ("",), "(/.*)?": ("", "/x", "/x/x"), "/.*": ("/x", "/x/x")}[simple[2]]
            return tuple(filter(is_path, (base + end for end in ends)))
        expression = self.expression
        if expression is None:
            return ()
        found = dict.fromkeys(path for path in _of_sequence(_parsed(self.plain)) if is_path(path))
        return tuple(path for path in found if expression.fullmatch(path))[:_MOST]

    def matches(self, path: str) -> bool:
        """Whether it matches the whole path."""
        return self.expression is not None and self.expression.fullmatch(path) is not None

    def may_meet(self, other: PathPattern) -> bool:
        """Some path may match both, as far as the text they begin with tells."""
        one, two = self.start, other.start
        return one.startswith(two) or two.startswith(one)

    def within(self, other: PathPattern) -> bool:
        """Every example of it matches the other; false where there is none."""
        return bool(self.examples) and all(map(other.matches, self.examples))


@lru_cache(maxsize=16384)
def path_pattern(text: str) -> PathPattern:
    """The pattern; what was worked out for one is kept."""
    return PathPattern(text)


def is_path(text: str) -> bool:
    """A path as libselinux is asked for it: absolute and without ``//``, ``/./``, ``/../`` or a slash at its end."""
    if not text.startswith("/") or "\0" in text or "\n" in text:
        return False
    return text == "/" or not any(part in ("", ".", "..") for part in text[1:].split("/"))


def _has_bare_bar(pattern: str) -> bool:
    """Whether a ``|`` stands outside all parentheses and brackets."""
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "", _ESCAPED.sub("", pattern))
    depth = 0
    for one in bare:
        depth += (one == "(") - (one == ")")
        if one == "|" and depth == 0:
            return True
    return False


# -- examples out of Python's own reading of an expression ------------------------------------------------------------


def _parsed(pattern: str) -> list[tuple[Any, Any]]:
    parser = import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
    return list(parser.parse(pattern, re.DOTALL))


def _repeats(parts: list[tuple[Any, Any]]) -> int:
    """How many unlimited repeats stand in it. One inside another, where no character of its own begins each round,
    counts as more than there may be: the ways to match grow with every character."""
    count = 0
    for name, value in ((str(name), value) for name, value in parts):
        if name in _REPEATS:
            inner = _repeats(list(value[2]))
            unlimited = int(value[1]) > _MOST
            count += inner + unlimited + (_MOST_REPEATS if unlimited and inner and not _parted(list(value[2])) else 0)
        elif name == "BRANCH":
            count += sum(_repeats(list(branch)) for branch in value[1])
        elif name == "SUBPATTERN":
            count += _repeats(list(value[-1]))
        elif name not in _ATOMS:
            count += _MOST_REPEATS + 1
    return count


def _parted(parts: list[tuple[Any, Any]]) -> bool:
    """Each round begins or ends with a character that nothing else in it matches, or begins with a dot, of which names
    have few: ``(\\.[^/]*)*``."""
    if len(parts) == 1 and str(parts[0][0]) == "SUBPATTERN":
        return _parted(list(parts[0][1][-1]))
    ends = ((parts[0], parts[1:]), (parts[-1], parts[:-1])) if parts else ()
    return any(
        str(name) == "LITERAL"
        and ((value == ord(".") and (name, value) == parts[0]) or not any(_may_be(chr(value), *one) for one in others))
        for (name, value), others in ends
    )


def _may_be(character: str, name: Any, value: Any) -> bool:
    """Whether a part may match that character."""
    if str(name) in _REPEATS:
        return any(_may_be(character, *one) for one in value[2])
    if str(name) == "LITERAL":
        return bool(chr(value) == character)
    if str(name) == "NOT_LITERAL":
        return bool(chr(value) != character)
    if str(name) == "IN":
        listed = [(str(one), inner) for one, inner in value]
        negated = bool(listed) and listed[0][0] == "NEGATE"
        text = "".join(_written(one, inner) for one, inner in listed[negated:])
        return re.fullmatch(f"[{'^' * negated}{text}]", character) is not None
    return True


def _of_sequence(parts: list[tuple[Any, Any]]) -> list[str]:
    """The first choice everywhere, the second everywhere, then each other choice of one part with the first of all
    others."""
    choices = [list(_of_part(str(name), value)) or [""] for name, value in parts]
    first = [one[0] for one in choices]
    found = ["".join(first), "".join(one[min(1, len(one) - 1)] for one in choices)]
    for place, others in enumerate(choices):
        before, after = "".join(first[:place]), "".join(first[place + 1 :])
        found += [before + one + after for one in others[1:]]
        if len(found) > _MOST * 4:
            break
    return found


def _of_part(name: str, value: Any) -> Iterator[str]:
    if name == "LITERAL":
        yield chr(value)
    elif name == "NOT_LITERAL":
        yield _ANY if value != ord(_ANY) else "y"
    elif name == "ANY":
        yield _ANY
    elif name == "IN":
        yield from _of_class(value)
    elif name == "BRANCH":
        for branch in value[1]:
            yield from _of_sequence(list(branch))
    elif name in ("SUBPATTERN", "ATOMIC_GROUP"):
        yield from _of_sequence(list(value[-1] if name == "SUBPATTERN" else value))
    elif name in _REPEATS:
        yield from _of_repeat(*value)


def _of_repeat(least: int, most: int, item: Any) -> Iterator[str]:
    """As few as may be, then some more."""
    inner = list(_of_sequence(list(item)))
    if least > _MOST:
        return
    yield inner[0] * least
    if int(most) > least:
        several = [(str(name), value) for name, value in item]
        if [name for name, _ in several] == ["ANY"]:
            yield from (_ANY * least + one for one in _DEEPER)
        else:
            yield from (inner[0] * least + one for one in inner[:_MOST])


def _of_class(items: list[tuple[Any, Any]]) -> Iterator[str]:
    listed = [(str(name), value) for name, value in items]
    if listed and listed[0][0] == "NEGATE":
        pattern = re.compile("[^" + "".join(_written(name, value) for name, value in listed[1:]) + "]")
        yield next((one for one in "xyz_0a-" if pattern.fullmatch(one)), "")
        return
    for name, value in listed:
        if name == "LITERAL":
            yield chr(value)
        elif name == "RANGE":
            yield chr(value[0])
        elif name == "CATEGORY":
            yield {"CATEGORY_DIGIT": "0", "CATEGORY_WORD": _ANY, "CATEGORY_SPACE": " "}.get(str(value), "-")


def _written(name: str, value: Any) -> str:
    if name == "LITERAL":
        return re.escape(chr(value))
    if name == "RANGE":
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    return {
        "CATEGORY_DIGIT": r"\d",
        "CATEGORY_NOT_DIGIT": r"\D",
        "CATEGORY_WORD": r"\w",
        "CATEGORY_NOT_WORD": r"\W",
        "CATEGORY_SPACE": r"\s",
        "CATEGORY_NOT_SPACE": r"\S",
    }.get(str(value), "")
