"""``polkit diff`` as a reviewer, or a CI job, runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from tests.bundle.making import small_host
from tests.cli.conftest import Polkit
from tests.cli.test_terminal import in_a_terminal
from tests.minimize.proof_worlds import te


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host, and two versions of a module."""
    place = tmp_path_factory.mktemp("world")
    small_host(place / "host")
    allow, wide = "allow container_t shadow_t:file read;", "allow container_domain data_t:file { read open };"
    for name, body in (
        ("a", allow),
        ("b", f"attribute container_domain;\n{wide}\nallow container_t shadow_t:file open;"),
    ):
        (place / name).mkdir()
        text = te(body, file="read open").replace("attribute container_domain;\n", "")
        if name == "b":
            text = text.replace("require {", "require {\n    attribute container_domain;")
        (place / name / "mine.te").write_text(text)
    return place


def test_text(polkit: Polkit, world: Path) -> None:
    done = polkit("diff", world / "a", world / "b", "--policy", world / "host")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "incomparable: each allows, or handles, something that the other does not",
        "  B alone: allow container_t shadow_t:file open",
        "    high risk (shadow): password hashes; the hashes can be broken offline; written ones are a new password",
        "    An intruder reads /etc/shadow and has the hashes tried out on his own machine, where nobody sees",
        "    it: a weak password is known within hours, and with it he logs in as that user, root perhaps.",
        "    Where he may write the file, he puts in a hash of a password that he knows.",
        "  A alone: allow container_t shadow_t:file read",
        "    high risk (shadow): password hashes; the hashes can be broken offline; written ones are a new password",
        "",
        "Allowed by B alone: 5 accesses",
        "  between types that existed before (5 accesses)",
        "    allow container_t shadow_t:file open [high: shadow]",
        "    allow container_domain data_t:file { open read } -- 4 accesses from 2 types to 1 type",
        "",
        "Allowed by A alone: 1 access",
        "  between types that stay (1 access)",
        "    allow container_t shadow_t:file read [high: shadow]",
    ]


def test_json(polkit: Polkit, world: Path, repository: Path) -> None:
    schema = json.loads((repository / "docs/schemas/polkit.diff-1.schema.json").read_text(encoding="utf-8"))
    more = world / "more.cil"
    more.write_text(
        "(type own_t) (roletype object_r own_t) (typeattributeset file_type (own_t)) (typepermissive sandbox_t)"
        "(allowx container_t wide_device_t (ioctl chr_file (0x1)))"
        "(typeattributeset can_read_shadow_passwords (data_t))"
        "(boolean b true) (booleanif b (true (allow container_t secret_t (file (read)))))"
        '(filecon "/opt/x" any (system_u object_r own_t ((s0) (s0))))'
    )
    for a, b, verdict in (
        (world / "host", world / "host", "equivalent"),
        (world / "a", world / "b", "incomparable"),
        (world / "a", more, "incomparable"),
    ):
        done = polkit("diff", a, b, "--policy", world / "host", "--format", "json")
        assert (done.returncode, done.stderr) == (0, "")
        found = json.loads(done.stdout)
        jsonschema.validate(found, schema)
        assert found["verdict"] == verdict
    (commands,) = [one for one in found["removed"] if one["kind"] == "allowxperm"]
    assert commands["commands"] == [["0x0000", "0x0000"], ["0x0002", "0xffff"]]
    assert [one["condition"] for one in found["added"] if one["target"] == "secret_t"] == ["b"]
    assert found["labels"]["added"] == ["/opt/x system_u:object_r:own_t:s0"]
    assert "permissive sandbox_t;" in found["decided_by"]["more"]


def test_hostile_names_stay_text(polkit: Polkit, world: Path, tmp_path: Path) -> None:
    place = tmp_path / "\x1b[2J\u202em"
    place.mkdir()
    (place / "mine.te").write_text(te("allow container_t data_t:file read; # \x1b]0;x\x07", file="read"))
    (place / "mine.fc").write_text("/opt/\x1b[3]1mx -- system_u:object_r:data_t:s0\n")
    (place / "more.cil").write_text("(allow container_t data_t (file (read)))")
    for module in ("mine.te", "more.cil"):
        done = polkit("diff", world / "host", place / module, "--policy", world / "host")
        assert done.returncode == 0, done.stderr
        assert not {"\x1b", "\u202e", "\x07"} & set(done.stdout + done.stderr)
        shown = "label /opt/\\x1b[3]1mx" if module == "mine.te" else "\\x1b[2J\\u202em"
        assert shown in done.stdout


def test_progress_on_a_terminal_and_none_when_quiet(world: Path) -> None:
    arguments = ("diff", world / "a", world / "b", "--policy", world / "host")
    shown = in_a_terminal(*arguments)
    assert "building the policy with either\r\x1b[K" in shown
    assert "comparing the policies\r\x1b[K" in shown
    quiet = in_a_terminal(*arguments, "-q")
    assert "\x1b[K" not in quiet
    assert quiet.startswith("incomparable")


def test_an_interrupted_diff_leaves_nothing_behind(world: Path, tmp_path: Path) -> None:
    tools, scratch = tmp_path / "tools", tmp_path / "scratch"
    tools.mkdir()
    scratch.mkdir()
    (tools / "semodule").write_text(f"#!/bin/sh\npwd >>{tmp_path}/began\nexec sleep 60\n")
    (tools / "semodule").chmod(0o755)
    arguments = map(str, ("diff", world / "a", world / "b", "--policy", world / "host"))
    command = [sys.executable, "-m", "polkit", *arguments]
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "TMPDIR": str(scratch)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "began").exists() or not (tmp_path / "began").read_text():
        assert process.poll() is None
        time.sleep(0.05)
    builds = {Path(line) for line in (tmp_path / "began").read_text().splitlines()}
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=30)
    assert (process.returncode, out, said) == (130, "", "\npolkit: interrupted\n")
    assert list(scratch.iterdir()) == []
    assert not any(one.exists() for one in builds)


def test_exit_codes(polkit: Polkit, world: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.te").write_text("module bad 1.0;\nallow a b:c d;\n")
    for arguments, code, says in (
        ((world / "a", world / "b"), 2, "name it with --policy"),
        ((world / "a", world / "gone", "--policy", world / "host"), 3, "No such file"),
        ((world / "a", "bad.te", "--policy", world / "host"), 1, "checkmodule refuses module bad"),
    ):
        done = polkit("diff", *arguments, policy=False)
        assert (done.returncode, done.stdout) == (code, "")
        assert says in done.stderr
        assert "Traceback" not in done.stderr
