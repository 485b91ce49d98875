"""The forms of a machine's log: each holds the same events, and the steps are judged the same by all of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.audit import read_logs, totals
from polkit.errors import UsageError
from polkit.minimize import Request, generate
from polkit.rehearse import (
    FORMS,
    Rehearsal,
    RehearsalRequest,
    enriched,
    machine_log,
    read_log,
    rehearse,
    write_results,
)
from tests.rehearse.conftest import STEP, WriteScenario

AUDITD = Path(__file__).parent / "auditd_enriched.log"
"""What auditd 3.0.9 wrote with ``log_format = ENRICHED``: a record or more of every type."""
CALL = "type=SYSCALL msg=audit(1.000:{}): arch=c000003e syscall=257 success=no exit=-13 pid=80 auid=100000 uid=0"
AVC = "avc:  denied  { read } for  pid=80 scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0 tclass=file permissive=0"


def test_enriched_is_what_auditd_writes() -> None:
    written = AUDITD.read_text()
    assert len({line.partition(" ")[0] for line in written.split("\n")}) > 15
    assert written.count("SADDR={") == 3
    raw = re.sub("\x1d.*", "", written)
    assert raw != written
    assert enriched(raw) == written


ADDRESSES = [
    # as ausearch 3.0.9 interprets them
    ("01002F72756E2F6400", "{ saddr_fam=local path=/run/d }"),
    ("0100002F6162737472", "{ saddr_fam=local path=/abstr }"),
    ("0A001F90000000000000000000000000000000000000000100000000", "{ saddr_fam=inet6 laddr=::1 lport=8080 }"),
    ("020001BB7F0000010000000000000000", "{ saddr_fam=inet laddr=127.0.0.1 lport=443 }"),
    ("100000000700000000000000", "{ saddr_fam=netlink nlnk-fam=16 nlnk-pid=7 }"),
    ("11000003020000000000000000000000", "{ saddr_fam=packet (unsupported) }"),
    ("02001F90", "{ saddr_fam=inet sockaddr len too short }"),
    ("0000000000000000", "unknown-family(0)"),
    # a process chose it, and a line is a record
    ("01002F0A747970653D41564300", "{ saddr_fam=local path=/\\012type=AVC }"),
]


@pytest.mark.parametrize(("address", "told"), ADDRESSES)
def test_a_socket_address_is_told(address: str, told: str) -> None:
    line = f"type=SOCKADDR msg=audit(1.000:5): saddr={address}"
    assert enriched(line + "\n") == f"{line}\x1dSADDR={told}\n"


def test_users_of_the_machine_have_no_names_but_root() -> None:
    line = "type=SYSCALL msg=audit(1.000:5): arch=c00000b7 syscall=56 auid=100000 uid=0 ouid=-1 gid=4294967295"
    more = 'ARCH=aarch64 SYSCALL=openat AUID="unknown(100000)" UID="root" OUID="unset" GID="unset"'
    assert enriched(line) == f"{line}\x1d{more}\n"


@given(st.lists(st.text(st.characters(blacklist_characters="\n"), max_size=60)))
def test_enriching_adds_and_never_takes(texts: list[str]) -> None:
    lines = [f"type=SYSCALL msg=audit(1.000:{number}): {text}" for number, text in enumerate(texts)]
    told = enriched("\n".join(lines)).split("\n")[:-1]
    assert len(told) == len(lines)
    assert all(one == line or one.startswith(line + "\x1d") for one, line in zip(told, lines))


def test_an_enriched_record_is_one_record_to_the_judge() -> None:
    raw = f"type=AVC msg=audit(1.000:5): {AVC}\n{CALL.format(5)}\n"
    assert read_log(enriched(raw)).denials[100000] == read_log(raw).denials[100000]


def messages(*lines: str, first: Optional[str] = "<5>[    1.0] polkit: the log of the steps begins here") -> str:
    return "\n".join(([first] if first else []) + list(lines)) + "\n"


def test_what_the_kernel_prints_is_judged_like_a_daemons_log() -> None:
    said = messages(
        f"<5>[    2.000100] audit: type=1400 audit(1.000:5): {AVC}",
        f"<5>[    2.000200] audit: type=1300 audit(1.000:5): {CALL.partition('): ')[2]}",
        "<5>[    2.000300] audit: type=1327 audit(1.000:5): proctitle=78",
    )
    found = machine_log("kernel", "", said)
    assert not found.cut
    assert found.log == found.dmesg == re.sub(r"(?m)^<5>", "", said)
    log = read_log(found.records)
    assert log.denials == {100000: (f"type=AVC msg=audit(1.000:5): {AVC}",)}


def test_no_process_can_write_records_into_the_kernels_log() -> None:
    """What is written to /dev/kmsg is printed as it is, but never with the kernel's own facility."""
    forged = machine_log("kernel", "", messages(f"<13>[    2.000100] audit: type=1400 audit(1.000:5): {AVC}"))
    assert read_log(forged.records).by_pid == {}
    inside = machine_log("kernel", "", messages(f"<5>[    2.0] comm=x[    2.0] audit: type=1400 audit(1.000:5): {AVC}"))
    assert read_log(inside.records).by_pid == {}


def test_a_buffer_that_was_too_small_is_noticed() -> None:
    assert machine_log("kernel", "", messages("<6>[    2.0] more", first=None)).cut
    assert not machine_log("raw", "", messages("<6>[    2.0] more", first=None)).cut


def test_a_form_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no form of a log: 'xml'"):
        rehearse(RehearsalRequest(tmp_path / "none.toml", log="xml"))


def decisions(log: Path, policy_root: Path, place: Path) -> list[object]:
    """All of a plan's decisions but for the evidence that only some forms hold."""
    mounts = ("/srv/models/llm:/models", "/srv/vllm/cache:/cache")
    plan = generate(Request(logs=(str(log),), policy=str(policy_root), name="vllm", mounts=mounts), place).plan
    return [
        (one.source, one.target, one.tclass, one.perms, one.xperms, one.cause, one.also, one.remedy, one.evidence.comms)
        for one in plan.decisions
    ]


SHADOW = """
[[thing]]
path = "/etc/shadow"
content = "root"
"""
REFUSED = """
[[step]]
name = "two"
do = "read"
path = "/etc/shadow"
expect = "denied"
why = "the host's passwords"
"""


def test_without_an_audit_daemon_the_kernels_messages_are_the_log(
    policy_root: Path, kernel: Path, scenario_file: WriteScenario, tmp_path: Path
) -> None:
    path = scenario_file(SHADOW, step=STEP.replace("/etc/passwd", "/dev/null") + REFUSED)
    rehearsal = rehearse(RehearsalRequest(path, policy=str(policy_root), kernel=kernel, log="kernel"))
    assert [judged.got for judged in rehearsal.judged] == ["allowed", "denied"]
    assert (rehearsal.ok, rehearsal.denials, rehearsal.elsewhere, rehearsal.lost) == (True, 1, 0, 0)
    assert "audit: type=1400" in rehearsal.audit == rehearsal.dmesg
    (tmp_path / "audit.log").write_text("of another run")
    write_results(rehearsal, tmp_path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["dmesg", "results.json", "small.toml"]
    (tmp_path / "log").write_text(rehearsal.audit)
    assert totals(read_logs([str(tmp_path / "log")])).summary.accesses == 1


@pytest.mark.heavy
def test_the_clock_starts_where_it_is_told(
    policy_root: Path, kernel: Path, scenario_file: WriteScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    path = scenario_file(step=STEP.replace("/etc/passwd", "/root").replace('"read"', '"list"'))
    rehearsal = rehearse(RehearsalRequest(path, policy=str(policy_root), kernel=kernel, permissive=True))
    times = {float(found) for found in re.findall(r"audit\(([\d.]+):", rehearsal.audit)}
    assert times
    assert all(1767225600 < time < 1767225600 + 300 for time in times)


@pytest.mark.heavy
@pytest.mark.parametrize("scenario", ["serving", "attacks"])
def test_every_form_tells_the_same(
    fixtures_dir: Path, policy_root: Path, kernel: Path, tmp_path: Path, scenario: str
) -> None:
    learn = scenario == "serving"
    file = fixtures_dir / "scenarios" / f"{scenario}.toml"
    told: dict[str, Rehearsal] = {
        form: rehearse(RehearsalRequest(file, policy=str(policy_root), kernel=kernel, learn=learn, log=form))
        for form in FORMS
    }
    seen = {
        form: (
            [(one.step.name, one.got, one.errno, len(one.avc)) for one in rehearsal.judged],
            (rehearsal.ok, rehearsal.denials, rehearsal.elsewhere, rehearsal.lost),
        )
        for form, rehearsal in told.items()
    }
    assert seen["raw"][1][1] > 0
    assert seen["raw"][1][0] is True
    assert seen["enriched"] == seen["raw"]
    assert seen["kernel"] == seen["raw"]
    assert "\x1dARCH=x86_64" in told["enriched"].audit
    assert told["kernel"].audit == told["kernel"].dmesg
    if learn:
        plans = {}
        for form, rehearsal in told.items():
            (tmp_path / f"{form}.log").write_text(rehearsal.audit)
            plans[form] = decisions(tmp_path / f"{form}.log", policy_root, tmp_path / form)
        assert plans["enriched"] == plans["raw"]
        assert plans["kernel"] == plans["raw"]
