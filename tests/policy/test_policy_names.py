"""Nearest names: never the name itself, never more than three, and the ones a person would have meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.model import IDENTIFIER


@given(st.from_regex(IDENTIFIER, fullmatch=True), st.sampled_from(("type", "class", "permission")))
def test_nearest_gives_at_most_three_other_names_of_the_policy(real, name, kind):
    found = real.nearest(kind, name, "file")
    assert len(found) <= 3
    assert len(set(found)) == len(found)
    assert name not in found
    known = {
        "type": lambda n: real.type_name(n) == n,
        "class": real.has_class,
        "permission": real.permissions("file").__contains__,
    }
    assert all(known[kind](one) for one in found)


@given(st.data())
def test_a_known_name_is_not_its_own_neighbour(real, data):
    name = data.draw(st.sampled_from(sorted(real.types("domain"))))
    assert name not in real.nearest("type", name)


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("type", "container_filet", "container_file_t"),
        ("type", "containr_t", "container_t"),
        ("type", "xserver_misc_dev_t", "xserver_misc_device_t"),
        ("type", "nvidia_device_t", "device_t"),
        ("type", "unconfined_service_t", "unconfined_t"),
        ("class", "chrfile", "chr_file"),
        ("class", "tcp_sock", "tcp_socket"),
        ("permission", "reads", "read"),
        ("permission", "get_attr", "getattr"),
    ],
)
def test_the_name_meant_is_among_the_nearest(real, kind, name, expected):
    assert expected in real.nearest(kind, name, "file")


def test_a_name_like_nothing_has_no_neighbours(real):
    assert real.nearest("type", "qqqqzzzz") == ()
    assert real.nearest("permission", "read", "no_such_class") == ()


def test_an_alias_leads_to_the_type_it_stands_for(compiled):
    from polkit.policy import load_policy

    assert load_policy(str(compiled("conditions.conf"))).nearest("type", "oldest_d_t")[0] == "d_t"
