"""Reads the text of a record into its parts, in two ways that must agree.

``grammar/avc.lark`` says what is a record. It is asked once for each distinct *shape* (the sequence of field names and
kinds of values); every other record of that shape is read by regular expressions that follow the grammar's terminals.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Optional

from polkit.audit import heads
from polkit.audit.vocabulary import FIELDS
from polkit.grammars import grammar_text

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

    Branch = Tree[Token]

STABLE = frozenset(
    (
        *("scontext", "tcontext", "tclass", "ioctlcmd", "nl-msgtype", "src", "dest"),
        *("invalid_context", "oldcontext", "newcontext", "taskcontext"),
    )
)
"""The fields that decide what was asked for (the grammar's STABLE)."""

_MOST_SHAPES = 4096
_VALUE = r"""(?:"[^"]*"|(?!")[^\s"'\x1d]*(?:'+[^\s"'\x1d]+)*)"""
_WORD = r"""(?![A-Za-z_][\w-]*=|avc:|:\s|:\Z|')[^\s"'\x1d]+(?:'+[^\s"'\x1d]+)*"""
_DECIDING = r"(?:scontext|tcontext|tclass|ioctlcmd|oldcontext|newcontext|taskcontext)="

_ITEM = re.compile(
    rf"\s*(?:(permissive=[01]?|:(?=\s|\Z)|'|\x1d)([\s\S]*)|([A-Za-z_][\w-]*)=({_VALUE})|({_WORD})|(\S[\s\S]*))",
    re.ASCII,
)
_CATEGORIES = re.compile(r"c\d{1,5}(?:[.,]c\d{1,5})*\Z", re.ASCII)
_AVC = re.compile(r'avc:\s+(denied|granted)\s*\{([^{}"]*)\}\s*(?:for(?![\w=-]))?', re.ASCII)
_WORDS = re.compile(r"\S+", re.ASCII)
_USER = re.compile(
    rf"(?:user\s+)?(?:(?!msg=')[A-Za-z_][\w-]*={_VALUE}\s+(?:{_WORD}\s+)*)*?msg='\s*(?=avc:\s)",
    re.ASCII,
)
_ERROR_TODAY = re.compile(rf"op=({_VALUE})", re.ASCII)
_ERROR_OLD_SID = re.compile(r"""security_compute_sid:\s*invalid\s+context\s+([^\s"'\x1d]+)\s*for(?![\w=-])""", re.ASCII)
_ERROR_OLD_VALIDATE = re.compile(r"security_validate_transition:\s+denied\s*for(?![\w=-])", re.ASCII)
_DECIDED_TWICE = re.compile(rf"{_DECIDING}|avc:", re.ASCII)


class Unreadable(Exception):
    """The text is no whole record; ``str`` says why, for a person."""


class Reading(NamedTuple):
    """The parts of a record, undecoded: permissions, then (name, value) in order; values keep their quotes."""

    perms: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    permissive: str
    """``0``, ``1``, or empty where the record doesn't say."""
    closed: bool
    """The record says everything a record can say, so that a line after it can't belong to it."""


def read(prefix: str, text: str, claim: heads.Claim) -> Reading:
    """The parts of a denial. ``prefix`` is what stood before it on its line.

    Raises Unreadable. Text is bytes read as Latin-1.
    """
    reading, shape = _read_fast(text, claim)
    if shape not in _accepted:
        if read_by_grammar(prefix + text) != reading:
            raise Unreadable("it can be read in two ways")
        if len(_accepted) >= _MOST_SHAPES:
            _accepted.clear()
        _accepted.add(shape)
    return reading


Shape = tuple[object, ...]
_accepted: set[Shape] = set()
"""Shapes of which the grammar has read a record, and read it alike. A refusal is never remembered: one odd record
must not take others of its shape along."""


# ---- by regular expressions ------------------------------------------------------------------------------------------


def read_fast(text: str, claim: heads.Claim) -> Reading:
    """What ``read`` gives, without asking the grammar. Raises Unreadable."""
    return _read_fast(text, claim)[0]


def _read_fast(text: str, claim: heads.Claim) -> tuple[Reading, Shape]:
    perms: tuple[str, ...]
    if claim.kind == heads.SELINUX_ERR:
        perms = ()
        first, at = _error_head(text, claim.body)
    else:
        perms, at = _avc_head(text, claim)
        first = []
    fields, permissive, closed, shape = _items(text, at, first)
    head = text[: claim.body]
    form = ("type=" in head, "audit(" in head, bool(claim.node), claim.kind, len(first), bool(perms))
    return Reading(perms, fields, permissive, closed), (form, *shape)


def _avc_head(text: str, claim: heads.Claim) -> tuple[tuple[str, ...], int]:
    at = claim.body
    if claim.kind == heads.USER_AVC:
        start = _USER.match(text, at)
        if not start:
            raise Unreadable("cut off or damaged before its message")
        at = start.end()
    found = _AVC.match(text, at)
    if not found:
        raise Unreadable("cut off or damaged before or in its permissions")
    return tuple(_WORDS.findall(found[2])), found.end()


def _error_head(text: str, body: int) -> tuple[list[tuple[str, str]], int]:
    found = _ERROR_TODAY.match(text, body)
    if found:
        return [("op", found[1])], found.end()
    found = _ERROR_OLD_SID.match(text, body)
    if found:
        return [("op", "security_compute_sid"), ("invalid_context", found[1])], found.end()
    found = _ERROR_OLD_VALIDATE.match(text, body)
    if found:
        return [("op", "security_validate_transition")], found.end()
    raise Unreadable("a SELINUX_ERR of an unknown form")


def _items(
    text: str, at: int, first: list[tuple[str, str]]
) -> tuple[tuple[tuple[str, str], ...], str, bool, list[object]]:
    """Fields up to the end of the record: them, ``permissive``, whether it is closed, and their shape."""
    fields, takes_words = list(first), False
    shape: list[object] = []
    for end, rest, name, value, word, damage in _ITEM.findall(text[at:]):
        if name:
            fields.append((name, value))
            takes_words = name not in STABLE
            shape.append((name if name in FIELDS else "", value[:1] == '"'))
        elif word:
            if not takes_words and not (shape and shape[-1] != " " and _CATEGORIES.match(word)):
                raise Unreadable(f"stray text {word[:40]!r} where a field belongs")
            fields[-1] = (fields[-1][0], f"{fields[-1][1]} {word}")
            if shape[-1] != " ":
                shape.append(" ")
        elif end:
            if _DECIDED_TWICE.search(rest):
                raise Unreadable("fields that decide stand behind the end of the record")
            return tuple(fields), end[11:], True, [*shape, end, bool(rest.strip())]
        elif damage:
            raise Unreadable(f"cut off or damaged at {damage[:40]!r}")
    return tuple(fields), "", False, shape


# ---- by the grammar --------------------------------------------------------------------------------------------------

_parser: Optional[Lark] = None


def read_by_grammar(text: str) -> Reading:
    """What the grammar makes of a whole line or record. Raises Unreadable."""
    global _parser  # noqa: PLW0603  (built when first needed: importing lark takes longer than reading a log)
    from lark import Lark
    from lark.exceptions import UnexpectedInput

    if _parser is None:
        _parser = Lark(grammar_text("avc"), parser="lalr", lexer="contextual", g_regex_flags=re.ASCII)
    try:
        tree = _parser.parse(text)
    except UnexpectedInput as problem:
        at = problem.pos_in_stream
        where = "at its end" if at is None or at < 0 or not text[at:].strip() else f"at {text[at : at + 40]!r}"
        raise Unreadable(f"not a record that the grammar knows: {where}") from None
    return _reading(tree)


def _reading(tree: Branch) -> Reading:
    perms: tuple[str, ...] = ()
    fields: list[tuple[str, str]] = []
    permissive, closed = "", False
    for branch in _record_parts(tree):
        if isinstance(branch, str):
            continue
        tokens = [str(token) for token in branch.children]
        if branch.data in ("field", "stable"):
            fields.append((tokens[0], " ".join([tokens[1][1:], *tokens[2:]])))
        elif branch.data == "rest":
            permissive, closed = tokens[0][11:], True
        else:
            perms, first = _record_head(branch)
            fields = first + fields
    return Reading(perms, tuple(fields), permissive, closed)


def _record_parts(tree: Branch) -> list[Branch]:
    """The branch of the record proper, then those of its fields and its end."""
    record = tree.children[-1]
    assert not isinstance(record, str)
    if record.data in ("kernel_avc", "user_avc"):
        record = record.children[-1]
        assert not isinstance(record, str)
    return [record, *(child for child in record.children if not isinstance(child, str))]


def _record_head(record: Branch) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    tokens = [child for child in record.children if isinstance(child, str)]
    if record.data == "avc":
        return tuple(str(token) for token in tokens if token.type == "PERM"), []
    if record.data == "error_today":
        return (), [("op", str(tokens[1])[1:])]
    if record.data == "error_old_sid":
        return (), [("op", "security_compute_sid"), ("invalid_context", _WORDS.findall(str(tokens[1]))[-1])]
    return (), [("op", "security_validate_transition")]
