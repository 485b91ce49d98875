"""What a module newly allows, by whose doing: what a domain of its own has in place of another, what the policy's rules
give types of such a kind, and what is left: the module's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from polkit.review.case import Case
from polkit.review.differences.diff import Difference, Entry, narrowed
from polkit.review.grants.newly import Newly


@dataclass(frozen=True)
class Shares:
    """``bases``: from each domain of the module to the domain of the policy that it stands in for. ``like_base``: the
    accesses that that one has in its place. ``by_policy``: those of rules of the policy on attributes that types of the
    module join. ``own``: the rest, one by one."""

    bases: Mapping[str, str]
    like_base: int
    by_policy: int
    own: tuple[Entry, ...]


def shares_of(case: Case, change: Difference) -> Shares:
    """The shares of what ``change`` adds: the difference that the module makes on the policy."""
    newly = Newly(case)
    like_base = by_policy = 0
    own: list[Entry] = []
    for grant, entry in zip(newly.every, change.added):
        kept = newly.beyond_base(grant).perms
        like_base += len(grant.perms) - len(kept)
        if grant.standing:
            by_policy += len(kept)
        elif kept:
            own.append(narrowed(entry, kept, newly.policy))
    return Shares(newly.bases, like_base, by_policy, tuple(own))
