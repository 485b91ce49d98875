"""What is predicted from a refused system call, on a policy that tells the cases apart and on the real one."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.minimize import assemble, describe_module, plan_object
from polkit.model import AvRule, Decision, Plan
from polkit.module import render_te
from polkit.policy import TargetPolicy, load_policy
from tests.minimize.conftest import Planner
from tests.minimize.prediction_cases import (
    CREATE,
    ENTRIES,
    FILES,
    OTHERS,
    RDONLY,
    RDWR,
    SAME_LEVEL,
    WRONLY,
    X86,
    event,
)
from tests.records import avc


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> TargetPolicy:
    source = Path(__file__).parent / "sources" / "predictions.cil"
    binary = tmp_path_factory.mktemp("predictions") / "policy"
    subprocess.run(["secilc", "-c", "31", "-o", binary, "-f", "/dev/null", source], check=True)
    return load_policy(str(binary))


def vectors(decisions: Iterable[Decision]) -> dict[str, str]:
    """``TARGET:CLASS`` and its permissions."""
    found: dict[str, set[str]] = {}
    for one in decisions:
        found.setdefault(f"{one.target}:{one.tclass}", set()).update(one.perms)
    return {place: " ".join(sorted(perms)) for place, perms in found.items()}


@pytest.mark.parametrize("name", [*FILES, *ENTRIES, *OTHERS])
def test_what_comes_next(name: str, plan_of: Planner, shapes: TargetPolicy) -> None:
    text, expected = {**FILES, **ENTRIES, **OTHERS}[name]
    accept = frozenset({"all"})
    plan = plan_of(text, on=shapes, predict=True, accepted=accept)
    assert vectors(plan.predicted) == expected
    assert not plan_of(text, on=shapes, accepted=accept).predicted
    assert plan_of(text, on=shapes, accepted=accept).decisions == plan.decisions


@pytest.mark.parametrize(
    "syscall",
    [
        CREATE,
        f"{CREATE} key=(null)\x1dARCH=x86_64 SYSCALL=openat",
        "arch=x86_64 syscall=openat success=no exit=EACCES(Permission denied) a0=AT_FDCWD a1=0x7f "
        "a2=O_RDWR|O_CREAT|O_CLOEXEC a3=0644",
        "arch=c00000b7 syscall=56 success=no exit=-13 a0=ffffff9c a1=7f a2=80042 a3=1a4",
    ],
    ids=["raw", "enriched", "interpreted", "aarch64"],
)
def test_every_form_of_the_record_predicts_the_same(syscall: str, plan_of: Planner, shapes: TargetPolicy) -> None:
    plan = plan_of(event("write", "cache_t", "dir", syscall), on=shapes, predict=True)
    assert vectors(plan.predicted) == ENTRIES["a new file, of the type that the policy gives it"][1]


def test_what_a_boolean_of_the_plan_gives_is_no_prediction(plan_of: Planner, shapes: TargetPolicy) -> None:
    plan = plan_of(event("read", "gated_t", "file", RDONLY), on=shapes, predict=True, extend=True)
    assert [one.remedy.kind for one in plan.decisions] == ["boolean"]
    assert vectors(plan.predicted) == {"gated_t:file": "getattr"}  # `open` comes with the boolean


def test_nothing_follows_from_what_stays_refused(plan_of: Planner, shapes: TargetPolicy) -> None:
    silenced = event("read", "quiet_t", "file", RDONLY)
    assert [one.cause for one in plan_of(silenced, on=shapes, predict=True).decisions] == ["dontaudited"]
    assert not plan_of(silenced, on=shapes, predict=True).predicted
    assert vectors(plan_of(silenced, on=shapes, predict=True, include_dontaudited=True).predicted) == {
        "quiet_t:file": "getattr open"
    }
    risky = event("read", "shadow_t", "file", RDONLY)
    assert not plan_of(risky, on=shapes, predict=True).predicted
    assert vectors(plan_of(risky, on=shapes, predict=True, accepted=frozenset({"shadow"})).predicted) == {
        "shadow_t:file": "getattr open"
    }


def test_nothing_follows_from_a_refused_risk_until_it_is_accepted(plan_of: Planner, shapes: TargetPolicy) -> None:
    text = event("execmod", "data_t", "file", f"{X86} syscall=10 a0=7f a1=1000 a2=7 a3=0")
    assert [one.remedy.kind for one in plan_of(text, on=shapes, predict=True).decisions] == ["refuse"]
    assert not plan_of(text, on=shapes, predict=True).predicted
    plan = plan_of(text, on=shapes, predict=True, accepted=frozenset({"execmod"}))
    assert vectors(plan.predicted) == {"app_t:process": "execmem"}


def test_a_predicted_risk_is_shown_and_never_added_unasked(plan_of: Planner, shapes: TargetPolicy) -> None:
    text = event("read", "kmsg_device_t", "chr_file", RDWR)
    plan = plan_of(text, on=shapes, predict=True)
    assert {one.remedy.kind: one.perms for one in plan.predicted} == {
        "allow": ("getattr", "open"),
        "refuse": ("write",),
    }
    source = assemble(plan, "vllm", "1.0.0")
    assert source is not None
    assert [rule.perms for rule in source.access.rules] == [("getattr", "open", "read")]
    (refused,) = [one.id for one in plan.predicted if one.remedy.kind == "refuse"]
    for word in ("kernel-device", refused):
        accepted = plan_of(text, on=shapes, predict=True, accepted=frozenset({word}))
        assert {one.remedy.kind for one in accepted.predicted} == {"allow"}


def test_levels_that_the_plan_puts_right_count_as_right(plan_of: Planner, shapes: TargetPolicy) -> None:
    text = event("read", "leveled_t", "file", RDONLY, levels=("s0:c1", "s0:c2"))
    plan = plan_of(text, on=shapes, predict=True)
    assert [(one.cause, one.remedy.kind) for one in plan.decisions] == [("constraint", "level")]
    assert [(one.cause, one.also, one.remedy.kind) for one in plan.predicted] == [("missing-rule", (), "allow")]
    assert vectors(plan.predicted) == {"leveled_t:file": "getattr open"}


def test_a_new_file_has_the_level_of_its_maker(plan_of: Planner, shapes: TargetPolicy) -> None:
    for levels in (("s0:c1", "s0"), ("s0-s0:c0.c2", "s0:c1")):
        plan = plan_of(event("write", "data_t", "dir", CREATE, levels=levels), on=shapes, predict=True)
        (made,) = [one for one in plan.predicted if "create" in one.perms and one.tclass == "file"]
        assert (made.cause, made.also) == ("missing-rule", ())


def test_a_prediction_says_what_it_rests_on(plan_of: Planner, shapes: TargetPolicy) -> None:
    text = event("read", "data_t", "file", RDONLY) + event("write", "data_t", "dir", CREATE, serial=2)
    plan = plan_of(text, on=shapes, predict=True)
    by_id = {one.id: one for one in plan.decisions}
    assert [one.id for one in plan.predicted] == [f"P{number}" for number in range(1, len(plan.predicted) + 1)]
    (files,) = [one for one in plan.predicted if one.tclass == "file"]
    assert {by_id[id_].tclass for id_ in files.follows} == {"file", "dir"}
    assert files.why.startswith(f"Predicted from {', '.join(files.follows)}, not observed: ")
    assert "openat(O_RDWR|O_CREAT)" in files.why
    assert files.remedy.text == "Allow exactly what was predicted."
    evidence = files.evidence
    assert (evidence.records, evidence.accesses, evidence.first) == (0, 0, None)
    assert evidence.calls == ("openat(O_RDONLY)", "openat(O_RDWR|O_CREAT)")
    assert evidence.comms == ("app",)
    found = plan_object(plan)
    assert [one["follows"] for one in found["predicted"]] == [list(one.follows) for one in plan.predicted]
    assert all(one["follows"] == [] for one in found["decisions"])


def test_the_module_marks_and_counts_what_was_predicted(plan_of: Planner, shapes: TargetPolicy) -> None:
    text = event("read", "data_t", "file", RDONLY) + event("write", "cache_t", "dir", CREATE, serial=2)
    plan = plan_of(text, on=shapes, predict=True)
    source = assemble(plan, "vllm", "1.0.0")
    assert source is not None
    given = {(rule.target, rule.tclass, perm) for rule in source.access.rules for perm in rule.perms}
    predicted = {(one.target, one.tclass, perm) for one in plan.predicted for perm in one.perms}
    observed = {(one.target, one.tclass, perm) for one in plan.decisions for perm in one.perms}
    assert given == predicted | observed
    module = describe_module(source, plan, shapes, frozenset(), ())
    assert module.over_permission == module.predicted == len(predicted)
    te = render_te(source)
    for one in plan.predicted:
        line = f"# {one.id} missing-rule: {' '.join(one.perms)} predicted from {', '.join(one.follows)}, not observed"
        assert line in te
        at = te.index(line)
        rule = te[at : te.index(";\n", te.index("\nallow", at))].splitlines()[-1]
        assert f"{one.target}:{one.tclass}" in rule
    bare = assemble(plan_of(text, on=shapes), "vllm", "1.0.0")
    assert bare is not None
    assert "predicted" not in render_te(bare)


def test_a_predicted_access_goes_onto_the_label_that_the_plan_makes(plan_of: Planner, policy: TargetPolicy) -> None:
    record = avc("write", "xdg_cache_t", "dir", fields='comm="p" name="vllm" ino=159')
    stamp = "msg=audit(1700000000.123:1):"
    text = (
        f"{record}type=SYSCALL {stamp} {CREATE} items=1\n"
        f'type=PATH {stamp} item=0 name="/cache/vllm/" inode=159 mode=040755 nametype=PARENT\n'
    )
    plan = plan_of(text, mounts={"/srv/cache": "/cache"}, predict=True, bases=("container_t",))
    assert {one.remedy.type for one in plan.predicted} == {"vllm_cache_t"}
    rules = {rule for one in plan.predicted for rule in one.remedy.rules if isinstance(rule, AvRule)}
    assert {(rule.source, rule.target) for rule in rules} == {("vllm_t", "vllm_cache_t")}
    files = {perm for rule in rules if rule.tclass == "file" for perm in rule.perms}
    assert {"create", "open", "read", "write", "getattr"} <= files


def test_a_domain_that_starts_from_nothing_is_predicted_what_its_base_may_do(plan_of: Planner) -> None:
    record = avc("write", "sysfs_t", "file", fields='comm="p" name="defrag" dev="sysfs" ino=7')
    text = f"{record}type=SYSCALL msg=audit(1700000000.123:1): {WRONLY} items=0\n"
    inherits = plan_of(text, predict=True, bases=("container_t",))
    assert inherits.domain is not None
    assert vectors(inherits.predicted) == {}
    bare = plan_of(text, predict=True, bases=("container_t",), base="none")
    assert vectors(bare.predicted) == {"sysfs_t:file": "getattr open"}
    assert [rule.source for one in bare.predicted for rule in one.remedy.rules if isinstance(rule, AvRule)] == [
        "vllm_t"
    ]


@pytest.mark.parametrize(
    ("path", "predicted"),
    [
        ("/etc/hosts", {"net_conf_t:file": "write"}),  # ntpd_t may read it
        ("/var/lib/ntp/drift", {}),
        ("/var/log/messages", {"var_log_t:file": "getattr open write"}),
    ],
)
def test_after_a_label_is_restored_its_type_is_asked(path: str, predicted: dict[str, str], plan_of: Planner) -> None:
    fields = f'comm="p" path="{path}" dev="dm-0" ino=7'
    record = avc("read", "user_home_t", "file", "ntpd_t", SAME_LEVEL, fields)
    plan = plan_of(f"{record}type=SYSCALL msg=audit(1700000000.123:1): {RDWR} items=0\n", predict=True)
    assert [(one.cause, one.remedy.kind) for one in plan.decisions] == [("mislabeled", "relabel")]
    assert vectors(plan.predicted) == predicted


def test_from_a_log_without_system_calls_nothing_is_predicted_and_it_says_so(plan_of: Planner) -> None:
    plan = plan_of(avc("read", "kmsg_device_t", "chr_file"), predict=True)
    assert not plan.predicted
    assert any("SYSCALL" in note for note in plan.notes)
    assert not any("SYSCALL" in note for note in plan_of(avc("read", "kmsg_device_t", "chr_file")).notes)


@pytest.fixture(scope="session")
def enforced(plan_of: Planner, fixtures_dir: Path) -> Plan:
    log = fixtures_dir / "avc" / "kernel" / "vllm-enforcing.enriched.log"
    return plan_of(log.read_text(), mounts={"/srv/cache": "/home/vllm/.cache"}, predict=True, bases=("container_t",))


def test_a_recorded_enforcing_round_predicts_what_the_permissive_one_shows(enforced: Plan, fixtures_dir: Path) -> None:
    permissive = (fixtures_dir / "avc" / "kernel" / "vllm-permissive.audit.log").read_text()
    came = {
        (target, tclass, perm)
        for perms, target, tclass in re.findall(
            r"denied  \{ ([^}]*) \}.*?:container_t:\S+ tcontext=\w+:\w+:(\w+)\S* tclass=(\w+)", permissive
        )
        for perm in perms.split()
    }
    predicted = {(one.target, one.tclass, perm) for one in enforced.predicted for perm in one.perms}
    assert {
        ("xdg_cache_t", "dir", "add_name"),
        ("xdg_cache_t", "file", "create"),
        ("xdg_cache_t", "file", "open"),
        ("xserver_misc_device_t", "chr_file", "open"),
        ("container_t", "bpf", "map_read"),
        ("container_t", "perf_event", "read"),
    } <= predicted & came
    unheard = {one for one in predicted - came if one[1] not in ("vsock_socket", "alg_socket")}  # no such family there
    assert len(unheard) <= 1, unheard


def test_predicted_decisions_are_decided_like_observed_ones(enforced: Plan) -> None:
    observed = {(one.source, one.target, one.tclass, perm) for one in enforced.decisions for perm in one.perms}
    known = {one.id for one in enforced.decisions}
    for one in enforced.predicted:
        assert one.follows
        assert known.issuperset(one.follows)
        assert observed.isdisjoint((one.source, one.target, one.tclass, perm) for perm in one.perms)
        assert one.cause != "already-allowed"
        assert all(getattr(rule, "source", "vllm_t") == "vllm_t" for rule in one.remedy.rules)


WORDS = ["read", "write", "open", "create", "getattr", "map", "append"]


@given(
    perms=st.sets(st.sampled_from(WORDS), min_size=1),
    flags=st.integers(0, 0xFFFFFFFF),
    syscall=st.sampled_from([2, 9, 10, 41, 42, 49, 59, 82, 87, 257, 263]),
    tclass=st.sampled_from(["file", "chr_file"]),
)
def test_no_prediction_repeats_or_contradicts_what_was_observed(
    perms: set[str], flags: int, syscall: int, tclass: str, plan_of: Planner, shapes: TargetPolicy
) -> None:
    known = sorted(perms & set(shapes.permissions(tclass))) or ["read"]
    text = event(
        " ".join(known), "data_t", tclass, f"{X86} syscall={syscall} a0=1 a1={flags:x} a2={flags:x} a3={flags:x}"
    )
    plan, without = plan_of(text, on=shapes, predict=True), plan_of(text, on=shapes)
    assert plan.decisions == without.decisions
    for one in plan.predicted:
        assert set(one.perms) <= set(shapes.permissions(one.tclass))
        assert (one.target, one.tclass) != ("data_t", tclass) or set(one.perms).isdisjoint(known)
        assert "ioctl" not in one.perms
