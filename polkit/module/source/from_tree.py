"""From the tree of ``grammar/te.lark`` (start ``source``) to statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

from polkit.module.source.statements import (
    NOTHING,
    Block,
    Call,
    Constraint,
    Declaration,
    ExtendedRule,
    Head,
    Label,
    Requirement,
    RoleAllow,
    Rule,
    Statement,
    Transition,
)
from polkit.module.source.words import argument
from polkit.module.te_reading import NameSet, name_set

if TYPE_CHECKING:
    from lark import Token, Tree

    Node = Union[Tree[Token], Token]

_IN_BRACES = {"said_requirement": "require", "said_optional": "optional"}


class Builder:
    """Makes statements of the trees of one text, which starts at ``line`` and ``column`` of its file."""

    def __init__(self, text: str, line: int = 1, column: int = 1) -> None:
        self._text = text
        self._line = line
        self._column = column

    def statements(self, tree: Tree[Token]) -> tuple[Statement, ...]:
        """Those under a tree of ``source``, ``in_quotes``, ``in_braces``, ``needed`` or ``requirement``, in order."""
        found: list[Statement] = []
        for child in _trees(tree):
            if child.data in ("in_quotes", "needed"):
                found += self.statements(child)
            else:
                found.append(self._statement(child))
        return tuple(found)

    def _statement(self, tree: Tree[Token]) -> Statement:
        if tree.data == "rule":
            tree = _trees(tree)[0]
        first = tree.meta.line == 1
        at = (tree.meta.line + self._line - 1, tree.meta.column + (self._column - 1 if first else 0))
        kind = str(tree.data)
        if kind in _BUILT:
            return _BUILT[kind](self, tree, at)
        return self._declaration(kind, tree, at)

    # -- blocks -------------------------------------------------------------------------------------------------

    def _braces(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        kind = _IN_BRACES[tree.data]
        inner = [tree] if kind == "require" else _trees(tree)
        return Block(kind, (), tuple(map(self.statements, inner)), *at)

    def _if(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        condition, *branches = _trees(tree)
        said = " ".join(self._raw(condition)[1:-1].split())
        return Block("if", (said,), tuple(map(self.statements, branches)), *at)

    def _gen_require(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        return Block("gen_require", (), (self.statements(tree),), *at)

    def _macro(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        """optional_policy, tunable_policy, ifdef, ifndef, interface, template."""
        inner = _trees(tree)
        arguments = tuple(self._argument(one) for one in inner if one.data == "argument")
        branches = tuple(self.statements(one) for one in inner if one.data != "argument")
        return Block(_word(tree, 0).partition("(")[0], arguments, branches, *at)

    def _ifelse(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        first, second, *parts = _trees(tree)
        compared = [self._argument(first), self._argument(second)]
        branches: list[tuple[Statement, ...]] = []
        for part in parts:
            if part.data == "compared":
                compared.append(_word(part, 0))
            else:
                branches.append(self.statements(part))
        return Block("ifelse", tuple(compared), tuple(branches), *at)

    # -- calls and what has raw text ----------------------------------------------------------------------------

    def _call(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        name = _word(tree, 0)[:-1] if tree.data == "call" else _word(tree, 0)
        return Call(name, self._arguments(tree), *at)

    def _bare_call(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        return Call(_word(tree, 0), (), *at)

    def _label(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        contexts = _trees(tree)
        start = tree.meta.start_pos + len(_word(tree, 0))
        words = self._text[start : contexts[0].meta.start_pos].split()
        return Label(_word(tree, 0), " ".join(words), tuple(map(self._arguments, contexts)), *at)

    def _constraint(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        *sets, expression = _trees(tree)
        classes = name_set(sets[0])
        perms = name_set(sets[1]) if len(sets) > 1 else None
        return Constraint(_word(tree, 0), classes, perms, " ".join(self._raw(expression)[1:-1].split()), *at)

    def _arguments(self, tree: Tree[Token]) -> tuple[str, ...]:
        return tuple(self._argument(one) for one in _trees(tree) if one.data == "argument")

    def _argument(self, tree: Tree[Token]) -> str:
        return argument(self._raw(tree))

    def _raw(self, tree: Tree[Token]) -> str:
        return "" if tree.meta.empty else self._text[tree.meta.start_pos : tree.meta.end_pos]

    # -- rules --------------------------------------------------------------------------------------------------

    def _access(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        sources, targets, classes, perms = map(name_set, _trees(tree))
        return Rule(_word(tree, 0), sources, targets, classes, perms, *at)

    def _extended(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        *sets, commands = _trees(tree)
        sources, targets, classes = map(name_set, sets)
        others = commands.data == "all_but"
        return ExtendedRule(_word(tree, 0), sources, targets, classes, _word(tree, 1), _numbers(commands), others, *at)

    def _transition(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        words = _words(tree)
        sources, targets, classes = map(name_set, _trees(tree))
        filename = words[2][1:-1] if len(words) > 2 else ""
        return Transition(words[0], sources, targets, classes, words[1], filename, *at)

    def _range(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        sources, targets, *classes = map(name_set, _trees(tree))
        last = _trees(tree)[-1]
        said = self._text[last.meta.end_pos : tree.meta.end_pos].rstrip("; \t\n\r\f\v")
        result = "".join(said.split())
        return Transition("range_transition", sources, targets, classes[0] if classes else None, result, "", *at)

    def _role_transition(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        sources, targets, *classes = map(name_set, _trees(tree))
        result = _words(tree)[-1]
        return Transition("role_transition", sources, targets, classes[0] if classes else None, result, "", *at)

    def _role_allow(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        sources, targets = map(name_set, _trees(tree))
        return RoleAllow(sources, targets, *at)

    # -- declarations -------------------------------------------------------------------------------------------

    def _declaration(self, kind: str, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        words = _words(tree)
        sets = [name_set(one) for one in _trees(tree)]
        if kind == "expandattribute":
            return Declaration(kind, sets[0], NameSet(words), NOTHING, *at)
        names, values = NameSet(words[:1]), NameSet(words[1:])
        if kind in ("type", "typealias"):
            return Declaration(kind, names, values, sets[0] if sets else NOTHING, *at)
        if kind == "role" and sets:
            return Declaration("role_types", names, sets[0], NOTHING, *at)
        return Declaration(kind, names, values, NOTHING, *at)

    def _user(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        roles = _trees(tree)[0]
        levels = " ".join(self._text[roles.meta.end_pos : tree.meta.end_pos].rstrip("; \t\n\r\f\v").split())
        return Declaration("user", NameSet((_words(tree)[0],)), name_set(roles), NameSet((levels,) * bool(levels)), *at)

    def _required(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        words = _words(tree)
        if tree.data == "require_class":
            return Requirement("class", NameSet(words), name_set(_trees(tree)[0]), *at)
        return Requirement(words[0], NameSet(words[1:]), NOTHING, *at)

    def _module_head(self, tree: Tree[Token], at: tuple[int, int]) -> Statement:
        name, version = _words(tree)
        return Head(name, version, *at)


_BUILT = {
    "said_requirement": Builder._braces,
    "said_optional": Builder._braces,
    "said_if": Builder._if,
    "gen_require": Builder._gen_require,
    **dict.fromkeys(("optional_policy", "tunable_policy", "ifdef", "needed_ifdef", "definition"), Builder._macro),
    "ifelse": Builder._ifelse,
    "call": Builder._call,
    "bare_call": Builder._bare_call,
    "policy_module": Builder._call,
    "label": Builder._label,
    "constraint": Builder._constraint,
    "access": Builder._access,
    "extended": Builder._extended,
    "transition": Builder._transition,
    "range": Builder._range,
    "role_transition": Builder._role_transition,
    "role_allow": Builder._role_allow,
    "user": Builder._user,
    "require_class": Builder._required,
    "require_names": Builder._required,
    "module_head": Builder._module_head,
}


def _numbers(tree: Tree[Token]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for child in tree.children:
        if isinstance(child, str):
            found.append((_number(child), _number(child)))
        elif child is not None:
            first, last = map(_number, _words(child))
            found.append((first, last))
    return tuple(found)


def _number(word: str) -> int:
    """As strtoul(3) with base 0 reads it: 0x is hexadecimal, a leading 0 octal."""
    base = 16 if word[:2].lower() == "0x" else 8 if word.startswith("0") and set(word) <= set("01234567") else 10
    return int(word, base)


def _trees(tree: Tree[Token]) -> list[Tree[Token]]:
    return [child for child in tree.children if child is not None and not isinstance(child, str)]


def _words(tree: Tree[Token]) -> tuple[str, ...]:
    return tuple(str(child) for child in tree.children if isinstance(child, str))


def _word(tree: Tree[Token], place: int) -> str:
    return _words(tree)[place]
