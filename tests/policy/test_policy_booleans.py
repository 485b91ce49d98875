"""What booleans cost, and the state of a host's booleans."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.errors import SourceError
from polkit.model import EQUAL_LEVELS, Party
from polkit.policy import Access, load_policy, read_booleans

ONE_TYPE, EVERY_DEVICE = "container_use_xserver_devices", "container_use_devices"


def test_the_boolean_that_opens_every_device_costs_much_more_than_the_one_for_one_type(real):
    cheap, dear = real.grants_of(((ONE_TYPE, True),)), real.grants_of(((EVERY_DEVICE, True),))
    assert (cheap.domains, cheap.types, cheap.sample) == (1, 1, ("xserver_misc_device_t",))
    assert cheap.accesses <= 8
    assert dear.accesses > 100 * cheap.accesses
    assert dear.types > 90
    assert dear.sample[:2] == ("memory_device_t", "fixed_disk_device_t")
    assert len(dear.sample) == 8


def test_both_booleans_are_offered_for_a_gpu_node(real):
    container = Party("system_u", "system_r", "container_t")
    node = Party("system_u", "object_r", "xserver_misc_device_t")
    verdict = real.decide(Access(container, node, "chr_file", "read", EQUAL_LEVELS))
    assert [found.settings for found in verdict.booleans] == [((EVERY_DEVICE, True),), ((ONE_TYPE, True),)]
    assert (
        real.with_booleans({ONE_TYPE: True}).decide(Access(container, node, "chr_file", "read", EQUAL_LEVELS)).allowed
    )


def test_what_is_allowed_already_costs_nothing(real):
    opened = real.with_booleans({EVERY_DEVICE: True})
    assert opened.grants_of(((ONE_TYPE, True),)).accesses == 0
    assert opened.grants_of(((EVERY_DEVICE, True),)).accesses == 0
    assert real.grants_of(()).accesses == 0
    assert real.grants_of((("no_such_boolean", True),)).accesses == 0


def test_two_booleans_are_counted_together(real):
    first, second = ("polkit_first", True), ("polkit_second", True)
    assert real.grants_of((first,)).accesses == real.grants_of((second,)).accesses == 0
    assert real.grants_of((first, second)).accesses == 2


def test_the_count_is_the_difference_of_what_the_policy_allows(compiled):
    """Held against a count of every access of a small policy, for every set of booleans."""
    policy = load_policy(str(compiled("conditions.conf")))
    types = ("a_t", "b_t", "d_t", "e_t")
    for changes in ({"one": True}, {"two": True}, {"three": False}, {"one": True, "two": True}):
        after = policy.with_booleans(changes)
        new = [
            (source, target, tclass, perm)
            for source in types
            for target in types
            for tclass in ("file", "process")
            for perm in after.allowed(source, target, tclass) - policy.allowed(source, target, tclass)
        ]
        grants = policy.grants_of(tuple(sorted(changes.items())))
        assert grants.accesses == len(new)
        assert grants.domains == len({source for source, _, _, _ in new})
        assert grants.types == len({target for _, target, _, _ in new})


def test_structural_is_what_joining_attributes_gives_others(compiled, real):
    policy = load_policy(str(compiled("conditions.conf")))
    assert policy.structural(("data",)).accesses == 2, "a_t and b_t, `plain`"
    assert policy.with_booleans({"one": True, "two": True}).structural(("data",)).accesses == 3, "and a_t, `both`"
    assert policy.structural(()).accesses == 0
    files = real.structural(("file_type",))
    assert files.domains > 100
    assert files.types == 1


@given(st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,20}", fullmatch=True), st.booleans()))
def test_getsebool_output_is_read_back(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("booleans") / "booleans"
    path.write_text("".join(f"{name} --> {'on' if value else 'off'}\n" for name, value in state.items()))
    assert read_booleans(path) == state


def test_a_pending_value_does_not_count_yet(tmp_path):
    path = tmp_path / "booleans"
    path.write_text("a --> off pending: on\n\nb --> on\n")
    assert read_booleans(path) == {"a": False, "b": True}


@pytest.mark.parametrize("line", ["a on", "a --> maybe", "<b> --> on", "a --> on; rm", "a --> off\nA --> on\na --> on"])
def test_nonsense_is_refused_with_its_line(tmp_path, line):
    path = tmp_path / "booleans"
    path.write_text(f"first --> on\n{line}\n")
    with pytest.raises(SourceError, match=rf"{path}:[2-4]: "):
        read_booleans(path)


def test_unreadable_files_are_source_errors(tmp_path):
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none", tmp_path, binary):
        with pytest.raises(SourceError):
            read_booleans(path)


def test_what_no_boolean_takes_away_is_always_allowed(compiled):
    """No two conditions of this policy give one permission between them in every state."""
    policy = load_policy(str(compiled("conditions.conf")))
    states = [
        policy.with_booleans(dict(zip(("one", "two", "three"), values))) for values in product((False, True), repeat=3)
    ]
    types = ("a_t", "b_t", "old_d_t", "e_t")
    for source, target, tclass in product(types, types, ("file", "process")):
        in_all = frozenset.intersection(*(state.allowed(source, target, tclass) for state in states))
        assert {state.always_allowed(source, target, tclass) for state in states} == {in_all}
    assert policy.always_allowed("a_t", "d_t", "file") == {"plain"}
