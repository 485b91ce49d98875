"""The rules that give exactly one access."""

from __future__ import annotations

from polkit.model import SELF, AvRule, Rule, XpermRule
from polkit.policy import Access


def rules_for(access: Access, target: str = "") -> tuple[Rule, ...]:
    """An allow rule for the access, and for an ioctl or nlmsg whose command is known the allowxperm beside it.

    ``target`` stands in for the target's type where a relabel changes it.
    """
    to_self = access.source.type == access.target.type and not target
    object_ = SELF if to_self else (target or access.target.type)
    rule = AvRule("allow", access.source.type, object_, access.tclass, (access.perm,))
    if access.xperm is None:
        return (rule,)
    xperm = access.xperm
    narrow = XpermRule("allowxperm", access.source.type, object_, access.tclass, xperm.kind, (xperm.number,))
    return (rule, narrow)


def tells_no_command(access: Access) -> bool:
    """An ioctl or nlmsg without its command: an old kernel, or a record that was cut."""
    return access.perm in ("ioctl", "nlmsg") and access.xperm is None
