"""What ``generate`` makes of the recorded logs, ``prove`` finds covered, minimal, contained and safe: no access too
many, none too few. Once with a domain of the module's own, once extending the domains in the logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from polkit.minimize import Request, generate, prove
from tests.fixture_plans import FIXTURES

MOUNTS = ("/srv/models:/models", "/srv/vllm/cache:/home/vllm/.cache")


def request_for(folder: str, policy_root: Path, extend: bool) -> Request:
    """Every log of a folder as one input."""
    return Request(
        logs=tuple(str(log) for log in sorted((FIXTURES / folder).glob("*.log"))),
        policy=str(policy_root),
        name="vllm",
        mounts=MOUNTS,
        accept=("all",),
        extend=extend,
    )


@pytest.mark.heavy
@pytest.mark.parametrize("extend", [False, True], ids=["own domain", "extend"])
@pytest.mark.parametrize("folder", ["kernel", "threads", "crafted"])
def test_what_recorded_logs_ask_for_is_given_and_no_more(
    folder: str, extend: bool, policy_root: Path, tmp_path: Path
) -> None:
    request = request_for(folder, policy_root, extend)
    outcome = generate(request, tmp_path / "vllm")
    module = outcome.plan.module
    assert module is not None
    assert module.rules > 0
    assert module.over_permission == 0
    proof = prove(tmp_path / "vllm", request)
    figures = proof.figures
    assert (figures.completeness, figures.over_permission_rate) == (1.0, 0.0), (proof.uncovered, proof.extra)
    verdict = (proof.covered, proof.minimal, proof.contained, proof.safe)
    assert verdict == (True, True, True, True), (proof.uncovered, proof.extra, proof.violations, proof.lost)
    if outcome.plan.domain is not None:
        assert not extend
        assert proof.figures.inherited is not None
        assert proof.figures.inherited.missing == 0
