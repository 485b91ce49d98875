"""Words of a policy source: arguments of calls and sets of names, from their text and back."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Optional

from polkit.module.te_reading import NameSet

_NAME = r"(?:[A-Za-z]|\$[0-9*@])(?:\.?(?:[A-Za-z0-9_-]|\$[0-9*@]))*"
NAME = re.compile(_NAME + r"\Z", re.ASCII)
_RESERVED = """
type attribute role attribute_role user bool tunable sensitivity category true false allow dontaudit auditallow
    auditdeny neverallow allowxperm dontauditxperm auditallowxperm neverallowxperm type_transition type_change
    type_member constrain mlsconstrain validatetrans mlsvalidatetrans module require class optional else if alias
    typealias typeattribute expandattribute typebounds permissive neveraudit range_transition role_transition types
    roleattribute roles level range or xor and not eq dnl
"""
RESERVED = frozenset(_RESERVED.split())
"""No name, wherever it stands; LABELS are none where white space follows them."""
LABELS = (
    *("sid", "genfscon", "portcon", "netifcon", "nodecon", "fs_use_xattr", "fs_use_trans", "fs_use_task"),
    *("ibpkeycon", "ibendportcon"),
)


_CAPITALS = re.compile(r"(?<![\w.$-])[A-Z][A-Z_]+(?![\w.-])", re.ASCII)
_NOT_CAPITAL = ("dnl", "self", "neveraudit")
_SHOUTED = frozenset(word.upper() for word in (*RESERVED, *LABELS) if word not in _NOT_CAPITAL)
_APART = re.compile(rf'"[^"\n]*"|#[^\n]*|{_CAPITALS.pattern}', re.ASCII)


def in_small_letters(text: str) -> str:
    """``text`` with its keywords in small letters: checkmodule takes them in capitals too (policy_scan.l), but not
    mixed. Comments and names in quotation marks stay, and every place is where it was.
    """
    if _SHOUTED.isdisjoint(_CAPITALS.findall(text)):
        return text
    return _APART.sub(lambda found: found[0].lower() if found[0] in _SHOUTED else found[0], text)


def is_name(word: str) -> bool:
    """Whether the grammar takes a word for a name wherever it stands."""
    return NAME.match(word) is not None and word not in RESERVED and word not in LABELS


def argument(raw: str) -> str:
    """An argument of a call without white space around it, and without its quotes where it is one quoted text."""
    said = raw.strip()
    if said.startswith("`") and said.endswith("'") and _one_quoted(said):
        return said[1:-1].strip()
    return said


def written_argument(said: str) -> str:
    """An argument as it is written in a call: quoted where m4 would take it apart otherwise."""
    return f"`{said}'" if re.search(r"[,()`'#]|\A\Z", said) else said


def _one_quoted(said: str) -> bool:
    depth = 0
    for place, character in enumerate(said):
        depth += (character == "`") - (character == "'")
        if depth == 0:
            return place == len(said) - 1
    return False


@lru_cache(maxsize=1 << 14)
def plain_set(text: str) -> Optional[NameSet]:
    """The set that is written as ``text``; None where it is none of the usual forms (the grammar knows them all)."""
    inner = text[1:].lstrip() if text.startswith("~") else text
    others = inner is not text or text == "*"
    if text == "*":
        return NameSet((), (), True)
    words = inner.strip("{}").split() if inner.startswith("{") else [inner]
    names = tuple(word for word in words if not word.startswith("-"))
    without = tuple(word[1:] for word in words if word.startswith("-"))
    if not words or not all(map(is_name, (*names, *without))) or (others and inner[0] != "{" and without):
        return None
    return NameSet(names, without, others)


def written_set(names: NameSet) -> str:
    """A set as text that reads back as the same set."""
    if names.others and not names.names and not names.without:
        return "*"
    words = [*names.names, *(f"-{name}" for name in names.without)]
    said = words[0] if len(words) == 1 and not names.without else "{ " + " ".join(words) + " }"
    return ("~" if names.others else "") + said
