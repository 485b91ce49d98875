"""Lists of ioctl commands: exactly what was observed, and never where a list would take commands away."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Optional

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from polkit.audit import read_logs, totals
from polkit.errors import MissingDependency, SourceError
from polkit.minimize import Proof, Request, Settings, generate, make_plan, plan_object, prove
from polkit.model import AvRule, Plan, Remedy, XpermRule
from polkit.policy import load_policy
from tests.minimize.proof_worlds import LEVELS, build_root
from tests.records import avc

SHAPES = Path(__file__).parent / "sources" / "command_shapes.cil"
BASES = ("container_t", "sandbox_t")
Planned = Callable[..., Plan]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small store of the proofs, with more devices."""
    root = build_root(tmp_path_factory.mktemp("commands"))
    command = ["semodule", "-p", root, "-s", "small", "-N", "-n", "-X", "100", "-i", SHAPES]
    subprocess.run(command, check=True, capture_output=True)
    return root


@pytest.fixture
def planned(root: Path) -> Planned:
    """``planned(log, **settings)``: a plan on that store."""

    def plan(log: str, policy: Optional[str] = None, booleans: Optional[dict[str, bool]] = None, **asked: Any) -> Plan:
        target = load_policy(policy or str(root)).with_booleans(booleans or {})
        denials = totals(read_logs(["-"], stdin=io.BytesIO(log.encode())))
        return make_plan(denials, target, Settings(module="mine", bases=BASES, **asked))

    return plan


def ioctl(source: str, target: str, *commands: Optional[int], tclass: str = "chr_file", fields: str = "") -> str:
    """Refused ioctls; None for one whose record doesn't tell the command."""
    told = [f'comm="x" {fields}' + ("" if one is None else f" ioctlcmd=0x{one:x}") for one in commands]
    return "".join(avc("ioctl", target, tclass, source=source, levels=LEVELS, fields=text) for text in told)


def remedies(plan: Plan) -> list[Remedy]:
    return [remedy for decision in plan.decisions for remedy in (decision.remedy, *decision.also_remedies)]


def lists(plan: Plan) -> set[tuple[str, str, tuple[int, ...]]]:
    """(source, target, commands) of the plan's allowxperm rules."""
    rules = [rule for remedy in remedies(plan) for rule in remedy.rules]
    return {(rule.source, rule.target, rule.numbers) for rule in rules if isinstance(rule, XpermRule)}


def granted(plan: Plan) -> set[tuple[str, str]]:
    """(source, target) of the plan's allow rules with ioctl."""
    rules = [rule for remedy in remedies(plan) for rule in remedy.rules]
    return {(rule.source, rule.target) for rule in rules if isinstance(rule, AvRule) and "ioctl" in rule.perms}


def notes(plan: Plan) -> str:
    return " ".join(remedy.xperm_note for remedy in remedies(plan))


def test_where_the_policy_gives_none_the_observed_commands_are_listed(planned: Planned) -> None:
    plan = planned(ioctl("app_t", "plain_device_t", 0x4602, 0x4601, 0x4603, 0x5401))
    assert lists(plan) == {("app_t", "plain_device_t", (0x4601, 0x4602, 0x4603, 0x5401))}
    assert notes(plan).strip() == ""
    (decision,) = plan.decisions
    assert "would a list of app_t's commands on plain_device_t:chr_file take any away? no" in decision.asked


def test_a_list_takes_nothing_from_a_domain_that_more_booleans_than_two_would_give_all_commands(
    planned: Planned,
) -> None:
    """A boolean is offered where one or two would do; here three would, and the domain keeps what they give."""
    plan = planned(ioctl("app_t", "three_device_t", 0x4602))
    assert lists(plan) == set()
    assert granted(plan) == {("app_t", "three_device_t")}
    assert "app_t has every ioctl command there where ((dev_a && dev_b) && dev_c) holds" in notes(plan)
    (decision,) = plan.decisions
    assert decision.remedy.any_command
    assert plan_object(plan)["decisions"][0]["remedy"]["xperm_note"] == decision.remedy.xperm_note


def test_an_own_domain_keeps_to_the_list_where_a_boolean_would_give_its_base_all(planned: Planned) -> None:
    plan = planned(ioctl("container_t", "one_device_t", 0x4602))
    assert lists(plan) == {("mine_t", "one_device_t", (0x4602,))}
    assert "container_t has every ioctl command there where dev_a holds; mine_t keeps to those listed" in notes(plan)


def test_an_own_domain_loses_nothing_that_its_base_has_and_another_source_lacked(planned: Planned) -> None:
    plan = planned(ioctl("sandbox_t", "wide_device_t", 0x4602), base="container_t")
    assert lists(plan) == set()
    assert granted(plan) == {("mine_t", "wide_device_t")}
    assert "container_t has every ioctl command there: a list would take the others away" in notes(plan)


def test_a_record_without_its_command_leaves_the_rule_whole_for_all_of_them(planned: Planned) -> None:
    log = ioctl("app_t", "plain_device_t", 0x4602, None) + ioctl("app_t", "plain_device_t", 0x4603, tclass="file")
    plan = planned(log)
    assert lists(plan) == {("app_t", "plain_device_t", (0x4603,))}, "files are another class"
    assert "A record does not tell which ioctl command it was" in notes(plan)
    assert granted(plan) == {("app_t", "plain_device_t")}


def test_a_list_that_is_inherited_is_not_opened_for_a_record_without_its_command(planned: Planned) -> None:
    plan = planned(ioctl("sandbox_t", "narrow_device_t", None), base="container_t")
    assert lists(plan) == set()
    assert "container_t has a list of them there: what is not on it stays refused" in notes(plan)


def test_a_new_type_of_a_device_keeps_its_list_beside_a_boolean_for_all_devices(planned: Planned) -> None:
    log = ioctl("app_t", "default_t", 0x4602, fields='path="/dev/own0" dev="devtmpfs" ino=5')
    plan = planned(log)
    assert lists(plan) == {("app_t", "mine_device_t", (0x4602,))}
    assert "app_t has every ioctl command there where dev_b holds" in notes(plan)


def test_without_a_policy_the_list_is_written_and_the_risk_of_it_told(planned: Planned) -> None:
    plan = planned(ioctl("app_t", "plain_device_t", 0x4602), policy="none")
    assert lists(plan) == {("app_t", "plain_device_t", (0x4602,))}
    assert "no policy was asked" in notes(plan)


def test_a_closed_list_gets_the_command_and_no_more(planned: Planned) -> None:
    plan = planned(ioctl("container_t", "narrow_device_t", 0x4602), extend=True)
    assert [decision.cause for decision in plan.decisions] == ["xperm"]
    assert lists(plan) == {("container_t", "narrow_device_t", (0x4602,))}
    assert granted(plan) == set()


def test_a_bounding_type_gets_the_command_alone(root: Path, planned: Planned, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", root, tmp_path / "root"], check=True)
    bounded = tmp_path / "bounded.cil"
    bounded.write_text("(allow child_t plain_device_t (chr_file (ioctl)))")
    command = ["semodule", "-p", tmp_path / "root", "-s", "small", "-N", "-n", "-X", "100", "-i", bounded]
    subprocess.run(command, check=True, capture_output=True)
    plan = planned(ioctl("child_t", "plain_device_t", 0x4602), policy=str(tmp_path / "root"))
    assert [decision.cause for decision in plan.decisions] == ["bounds"]
    assert granted(plan) == {("parent_t", "plain_device_t")}
    assert lists(plan) == {("parent_t", "plain_device_t", (0x4602,))}


def nlmsg(source: str, *messages: Optional[int]) -> str:
    """Refused netlink messages of a domain's own sockets; None for one whose record doesn't tell its type."""
    told = ['comm="ip"' + ("" if one is None else f" nl-msgtype={one}") for one in messages]
    return "".join(
        avc("nlmsg", source, "netlink_route_socket", source=source, levels=("s0", "s0"), fields=text) for text in told
    )


def test_netlink_messages_are_listed_like_ioctls(planned: Planned) -> None:
    plan = planned(nlmsg("route_t", 24, 26, 0x12))
    assert lists(plan) == {("route_t", "self", (0x12, 24, 26))}
    assert "libsepol 3.8" in notes(plan)
    assert "lacks the capability netlink_xperm" in notes(plan)
    rules = [rule for remedy in remedies(plan) for rule in remedy.rules]
    assert [rule.operation for rule in rules if isinstance(rule, XpermRule)] == ["nlmsg"]
    whole = planned(nlmsg("route_t", 24, None))
    assert lists(whole) == set()
    assert "A record does not tell which nlmsg command it was: all are allowed." in notes(whole)


def test_a_list_of_netlink_messages_takes_no_ioctl_away(planned: Planned) -> None:
    """A rule on the one closes the list of the other, too."""
    plan = planned(nlmsg("container_t", 24), extend=True)
    assert lists(plan) == set()
    assert "container_t has every ioctl command there: a list would take the others away" in notes(plan)
    own = planned(nlmsg("container_t", 24))
    assert lists(own) == set(), "the own domain inherits the ioctls"
    unknown = ioctl("route_t", "route_t", None, tclass="netlink_route_socket")
    both = planned(unknown.replace("object_r:route_t:s0:c0", "system_r:route_t:s0:c0") + nlmsg("route_t", 24))
    assert lists(both) == set()


def module_of(root: Path, scratch: Path, log: str, **asked: Any) -> tuple[Path, Proof]:
    """A module generated from a log, and its proof against the same log."""
    evidence = scratch / "log"
    evidence.write_text(log)
    request = Request(logs=(str(evidence),), policy=str(root), name="mine", **asked)
    generate(request, scratch / "module", force=True)
    return scratch / "module", prove(scratch / "module", request)


def test_the_reason_stands_above_the_rule(root: Path, tmp_path: Path) -> None:
    module, proof = module_of(root, tmp_path, ioctl("app_t", "three_device_t", 0x4602, 0x4603))
    text = (module / "mine.te").read_text()
    assert "allowxperm" not in text
    above, _, _ = text.partition("allow app_t three_device_t:chr_file")
    assert above.splitlines()[-1].startswith("# app_t has every ioctl command there where ((dev_a")
    assert (proof.covered, proof.minimal, proof.contained, proof.exit_code) == (True, True, True, 0), proof.extra


def test_a_list_that_takes_commands_away_in_another_state_of_the_booleans_is_not_contained(
    root: Path, tmp_path: Path
) -> None:
    """What the plan avoids is what the proof refuses."""
    module, _ = module_of(root, tmp_path, ioctl("app_t", "three_device_t", 0x4602))
    text = (module / "mine.te").read_text()
    (tmp_path / "mine.te").write_text(text + "allowxperm app_t three_device_t:chr_file ioctl 0x4602;\n")
    request = Request(logs=(str(tmp_path / "log"),), policy=str(root), name="mine")
    proof = prove(tmp_path / "mine.te", request)
    assert proof.contained is False
    assert [(one.source, one.target, one.numbers) for one in proof.lost_xperms] == [
        ("app_t", "three_device_t", ((0, 0x4601), (0x4603, 0xFFFF)))
    ]
    assert proof.exit_code == 1


def test_a_list_of_netlink_messages_links_where_libsepol_knows_them(root: Path, tmp_path: Path) -> None:
    """libsepol 3.8 does. An older one refuses the module, and the error says which one is needed."""
    evidence = tmp_path / "log"
    evidence.write_text(nlmsg("route_t", 24, 25, 26))
    request = Request(logs=(str(evidence),), policy=str(root), name="mine")
    outcome = generate(request, tmp_path / "module")
    assert outcome.written == ("mine.cil", "plan.json")
    text = (tmp_path / "module/mine.cil").read_text()
    assert "(allowx route_t self (nlmsg netlink_route_socket ((range 0x0018 0x001a))))" in text
    try:
        proof = prove(tmp_path / "module", request)
    except MissingDependency as error:
        assert "nlmsg" in str(error)
        assert "libsepol 3.8" in str(error.hint)
    except SourceError as error:
        assert "rules on nlmsg commands are unknown to setools" in str(error.hint)
    else:
        assert (proof.covered, proof.minimal, proof.contained) == (True, True, True)


_SOURCES = ("app_t", "container_t", "sandbox_t")
_TARGETS = ("three_device_t", "one_device_t", "plain_device_t", "wide_device_t", "narrow_device_t")
_COMMANDS = st.one_of(st.none(), st.sampled_from((0x4600, 0x4601, 0x4602, 0x4603, 0x5401, 0xFFFF)))
_REFUSALS = st.lists(st.tuples(st.sampled_from(_SOURCES), st.sampled_from(_TARGETS), _COMMANDS), min_size=1, max_size=8)


@pytest.mark.heavy
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(refusals=_REFUSALS, extend=st.booleans())
def test_no_generated_module_takes_a_command_away(
    root: Path, tmp_path: Path, refusals: Iterable[tuple[str, str, Optional[int]]], extend: bool
) -> None:
    log = "".join(ioctl(source, target, command) for source, target, command in refusals)
    asked = {"extend": True} if extend else {"base": "container_t"}
    evidence = tmp_path / "log"
    evidence.write_text(log)
    request = Request(logs=(str(evidence),), policy=str(root), name="mine", accept=("all",), **asked)
    outcome = generate(request, tmp_path / "module", force=True)
    if outcome.plan.module is None:
        return
    proof = prove(tmp_path / "module", request)
    assert not (proof.lost or proof.lost_xperms), log
    assert proof.contained, (log, proof.extra)
    told = any("what is not on it stays refused" in remedy.xperm_note for remedy in remedies(outcome.plan))
    assert proof.covered or told, (log, proof.uncovered)


_RUNS = st.lists(
    st.tuples(st.sampled_from((0, 0x45F0, 0x4600, 0x46D6, 0xFF00, 0xFFFF)), st.sampled_from((1, 2, 3, 16, 256, 300))),
    min_size=1,
    max_size=4,
)


@pytest.mark.heavy
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=_RUNS)
@example(runs=[(0x4600, 256)])
@example(runs=[(0x45FF, 258), (0x4800, 512)])
@example(runs=[(0, 1), (0xFFFF, 1)])
def test_folded_ranges_are_the_observed_commands_once_compiled(
    root: Path, tmp_path: Path, runs: list[tuple[int, int]]
) -> None:
    """From the log to the built policy and back: neither a command more nor one less. The compiler makes rules on whole
    drivers of full ranges, which is another form in the binary."""
    wanted = sorted({number for first, length in runs for number in range(first, min(first + length, 0x10000))})
    module, proof = module_of(root, tmp_path, ioctl("app_t", "plain_device_t", *wanted))
    assert (proof.covered, proof.minimal, proof.contained) == (True, True, True), (proof.uncovered, proof.extra)
    listed = re.search(r"allowxperm app_t plain_device_t:chr_file ioctl \{ (.*) \};", (module / "mine.te").read_text())
    assert listed is not None
    parts = [part.split("-") for part in listed[1].split()]
    assert [number for part in parts for number in range(int(part[0], 16), int(part[-1], 16) + 1)] == wanted
    alone = sum(number + 1 not in wanted for number in wanted)
    assert alone <= len(parts) <= 2 * alone
