"""libsepol's own answer, through ``selinux.audit2why``: what our index is held against, and ``prove`` asks.

What it can't say: it names a missing rule first and stops there, so a constraint that would refuse next stays hidden;
it knows no extended permissions; it calls an access DONTAUDIT only where a rule is missing. It says BOUNDS for every
permission of an access vector as soon as type bounds take any of them away, also for one that is allowed, and 3.4
crashes on a bounded type whose bounding type is bounded in turn (libsepol ``type_attribute_bounds_av``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Optional

from polkit.errors import SourceError, UsageError
from polkit.policy.binary import open_policy
from polkit.policy.noise import caught_stderr
from polkit.policy.protocols import import_audit2why

_KINDS = {
    0: "ALLOW",
    1: "DONTAUDIT",
    2: "TERULE",
    3: "BOOLEAN",
    4: "CONSTRAINT",
    5: "RBAC",
    6: "BOUNDS",
    -1: "UNKNOWN",
    -2: "BADSCON",
    -3: "BADTCON",
    -4: "BADTCLASS",
    -5: "BADPERM",
    -6: "BADCOMPUTE",
    -7: "NOPOLICY",
}
"""The constants of libselinux' ``audit2why.c``."""


@dataclass(frozen=True)
class OracleAnswer:
    """``kind`` as libselinux names it; ``booleans`` for BOOLEAN: each alone, at this value, would allow the access;
    ``constraint`` for CONSTRAINT: libsepol's text.
    """

    kind: str
    booleans: tuple[tuple[str, bool], ...] = ()
    constraint: str = ""


class Oracle:
    """One policy in libsepol. A context manager.

    libsepol keeps the policy in static variables: only one Oracle can be open in a process (a second is refused with
    UsageError), and questions must come from one thread at a time. While a question runs, file descriptor 2 of the
    whole process leads to a temporary file, since libsepol writes to it past Python: what another thread prints to
    stderr in that moment is lost with it.
    """

    _open: ClassVar[Optional[Oracle]] = None

    def __init__(self, policy: Path) -> None:
        """Load a binary policy. Raises SourceError when it can't be read, MissingDependency without libselinux."""
        if Oracle._open is not None:
            raise UsageError("libsepol holds another policy already: close that Oracle first")
        open_policy(policy)  # after a policy that fails to load, libselinux 3.4 takes no other (a stale pointer)
        self._audit2why = import_audit2why()
        with caught_stderr() as noise:
            failed = self._initialize(str(policy))
            said = noise()
        if failed:
            raise SourceError(f"{policy}: libsepol can't load it: {failed}", hint=said)
        Oracle._open = self

    def _initialize(self, path: str) -> str:
        try:
            return "" if self._audit2why.init(path) == 0 else "unknown format"
        except (RuntimeError, ValueError, SystemError) as error:
            return str(error)

    def __enter__(self) -> Oracle:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give libsepol's memory back; another Oracle may then be opened."""
        if Oracle._open is self:
            self._audit2why.finish()
            Oracle._open = None

    def ask(self, scontext: str, tcontext: str, tclass: str, perms: Sequence[str]) -> OracleAnswer:
        """libsepol's answer for all of ``perms`` at once; contexts are texts with their levels.

        A refused access takes some 4 ms (every boolean is tried), an allowed one 0.02 ms. Raises UsageError after
        ``close``.
        """
        if Oracle._open is not self:
            raise UsageError("this Oracle is closed")
        with caught_stderr():
            code, detail = self._audit2why.analyze(scontext, tcontext, tclass, list(perms))
        kind = _KINDS.get(code, "UNKNOWN")
        if kind == "BOOLEAN":
            return OracleAnswer(kind, booleans=tuple(sorted((name, bool(value)) for name, value in detail)))
        return OracleAnswer(kind, constraint=str(detail) if kind == "CONSTRAINT" else "")
