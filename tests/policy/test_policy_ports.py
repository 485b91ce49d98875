"""Port contexts: the narrowest entry that covers a port."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.model import Port
from polkit.policy import PortLabel, load_policy


@pytest.mark.parametrize(
    ("protocol", "number", "label"),
    [
        ("tcp", 8005, PortLabel("one_port_t", 8005, 8005)),
        ("tcp", 8000, PortLabel("range_port_t", 8000, 8010)),
        ("tcp", 8010, PortLabel("range_port_t", 8000, 8010)),
        ("tcp", 8011, PortLabel("wide_port_t", 1024, 65535)),
        ("tcp", 80, PortLabel("port_t", 0, 65535)),
        ("udp", 53, PortLabel("udp_port_t", 53, 53)),
        ("udp", 8005, PortLabel("port_t", 0, 65535)),
        ("sctp", 8005, PortLabel("port_t", 0, 65535)),
    ],
)
def test_the_narrowest_entry_wins(compiled, protocol, number, label):
    assert load_policy(str(compiled("ports.cil"))).port_label(Port(protocol, number)) == label


def test_a_policy_without_port_contexts_has_no_answer(compiled):
    policy = load_policy(str(compiled("roles.conf")))
    assert policy.port_label(Port("tcp", 80)) is None
    assert policy.port_entries("port_t") == ()


@given(st.sampled_from(("tcp", "udp", "sctp")), st.integers(0, 65535))
def test_no_entry_of_the_real_policy_is_narrower_than_the_label(real, protocol, number):
    label = real.port_label(Port(protocol, number))
    assert label is not None
    assert label.low <= number <= label.high
    widths = [
        high - low
        for type_ in real.types("port_type")
        for entry_protocol, low, high in real.port_entries(type_)
        if entry_protocol == protocol and low <= number <= high
    ]
    assert label.high - label.low == min(widths, default=65535)


def test_well_known_ports(real):
    assert real.port_label(Port("tcp", 443)).type == "http_port_t"
    assert real.port_label(Port("tcp", 8000)).type == "soundd_port_t"
    assert real.port_label(Port("tcp", 61234)).type == "unreserved_port_t"
    assert ("tcp", 8000, 8000) in real.port_entries("soundd_port_t")
