"""Whoever chooses without a person at hand: a file of choices, or what the plan beside a module claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from polkit.minimize.alternatives import Offers
from polkit.minimize.choices.saved import Choices, match, picks


@dataclass
class Repeating:
    """Makes the same choices again. Afterwards ``stale`` says what fits no more: there the tool's choice stands."""

    choices: Choices
    stale: tuple[str, ...] = ()
    unused: int = 0

    def __call__(self, offers: Offers) -> Mapping[str, str]:
        """See Chooser."""
        found = match(self.choices, offers)
        self.stale, self.unused = found.stale, sum(entry.chosen is not None for entry in found.unused)
        return picks(found.walk, offers)


@dataclass
class Claimed:
    """Takes what is claimed to be chosen, where it is offered and ``trusted`` or goes no further than the tool would.

    ``claims``: from keys of decisions to ids of alternatives. Afterwards ``taken``, ``refused`` and (where the policy
    does not offer it) ``impossible`` say what became of them, as (decision id, alternative id)."""

    claims: Mapping[str, str]
    trusted: bool = False
    taken: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    impossible: list[tuple[str, str]] = field(default_factory=list)

    def anew(self) -> Claimed:
        """The same claims, for other evidence."""
        return Claimed(self.claims, self.trusted)

    def __call__(self, offers: Offers) -> Mapping[str, str]:
        """See Chooser."""
        found: dict[str, str] = {}
        for decision in offers.decisions:
            claimed = self.claims.get(decision.key)
            option = next((one for one in decision.alternatives if one.id == claimed), None)
            if option is None:
                if claimed is not None and not (claimed.startswith("accept:") and decision.remedy.kind != "refuse"):
                    self.impossible.append((decision.id, claimed))  # what is accepted already is no choice any more
                continue
            if option.widens and not self.trusted:
                self.refused.append((decision.id, option.id))
                continue
            self.taken.append((decision.id, option.id))
            found[decision.key] = option.id
        return found
