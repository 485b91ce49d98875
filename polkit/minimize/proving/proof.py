"""The proof as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from polkit.model import Decision, InputSummary, PolicyInfo
from polkit.policy import AccessChange, Violation, XpermChange


@dataclass(frozen=True, order=True)
class Uncovered:
    """An access that the evidence needs and the policy with the module refuses; ``reason`` says why.

    ``statement`` is set instead of the access where the remedy is a rule on roles or bounds.
    """

    decision: str
    source: str
    target: str
    tclass: str
    perm: str
    xperm: str
    reason: str
    statement: str = ""


@dataclass(frozen=True, order=True)
class Extra:
    """Something in the module that no evidence asks for.

    ``kind``: ``unasked`` (an access that is newly allowed), ``commands`` (ioctl or nlmsg commands of one that is),
    ``dontaudited`` (comes along with a relabel, see docs/causes.md), ``base`` (the policy gives it already),
    ``repeated`` (another rule of the module gives it), ``silent`` (a dontaudit or auditallow rule), ``type`` (a type
    nothing needs), ``statement`` (any other statement), ``unexplained`` (a change that no rule of the module says).
    """

    kind: str
    source: str = ""
    target: str = ""
    tclass: str = ""
    perms: tuple[str, ...] = ()
    xperms: tuple[tuple[int, int], ...] = ()
    text: str = ""


@dataclass(frozen=True, order=True)
class GainedDomain:
    """A type that may do more than before: by rules of the module, on new types by rules of the policy, and in place of
    the base or on the domain that stands in for it."""

    domain: str
    accesses: int
    structural: int
    inherited: int = 0


@dataclass(frozen=True)
class InheritedFigures:
    """What the module's own domain has in place of its base: ``accesses`` of it and on it, ``missing`` ones that the
    base has and it lacks. ``base`` is None for a domain that starts from nothing."""

    domain: str
    base: Optional[str]
    accesses: int
    missing: int


@dataclass(frozen=True)
class Figures:
    """Least privilege as numbers. Rates are None where there is nothing to divide by.

    ``granted``: accesses that rules of the module newly allow; ``dontaudited``: those that a relabel takes along
    because the old label kept them out of the log; ``over``: those that no evidence asks for, and no relabel either.
    """

    needed: int
    allowed: int
    granted: int
    over: int
    dontaudited: int
    structural: int
    boolean_grants: int
    remedied_elsewhere: Mapping[str, int]
    held_out: Optional[tuple[int, int]]
    """Of another run's accesses whose remedy holds a rule: still refused, and all."""
    inherited: Optional[InheritedFigures] = None

    @property
    def completeness(self) -> Optional[float]:
        """Accesses allowed by those whose remedy holds a rule."""
        return _share(self.allowed, self.needed)

    @property
    def over_permission_rate(self) -> Optional[float]:
        """Share of what rules of the module newly allow that no evidence asks for, dontaudited ones apart."""
        return _share(self.over, self.granted)

    @property
    def held_out_under_permission(self) -> Optional[float]:
        """Share of another run's accesses that are still refused."""
        return None if self.held_out is None else _share(*self.held_out)


def _share(part: int, whole: int) -> Optional[float]:
    return round(part / whole, 6) if whole else None


@dataclass(frozen=True)
class Proof:
    """The four statements about a module, and what they rest on. None: it can't be known."""

    module: str
    source: str
    sha256: str
    policy: PolicyInfo
    build: str
    input: InputSummary
    decisions: tuple[Decision, ...]
    covered: bool
    minimal: bool
    contained: Optional[bool]
    safe: Optional[bool]
    figures: Figures
    uncovered: tuple[Uncovered, ...]
    extra: tuple[Extra, ...]
    lost: tuple[AccessChange, ...]
    lost_xperms: tuple[XpermChange, ...]
    removed: tuple[str, ...]
    """Statements of the policy that are gone with the module."""
    joined: tuple[tuple[str, str], ...]
    """(type, attribute): types of the policy that the module puts into attributes of the policy."""
    gained_domains: tuple[GainedDomain, ...]
    violations: tuple[Violation, ...]
    gates: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 when everything that can be known is true, else 1."""
        return 1 if False in (self.covered, self.minimal, self.contained, self.safe) else 0
