"""The difference of two policies, against expanding both altogether."""

from __future__ import annotations

import subprocess
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.errors import PolkitError
from polkit.model import Xperm
from polkit.policy.commands import EVERY_COMMAND, bitset, ranges
from polkit.policy.difference import RuleDifference, compare_rules
from polkit.policy.locate import PolicyFiles
from polkit.policy.rules import Rules
from polkit.policy.statements import read_statements
from polkit.policy.target import load

HEAD = """
(handleunknown allow)(mls false)(sid kernel)(sidorder (kernel))
(class file (read write ioctl))(class dir (read search))(classorder (file dir))
(user u)(role r)(roletype r t0)(userrole u r)
(sensitivity s0)(sensitivityorder (s0))(category c0)(categoryorder (c0))(sensitivitycategory s0 (c0))
(userlevel u (s0))(userrange u ((s0) (s0)))(sidcontext kernel (u r t0 ((s0) (s0))))
(boolean b0 false)(boolean b1 true)
(type always)(allow always always (dir (read)))
"""
ATTRIBUTES = ("a0", "a1", "a2")
CONDITIONS = ("b0", "(not b0)", "(and b0 b1)", "(or b0 b1)", "(xor b0 b1)")
COMMANDS = (1, 2, 0xFF, 0xFFFF)


def compiled(cil: str) -> Rules:
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "p.cil").write_text(cil)
        command = ["secilc", "-N", "-c", "31", "-o", "p", "-f", "/dev/null", "p.cil"]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr + cil
        return load(PolicyFiles(Path(scratch) / "p", None, None, None, None), to_cache=False).rules


@st.composite
def policies(draw: Any, types: int) -> str:
    names = [f"t{number}" for number in range(types)]
    lines = [HEAD, *(f"(type {name})" for name in names)]
    for attribute in ATTRIBUTES:
        members = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
        lines.append(f"(typeattribute {attribute})(typeattributeset {attribute} ({' '.join(members)}))")
    side = st.sampled_from([*names, *ATTRIBUTES])
    for _ in range(draw(st.integers(0, 6))):
        tclass, perms = draw(st.sampled_from([("file", ("read", "write", "ioctl")), ("dir", ("read", "search"))]))
        given_ = draw(st.lists(st.sampled_from(perms), min_size=1, unique=True))
        target = draw(st.one_of(side, st.just("self")))
        rule = f"(allow {draw(side)} {target} ({tclass} ({' '.join(given_)})))"
        condition = draw(st.one_of(st.none(), st.sampled_from(CONDITIONS)))
        block = draw(st.sampled_from(("true", "false")))
        lines.append(rule if condition is None else f"(booleanif {condition} ({block} {rule}))")
    for _ in range(draw(st.integers(0, 2))):
        number = draw(st.sampled_from(COMMANDS))
        kind = draw(st.sampled_from(("allowx", "allowx", "auditallowx")))
        lines.append(f"({kind} {draw(side)} {draw(side)} (ioctl file ({number})))")
    return "\n".join(lines)


def expanded(rules: Rules) -> set[tuple[str, ...]]:
    """Every access in every state of the booleans; an ioctl once for each command that is let through."""
    found: set[tuple[str, ...]] = set()
    types = rules.facts.attributes
    for values in product((False, True), repeat=2):
        state = rules.with_state(dict(zip(("b0", "b1"), values)))
        for source, target, tclass in product(types, types, ("file", "dir")):
            perms = rules.index.perms(tclass, state.allowed(source, target, tclass))
            found.update((str(values), source, target, tclass, perm, "") for perm in perms)
            if "ioctl" in perms:
                found.update(
                    (str(values), source, target, tclass, "ioctl", str(number))
                    for number in COMMANDS
                    if not state.xperm_refused(source, target, tclass, Xperm("ioctl", number))
                )
    return found


def without_states(accesses: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    return {one[1:] for one in accesses}


def as_accesses(difference: RuleDifference, way: str) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    """The permissions of a direction, and the commands where a rule on them has a say."""
    changes, xperms = getattr(difference, way), getattr(difference, f"{way}_xperms")
    perms = {(*one[:3], perm, "") for one in changes for perm in one.perms}
    commands = {(*one[:4], str(number)) for one in xperms for number in COMMANDS if bitset(one.numbers) & 1 << number}
    return perms, commands


@settings(max_examples=150)
@given(old=policies(types=4), new=policies(types=5))
def test_the_difference_is_that_of_both_policies_expanded(old: str, new: str) -> None:
    one, other = compiled(old), compiled(new)
    difference = compare_rules(one, other)
    before, after = expanded(one), expanded(other)
    for way, more, less in (("gained", after, before), ("lost", before, after)):
        expected = without_states(more - less)
        perms, commands = as_accesses(difference, way)
        assert perms == {access for access in expected if not access[-1]}, way
        # Commands stand apart only where a rule narrows them; an ioctl gained or lost whole is in `perms` alone.
        whole = {(*access[:4], str(number)) for access in perms if access[3] == "ioctl" for number in COMMANDS}
        numbered = {access for access in expected if access[-1]}
        assert numbered <= commands | whole, way
        assert commands <= numbered, way


@settings(max_examples=40)
@given(policy=policies(types=4))
def test_a_policy_does_not_differ_from_itself(policy: str) -> None:
    rules = compiled(policy)
    assert compare_rules(rules, rules) == RuleDifference((), (), (), (), (), ())
    assert compare_rules(rules, compiled(policy)) == RuleDifference((), (), (), (), (), ())


BASE = HEAD + "(type t0)(type t1)(type t2)(typeattribute a)(typeattributeset a (t0 t1))(allow a t2 (file (read)))"


@pytest.mark.parametrize(
    ("more", "gained", "lost"),
    [
        ("(allow t0 t2 (file (read)))", [], []),  # the attribute gives it already
        ("(allow t0 t2 (file (write)))", [("t0", "t2", "file", "", ("write",))], []),
        ("(booleanif b0 (true (allow t0 t2 (file (write)))))", [("t0", "t2", "file", "b0", ("write",))], []),
        ("(booleanif b0 (false (allow t0 t2 (file (write)))))", [("t0", "t2", "file", "!b0", ("write",))], []),
        ("(booleanif b0 (true (allow t0 t2 (file (read)))))", [], []),
        ("(typeattributeset a (t2))", [("t2", "t2", "file", "", ("read",))], []),
        ("(type n)(typeattributeset a (n))", [("n", "t2", "file", "", ("read",))], []),
    ],
)
def test_what_a_statement_gives(more: str, gained: list[Any], lost: list[Any]) -> None:
    difference = compare_rules(compiled(BASE), compiled(BASE + more))
    assert list(difference.gained) == gained
    assert list(difference.lost) == lost


def test_a_condition_that_is_always_true_is_none() -> None:
    both = "(booleanif b0 (true (allow t0 t2 (file (write)))) (false (allow t0 t2 (file (write)))))"
    plain = compiled(BASE + "(allow t0 t2 (file (write)))")
    split = compiled(BASE + both)
    assert compare_rules(plain, split) == RuleDifference((), (), (), (), (), ())
    assert compare_rules(split, plain) == RuleDifference((), (), (), (), (), ())


def test_an_allowxperm_takes_the_other_commands_away() -> None:
    before = compiled(BASE + "(allow t0 t2 (file (ioctl)))")
    after = compiled(BASE + "(allow t0 t2 (file (ioctl)))(allowx t0 t2 (ioctl file (0x4611)))")
    difference = compare_rules(before, after)
    assert difference.gained == difference.lost == difference.gained_xperms == ()
    (lost,) = difference.lost_xperms
    assert lost.numbers == ((0, 0x4610), (0x4612, 0xFFFF))
    assert compare_rules(after, before).gained_xperms == (lost,)


def test_memberships_of_known_types_in_known_attributes() -> None:
    difference = compare_rules(compiled(BASE), compiled(BASE + "(typeattributeset a (t2))"))
    assert difference.joined == (("t2", "a"),)
    assert difference.left == ()


def test_too_many_booleans_are_not_guessed_at() -> None:
    names = [f"x{number}" for number in range(14)]
    declared = "".join(f"(boolean {name} false)" for name in names)
    chain = names[0]
    for name in names[1:]:
        chain = f"(and {chain} {name})"
    after = BASE + declared + f"(booleanif {chain} (true (allow t0 t2 (file (write)))))"
    with pytest.raises(PolkitError, match="14 booleans"):
        compare_rules(compiled(BASE), compiled(after))


@given(st.sets(st.integers(0, 0xFFFF), max_size=30))
def test_ranges_hold_exactly_the_numbers(numbers: set[int]) -> None:
    bits = sum(1 << number for number in numbers)
    found = ranges(bits)
    assert bitset(found) == bits
    assert {number for first, last in found for number in range(first, last + 1)} == numbers
    assert all(second[0] > first[1] + 1 for first, second in zip(found, found[1:]))


def test_every_command_is_one_range() -> None:
    assert ranges(EVERY_COMMAND) == ((0, 0xFFFF),)
    assert ranges(0) == ()


def test_statements_name_what_is_no_access_rule(tmp_path: Path) -> None:
    more = (
        "(typepermissive t1)(typealias old)(typealiasactual old t1)(roletype r t2)(role q)(roleallow r q)"
        "(typetransition t0 t1 file t2)(dontaudit t0 t1 (file (read)))(boolean b2 false)"
        "(booleanif b2 (true (allow t0 t1 (file (read)))))"
    )
    texts = []
    for number, cil in enumerate((BASE, BASE + more)):
        (tmp_path / "p.cil").write_text(cil)
        subprocess.run(
            ["secilc", "-N", "-c", "31", "-o", f"p{number}", "-f", "/dev/null", "p.cil"], cwd=tmp_path, check=True
        )
        texts.append(read_statements(tmp_path / f"p{number}"))
    assert texts[0] < texts[1]
    assert sorted(texts[1] - texts[0]) == [
        "allow r q;",
        "bool b2 false;",
        "dontaudit t0 t1:file read;",
        "permissive t1;",
        "role r types t2;",
        "type_transition t0 t1:file t2;",
        "typealias t1 alias old;",
    ]
