"""Security contexts, and the identifiers they are made of."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.$-]{0,127}\Z")
"""What may be a user, role, type, class or permission. Dots and dashes occur in types made by udica and the
Security Profiles Operator (``socket-proxy.process``). Nothing else from a log ever reaches a policy file."""


class Party(NamedTuple):
    """One side of an access without its level."""

    user: str
    role: str
    type: str


class Context(NamedTuple):
    """A whole security context; ``level`` is the text after the third colon, empty where there is none."""

    user: str
    role: str
    type: str
    level: str

    @property
    def party(self) -> Party:
        """The context without its level."""
        return Party(self.user, self.role, self.type)

    def __str__(self) -> str:
        return ":".join(part for part in self if part)


def parse_context(text: str) -> Optional[Context]:
    """``user:role:type[:level]`` as a Context, or None when it is not one or holds a character no identifier has."""
    parts = text.split(":", 3)
    if len(parts) < 3 or not all(IDENTIFIER.match(part) for part in parts[:3]):
        return None
    level = parts[3] if len(parts) == 4 else ""
    if level and not re.match(r"[A-Za-z0-9_.,:-]{1,4096}\Z", level):
        return None
    return Context(parts[0], parts[1], parts[2], level)
