"""A review as SARIF 2.1.0, held against its schema."""

from __future__ import annotations

import difflib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.review import Finding, Fix, Review, SourceText, sarif
from tests.review.report_cases import HOSTILE, RISKY, finding, hostile, reviewed

Run = dict[str, Any]


@pytest.fixture(scope="module")
def schema(fixtures_dir: Path) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((fixtures_dir / "schemas/sarif-2.1.0.json").read_text()))


@pytest.fixture(scope="module")
def plain(host: Path, tmp_path_factory: pytest.TempPathFactory) -> Review:
    return reviewed(tmp_path_factory.mktemp("plain"), host)


def _run(found: Review) -> Run:
    return dict(json.loads(sarif(found))["runs"][0])


def test_each_finding_is_a_result_of_its_rule(plain: Review, schema: jsonschema.Draft202012Validator) -> None:
    schema.validate(json.loads(sarif(plain)))
    run = _run(plain)
    rules = run["tool"]["driver"]["rules"]
    levels = {"high": "error", "medium": "warning", "low": "note", "info": "note"}
    assert len(run["results"]) == len(plain.findings)
    for one, result in zip(plain.findings, run["results"]):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == one.id
        assert result["level"] == levels[one.severity]
        assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == one.place.line
    assert [rule["id"] for rule in rules] == sorted({one.id for one in plain.findings})
    assert run["invocations"][0]["exitCode"] == plain.exit_code == 1


def test_hostile_texts_ignored_findings_and_broken_gates(
    plain: Review, schema: jsonschema.Draft202012Validator
) -> None:
    text = sarif(hostile(plain))
    assert text.isascii()
    schema.validate(json.loads(text))
    results = json.loads(text)["runs"][0]["results"]
    suppressed = [one for one in results if "suppressions" in one]
    assert len(suppressed) == len(HOSTILE)
    assert {one["suppressions"][0]["kind"] for one in suppressed} == {"inSource"}
    gates = [one for one in results if one["ruleId"] == "gate/forbid"]
    assert len(gates) == len(HOSTILE)
    uris = {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results}
    assert not any(set(uri) & set(' <>"`{}|\\^\n\x1b') for uri in uris)


def test_files_below_the_current_directory_are_relative(
    host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = reviewed(tmp_path / "a b", host)
    monkeypatch.chdir(tmp_path)
    inside = _run(found)["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert inside == "a%20b/mine.te"
    monkeypatch.chdir("/")
    assert _run(found)["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].endswith(inside)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    away = _run(found)["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert away == f"{(tmp_path / 'a b').as_uri()}/mine.te"


def test_a_fingerprint_outlives_a_move_and_no_change(host: Path, tmp_path: Path, plain: Review) -> None:
    def prints(found: Review) -> set[str]:
        results = _run(found)["results"]
        marks = [str(one["partialFingerprints"]["polkitFinding/v1"]) for one in results]
        assert len(set(marks)) == len(marks)
        return set(marks)

    moved = reviewed(tmp_path, host, RISKY.replace("allow", "# why\n\nallow", 1).replace("allow ", "  allow  "))
    assert [one.place.line for one in moved.findings] != [one.place.line for one in plain.findings]
    assert prints(moved) == prints(plain)
    other = reviewed(tmp_path, host, RISKY.replace("shadow_t:file read", "shadow_t:file write"))
    assert prints(other) != prints(plain)


LINES = st.lists(st.sampled_from(["allow a b:file read;", "", "-- x", "++ y", "@@ z", " w"]), max_size=12)


@given(before=LINES, after=LINES)
def test_a_fix_does_what_its_patch_says(plain: Review, before: list[str], after: list[str]) -> None:
    patch = "".join(f"{line}\n" for line in difflib.unified_diff(before, after, "a/x.te", "b/x.te", lineterm="", n=2))
    one = finding("mend it", fix=Fix("mend it", (), patch))
    found = replace(plain, findings=(_in(one, "x.te"),), ignored=(), gates=())
    source = SourceText("x.te", "te", "".join(f"{line}\n" for line in before))
    (result,) = _run(replace(found, materials=replace(found.materials, sources=(source,))))["results"]
    assert ("fixes" in result) == (before != after)
    lines = list(before)
    changes = result["fixes"][0]["artifactChanges"][0]["replacements"] if "fixes" in result else []
    for change in reversed(changes):
        region, text = change["deletedRegion"], change.get("insertedContent", {"text": ""})["text"]
        lines[region["startLine"] - 1 : region["endLine"] - 1] = text.splitlines()
    assert lines == after


def _in(one: Finding, file: str) -> Finding:
    return replace(one, place=one.place._replace(file=file))
