"""``polkit review`` as a reviewer, a developer, or a CI job runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from polkit.review import ReviewRequest, review, review_object
from tests.bundle.making import semodule, small_host
from tests.cli.conftest import Polkit
from tests.minimize.proof_worlds import te

SHADOW = te("allow container_t shadow_t:file read;", file="read")
QUIET = te("dontaudit sandbox_t data_t:file read;", file="read")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_host(tmp_path_factory.mktemp("host"))


def _put(folder: Path, text: str, name: str = "mine.te") -> Path:
    (folder / name).write_text(text)
    return folder / name


def _found(module: object, policy: object, **asked: object) -> dict[str, Any]:
    """The review's object, worked out in this process; its exit code is that of its findings and gates."""
    asked = {key: str(value) if key == "against" else value for key, value in asked.items()}
    found = review(ReviewRequest(str(module), str(policy), **asked))  # type: ignore[arg-type]
    document = review_object(found)
    failing = any(one["severity"] in ("medium", "high") for one in document["findings"])
    broken = any(gate["ok"] is False for gate in document["gates"])
    assert found.exit_code == int(failing or broken)
    return dict(document)


def _ids(document: dict[str, Any]) -> list[object]:
    return [one["id"] for one in document["findings"]]


def test_a_dangerous_module_is_found_and_placed(polkit: Polkit, host: Path, tmp_path: Path) -> None:
    module = _put(tmp_path, SHADOW)
    done = polkit("review", module.name, "--policy", host)
    assert (done.returncode, done.stderr) == (1, "")
    assert "mine.te:9  PK017 dangerous-access" in done.stdout
    found = json.loads(polkit("review", module.name, "--policy", host, "--format", "json").stdout)
    (risk,) = [one for one in found["findings"] if one["id"] == "PK017"]
    assert (risk["file"], risk["line"], risk["severity"]) == ("mine.te", 9, "high")
    assert "mine.te" in {str(one["file"]) for one in found["findings"]}


def test_what_is_harmless_ends_well(polkit: Polkit, host: Path, tmp_path: Path) -> None:
    done = polkit("review", _put(tmp_path, QUIET), "--policy", host)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_object_keeps_to_its_schema(polkit: Polkit, host: Path, tmp_path: Path, repository: Path) -> None:
    schema = json.loads((repository / "docs/schemas/polkit.review-1.schema.json").read_text(encoding="utf-8"))
    old, new = _put(tmp_path, QUIET), tmp_path / "new"
    new.mkdir()
    broken = _put(new, "module broken 1.0;\nallow a_t b_t:file read;\n", "broken.te")
    for document in (
        _found(old, host),
        _found(_put(new, SHADOW), host, against=old),
        _found(broken, host),
        _found(old, host, build=False),
        _found(old, "none"),
        json.loads(polkit("review", old, "--policy", host, "--format", "json").stdout),
    ):
        jsonschema.validate(document, schema)


def test_against_an_older_form(host: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for place, text in ((old, QUIET), (new, SHADOW)):
        place.mkdir()
        _put(place, text)
    assert _found(new, host, against=old)["verdict"] == "more-permissive"
    assert _found(old, host, against=new)["verdict"] == "less-permissive"
    assert _found(old, host)["verdict"] is None


def test_a_project_settles_how_grave_a_finding_is(host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = _put(tmp_path, SHADOW)
    before = _ids(_found(module, host))
    settled = "".join(f'{one} = "info"\n' for one in sorted(set(map(str, before))))
    _put(tmp_path, f"[review.severity]\n{settled}", "polkit.toml")
    after = _found(module, host)
    assert sorted(map(str, _ids(after))) == sorted(map(str, before))
    assert {one["severity"] for one in after["findings"]} == {"info"}


def test_a_stranger_does_not_settle_it(host: Path, tmp_path: Path) -> None:
    """The polkit.toml of what is reviewed counts where it is named, and is spoken of where it isn't."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    _put(theirs, SHADOW)
    config = _put(theirs, '[module]\nname = "mine"\n[review.severity]\nPK017 = "info"\n', "polkit.toml")
    found = _found(theirs, host)
    assert "high" in {one["severity"] for one in found["findings"] if one["id"] == "PK017"}
    assert any("was not heeded" in str(one) for one in found["unknown"])
    named = _found(theirs, host, config=config)
    assert {one["severity"] for one in named["findings"] if one["id"] == "PK017"} == {"info"}


def test_ignore_comments_are_counted_and_can_be_overruled(host: Path, tmp_path: Path) -> None:
    rule = "allow container_t shadow_t:file read;"
    every = ", ".join(sorted({str(one) for one in _ids(_found(_put(tmp_path, SHADOW), host))}))
    module = _put(tmp_path, SHADOW.replace(rule, f"# polkit: ignore[{every}] the vault reads it\n{rule}"))
    found = _found(module, host)
    assert (found["findings"], found["ignored"]) == ([], len(found["ignored_findings"]))
    assert "PK017" in {one["id"] for one in found["ignored_findings"]}
    assert "the vault reads it" in {one["reason"] for one in found["ignored_findings"]}
    assert "PK017" in _ids(_found(module, host, heed_ignores=False))


def test_what_is_installed_already_is_held_against_the_policy_without_it(host: Path, tmp_path: Path) -> None:
    root = small_host(tmp_path / "host")
    cil = _put(tmp_path, "(typeattributeset cil_gen_require (container_t))(allow container_t shadow_t (file (read)))")
    installed = cil.rename(tmp_path / "mine.cil")
    semodule(root, "-X", "200", "-i", installed)
    kern = next(root.glob("var/lib/selinux/*/active/policy.kern"))
    next(root.glob("etc/selinux/*/policy/policy.*")).write_bytes(kern.read_bytes())
    assert _ids(_found(installed, root)) == _ids(_found(installed, host))


_EVERY_FORMAT = """
import sys
from polkit.review import ReviewRequest, html, markdown, review, review_json, sarif
found = review(ReviewRequest(sys.argv[1], sys.argv[2]))
sys.stdout.write("".join(form(found) for form in (html, markdown, review_json, sarif)))
"""


def test_the_same_input_gives_the_same_bytes(host: Path, tmp_path: Path) -> None:
    module = _put(tmp_path, SHADOW)
    command = [sys.executable, "-c", _EVERY_FORMAT, str(module), str(host)]
    runs = {
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    assert len(next(iter(runs))) > 10_000


def test_a_report_is_written_once(polkit: Polkit, host: Path, tmp_path: Path) -> None:
    module = _put(tmp_path, SHADOW)
    words = ("review", module, "--policy", host, "--format", "sarif", "-o", "out.sarif")
    assert polkit(*words).returncode == 1
    before = (tmp_path / "out.sarif").read_bytes()
    again = polkit(*words)
    assert (again.returncode, again.stdout) == (2, "")
    assert "out.sarif exists" in again.stderr
    assert polkit(*words, "--force").returncode == 1
    assert (tmp_path / "out.sarif").read_bytes() == before
    assert polkit(*words[:-1], "-").stdout.encode() == before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere.te"], 3, "nowhere.te: No such file"),
        ([], 2, "name a MODULE"),
        (["--host", "mine.te"], 2, "--host reviews what is installed"),
        (["mine.te", "--format", "yaml"], 2, "'yaml' is not one of"),
        (["empty.te"], 1, "PK001"),
        (["binary.pp"], 1, "binary.pp"),
        (["notes.txt"], 2, "notes.txt is no module"),
        (["mine.te", "--policy", "nowhere"], 3, "nowhere"),
        (["mine.te", "--policy", "none", "--against", "mine.te"], 2, "--against needs a policy"),
        (["mine.te", "--config", "nowhere.toml"], 3, "nowhere.toml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_gets_one_clear_line(
    polkit: Polkit, host: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    _put(tmp_path, SHADOW)
    _put(tmp_path, "", "empty.te")
    _put(tmp_path, "no package", "binary.pp")
    _put(tmp_path, "text", "notes.txt")
    done = polkit("review", *words, *([] if "--policy" in words else ["--policy", host]))
    assert done.returncode == code, done.stderr
    assert said in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_an_interrupted_review_leaves_nothing_behind(tmp_path: Path, policy_root: Path) -> None:
    module = _put(tmp_path, SHADOW)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "polkit", "review", str(module), "--policy", str(policy_root)]
    environment = {**os.environ, "TMPDIR": str(scratch), "POLKIT_CACHE": "off"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(2.5)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=60)
    assert (process.returncode, complaints.strip()) == (130, "polkit: interrupted")
    assert list(scratch.iterdir()) == []
