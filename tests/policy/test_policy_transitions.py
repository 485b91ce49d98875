"""The type of a new object."""

from __future__ import annotations

import re
import subprocess

import pytest

from polkit.policy import TargetPolicy, load_policy


@pytest.fixture(scope="module")
def small(compiled) -> TargetPolicy:
    return load_policy(str(compiled("transitions.conf")))


@pytest.mark.parametrize(
    ("source", "target", "tclass", "booleans", "type_"),
    [
        ("a_t", "tmp_t", "file", {}, "new_t"),
        ("b_t", "tmp_t", "file", {}, "new_t"),
        ("b_t", "old_tmp_t", "file", {}, "new_t"),
        ("new_t", "tmp_t", "file", {}, None),
        ("a_t", "tmp_t", "dir", {}, None),
        ("a_t", "b_exec_t", "process", {}, "b_t"),
        ("b_t", "b_exec_t", "process", {}, None),
        ("a_t", "new_t", "file", {}, "other_t"),
        ("a_t", "new_t", "file", {"one": True}, "named_t"),
        ("a_t", "nowhere_t", "file", {}, None),
    ],
)
def test_the_type_of_a_new_object(small, source, target, tclass, booleans, type_):
    assert small.with_booleans(booleans).transition(source, target, tclass) == type_


def test_without_a_policy_nothing_is_known():
    assert load_policy("none").transition("a_t", "tmp_t", "file") is None


def test_it_is_what_sesearch_says_of_the_real_policy(real, binary_policy):
    command = ["sesearch", "-T", "-s", "initrc_t", str(binary_policy)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    rules = re.findall(r"^type_transition (\w+) (\w+):(\w+) (\w+);$", said, re.MULTILINE)
    assert len(rules) > 100
    for source, target, tclass, type_ in rules:
        assert real.transition(source, target, tclass) == type_
