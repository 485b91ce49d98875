"""Calls of interfaces: proposed where they grant exactly the rules; where they grant more, priced and not used."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.minimize import NEVERALLOW, Allowance, describe_module, propose_calls
from polkit.model import (
    SELF,
    AccessSet,
    AvRule,
    InterfaceCall,
    ModuleSource,
    OwnDomain,
    Plan,
    TypeDeclaration,
    XpermRule,
)
from polkit.module import Expansion, expand, read_headers, render_te
from polkit.policy import TargetPolicy, load_policy
from tests.minimize.proof_worlds import build_root
from tests.records import avc

NODE = "xserver_misc_device_t"
OWN = OwnDomain("vllm_t", "container_t", ("container_t",))


@pytest.fixture(scope="module")
def installed(headers_dir: Path) -> tuple[Expansion, ...]:
    return expand(read_headers(headers_dir))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> TargetPolicy:
    return load_policy(str(build_root(tmp_path_factory.mktemp("small"))))


def allow(source: str, target: str, tclass: str, perms: str) -> AvRule:
    return AvRule("allow", source, target, tclass, tuple(sorted(perms.split())))


def module(*rules: AvRule, types: Iterable[TypeDeclaration] = ()) -> ModuleSource:
    return ModuleSource("vllm", "1.0.0", AccessSet(types=tuple(types), rules=tuple(sorted(rules))))


def written(**bodies: str) -> tuple[Expansion, ...]:
    """The interfaces with these bodies, expanded."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "support").mkdir()
        (folder / "layer").mkdir()
        (folder / "support/macros.spt").write_text("define(`gen_require',`require { $1 }')\n")
        text = "".join(f"interface(`{name}',`\n{body}\n')\n" for name, body in bodies.items())
        (folder / "layer/all.if").write_text(text)
        return expand(read_headers(folder))


def by_name(calls: Iterable[InterfaceCall]) -> dict[str, InterfaceCall]:
    return {call.name: call for call in calls}


# On the distribution's policy with the distribution's headers.


@pytest.mark.parametrize(("source", "domain"), [("vllm_t", OWN), ("container_t", None)])
def test_an_interface_that_grants_exactly_the_rule_is_named_above_it(source, domain, policy, installed) -> None:
    rule = allow(source, NODE, "chr_file", "setattr")
    (call,), made = propose_calls(module(rule), domain, policy, installed, Allowance())
    assert (call.text, call.extra, call.used, call.rules) == (
        f"dev_setattr_xserver_misc_dev({source})",
        0,
        True,
        (rule,),
    )
    assert call.given == 3, "search of /dev is given to containers anyway"
    assert made.access.rules == (rule,)
    assert f"# same as: dev_setattr_xserver_misc_dev({source}); 3 accesses of it given anyway\nallow" in render_te(made)


def test_one_asked_permission_does_not_become_seven(policy, installed) -> None:
    """The case of ``audit2allow -R``: it answers this with dev_rw_xserver_misc, and says nothing of the price."""
    source = module(allow("vllm_t", NODE, "chr_file", "ioctl"))
    calls, made = propose_calls(source, OWN, policy, installed, Allowance(5))
    price = by_name(calls)["dev_rw_xserver_misc"]
    assert (price.extra, price.used) == (6, False)
    assert price.extra_rules == (allow("vllm_t", NODE, "chr_file", "append getattr lock open read write"),)
    assert made == source


def test_an_allowance_buys_the_interface_and_writes_out_what_it_costs(policy, installed) -> None:
    rule = allow("vllm_t", NODE, "chr_file", "ioctl")
    calls, made = propose_calls(module(rule), OWN, policy, installed, Allowance(6))
    assert [call.name for call in calls if call.used] == ["dev_rw_xserver_misc"]
    more = allow("vllm_t", NODE, "chr_file", "append getattr lock open read write")
    assert made.access.rules == (more, rule)
    text = render_te(made)
    assert "# same as: dev_rw_xserver_misc(vllm_t); with 6 accesses more; 3 accesses of it given anyway" in text
    assert "# No evidence asks for this: it comes with dev_rw_xserver_misc (--allow-extra)." in text


def test_what_is_bought_counts_as_over_permission(plan_of, policy, installed) -> None:
    plan: Plan = plan_of(avc("ioctl", NODE, "chr_file", fields='comm="x" ioctlcmd=0x4611'), extend=True)
    source = module(allow("container_t", NODE, "chr_file", "ioctl"))
    _, made = propose_calls(source, None, policy, installed, Allowance(6))
    figures = [describe_module(one, plan, policy, frozenset(), ()).over_permission for one in (source, made)]
    assert figures == [0, 6]


def test_a_refused_risk_is_not_bought_unless_accepted(policy, installed) -> None:
    source = module(allow("vllm_t", "kmsg_device_t", "chr_file", "open read"))
    for accepted, used in ((frozenset(), False), (frozenset({"kernel-device"}), True), (frozenset({"all"}), True)):
        calls, made = propose_calls(source, OWN, policy, installed, Allowance(3, accepted))
        call = by_name(calls)["dev_read_kmsg"]
        assert (call.extra, call.used, call.refused) == (3, used, () if used else ("kernel-device",))
        assert (made != source) == used


def test_the_same_input_gives_the_same_calls(policy, installed) -> None:
    rules = [allow("vllm_t", NODE, "chr_file", perm) for perm in ("getattr", "ioctl")]
    rules += [allow("vllm_t", "tmpfs_t", "filesystem", "mount"), allow("vllm_t", "kernel_t", "fd", "use")]
    first = propose_calls(module(*rules), OWN, policy, installed, Allowance(8))
    again = propose_calls(module(*reversed(rules)), OWN, policy, installed[::-1], Allowance(8))
    assert first[0] == again[0] and render_te(first[1]) == render_te(again[1])


def test_without_a_policy_names_are_taken_as_they_are(installed) -> None:
    source = module(allow("own_t", "kernel_t", "fd", "use"))
    calls, _ = propose_calls(source, None, load_policy("none"), installed, Allowance())
    assert [call.text for call in calls if call.used] == ["kernel_use_fds(own_t)"]


# On a small policy, with interfaces of our own.


def test_what_only_a_boolean_gives_is_not_given(small) -> None:
    """``container_use_data`` gives append; getattr is given outright."""
    source = module(allow("container_t", "data_t", "file", "read"))
    on = small.with_booleans({"container_use_data": True})
    for perm, used in (("getattr", True), ("append", False)):
        found = written(more=f"allow $1 data_t:file {{ read {perm} }};")
        (call,), _ = propose_calls(source, None, on, found, Allowance())
        assert (call.used, call.given, call.extra) == (used, int(used), int(not used))


def test_what_the_base_has_is_given_to_a_domain_that_inherits(small) -> None:
    source = module(allow("own_t", "data_t", "file", "read"))
    found = written(more="allow $1 data_t:file { read getattr };")
    inheriting, starting = OwnDomain("own_t", "container_t", ()), OwnDomain("own_t", None, ())
    assert propose_calls(source, inheriting, small, found, Allowance())[0][0].used
    assert not propose_calls(source, starting, small, found, Allowance())[0][0].used


def test_an_attribute_is_all_its_types_the_modules_own_included(small) -> None:
    own = TypeDeclaration("own_data_t", ("file_type",))
    kinds = ("default_t", "container_file_t", "data_t", "shadow_t", "secret_t", "wide_device_t", "narrow_device_t")
    rules = [allow("container_t", kind, "chr_file", "write") for kind in (*kinds, "own_data_t")]
    found = written(every="allow $1 file_type:chr_file write;", but="allow $1 { file_type -data_t }:chr_file write;")
    calls, _ = propose_calls(module(*rules, types=[own]), None, small, found, Allowance())
    assert [(call.name, call.extra, len(call.rules)) for call in calls] == [("every", 0, 8)]
    calls, _ = propose_calls(module(*rules[:-1], types=[own]), None, small, found, Allowance())
    assert {call.name: call.extra for call in calls} == {"every": 1, "but": 1}


def test_an_interface_of_a_module_that_is_not_there_is_not_proposed(small) -> None:
    rule = allow("container_t", "data_t", "file", "read")
    known = "gen_require(`type data_t; attribute file_type; class file { read }; role system_r;')"
    found = written(
        by_type="gen_require(`type gone_t;') allow $1 data_t:file read;",
        by_attribute="gen_require(`attribute gone;') allow $1 data_t:file read;",
        by_class="gen_require(`class gone { read };') allow $1 data_t:file read;",
        by_perm="gen_require(`class file { gone };') allow $1 data_t:file read;",
        by_role="gen_require(`role gone_r;') allow $1 data_t:file read;",
        by_boolean="gen_require(`bool gone;') allow $1 data_t:file read;",
        in_a_rule="allow $1 data_t:file read; allow $1 gone_t:file read;",
        as_perm="allow $1 data_t:file { read gone };",
        all_but="allow $1 ~shadow_t:file read;",
        there=f"{known} allow $1 data_t:file read;",
    )
    calls, _ = propose_calls(module(rule), None, small, found, Allowance())
    assert [call.name for call in calls] == ["there"]


def test_two_arguments_are_the_source_and_a_target_of_its_rules(small) -> None:
    rules = (allow("container_t", "data_t", "file", "read"), allow("sandbox_t", "secret_t", "file", "read"))
    found = written(pair="allow $1 $2:file read;", turned="allow $2 $1:file read;")
    calls, _ = propose_calls(module(*rules), None, small, found, Allowance())
    assert [call.text for call in calls] == ["pair(container_t, data_t)", "pair(sandbox_t, secret_t)"]


def test_no_call_is_used_that_others_make_needless(small) -> None:
    """The first one would be chosen for its name, and then be in the way of nobody but the reader."""
    rules = [
        allow("container_t", kind, tclass, "read") for kind in ("data_t", "secret_t") for tclass in ("file", "dir")
    ]
    first, left, right = ([rules[1], rules[2]], rules[:2], rules[2:])
    bodies = {"a_first": first, "b_left": left, "c_right": right}
    found = written(
        **{name: " ".join(f"allow $1 {one.target}:{one.tclass} read;" for one in said) for name, said in bodies.items()}
    )
    calls, made = propose_calls(module(*rules), None, small, found, Allowance())
    assert [(call.name, call.used) for call in calls] == [("b_left", True), ("c_right", True)]
    assert "# same as: b_left(container_t); rule 2 of 2\nallow container_t data_t:file" in render_te(made)


def test_rules_on_itself(small) -> None:
    rule = allow("container_t", SELF, "process", "signal")
    found = written(by_self="allow $1 self:process signal;", by_name="allow $1 $1:process { signal transition };")
    calls, made = propose_calls(module(rule), None, small, found, Allowance(1))
    assert [(call.name, call.extra, call.used) for call in calls] == [("by_self", 0, True)]
    calls, made = propose_calls(module(rule), None, small, found[:1], Allowance(1))
    assert [(call.name, call.extra_rules) for call in calls if call.used] == [
        ("by_name", (allow("container_t", SELF, "process", "transition"),))
    ]
    assert made.access.rules == (rule, allow("container_t", SELF, "process", "transition"))


def test_what_a_neverallow_rule_forbids_is_not_bought(small) -> None:
    source = module(allow("container_t", "data_t", "file", "read"))
    found = written(both="allow $1 data_t:file read; allow $1 secret_t:file { read write };")
    (call,), made = propose_calls(source, None, small, found, Allowance(9, frozenset({"all"})))
    assert (call.extra, call.used, call.refused) == (2, False, (NEVERALLOW,))
    assert made == source


def test_commands_stay_narrowed_beside_a_call(small) -> None:
    rule = allow("container_t", "data_t", "chr_file", "ioctl")
    narrow = XpermRule("allowxperm", "container_t", "data_t", "chr_file", "ioctl", (0x4601,))
    source = ModuleSource("vllm", "1.0.0", AccessSet(rules=(rule,), xperms=(narrow,)))
    (call,), made = propose_calls(source, None, small, written(io="allow $1 data_t:chr_file ioctl;"), Allowance())
    assert call.used and made.access.xperms == (narrow,)


# The law, on drawn interfaces and modules.

TARGETS = {
    "data_t": ("data_t",),
    "secret_t": ("secret_t",),
    "container_domain": ("container_t", "sandbox_t", "own_t"),  # an own domain joins what its base has joined
    "$2": ("$2",),
    SELF: (SELF,),
}
PERMS = ("append", "getattr", "ioctl", "open", "read", "write")
Granted = frozenset[tuple[str, str, str, str]]


@dataclass(frozen=True)
class Drawn:
    """An interface as data: rules of (target, class, permissions) from its first parameter."""

    rules: tuple[tuple[str, str, tuple[str, ...]], ...]

    @property
    def parameters(self) -> int:
        return 2 if any(target == "$2" for target, _, _ in self.rules) else 1

    def body(self) -> str:
        return " ".join(f"allow $1 {target}:{tclass} {{ {' '.join(perms)} }};" for target, tclass, perms in self.rules)

    def grants(self, arguments: tuple[str, ...]) -> Granted:
        names = {SELF: arguments[0], "$2": arguments[-1]}
        return frozenset(
            (arguments[0], names.get(target, target), tclass, perm)
            for written_as, tclass, perms in self.rules
            for target in TARGETS[written_as]
            for perm in perms
        )


def rules_on(targets: Iterable[str]) -> st.SearchStrategy[tuple[str, str, tuple[str, ...]]]:
    perms = st.sets(st.sampled_from(PERMS), min_size=1, max_size=3).map(lambda chosen: tuple(sorted(chosen)))
    return st.tuples(st.sampled_from(sorted(targets)), st.sampled_from(("chr_file", "file")), perms)


INTERFACES = st.lists(
    st.lists(rules_on(TARGETS), min_size=1, max_size=3).map(lambda rules: Drawn(tuple(rules))), max_size=8
)
RULES = st.lists(
    st.builds(
        lambda source, rule: AvRule("allow", source, *rule),
        st.sampled_from(("container_t", "own_t")),
        rules_on(("data_t", "secret_t", "sandbox_t", SELF)),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda rule: (rule.source, rule.target, rule.tclass),
)


def grants_of(rule: AvRule) -> Granted:
    target = rule.source if rule.target == SELF else rule.target
    return frozenset((rule.source, target, rule.tclass, perm) for perm in rule.perms)


@given(interfaces=INTERFACES, rules=RULES, most=st.integers(0, 6))
@settings(max_examples=120)
def test_the_law_of_calls(small: TargetPolicy, interfaces: list[Drawn], rules: list[AvRule], most: int) -> None:
    """A call gives, covers and costs what it is said to; exact ones are used, others within the allowance."""
    named = {f"drawn_{number}": one for number, one in enumerate(interfaces)}
    found = written(**{name: one.body() for name, one in named.items()})
    domain = OwnDomain("own_t", "container_t", ())
    source = module(*rules)
    calls, made = propose_calls(source, domain, small, found, Allowance(most, frozenset({"all"})))
    asked = frozenset().union(*map(grants_of, rules))

    def extra(granted: Granted) -> Granted:
        new = granted - asked
        return frozenset(one for one in new if not _given(small, one))

    def covered(granted: Granted) -> set[AvRule]:
        return {rule for rule in rules if grants_of(rule) <= granted}

    for call in calls:
        granted = named[call.name].grants(call.arguments)
        assert set(call.rules) == covered(granted) != set()
        assert call.extra == len(extra(granted))
        assert call.given == len([one for one in granted if _given(small, one)])
        assert call.used or call.extra
    used = [call for call in calls if call.used]
    possible = [(name, arguments) for name, one in named.items() for arguments in _arguments(one, rules)]
    exact = [
        covered(named[name].grants(arguments))
        for name, arguments in possible
        if not extra(named[name].grants(arguments))
    ]
    assert {rule for call in used if not call.extra for rule in call.rules} == set().union(*exact)
    for call in used:
        others = {rule for other in used if other is not call for rule in other.rules}
        assert call.extra or not set(call.rules) <= others
    bought = frozenset().union(*(extra(named[call.name].grants(call.arguments)) for call in used))
    assert len(bought) <= most
    assert frozenset().union(*map(grants_of, made.access.rules)) == asked | bought
    assert set(rules) <= set(made.access.rules)
    assert set(made.same_as) == {rule for call in used for rule in call.rules}


def _given(policy: TargetPolicy, access: tuple[str, str, str, str]) -> bool:
    source, target, tclass, perm = access
    as_base = {"own_t": "container_t"}
    return perm in policy.allowed(as_base.get(source, source), as_base.get(target, target), tclass)


def _arguments(one: Drawn, rules: list[AvRule]) -> set[tuple[str, ...]]:
    if one.parameters == 1:
        return {(rule.source,) for rule in rules}
    return {(rule.source, rule.target) for rule in rules if rule.target not in (SELF, rule.source)}
