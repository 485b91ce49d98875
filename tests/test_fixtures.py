"""Every recorded log gives the plan that was reviewed for it, and its books balance."""

from __future__ import annotations

from pathlib import Path

import pytest

from polkit.policy import TargetPolicy
from tests.fixture_plans import FIXTURES, REVIEWED_ON, logs, options_of, outcome_of, packages, plan_file, render


@pytest.mark.parametrize("log", logs(), ids=lambda log: str(log.relative_to(FIXTURES)))
def test_plan(log: Path, policy_root: Path, policy: TargetPolicy) -> None:
    outcome = outcome_of(log, policy)
    books = outcome.plan.input
    assert books.denials == books.parsed + len(books.unparsed)
    assert books.accesses == sum(decision.evidence.accesses for decision in outcome.plan.decisions)
    if packages(policy_root) != REVIEWED_ON.read_text():
        pytest.skip(
            "the plans were reviewed on the policy named in fixtures/avc/POLICY; this host builds another release"
        )
    assert render(outcome, options_of(log)) == plan_file(log).read_text()


def test_every_plan_has_its_log_and_every_log_is_named_in_the_readme() -> None:
    assert {plan_file(log) for log in logs()} == set(FIXTURES.rglob("*.plan"))
    readme = (FIXTURES / "README.md").read_text()
    for log in logs():
        assert log.name in readme or log.parent.name == "crafted", f"{log.name} has no source in the README"
