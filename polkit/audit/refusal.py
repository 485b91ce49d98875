"""SELINUX_ERR records: which access each operation of the security server refuses.

Source: Linux security/selinux/ss/services.c. ``compute_sid_handle_invalid_context`` (-EACCES when enforcing: the
context that a process or object would get is invalid), ``security_bounded_transition`` (-EPERM: with no_new_privs or
on a nosuid mount a process may only enter a domain bounded by its own), ``security_validtrans_handle_fail`` (-EPERM:
a validatetrans statement refuses a relabelling). All three write the record in permissive mode too.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from polkit.audit.reading import Unreadable
from polkit.model import Failure, Party


class Refused(NamedTuple):
    """Which fields of the record say who wanted what: names of fields that hold contexts."""

    operation: str
    source: str
    target: str
    third: Optional[str]
    """The context that goes into the Failure."""
    tclass: Optional[str]
    """The class where the record has none."""
    perm: Optional[str]
    """The permission; None: ``transition`` to a process, ``create`` of anything else."""

    def permission(self, tclass: str) -> str:
        """The permission that was refused."""
        return self.perm or ("transition" if tclass == "process" else "create")

    def failure(self, third: Optional[Party]) -> Failure:
        """The operation with the third context."""
        return Failure(self.operation, third)


_OPERATIONS = {
    "security_compute_sid": Refused("compute_sid", "scontext", "invalid_context", "tcontext", None, None),
    "security_bounded_transition": Refused(
        "bounded_transition", "oldcontext", "newcontext", None, "process", "transition"
    ),
    "security_validate_transition": Refused(
        "validate_transition", "taskcontext", "newcontext", "oldcontext", None, "relabelto"
    ),
}


def refused_access(operation: str, fields: dict[str, str]) -> Refused:
    """Where the refused access of ``operation`` stands in the record. Raises Unreadable for one that names none."""
    if operation in _OPERATIONS:
        return _OPERATIONS[operation]
    if "invalid_context" in fields:
        invalid = fields["invalid_context"][:60]
        raise Unreadable(f"{operation[:40]} of the invalid context {invalid}: the record doesn't say who asked")
    raise Unreadable(f"a SELINUX_ERR of an unknown operation, {operation[:40]}")
