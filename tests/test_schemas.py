"""What is printed as JSON holds to the schemas in ``docs/schemas``."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from polkit.audit import dump, read_logs
from polkit.minimize import plan_object
from polkit.policy import TargetPolicy
from tests.fixture_plans import FIXTURES, logs, outcome_of


def schema(repository: Path, name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((repository / "docs" / "schemas" / name).read_text()))


@pytest.mark.parametrize("log", logs(), ids=lambda log: str(log.relative_to(FIXTURES)))
def test_plan_and_ledger(repository: Path, log: Path, policy: TargetPolicy) -> None:
    plan = json.loads(json.dumps(plan_object(outcome_of(log, policy).plan)))
    schema(repository, "polkit.plan-1.schema.json").validate(plan)
    for line in dump(read_logs([str(log)])):
        schema(repository, "polkit.ledger-1.schema.json").validate(json.loads(line))


def test_a_ledger_line_with_a_wrong_value_is_refused(repository: Path) -> None:
    checker = schema(repository, "polkit.ledger-1.schema.json")
    lines = [json.loads(line) for line in dump(read_logs([str(FIXTURES / "crafted" / "34_one_bad_among_good.log")]))]
    assert len(lines) == 5
    for line in lines:
        for key in line:
            assert not checker.is_valid({**line, key: {"no": "such"}}), key
