"""Puts together a record that was wrapped over lines by a terminal, a mail or a forum.

A wrap may stand between words or in the middle of one (``container_`` + ``t:s0``), and the blank at a wrap may be
lost. So every line is tried both ways; what parses is right, and where several readings parse the one with the fewest
unknown words is. Where that one has unknown words too and another asks for a different access, the record stays
unparsed: nothing is guessed.
"""

from __future__ import annotations

import re
from typing import Optional

from polkit.audit.denial import Denial, parse_denial
from polkit.audit.heads import CUT, DENIED, GRANTED, NEITHER, SELINUX_ERR, claim
from polkit.audit.reading import Unreadable
from polkit.audit.scan import MOST_LINES, Found
from polkit.audit.vocabulary import CLASSES, FIELDS, PERMISSIONS

_WIDE_GAP = re.compile(r"[ \t]{3,}")
_MOST_WAYS = 6
_MOST_PIECES = 2 * MOST_LINES
_HEAD_LINES = 4
_LONGEST = 16384
_TOKEN = re.compile(r'"[^"]*"?|[^\s"]+', re.ASCII)
_NAME = re.compile(r"([A-Za-z_][\w-]*)=", re.ASCII)
_PERMS = re.compile(r"\{([^{}]*)\}?")
_BEFORE_PERMS = re.compile(r"\bavc:\s+denied\s*\Z")
_CLASS = re.compile(r"\btclass=([\w-]+)")
_STAMP = re.compile(r"audit\(([^()]*)\)")
_STAMP_FORM = re.compile(r"\d{9,11}\.\d+:\d+\Z|\d+[/.-]\d+[/.-]\d+ \d\d?:\d\d:\d\d\S*:\d+\Z|[A-Za-z]+\Z")


def denial_in(found: Found) -> tuple[Denial, str]:
    """The denial of a record, rejoined where it has to be, and the text it was read from. Raises Unreadable."""
    try:
        denial = parse_denial(found.prefix, found.text, found.claim)
    except Unreadable as problem:
        joined = _rejoined(found)
        if joined is None:
            if found.claim.verdict != DENIED:
                raise Unreadable("cut off before it says what was denied") from None
            raise problem
        return joined
    if found.continuation:
        # Whole as it is. It may still go on: the rest of its class, or whether the domain was permissive.
        joined = _rejoined(found)
        if joined is not None and "permissive=" in joined[1]:
            return joined
    return denial, found.text


def verdict_of(found: Found) -> str:
    """What a record says (heads.DENIED, GRANTED, NEITHER, CUT), its lines joined where its head was cut off."""
    if found.claim.verdict != CUT:
        return found.claim.verdict
    ways = [found.text]
    for line in found.continuation[:_HEAD_LINES]:
        ways = [way + glue + line for way in ways for glue in (" ", "")]
        said = {claim(way).verdict for way in ways}
        for verdict in (DENIED, GRANTED, NEITHER):
            if verdict in said and (verdict != NEITHER or CUT not in said):
                return verdict
    return CUT


def _rejoined(found: Found) -> Optional[tuple[Denial, str]]:
    pieces = _WIDE_GAP.split(found.text)
    pieces = [piece for piece in (*pieces, *found.continuation) if piece]
    if not 2 <= len(pieces) <= _MOST_PIECES or not _may_be_whole(pieces, found):
        return None
    best: Optional[tuple[Denial, str]] = None
    least = 0
    for unknown, text in _joins(pieces, len(pieces) - len(found.continuation)):
        if best and least == 0 < unknown:
            break  # nothing unknown in the best reading: worse ones are no rivals
        denial = _whole(found.prefix, text)
        if denial and best is None:
            best, least = (denial, text), unknown
        elif denial and best and denial.key != best[0].key:
            return None
    return best


def _may_be_whole(pieces: list[str], found: Found) -> bool:
    """Whether every field that a denial needs is there, wherever the wraps stand: most damaged records lack one, and
    trying all ways of joining them takes a thousand times as long as this."""
    text = "".join("".join(piece.split()) for piece in pieces)
    if found.claim.kind == SELINUX_ERR:
        return "context=" in text
    return all(word in text for word in ("scontext=", "tcontext=", "tclass="))


def _whole(prefix: str, text: str) -> Optional[Denial]:
    head = claim(text)
    if head.verdict != DENIED:
        return None
    try:
        return parse_denial(prefix, text, head)
    except Unreadable:
        return None


def _joins(pieces: list[str], first: int) -> list[tuple[int, str]]:
    """Texts made of the pieces, those with the fewest unknown words first; of equals, blanks before none.

    The first ``first`` pieces stood on one line and belong together; of the lines after it every number is tried.
    """
    ways = [pieces[0]]
    results: list[tuple[int, int, int, str]] = []
    for count, piece in enumerate(pieces[1:], 2):
        ways = [way + glue + piece for way in ways for glue in _glues(way)]
        ways = sorted(dict.fromkeys(ways), key=_unknown_words)[:_MOST_WAYS]
        if len(ways[0]) > _LONGEST:
            break
        if count >= first:
            results.extend((_unknown_words(way), -count, place, way) for place, way in enumerate(ways))
    return [(score, way) for score, _, _, way in sorted(results)]


def _glues(text: str) -> tuple[str, ...]:
    if text[-1:].isspace():
        return ("",)
    return ("", " ") if text.count('"') % 2 else (" ", "")


def _unknown_words(text: str) -> int:
    """How much of a text isn't what records are made of."""
    unknown = 0
    stamp = _STAMP.search(text)
    if stamp and not _STAMP_FORM.match(stamp[1]):
        unknown += 1
    perms = _PERMS.search(text)
    if perms:
        unknown += _BEFORE_PERMS.search(text, 0, perms.start()) is None
        unknown += sum(perm not in PERMISSIONS for perm in perms[1].split())
        for token in _TOKEN.findall(text, perms.end()):
            name = _NAME.match(token)
            if name:
                # "=" in a bare value: the end of a line and the next one's field, joined (ino=204ioctlcmd=0x5401).
                joined = token[name.end() :][:1] != '"' and "=" in token[name.end() :]
                unknown += name[1] not in FIELDS or joined
            elif token[0] != '"' and token not in ("for", "'"):
                unknown += 1
    tclass = _CLASS.search(text)
    if tclass and tclass[1] not in CLASSES:
        unknown += 1
    return unknown
