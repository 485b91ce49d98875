"""Extended permissions of compiled policies, against the kernel's own algorithm on the rules they were compiled from.

libsepol, the oracle of everything else, knows none. So random rules are compiled, read back and decided, and the same
rules are put through what ``security/selinux/avc.c`` and ``ss/services.c`` (Linux 6.13) do with them, step by step:
nodes of 256 commands, drivers that are flagged, a decision for each driver.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.model import EQUAL_LEVELS, Party, Xperm
from polkit.policy import EVERY_COMMAND, Access, TargetPolicy, bitset, load_policy, ranges
from polkit.policy.commands import set_of
from polkit.policy.decide import decide
from polkit.policy.difference import Commands
from polkit.policy.index import XpermRule
from polkit.policy.rules import Rules

TYPES = ("t0", "t1", "t2")
ATTRIBUTES = {"a0": ("t0", "t1"), "a1": ("t1", "t2")}
CLASSES = ("file", "chr_file")
KINDS = {"allowx": "allowxperm", "dontauditx": "dontauditxperm", "auditallowx": "auditallowxperm"}
HEAD = """
(handleunknown allow)(mls false)(sid kernel)(sidorder (kernel))
(class file (read ioctl))(class chr_file (read ioctl))(classorder (file chr_file))
(user u)(role r)(userrole u r)
(sensitivity s0)(sensitivityorder (s0))(category c0)(categoryorder (c0))(sensitivitycategory s0 (c0))
(userlevel u (s0))(userrange u ((s0) (s0)))(sidcontext kernel (u r t0 ((s0) (s0))))
(type t0)(type t1)(type t2)(roletype r t0)(roletype r t1)(roletype r t2)
(allow t0 t0 (file (read)))
(typeattribute a0)(typeattributeset a0 (t0 t1))(typeattribute a1)(typeattributeset a1 (t1 t2))
"""


class Drawn(NamedTuple):
    """A rule: of a kind of KINDS, or ``allow`` of ioctl with no ranges."""

    kind: str
    source: str
    target: str
    tclass: str
    operation: str = "ioctl"
    numbers: tuple[tuple[int, int], ...] = ()

    def cil(self) -> str:
        if self.kind == "allow":
            return f"(allow {self.source} {self.target} ({self.tclass} (ioctl)))"
        told = " ".join(f"(range {low:#x} {high:#x})" if low < high else f"{low:#x}" for low, high in self.numbers)
        return f"({self.kind} {self.source} {self.target} (ioctl {self.tclass} ({told})))"

    def covers(self, source: str, target: str, tclass: str) -> bool:
        targets = (source,) if self.target == "self" else ATTRIBUTES.get(self.target, (self.target,))
        return tclass == self.tclass and source in ATTRIBUTES.get(self.source, (self.source,)) and target in targets


# The kernel.


class Node(NamedTuple):
    """An entry of the access vector table: AVTAB_XPERMS_IOCTLDRIVER where ``driver`` is None, else _IOCTLFUNCTION (or
    _NLMSG). ``perms`` is a set of drivers, or of the commands of one driver."""

    kind: str
    operation: str
    driver: int | None
    perms: frozenset[int]


def nodes_of(rule: Drawn) -> Iterator[Node]:
    """As a compiler writes the rule: drivers of which all is named in one node, any other driver in one of its own."""
    named = {number for low, high in rule.numbers for number in range(low, high + 1)}
    by_driver: dict[int, set[int]] = {}
    for number in named:
        by_driver.setdefault(number >> 8, set()).add(number & 0xFF)
    whole = frozenset(driver for driver, perms in by_driver.items() if len(perms) == 256 and rule.operation == "ioctl")
    if whole:
        yield Node(rule.kind, rule.operation, None, whole)
    for driver in by_driver.keys() - whole:
        yield Node(rule.kind, rule.operation, driver, frozenset(by_driver[driver]))


@dataclass
class Kernel:
    """What is computed for one source, target and class: ``struct extended_perms`` and the decisions."""

    nodes: list[Node]

    def allows(self, operation: str, number: int) -> bool:
        """``avc_has_extended_perms``; that the permission itself is allowed goes without saying here."""
        drivers: set[int] = set()
        base_perms: set[str] = set()
        for node in self.nodes:  # services_compute_xperms_drivers
            drivers |= node.perms if node.driver is None else {node.driver}
            base_perms.add(node.operation)
        if not self.nodes:  # xp.len
            return True
        if number >> 8 not in drivers or operation not in base_perms:
            return False
        return number & 0xFF in self.decision(operation, number >> 8, "allowx")

    def decision(self, operation: str, driver: int, kind: str) -> set[int]:
        """``services_compute_xperms_decision`` over all nodes: the commands of one driver that a kind of rule names."""
        found: set[int] = set()
        for node in self.nodes:
            if node.operation == operation and node.kind == kind:
                if node.driver is None and driver in node.perms:
                    found |= set(range(256))
                elif node.driver == driver:
                    found |= node.perms
        return found


def kernel_for(rules: list[Drawn], source: str, target: str, tclass: str) -> Kernel:
    covering = [rule for rule in rules if rule.kind != "allow" and rule.covers(source, target, tclass)]
    return Kernel([node for rule in covering for node in nodes_of(rule)])


# What is drawn.

EDGES = st.sampled_from(
    (0, 1, 0xFE, 0xFF, 0x100, 0x45FF, 0x4600, 0x46FF, 0x4700, 0x47FF, 0x5401, 0xFEFF, 0xFF00, 0xFFFF)
)
NUMBER = EDGES | st.integers(0, 0xFFFF)
RANGE = st.one_of(
    NUMBER.map(lambda number: (number, number)),
    st.tuples(NUMBER, NUMBER).map(lambda pair: (min(pair), max(pair))),
    st.tuples(st.integers(0, 255), st.integers(0, 3)).map(
        lambda one: (one[0] << 8, min(one[0] + one[1], 255) << 8 | 0xFF)
    ),
)
SIDE = st.sampled_from((*TYPES, *ATTRIBUTES))


def drawn(kinds: tuple[str, ...], operations: tuple[str, ...] = ("ioctl",)) -> st.SearchStrategy[Drawn]:
    ranges_ = st.lists(RANGE, min_size=1, max_size=4).map(tuple)
    sides = (SIDE, SIDE | st.just("self"), st.sampled_from(CLASSES))
    return st.builds(Drawn, st.sampled_from(kinds), *sides, st.sampled_from(operations), ranges_)


ALLOWS = st.lists(
    st.builds(Drawn, st.just("allow"), SIDE, SIDE | st.just("self"), st.sampled_from(CLASSES)), max_size=6
)


def compiled(rules: list[Drawn]) -> TargetPolicy:
    with tempfile.TemporaryDirectory() as scratch:
        source, binary = Path(scratch) / "p.cil", Path(scratch) / "p"
        source.write_text(HEAD + "\n".join(rule.cil() for rule in rules))
        command = ["secilc", "-N", "-c", "31", "-o", binary, "-f", "/dev/null", source]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, done.stdout
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("POLKIT_CACHE", "off")
            return load_policy(str(binary))


def telling(rules: list[Drawn]) -> list[int]:
    """Commands at and beside every edge of the rules."""
    edges = {0, 0xFFFF, 0x1234}
    for rule in rules:
        for low, high in rule.numbers:
            edges.update((low - 1, low, low | 0xFF, high & 0xFF00, high, high + 1))
    return sorted(number for number in edges if 0 <= number <= 0xFFFF)


def ioctl(source: str, target: str, tclass: str, number: int) -> Access:
    one, two = Party("u", "r", source), Party("u", "object_r", target)
    return Access(one, two, tclass, "ioctl", EQUAL_LEVELS, Xperm("ioctl", number))


def check_decisions(policy: TargetPolicy, rules: list[Drawn]) -> None:
    for source, target, tclass in product(TYPES, TYPES, CLASSES):
        kernel = kernel_for(rules, source, target, tclass)
        given = any(rule.kind == "allow" and rule.covers(source, target, tclass) for rule in rules)
        assert policy.has_xperm_rule(source, target, tclass) == bool(kernel.nodes)
        for number in telling(rules):
            verdict = policy.decide(ioctl(source, target, tclass, number))
            lets = kernel.allows("ioctl", number)
            silenced = number & 0xFF in kernel.decision("ioctl", number >> 8, "dontauditx")
            said = (verdict.allowed, verdict.xperm_refused, verdict.dontaudit)
            assert said == (given and lets, given and not lets, silenced), (source, target, tclass, hex(number))


@settings(max_examples=60)
@given(rules=st.lists(drawn(("allowx", "allowx", "dontauditx", "auditallowx")), max_size=5), allows=ALLOWS)
def test_compiled_rules_are_decided_as_the_kernel_does(rules, allows):
    check_decisions(compiled([*allows, *rules]), [*allows, *rules])


@pytest.mark.heavy
@settings(max_examples=300)
@given(rules=st.lists(drawn(("allowx", "allowx", "dontauditx", "auditallowx")), max_size=12), allows=ALLOWS)
def test_many_compiled_rules_are_decided_as_the_kernel_does(rules, allows):
    check_decisions(compiled([*allows, *rules]), [*allows, *rules])


@settings(max_examples=30)
@given(rules=st.lists(drawn(("allowx", "dontauditx", "auditallowx")), max_size=6))
def test_what_is_let_through_in_all_is_what_is_let_through_one_by_one(rules):
    """As a set of commands, which is how policies are compared."""
    everywhere = [Drawn("allow", one, two, tclass) for one, two, tclass in product(TYPES, TYPES, CLASSES)]
    policy = compiled([*everywhere, *rules])
    for source, target, tclass in product(TYPES, TYPES, CLASSES):
        allowed = Commands(policy.rules, (source, target, tclass), "ioctl").allowed({})
        kernel = kernel_for(rules, source, target, tclass)
        given = {driver << 8 | one for driver in range(256) for one in kernel.decision("ioctl", driver, "allowx")}
        assert allowed == (set_of(given) if kernel.nodes else EVERY_COMMAND), (source, target, tclass)


# nlmsg: libsepol compiles it from 3.8 on only, so the rules are put into a policy that was read.


def with_rules(policy: TargetPolicy, rules: list[Drawn]) -> Rules:
    table: dict[str, dict[str, dict[str, list[XpermRule]]]] = {}
    for rule in rules:
        numbers = frozenset(number for low, high in rule.numbers for number in range(low, high + 1))
        made = XpermRule(KINDS[rule.kind], rule.operation, numbers, None, True)
        for source, target in product(TYPES, TYPES):
            if rule.covers(source, target, rule.tclass):
                table.setdefault(rule.tclass, {}).setdefault(source, {}).setdefault(target, []).append(made)
    return replace(policy.rules, index=replace(policy.rules.index, xperms=table))


@pytest.fixture(scope="module")
def open_policy() -> TargetPolicy:
    """Every ioctl is given to all."""
    return compiled([Drawn("allow", one, two, tclass) for one, two, tclass in product(TYPES, TYPES, CLASSES)])


@settings(max_examples=100)
@given(rules=st.lists(drawn(tuple(KINDS), ("ioctl", "nlmsg")), max_size=4))
def test_a_rule_of_one_operation_closes_the_list_of_the_other(rules, open_policy):
    changed = with_rules(open_policy, rules)
    for source, target, tclass in product(TYPES, TYPES, CLASSES):
        kernel = kernel_for(rules, source, target, tclass)
        for number, operation in product(telling(rules), ("ioctl", "nlmsg")):
            refused = changed.xperm_refused(source, target, tclass, Xperm(operation, number))
            assert refused != kernel.allows(operation, number), (source, target, tclass, operation, hex(number))
            if operation == "ioctl":
                assert decide(changed, ioctl(source, target, tclass, number)).allowed != refused


# Sets of commands.

SETS = st.lists(RANGE, max_size=4).map(lambda pairs: {number for low, high in pairs for number in range(low, high + 1)})


@settings(max_examples=50)
@given(numbers=SETS)
def test_a_set_and_its_ranges_are_the_same(numbers):
    commands = set_of(numbers)
    found = ranges(commands)
    assert bitset(found) == commands
    assert {number for low, high in found for number in range(low, high + 1)} == numbers
    assert all(low <= high for low, high in found)
    assert all(one[1] + 1 < two[0] for one, two in zip(found, found[1:])), "sorted, and none that touch"


@settings(max_examples=30)
@given(one=SETS, two=SETS)
def test_sets_join_and_part_as_sets_do(one, two):
    assert set_of(one) | set_of(two) == set_of(one | two)
    assert set_of(one) & ~set_of(two) == set_of(one - two)
    assert EVERY_COMMAND & ~set_of(one) == set_of(set(range(0x10000)) - one)
