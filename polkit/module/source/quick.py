"""A quick way through the usual statements of a policy source, where the grammar would take three times as long.

It takes a text only as a whole, and gives what the grammar gives (a test holds the two together): anything unusual,
every mistake included, is left to the grammar, a single statement where that is possible, the whole text otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Optional

from polkit.module.source.limits import DEEPEST
from polkit.module.source.statements import (
    NOTHING,
    Block,
    Call,
    Declaration,
    Requirement,
    Rule,
    Statement,
    Transition,
)
from polkit.module.source.words import argument, is_name, plain_set
from polkit.module.te_reading import NameSet

# No text is to be tried in many ways: a bare word ends where no other can begin, and white space belongs to one party.
_SET = r"((?:~\s*)?\{[^{}()`'#;:]*\}|~?[\w$.@-]*[\w$.*@-](?![\w$.*@-]))"
_NOT_PLAIN = (
    r"policy_module|interface|template|gen_require|optional_policy|tunable_policy|ifdef|ifndef|ifelse|gen_context|if|and|or"
    r"|xor|not|eq"
)
_PATTERNS = {
    "call": rf"(?!(?:{_NOT_PLAIN})\()([A-Za-z]\w*)\(([^()`'#\"]*)\)",
    "rule": rf"(allow|dontaudit|auditallow|neverallow|auditdeny)\s+{_SET}\s*{_SET}\s*:\s*{_SET}\s*{_SET}\s*;",
    "close": r"('+)\s*\)",
    "open": r"(optional_policy|gen_require)\(\s*(`+)",
    "declared": r"(type|attribute|attribute_role|bool|tunable)\s+([\w.$*@-]+)\s*((?:,[^;{}()`'#,]*)*);",
    "joined": r"(typeattribute|roleattribute|permissive|typebounds)\s+([\w.$*@-]+)((?:\s[^;{}()`'#]*)?);",
    "role": rf"role\s+([\w.$*@-]+)\s+types\s+{_SET}\s*;",
    "under": r"(tunable_policy|ifdef|ifndef)\(\s*(?:`([^`'()#]*)'|([\w$]+))\s*,\s*(`+)",
    "branch": r"('+)\s*,\s*(`+)",
    "transition": rf"(type_transition|type_change|type_member)\s+{_SET}\s*{_SET}\s*:\s*{_SET}\s*([\w.$-]+)\s*;",
    "define": r"(interface|template)\(\s*`\s*([A-Za-z]\w*)\s*'\s*,\s*(`+)",
    "head": r"policy_module\(([^()`'#]*)\)",
    "require": r"require\s*\{",
    "if": r"if\s*\(([^()`'{}#;]*)\)\s*\{",
    "optional": r"optional\s*\{",
    "else": r"\}\s*else\s*\{",
    "end": r"\}",
    "nothing": r";",
}
_NEEDED = {
    "class": rf"class\s+([\w.$-]+)\s*{_SET}\s*;",
    "listed": r"(type|attribute|role|attribute_role|user|bool|tunable|sensitivity|category)\s+"
    r"([\w.$*@-][\w.$*@,\s-]*);",
}
_MASTER = re.compile("|".join(f"(?P<{name}>{text})" for name, text in _PATTERNS.items()), re.ASCII)
_MASTER_NEEDED = re.compile(
    "|".join(f"(?P<{name}>{text})" for name, text in {**_NEEDED, **_PATTERNS}.items()), re.ASCII
)
_BLANK = re.compile(r"(?:\s+|#[^\n]*)*", re.ASCII)
_LINE_ENDS = re.compile(r"\bdnl\b", re.ASCII)
_ONE_LEFT = re.compile(
    r"(?!policy_module|interface|template|gen_require|optional|tunable_policy|ifn?def|ifelse|if|require)"
    r"(?:[A-Za-z]\w*\((?:[^()`'#]|`[^`'#]*'|\([^()`'#]*\))*\)|[a-z_]+\s(?:[^{}()`'#;]|\{[^{}()`'#;]*\})*;"
    r"|(?:sid|genfscon|portcon|netifcon|nodecon|fs_use_\w+)\s[^()`'#;\n]*(?:gen_context\([^()`'#;]*\)[ \t]*)+)",
    re.ASCII,
)
_MOST_ASKED = 500
"""Then the grammar is quicker with the whole text."""
_REQUIRES = ("require", "gen_require")


class NotPlainError(Exception):
    """The text holds something that only the grammar can judge."""


@dataclass
class _Frame:
    """A block that is still open. ``closer``: what ends it, ``}`` or so many quotes. ``needed``: its lines require."""

    kind: str
    arguments: tuple[str, ...]
    closer: str
    needed: bool
    line: int
    column: int
    branches: list[tuple[Statement, ...]] = field(default_factory=list)
    inside: list[Statement] = field(default_factory=list)


class QuickReader:
    """Reads one text; ``ask`` is the grammar's reading of a single statement (text, line, column)."""

    def __init__(self, text: str, ask: Callable[[str, int, int], tuple[Statement, ...]]) -> None:
        self._text = text
        self._ask = ask
        self._frames = [_Frame("", (), "", False, 0, 0)]
        self._line = 1
        self._line_start = self._counted = 0

    def read(self) -> tuple[Statement, ...]:
        """The statements; NotPlainError where the grammar has to read the text."""
        text, at, end = self._text, 0, len(self._text)
        asked = 0
        if _LINE_ENDS.search(text) is not None:
            raise NotPlainError
        while True:
            blank = _BLANK.match(text, at)
            at = blank.end() if blank else at
            if at == end:
                break
            frame = self._frames[-1]
            found = (_MASTER_NEEDED if frame.needed else _MASTER).match(text, at)
            line, column = self._place(at)
            if found is None or not self._take(found, frame, line, column):
                found = None if frame.needed else _ONE_LEFT.match(text, at)
                asked += 1
                if found is None or asked > _MOST_ASKED:
                    raise NotPlainError
                frame.inside.extend(self._ask(found[0], line, column))
            at = found.end()
        if len(self._frames) > 1:
            raise NotPlainError
        return tuple(self._frames[0].inside)

    def _place(self, at: int) -> tuple[int, int]:
        text = self._text
        passed = text.count("\n", self._counted, at)
        if passed:
            self._line += passed
            self._line_start = text.rfind("\n", self._counted, at) + 1
        self._counted = at
        return self._line, at - self._line_start + 1

    def _take(self, found: re.Match[str], frame: _Frame, line: int, column: int) -> bool:
        """Note what was found; False where it is none of ours after all."""
        kind = found.lastgroup or ""
        if kind in _LEAVES:
            if frame.needed and kind not in ("class", "listed", "call"):
                raise NotPlainError
            words = [word for word in found.groups() if word is not None][1:]
            statement = _LEAVES[kind](words, line, column)
            if statement is not None:
                frame.inside.append(statement)
            return statement is not None
        if kind in ("close", "branch", "end", "else"):
            self._end(kind, found, frame)
        elif kind != "nothing":
            self._begin(kind, found, frame, line, column)
        return True

    def _begin(self, kind: str, found: re.Match[str], frame: _Frame, line: int, column: int) -> None:
        words = [word for word in found.groups() if word is not None][1:]
        if len(self._frames) > DEEPEST or (frame.needed and kind != "under"):
            raise NotPlainError
        if kind in ("require", "if", "optional"):
            conditions = tuple(" ".join(word.split()) for word in words)
            if not all(map(_is_condition, conditions)):
                raise NotPlainError
            self._frames.append(_Frame(kind, conditions, "}", kind == "require", line, column))
            return
        name, *arguments, quotes = words
        needed = name == "gen_require" or frame.needed
        if frame.needed and name == "tunable_policy":
            raise NotPlainError
        said = tuple(map(argument, arguments))
        self._frames.append(_Frame(name, said, "'" * len(quotes), needed, line, column))

    def _end(self, kind: str, found: re.Match[str], frame: _Frame) -> None:
        """``')``, ``}``, and the same where another branch follows."""
        words = [word for word in found.groups() if word is not None]
        closer = "}" if kind in ("end", "else") else words[1]
        if frame.closer != closer or len(self._frames) == 1:
            raise NotPlainError
        frame.branches.append(tuple(frame.inside))
        if kind in ("branch", "else"):
            if len(frame.branches) > 1 or frame.kind in (*_REQUIRES, "interface", "template"):
                raise NotPlainError
            frame.inside = []
            frame.closer = closer if kind == "else" else "'" * len(words[2])
            return
        if frame.kind == "require" and not frame.inside:
            raise NotPlainError
        self._frames.pop()
        block = Block(frame.kind, frame.arguments, tuple(frame.branches), frame.line, frame.column)
        self._frames[-1].inside.append(block)


_CONDITION_WORDS = re.compile(r"[A-Za-z]\w*(?: ?(?:&&|\|\|) ?[A-Za-z]\w*)*\Z", re.ASCII)


def _is_condition(said: str) -> bool:
    return _CONDITION_WORDS.match(said) is not None and all(is_name(word) for word in re.findall(r"\w+", said))


def _call(words: list[str], line: int, column: int) -> Optional[Statement]:
    name, said = words
    return Call(name, tuple(one.strip() for one in said.split(",")), line, column)


def _head(words: list[str], line: int, column: int) -> Optional[Statement]:
    return Call("policy_module", tuple(one.strip() for one in words[0].split(",")), line, column)


def _rule(words: list[str], line: int, column: int) -> Optional[Statement]:
    kind, *sets = words
    sources, targets, classes, perms = map(plain_set, sets)
    if sources is None or targets is None or classes is None or perms is None:
        return None
    return Rule(kind, sources, targets, classes, perms, line, column)


def _transition(words: list[str], line: int, column: int) -> Optional[Statement]:
    kind, *sets, result = words
    sources, targets, classes = map(plain_set, sets)
    if sources is None or targets is None or classes is None or not is_name(result):
        return None
    return Transition(kind, sources, targets, classes, result, "", line, column)


def _declared(words: list[str], line: int, column: int) -> Optional[Statement]:
    kind, name, more = words
    values = tuple(one.strip() for one in more.split(",")[1:])
    if kind not in ("type",) and values:
        return None
    if not is_name(name) or not all(map(is_name, values)) or kind in ("bool", "tunable"):
        return None
    return Declaration(kind, NameSet((name,)), NameSet(values), NOTHING, line, column)


def _joined(words: list[str], line: int, column: int) -> Optional[Statement]:
    kind, name, more = words
    values = tuple(one.strip() for one in more.split(",")) if more.strip() else ()
    if (kind == "permissive") != (not values) or not is_name(name) or not all(map(is_name, values)):
        return None
    return Declaration(kind, NameSet((name,)), NameSet(values), NOTHING, line, column)


def _role(words: list[str], line: int, column: int) -> Optional[Statement]:
    values = plain_set(words[1])
    if values is None or not is_name(words[0]):
        return None
    return Declaration("role_types", NameSet((words[0],)), values, NOTHING, line, column)


def _class(words: list[str], line: int, column: int) -> Optional[Statement]:
    perms = plain_set(words[1])
    if perms is None or not is_name(words[0]):
        return None
    return Requirement("class", NameSet((words[0],)), perms, line, column)


def _listed(words: list[str], line: int, column: int) -> Optional[Statement]:
    names = tuple(one.strip() for one in words[1].split(","))
    return Requirement(words[0], NameSet(names), NOTHING, line, column) if all(map(is_name, names)) else None


_LEAVES: dict[str, Callable[[list[str], int, int], Optional[Statement]]] = {
    "call": _call,
    "rule": _rule,
    "declared": _declared,
    "joined": _joined,
    "role": _role,
    "transition": _transition,
    "head": _head,
    "class": _class,
    "listed": _listed,
}
