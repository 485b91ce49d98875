"""Where rules give every command of an operation, so that an allowxperm would take commands away."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from polkit.policy import TargetPolicy, load_policy

TYPES = ("a_t", "b_t", "c_t", "d_t", "e_t", "f_t")
BOOLEANS = ("one", "two", "three")


@pytest.fixture(scope="module")
def small(compiled) -> TargetPolicy:
    return load_policy(str(compiled("unlimited.conf")))


def states() -> Iterator[dict[str, bool]]:
    for values in product((False, True), repeat=len(BOOLEANS)):
        yield dict(zip(BOOLEANS, values))


def gives_all(policy: TargetPolicy, source: str, target: str, tclass: str, operation: str) -> bool:
    """The plain reading: the permission is allowed, and no rule on extended permissions stands beside it."""
    given = operation in policy.allowed(source, target, tclass)
    return given and not policy.has_xperm_rule(source, target, tclass)


def test_it_is_what_every_state_of_the_booleans_says(small):
    found = set()
    for source, target, tclass, operation in product(TYPES, TYPES, ("file", "chr_file"), ("ioctl", "nlmsg")):
        key = (source, target, tclass, operation)
        ever = any(gives_all(small.with_booleans(state), *key) for state in states())
        for state in states():
            policy = small.with_booleans(state)
            answer = policy.unlimited(*key, {})
            assert (answer is not None) == ever, key
            assert answer is None or answer.now == gives_all(policy, *key), (key, state)
            found.add((answer is None, answer is not None and answer.now, answer is not None and answer.condition))
    assert {(False, True, ""), (False, False, "one"), (False, True, "one"), (True, False, False)} <= found


@pytest.mark.parametrize(
    ("source", "target", "tclass", "condition"),
    [
        ("a_t", "d_t", "file", ""),
        ("a_t", "e_t", "chr_file", "one"),
        ("b_t", "e_t", "chr_file", "two"),
        ("b_t", "d_t", "chr_file", ""),
        ("c_t", "d_t", "file", "(one && !two) || three"),
        ("a_t", "f_t", "file", None),
        ("b_t", "f_t", "file", None),
        ("c_t", "e_t", "chr_file", None),
    ],
)
def test_the_condition_is_named(small, source, target, tclass, condition):
    answer = small.unlimited(source, target, tclass, "ioctl", {})
    assert (None if answer is None else answer.condition) == condition


def test_a_new_type_has_what_its_attributes_give(small):
    assert small.unlimited("a_t", "own_t", "chr_file", "ioctl", {}) is None
    assert small.unlimited("a_t", "own_t", "chr_file", "ioctl", {"own_t": ("devices",)}).condition == "one"
    assert small.unlimited("own_t", "e_t", "chr_file", "nlmsg", {"own_t": ("domains",)}).now
    assert small.unlimited("own_t", "new_t", "chr_file", "nlmsg", {"own_t": ("domains",), "new_t": ("devices",)}).now


def test_without_a_policy_nothing_is_known_to_be_given():
    assert load_policy("none").unlimited("a_t", "d_t", "file", "ioctl", {}) is None


def test_the_devices_of_the_real_policy(real):
    """The boolean for every device gives every command; a list that the policy itself keeps does not."""
    gpu = real.unlimited("container_t", "xserver_misc_device_t", "chr_file", "ioctl", {})
    assert (gpu.now, gpu.condition) == (False, "container_use_devices || container_use_xserver_devices")
    assert (
        real.with_booleans({"container_use_devices": True})
        .unlimited("container_t", "xserver_misc_device_t", "chr_file", "ioctl", {})
        .now
    )
    assert real.unlimited("container_t", "null_device_t", "chr_file", "ioctl", {}).condition == ""
