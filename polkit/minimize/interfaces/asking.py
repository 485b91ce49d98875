"""From what the user asked for to a plan with calls of interfaces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from polkit.errors import UsageError
from polkit.minimize.interfaces.proposing import Allowance, propose_calls
from polkit.model import ModuleSource, Plan
from polkit.module import expand, find_headers, find_tool, read_headers
from polkit.policy import TargetPolicy, locate

_HOST = Path("/")


@dataclass(frozen=True)
class Reference:
    """Where the interfaces are that calls may be proposed of, and how much more these may grant."""

    headers: Path
    allowance: Allowance


def reference(
    asked: bool, headers: Optional[Path], allow_extra: Optional[int], policy: str, accepted: frozenset[str]
) -> Optional[Reference]:
    """What ``--interfaces``, ``--headers`` and ``--allow-extra`` come to; None where no calls were asked for.

    Without ``--headers``, those in the policy's own root come before this host's. Raises UsageError, SourceError for
    a directory without headers, MissingDependency where there are none or no m4.
    """
    if not asked:
        for option, value in (("--headers", headers), ("--allow-extra", allow_extra)):
            if value is not None:
                raise UsageError(f"{option} is about interfaces", "Ask for them: --interfaces")
        return None
    find_tool("m4")
    root = None if policy in ("auto", "none") else locate(policy).root
    return Reference(find_headers(headers, (root or _HOST, _HOST)), Allowance(allow_extra or 0, accepted))


def with_calls(plan: Plan, source: ModuleSource, policy: TargetPolicy, chosen: Reference) -> tuple[Plan, ModuleSource]:
    """The plan with the calls for its module's rules, and the module with them: see ``propose_calls``."""
    if not source.access.rules:
        return plan, source
    calls, module = propose_calls(source, plan.domain, policy, expand(read_headers(chosen.headers)), chosen.allowance)
    return replace(plan, interfaces=calls), module
