"""Where a record begins in a line, and what it claims to be. Cheap, and no judgement of what follows."""

from __future__ import annotations

import re
from typing import NamedTuple

AVC, USER_AVC, SELINUX_ERR, OTHER = "AVC", "USER_AVC", "SELINUX_ERR", "other"
COMPANIONS = frozenset(("SYSCALL", "CWD", "PATH", "SOCKADDR", "EXECVE", "PROCTITLE"))
"""Records that tell the circumstances of a denial of their event."""

DENIED, GRANTED, NEITHER, CUT = "denied", "granted", "neither", "cut"

START = re.compile(
    rb"""node=\S{1,255}\s+type=[\w\[\]]+\s+(?:msg=)?audit\(
       | type=[\w\[\]]+\s+(?:msg=)?audit\(
       | audit(?<!\waudit)(?:\[\d+\])?:\s+ (?=[A-Z][A-Z0-9_]+\s)
       | msg=audit\([^()]{0,80}\)\s*:\s* avc:\s+(?:denied|granted)\b
       | audit(?<!\waudit)\([^()]{0,80}\)\s*:\s* avc:\s+(?:denied|granted)\b
       | avc:(?<!\wavc:)\s+(?:denied|granted)\b
       | SELINUX_ERR(?<!\wSELINUX_ERR)\ (?=op=|security_)""",
    re.VERBOSE,
)
"""The first bytes of a record. Each way begins with a letter of its own, so that the search can skip to those."""


def is_strong(start: bytes) -> bool:
    """Whether what START matched begins a record wherever it stands outside quotes; the other ways do only where no
    other record is under way."""
    return start.endswith(b"audit(")


HEADER = re.compile(
    r"""(?:node=(?P<node>\S+)\s+)?
        (?: type=(?P<type>[\w\[\]]+)\s+(?:msg=)?audit\((?P<stamp>[^()]*)\)\s*:\s*
          | audit(?:\[\d+\])?:\s+(?P<journal>[A-Z][A-Z0-9_]+)\s+
          | (?P<message>SELINUX_ERR)\ (?=op=|security_)
          | (?:(?:msg=)?audit\((?P<bare>[^()]*)\)\s*:\s*)?(?=avc:\s) )""",
    re.VERBOSE | re.ASCII,
)
_KINDS = {
    "AVC": AVC,
    "1400": AVC,
    "USER_AVC": USER_AVC,
    "1107": USER_AVC,
    "SELINUX_ERR": SELINUX_ERR,
    "1401": SELINUX_ERR,
}
"""Record types and their numbers. Source: Linux include/uapi/linux/audit.h."""

_NAMES = {
    "1300": "SYSCALL",
    "1302": "PATH",
    "1306": "SOCKADDR",
    "1307": "CWD",
    "1309": "EXECVE",
    "1327": "PROCTITLE",
    "1403": "MAC_POLICY_LOAD",
}
_VERDICT = re.compile(r"avc:\s+(denied|granted)\b", re.ASCII)
_USER_VERDICT = re.compile(r"(?:^|\s)msg='\s*avc:\s+(denied|granted)\b", re.ASCII)
_MASKED = re.compile(r"op=security_compute_av\s", re.ASCII)
_NOT_DENIED = re.compile(r"\s(?:se)?result=(?!denied)\w", re.ASCII)


class Claim(NamedTuple):
    """What the head of a record says.

    ``kind`` is AVC, USER_AVC, SELINUX_ERR or other; ``verdict`` denied, granted, neither (no SELinux decision, or one
    that refuses nothing) or cut (the text ends before it says); ``type`` the record type where it has a name here;
    ``body`` where the text after the header begins.
    """

    kind: str
    verdict: str
    type: str
    node: str
    stamp: str
    body: int


def claim(text: str) -> Claim:
    """What the record in ``text`` (which begins with its header) claims to be."""
    found = HEADER.match(text)
    if not found:
        word = re.search(r"(?:type=|audit(?:\[\d+\])?:\s+)([\w\[\]]+)", text, re.ASCII)
        kind = _KINDS.get(word[1], OTHER) if word else OTHER
        return Claim(kind, NEITHER if kind == OTHER else CUT, "", "", "", len(text))
    name = found["type"] or found["journal"] or found["message"] or "AVC"
    kind = _KINDS.get(name, OTHER)
    verdict = NEITHER if kind == OTHER else _VERDICTS[kind](text, found.end())
    stamp = found["stamp"] or found["bare"] or ""
    return Claim(kind, verdict, _NAMES.get(name, name), found["node"] or "", stamp, found.end())


def _avc_verdict(text: str, body: int) -> str:
    found = _VERDICT.match(text, body)
    if found:
        return found[1]
    # Other security modules (AppArmor, Smack) write type 1400 too, and so do notices such as "avc:  received".
    start = " ".join(text[body : body + 32].split())
    return CUT if "avc: denied".startswith(start) else NEITHER


def _user_verdict(text: str, body: int) -> str:
    found = _USER_VERDICT.search(text, body)
    if found:
        return found[1]
    message = text.find("msg='", body)
    start = " ".join(text[message + 5 : message + 37].split())
    return CUT if message < 0 or "avc: denied".startswith(start) else NEITHER


def _error_verdict(text: str, body: int) -> str:
    """A SELINUX_ERR is a refusal, but for two: permissions masked by a type bound (``security_compute_av``; an AVC
    record follows if one of them was wanted), and a result other than denied.

    Source: Linux security/selinux/ss/services.c, security_dump_masked_av.
    """
    if not text[body:].strip():
        return CUT
    return NEITHER if _MASKED.match(text, body) or _NOT_DENIED.search(text, body) else DENIED


_VERDICTS = {AVC: _avc_verdict, USER_AVC: _user_verdict, SELINUX_ERR: _error_verdict}
