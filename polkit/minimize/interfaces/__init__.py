"""Reference policy's own words for a module's rules: calls of installed interfaces, held against the target policy."""

from __future__ import annotations

from polkit.minimize.interfaces.asking import Reference, reference, with_calls
from polkit.minimize.interfaces.proposing import NEVERALLOW, Allowance, propose_calls

__all__ = ["NEVERALLOW", "Allowance", "Reference", "propose_calls", "reference", "with_calls"]
