"""``--interfaces`` as its users type it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from polkit.minimize import Request, prove
from tests.cli.conftest import Polkit
from tests.records import avc
from tests.test_schemas import schema

START = avc("start", "systemd_unit_t", "service", fields='comm="systemctl" path="/usr/lib/systemd/system/x.service"')
KMSG = avc("read open", "kmsg_device_t", "chr_file", fields='comm="dmesg" path="/dev/kmsg" dev="devtmpfs"', serial=2)
SYSFS = avc("write", "sysfs_t", fields='comm="tune" path="/sys/kernel/mm/x" dev="sysfs"', serial=3)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_text(START + KMSG + SYSFS)
    return path


def test_calls_stand_in_the_plan_and_above_the_rules_of_a_module_that_compiles(
    polkit: Polkit, log: Path, tmp_path: Path, repository: Path
) -> None:
    done = polkit("generate", log, "--interfaces", "-n", "vllm", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/vllm.pp").exists()
    te = (tmp_path / "out/vllm.te").read_text()
    assert "# same as: init_start_generic_units(vllm_t)\nallow vllm_t systemd_unit_t:service { start };" in te
    assert "dev_write_sysfs" not in te
    plan = json.loads((tmp_path / "out/plan.json").read_text())
    schema(repository, "polkit.plan-1.schema.json").validate(plan)
    calls = {call["call"]: call for call in plan["interfaces"]}
    assert [name for name, call in calls.items() if call["used"]] == ["init_start_generic_units(vllm_t)"]
    dear = calls["dev_write_sysfs(vllm_t)"]
    assert (dear["extra"], dear["header"]) == (1, "kernel/devices.if")
    assert dear["extra_rules"] == [
        {"kind": "allow", "source": "vllm_t", "target": "sysfs_t", "class": "file", "perms": ["append"]}
    ]
    assert plan["module"]["over_permission"] == 0
    for text in (
        "Interfaces for these rules",
        "Interfaces that grant more",
        "dev_write_sysfs(vllm_t)  (1 access more;",
    ):
        assert text in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 110


def test_explain_says_the_same(polkit: Polkit, log: Path, tmp_path: Path) -> None:
    polkit("generate", log, "--interfaces", "-n", "vllm", "-o", "out")
    said = polkit("explain", log, "--interfaces", "-n", "vllm", "--format", "json")
    assert json.loads(said.stdout)["interfaces"] == json.loads((tmp_path / "out/plan.json").read_text())["interfaces"]
    assert json.loads(polkit("explain", log, "-n", "vllm", "--format", "json").stdout)["interfaces"] == []


def test_an_allowance_is_counted_and_never_exceeded(polkit: Polkit, log: Path, tmp_path: Path) -> None:
    figures = {}
    for most in (0, 1, 4):
        options = ("--interfaces", "--allow-extra", str(most), "-n", "vllm", "-o", f"out{most}")
        done = polkit("generate", log, *options, "--accept", "kernel-device")
        assert done.returncode == 0, done.stderr
        plan = json.loads((tmp_path / f"out{most}/plan.json").read_text())
        figures[most] = plan["module"]["over_permission"]
        assert figures[most] == sum(call["extra"] for call in plan["interfaces"] if call["used"]) <= most
    assert figures == {0: 0, 1: 1, 4: 4}
    te = (tmp_path / "out4/vllm.te").read_text()
    assert "(--allow-extra).\nallow vllm_t kmsg_device_t:chr_file { getattr ioctl lock };" in te


def test_wrong_usage(polkit: Polkit, log: Path, tmp_path: Path) -> None:
    for options in (("--allow-extra", "3"), ("--headers", tmp_path)):
        done = polkit("explain", log, *options)
        assert done.returncode == 2
        assert "--interfaces" in done.stderr
    assert polkit("explain", log, "--interfaces", "--allow-extra", "-1").returncode == 2
    done = polkit("explain", log, "--interfaces", "--headers", tmp_path)
    assert done.returncode == 3
    assert "no policy headers" in done.stderr


def test_a_hostile_header_runs_nothing(polkit: Polkit, log: Path, tmp_path: Path) -> None:
    for name in ("support", "layer"):
        (tmp_path / "headers" / name).mkdir(parents=True)
    evil = "syscmd(`touch ran')esyscmd(`touch ran')"
    (tmp_path / "headers/support/all.spt").write_text(evil)
    body = "allow $1 systemd_unit_t:service start;"
    (tmp_path / "headers/layer/x.if").write_text(
        f"{evil}\ninterface(`evil',`{body} {evil}')\ninterface(`good',`{body}')\n"
    )
    done = polkit("explain", log, "--interfaces", "--headers", "headers", "-n", "vllm", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert [call["name"] for call in json.loads(done.stdout)["interfaces"]] == ["good"]
    assert not list(tmp_path.rglob("ran"))


@pytest.mark.heavy
def test_a_module_of_the_calls_alone_is_proven_minimal(
    polkit: Polkit, tmp_path: Path, policy_root: Path, headers_dir: Path
) -> None:
    """What is called exact is: built by the distribution's own Makefile, the call gives the evidence and no more."""
    log = tmp_path / "audit.log"
    log.write_text(START)
    polkit("generate", log, "--interfaces", "--extend", "-n", "plain", "-o", "out")
    calls = re.findall(r"# same as: (\S+\))$", (tmp_path / "out/plain.te").read_text(), re.MULTILINE)
    assert calls == ["init_start_generic_units(container_t)"]
    text = "\n".join(("policy_module(called, 1.0)", "gen_require(`type container_t;')", *calls))
    (tmp_path / "called.te").write_text(f"{text}\n")
    build = ["make", "-f", headers_dir.parent / "Makefile", f"SHAREDIR={headers_dir.parent.parent}", "NAME=default"]
    done = subprocess.run([*build, "called.pp"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    proof = prove(tmp_path / "called.pp", Request(logs=(str(log),), policy=str(policy_root), extend=True, name="plain"))
    assert (proof.covered, proof.minimal, proof.figures.over) == (True, True, 0)
