"""What ``polkit review`` prints for people, and that nothing of a stranger's reaches their terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bundle.making import small_host
from tests.cli.conftest import Polkit
from tests.minimize.proof_worlds import te

RISKY = te("allow container_t shadow_t:file read;\nallow container_t data_t:file { read write };", file="read write")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_host(tmp_path_factory.mktemp("host"))


def test_the_verdict_comes_first_and_what_to_do_last(polkit: Polkit, host: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.te").write_text(RISKY)
    lines = polkit("review", "mine.te", "--policy", host).stdout.splitlines()
    assert lines[0].startswith("objections: ")
    severities = [line for line in lines if line in ("HIGH", "MEDIUM", "LOW", "INFO")]
    assert severities == [one for one in ("HIGH", "MEDIUM", "LOW", "INFO") if one in severities]
    assert severities[0] == "HIGH"
    rules = lines.index("Allowed by the module's own rules")
    assert lines[rules + 1] == "  allow container_t shadow_t:file read [high: shadow]"
    assert any(line.startswith("Next: mend the ") for line in lines[-2:])
    assert all(len(line) <= 80 for line in lines)


def test_a_hostile_name_moves_no_cursor(polkit: Polkit, host: Path, tmp_path: Path) -> None:
    name = "\x1b]0;owned\x07\x1b[2J\u202emine.te"
    (tmp_path / name).write_text(RISKY)
    done = polkit("review", name, "--policy", host)
    assert done.returncode == 1
    assert "\\x1b]0;owned\\x07\\x1b[2J\\u202emine.te" in done.stdout.replace("\n        ", "")
    assert not set(done.stdout + done.stderr) & set("\x1b\x07\u202e")


def test_a_page_goes_to_a_file(polkit: Polkit, host: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.te").write_text(RISKY)
    done = polkit("review", "mine.te", "--policy", host, "--format", "html", "-o", "out.html")
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 1)
    assert (tmp_path / "out.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
