"""Plans made as somebody chooses, for tests of alternatives and choices."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from polkit.audit import read_logs, totals
from polkit.minimize import Choices, Mount, Offers, PathMap, Settings, begin, choices_of, make_plan
from polkit.model import Alternative, Decision, Plan
from polkit.policy import TargetPolicy


@dataclass
class Picking:
    """Chooses by class and permission: ``{("chr_file", "ioctl"): "leave"}``; keeps what was offered."""

    wanted: Mapping[tuple[str, str], str] = field(default_factory=dict)
    offers: Offers = field(init=False)

    def __call__(self, offers: Offers) -> Mapping[str, str]:
        """See Chooser."""
        self.offers = offers
        picks = {}
        for decision in offers.decisions:
            for perm in decision.perms:
                if (decision.tclass, perm) in self.wanted:
                    picks[decision.key] = self.wanted[decision.tclass, perm]
        return picks


def plan_by(
    chooser: Any,
    policy: TargetPolicy,
    text: str,
    mounts: Mapping[str, str] | None = None,
    **settings: Any,
) -> Plan:
    """The plan for the text of a log; ``mounts`` from host to container, as in the other tests."""
    denials = totals(read_logs(["-"], stdin=io.BytesIO(text.encode())))
    paths = PathMap(tuple(Mount(inside, host) for host, inside in (mounts or {}).items()))
    asked = Settings(module="vllm", paths=paths, bases=("container_t",), **settings)
    return make_plan(denials, policy, asked, chooser)


def only(plan: Plan) -> Decision:
    """The one decision of a plan."""
    (decision,) = plan.decisions
    return decision


def offered(decision: Decision) -> dict[str, Alternative]:
    """The alternatives by id, in their order."""
    return {one.id: one for one in decision.alternatives}


def as_choices(picked: Mapping[str, str], offers: Offers) -> Choices:
    """What the file of a walk with these choices would hold; ``picked`` as Picking gives them."""
    found: list[int | None] = []
    for step in offers.steps:
        ids = [option.id for option in step.options]
        wanted = picked.get(step.decisions[0].key)
        found.append(ids.index(wanted) if wanted is not None else None)
    return choices_of(begin([len(step.options) for step in offers.steps], found), offers)
