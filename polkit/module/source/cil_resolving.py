"""What calls of macros and inherited blocks of a CIL text stand for, as ``secil2tree`` (of secilc's package) says.

It wants a whole policy, so names that the text takes from elsewhere are declared beside it, and what is no matter of
rules is left out. Where it is not installed, or does not take the text, nothing is said.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from polkit.errors import CompileError, MissingDependency, SourceError
from polkit.module.source.cil import CilBlock, CilEntry, CilItem, CilStatement, read_cil, render_cil_entries
from polkit.module.source.cil_sets import Scope
from polkit.module.tools import run_tool

MAKING = ("call", "blockinherit")
"""The statements that stand for others."""
_SECONDS = 20
_TRANSITIONS = ("typetransition", "typechange", "typemember")
_SIDES = {
    **dict.fromkeys(("allow", "dontaudit", "auditallow", "neverallow"), (0, 1)),
    **dict.fromkeys(("allowx", "dontauditx", "auditallowx", "neverallowx"), (0, 1)),
    **dict.fromkeys(_TRANSITIONS, (0, 1, -1)),
    **dict.fromkeys(("typebounds", "typepermissive", "typeattributeset"), (0, 1)),
    **dict.fromkeys(("roletype", "typealiasactual", "expandtypeattribute"), (1,)),
}
"""Where each statement names types."""
_ROLES = {"roletype": (0,), "roleallow": (0, 1), "roleattributeset": (1,)}
_OTHERS = (
    *("type", "typeattribute", "typealias", "role", "roleattribute", "boolean", "tunable", "blockabstract", *MAKING),
    *("classpermission", "classpermissionset", "classmap", "classmapping", "permissionx"),
)
_ACCESSES = {**dict.fromkeys(("allow", "dontaudit", "auditallow", "neverallow", "classmapping"), 2)} | {
    "classpermissionset": 1
}
_OPERATORS = frozenset(("and", "or", "xor", "not", "all", "self", "eq", "neq", "range"))
_MAKES = re.compile(r"( *)\((?:call|blockinherit) ")
_ALWAYS = """(handleunknown allow)(mls true)(sid kernel)(sidorder (kernel))(user u)
(sensitivity s0)(sensitivityorder (s0))(category c0)(categoryorder (c0))
"""


def made_by(entries: Iterable[CilEntry], name: str) -> dict[int, tuple[CilEntry, ...]]:
    """From each statement of a text that stands for others (its ``id``) to those, with the names they have in the end.

    Left out are macros and blocks that the text does not define. Empty without the tool.
    """
    entries = tuple(entries)
    scope = Scope.of(entries)
    text = _Text(frozenset(_definitions(entries)))
    kept = tuple(text.kept(entries, scope))
    if not text.making:
        return {}
    with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
        room = Path(scratch)
        (room / "in.cil").write_text(text.declarations() + "(block polkit_begin)\n" + render_cil_entries(kept))
        try:
            run = run_tool(["secil2tree", "-P", "-A", "resolve", "-o", "/dev/stdout", "in.cil"], room, _SECONDS)
        except (MissingDependency, CompileError):
            return {}
    if run.status != 0:
        return {}
    found = list(_made(run.output.partition("(block polkit_begin")[2].split("\n")))
    if len(found) != len(text.making):
        return {}
    try:
        return {id(one): read_cil(made, name) for one, made in zip(text.making, found)}
    except SourceError:
        return {}


@dataclass
class _Text:
    """What is given to the tool: the statements on rules and names, and the names that they take from elsewhere."""

    definitions: frozenset[str]
    making: list[CilStatement] = field(default_factory=list)
    types: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    roles: set[str] = field(default_factory=set)
    booleans: set[str] = field(default_factory=set)
    classes: dict[str, set[str]] = field(default_factory=dict)

    def kept(
        self, entries: Iterable[CilEntry], scope: Scope, given: frozenset[str] = frozenset()
    ) -> Iterator[CilEntry]:
        """``given``: the parameters of the macro that the entries stand in."""
        for one in entries:
            if isinstance(one, CilStatement):
                if self._asked(one, scope, given):
                    yield one
                continue
            inner, more = scope, given
            if one.word in ("block", "in"):
                inner = scope.within(str(one.items[-1]))
            elif one.word == "macro":
                inner = scope.within(str(one.items[0]))
                more = given.union(str(pair[-1]) for pair in one.items[1] if isinstance(pair, tuple) and pair)
            elif one.word in ("booleanif", "tunableif"):
                self.booleans.update(self._foreign(one.items, scope, given))
            yield replace(one, statements=tuple(self.kept(one.statements, inner, more)))

    def _asked(self, one: CilStatement, scope: Scope, given: frozenset[str]) -> bool:
        """Note the names of a statement; whether the tool is to see it."""
        word, items = one.word, one.items
        if len(items) <= max((_ACCESSES.get(word, 0), 2 if word in _TRANSITIONS else 0)):
            return False  # not of a form that CIL has
        if word in MAKING:
            if not self._defined(str(items[0])):
                return False
            self.making.append(one)
            self.types.update(self._foreign(items[1:], scope, given))
            return True
        if word not in _SIDES and word not in _ROLES and word not in _OTHERS:
            return False
        named = self.attributes if word == "typeattributeset" else self.types
        for place in _SIDES.get(word, ()):
            part = items[place:][:1]
            (named if place == 0 else self.types).update(self._foreign(part, scope, given))
        for place in _ROLES.get(word, ()):
            self.roles.update(self._foreign(items[place : place + 1], scope, given))
        if word in _ACCESSES and isinstance(items[_ACCESSES[word]], tuple):
            self._access(items[_ACCESSES[word]], scope, given)
        elif word in _TRANSITIONS:
            self._class(str(items[2]), (), scope, given)
        elif word.endswith("x") or word.startswith("permissionx"):
            said = items[-1]
            if isinstance(said, tuple) and len(said) > 1:
                self._class(str(said[1]), (str(said[0]),), scope, given)
        return True

    def _defined(self, name: str) -> bool:
        """Whether the text has such a block or macro; an inherited block brings its macros along."""
        words = name.lstrip(".").split(".")
        return {words[0], words[-1]} <= self.definitions

    def _access(self, said: CilItem, scope: Scope, given: frozenset[str]) -> None:
        if isinstance(said, tuple) and len(said) == 2:
            self._class(str(said[0]), tuple(_words(said[1:])), scope, given)

    def _class(self, tclass: str, perms: tuple[str, ...], scope: Scope, given: frozenset[str]) -> None:
        if scope.full(tclass) not in scope.declared and tclass not in given:
            self.classes.setdefault(tclass, {"polkit_any"}).update(perms)

    def _foreign(self, items: Iterable[CilItem], scope: Scope, given: frozenset[str]) -> Iterator[str]:
        """The names that the text does not declare."""
        for word in _words(items):
            if scope.full(word) not in scope.declared and word not in given and not word.startswith('"'):
                yield word

    def declarations(self) -> str:
        """The statements that declare what the text takes from elsewhere."""
        attributes = self.attributes
        types = self.types - attributes - self.roles - self.booleans
        return _ALWAYS + "".join(
            (
                *(f"(type {name})\n" for name in sorted(types)),
                *(f"(typeattribute {name})\n" for name in sorted(attributes)),
                *(f"(role {name})\n" for name in sorted(self.roles)),
                *(f"(boolean {name} false)\n" for name in sorted(self.booleans)),
                *(f"(class {name} ({' '.join(sorted(perms))}))\n" for name, perms in sorted(self.classes.items())),
                f"(classorder ({' '.join(sorted(self.classes)) or 'polkit_none'}))\n",
                "" if self.classes else "(class polkit_none (polkit_any))\n",
            )
        )


def _definitions(entries: Iterable[CilEntry]) -> Iterator[str]:
    """The names of blocks and macros."""
    for one in entries:
        if isinstance(one, CilBlock):
            if one.word in ("block", "macro"):
                yield str(one.items[0])
            yield from _definitions(one.statements)


def _words(items: Iterable[CilItem]) -> Iterator[str]:
    for one in items:
        if isinstance(one, str):
            yield from () if one in _OPERATORS else (one,)
        else:
            yield from _words(one)


def _made(lines: list[str]) -> Iterator[str]:
    """What each statement that stands for others became: the lines below it that are further in, without the frames of
    those that stand in it."""
    number = 0
    while number < len(lines):
        head = _MAKES.match(lines[number])
        number += 1
        if head is None:
            continue
        deep, inside, frames = len(head[1]), [], list[int]()
        while number < len(lines) and _indent(lines[number]) > deep:
            line = lines[number]
            number += 1
            frame = _MAKES.match(line)
            if frame is not None:
                if number < len(lines) and _indent(lines[number]) > len(frame[1]):
                    frames.append(len(frame[1]))
            elif line.strip() == ")" and frames and frames[-1] == _indent(line):
                frames.pop()
            else:
                inside.append(line)
        yield "\n".join(inside)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
