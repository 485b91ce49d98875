"""``--predict`` as its users see it: apart from what was observed, marked in the module, and no evidence to a proof."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from tests.cli.conftest import Polkit

ENFORCED = "kernel/vllm-enforcing.enriched.log"
ASKED = ("--source", "container_t", "--mount", "/srv/vllm/cache:/home/vllm/.cache", "-n", "vllm")


def log(fixtures_dir: Path) -> Path:
    return fixtures_dir / "avc" / ENFORCED


def test_without_the_option_nothing_is_predicted(polkit: Polkit, fixtures_dir: Path) -> None:
    done = polkit("explain", log(fixtures_dir), *ASKED, "--format", "json")
    assert json.loads(done.stdout)["predicted"] == []
    assert "redicted" not in polkit("explain", log(fixtures_dir), *ASKED).stdout


def test_predicted_stands_apart_from_observed(polkit: Polkit, fixtures_dir: Path, repository: Path) -> None:
    observed = json.loads(polkit("explain", log(fixtures_dir), *ASKED, "--format", "json").stdout)
    done = polkit("explain", log(fixtures_dir), *ASKED, "--predict", "--format", "json")
    plan = json.loads(done.stdout)
    schema = json.loads((repository / "docs" / "schemas" / "polkit.plan-1.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(plan)
    assert {**plan, "predicted": []} == observed
    assert len(plan["predicted"]) > 5
    assert all(one["follows"] and one["evidence"]["records"] == 0 for one in plan["predicted"])

    text = polkit("explain", log(fixtures_dir), *ASKED, "--predict").stdout
    before, _, section = text.partition("\nPredicted, not observed")
    assert "P1 " not in before
    for one in plan["predicted"]:
        assert f"\n  {one['id']:<6}{one['source']} -> {one['target']}:{one['class']}" in section
    assert "predicted from D" in section
    assert done.returncode == polkit("explain", log(fixtures_dir), *ASKED).returncode


def test_the_module_holds_it_marked(polkit: Polkit, fixtures_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "polkit.toml").write_text("[gates]\nmax_over_permission = 0\n")
    done = polkit("generate", log(fixtures_dir), *ASKED, "--predict", "--extend", "-o", "more")
    plan = json.loads((tmp_path / "more" / "plan.json").read_text())
    assert plan["module"]["predicted"] == plan["module"]["over_permission"] > 0
    assert f"over-permission {plan['module']['over_permission']} (predicted" in " ".join(done.stdout.split())
    assert f"gate: over_permission {plan['module']['over_permission']} is above 0" in done.stdout
    te = (tmp_path / "more" / "vllm.te").read_text()
    assert "Not all of it was observed" in te
    bpf = next(one for one in plan["predicted"] if one["class"] == "bpf")
    assert f"# {bpf['id']} missing-rule: map_read map_write predicted from {bpf['follows'][0]}, not observed" in te
    assert "allow container_t self:bpf { map_create map_read map_write };" in te


@pytest.mark.heavy
def test_a_proof_takes_no_prediction_for_evidence(polkit: Polkit, fixtures_dir: Path, tmp_path: Path) -> None:
    polkit("generate", log(fixtures_dir), *ASKED, "--predict", "-o", "more")
    plan = json.loads((tmp_path / "more" / "plan.json").read_text())
    done = polkit("prove", "more", log(fixtures_dir), *ASKED, "--format", "json")
    proof = json.loads(done.stdout)
    assert (done.returncode, proof["covered"], proof["minimal"]) == (1, True, False)
    assert proof["over_permission"] == plan["module"]["predicted"]
    assert ["map_read", "map_write"] in [one["perms"] for one in proof["extra"]]


def test_prove_has_no_such_option(polkit: Polkit) -> None:
    done = polkit("prove", "x", "--predict")
    assert done.returncode == 2
    assert "--predict" in done.stderr
