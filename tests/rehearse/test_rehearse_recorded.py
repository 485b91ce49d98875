"""The kernel's logs among the fixtures are what their scenarios give, and say how they were made."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from polkit.rehearse import read_scenario
from tests.fixture_plans import REVIEWED_ON, packages
from tests.recorded_fixtures import INTERPRETED, KERNEL_LOGS, NAMES, RECORDINGS, Recording, denials, difference, record

SCENARIOS = KERNEL_LOGS.parents[1] / "scenarios"
AVC = 'avc:  denied  { read } for  pid=80 comm="one" path="socket:[711]" ino=7 scontext=a tcontext=b tclass=file'


def committed(name: str) -> str:
    return (KERNEL_LOGS / name).read_text(errors="surrogateescape")


def test_every_log_has_its_recording_and_the_readme_names_it() -> None:
    assert {path.name for path in KERNEL_LOGS.glob("*.log")} == set(NAMES)
    readme = (KERNEL_LOGS.parent / "README.md").read_text()
    for one in RECORDINGS:
        (row,) = re.findall(rf"^\| `{re.escape(one.name)}` \|.*", readme, re.MULTILINE)
        assert f"`{one.command}`" in row
    (row,) = re.findall(rf"^\| `{re.escape(INTERPRETED)}` \|.*", readme, re.MULTILINE)
    assert "`ausearch -i -if vllm-serving.audit.log`" in row


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda one: one.name)
def test_each_denial_is_some_step_of_its_scenario(recording: Recording) -> None:
    steps = read_scenario(SCENARIOS / f"{recording.scenario}.toml").steps
    known = {step.name for step in steps}
    known |= {Path(str(step.arguments["path"])).name for step in steps if step.operation in ("exec", "transition")}
    names = {name for line in denials(committed(recording.name)) for name in re.findall(r'comm="([^"]*)"', line)}
    assert names
    assert names <= known


def test_what_serves_a_model_is_part_of_everything() -> None:
    serving = read_scenario(SCENARIOS / "recording-serving.toml").steps
    everything = read_scenario(SCENARIOS / "recording.toml").steps
    assert len(serving) > 30
    known = [replace(step, expect="") for step in everything]
    assert [step.name for step in serving if replace(step, expect="") not in known] == []


def test_the_logs_hold_many_kinds_of_denials() -> None:
    """As many as the operations reach; README.md says which a machine without daemons can't have."""
    kinds = {
        (tclass, perm)
        for one in RECORDINGS
        for perms, tclass in re.findall(r"\{ ([^}]*) \}.*tclass=(\w+)", "\n".join(denials(committed(one.name))))
        for perm in perms.split()
    }
    assert len(kinds) >= 155
    assert {"chr_file", "perf_event", "bpf", "shm", "key", "memprotect", "netlink_route_socket", "cap_userns"} <= {
        tclass for tclass, _ in kinds
    }


def test_two_forms_of_one_scenario_hold_the_same_denials() -> None:
    found = denials(committed("vllm-enforcing.enriched.log"))
    assert len(found) > 100
    assert difference(found, denials(committed("vllm-enforcing.dmesg.log"))) == []


def test_what_differs_from_boot_to_boot_is_no_difference() -> None:
    raw = f"type=AVC msg=audit(1.000:5): {AVC}\n"
    again = raw.replace("1.000:5", "2.000:9").replace("=80", "=81").replace("711", "712").replace("ino=7", "ino=8")
    chosen, other, asked = (raw.replace("scontext", f"lport={port} scontext") for port in (41638, 52790, 8001))
    assert denials(chosen) == denials(other) != denials(asked)
    printed = f"[    2.0] audit: type=1400 audit(3.000:5): {AVC}\n"
    assert len(denials(raw)) == 1
    assert denials(raw) == denials(again) == denials(printed) == denials(raw.rstrip() + "\x1dARCH=x86_64\n")
    for old, new in (("read", "write"), ("one", "two"), ("=a ", "=c "), ("denied", "granted")):
        assert denials(raw.replace(old, new)) != denials(raw)
    (gone, more) = difference(denials(raw), denials(raw.replace("read", "write")))
    assert (gone[:4], more[:4]) == ("  - ", "  + ")
    assert "{ write }" in more


@pytest.mark.heavy
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda one: one.name)
def test_a_fresh_recording_says_the_same(
    recording: Recording, policy_root: Path, kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if packages(policy_root) != REVIEWED_ON.read_text() or "-6.1." not in kernel.name:
        pytest.skip("the logs were recorded with Linux 6.1 and the policy named in fixtures/avc/POLICY")
    monkeypatch.setenv("POLKIT_KERNEL", str(kernel))
    fresh = record(recording, tmp_path, str(policy_root))
    assert difference(denials(committed(recording.name)), denials(fresh)) == []
