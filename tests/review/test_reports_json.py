"""A review as JSON: it keeps to its schema, whatever is in it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from polkit.review import ReviewRequest, grants_of, review, review_json, review_object
from tests.review.report_cases import HOSTILE, LABELS, RISKY, hostile, reviewed


@pytest.fixture(scope="module")
def schema(repository: Path) -> jsonschema.Draft202012Validator:
    text = (repository / "docs/schemas/polkit.review-1.schema.json").read_text()
    return jsonschema.Draft202012Validator(json.loads(text))


def test_what_a_module_grants_is_counted_and_placed(
    host: Path, tmp_path: Path, schema: jsonschema.Draft202012Validator
) -> None:
    found = reviewed(tmp_path, host, labels=LABELS)
    document = json.loads(review_json(found))
    schema.validate(document)
    rows = {(one["source"], one["target"], one["class"]): one for one in document["grants"]}
    shadow = rows["container_t", "shadow_t", "file"]
    assert (shadow["perms"], shadow["accesses"], shadow["group"]) == (["read"], 1, "existing-types")
    assert shadow["risk"]["severity"] == "high"
    assert (shadow["by_policy"], shadow["place"]["line"]) == (False, RISKY[: RISKY.index("allow")].count("\n") + 1)
    assert document["figures"]["accesses_added"] == sum(one["accesses"] for one in document["grants"])
    counts = document["figures"]["findings"]
    assert sum(counts.values()) == len(document["findings"])
    assert document["exit_code"] == found.exit_code == int(counts["high"] + counts["medium"] > 0)


def test_against_an_older_form_and_without_a_policy(
    host: Path, tmp_path: Path, repository: Path, schema: jsonschema.Draft202012Validator
) -> None:
    reviewed(tmp_path, host)
    old = tmp_path / "old"
    reviewed(old, host, RISKY.replace("allow container_t shadow_t:file read;\n", ""))
    new = str(tmp_path / "mine.te")
    document = json.loads(review_json(review(ReviewRequest(new, str(host), against=str(old / "mine.te")))))
    schema.validate(document)
    assert document["verdict"] == "more-permissive"
    older = json.loads((repository / "docs/schemas/polkit.diff-1.schema.json").read_text())
    jsonschema.Draft202012Validator(older).validate(document["against"])
    alone = json.loads(review_json(review(ReviewRequest(new, "none"))))
    schema.validate(alone)
    assert alone["policy"] is None
    assert {one["target"] for one in alone["grants"]} == {"shadow_t", "data_t"}


def test_what_changes_beside_rules_is_listed(
    host: Path, tmp_path: Path, schema: jsonschema.Draft202012Validator
) -> None:
    text = "(type mine_t)(typeattributeset file_type mine_t)(roletype object_r mine_t)(typepermissive container_t)"
    document = json.loads(review_json(reviewed(tmp_path, host, text, "mine.cil")))
    schema.validate(document)
    assert {"sign": "+", "text": "permissive container_t;"} in document["changes"]


def test_a_source_that_does_not_compile_has_a_report(
    host: Path, tmp_path: Path, schema: jsonschema.Draft202012Validator
) -> None:
    found = reviewed(tmp_path, host, RISKY.replace("type shadow_t;", ""))
    document = json.loads(review_json(found))
    schema.validate(document)
    assert document["headline"]["word"] == "does not compile"
    assert document["module"]["problem"]


def test_a_hostile_text_stays_a_string_and_ascii(
    host: Path, tmp_path: Path, schema: jsonschema.Draft202012Validator
) -> None:
    found = hostile(reviewed(tmp_path, host))
    text = review_json(found)
    assert text.isascii()
    document = json.loads(text)
    schema.validate(document)
    assert [one["title"] for one in document["findings"]] == list(HOSTILE)
    assert document["ignored"] == len(HOSTILE)
    assert review_object(found)["grants"] == document["grants"]
    assert len(document["grants"]) == len(grants_of(found))
