"""Policies that speak of netlink messages: newer than the installed setools and libsepol may be."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import setools

from polkit.errors import SourceError
from polkit.policy import load_policy
from polkit.policy.capabilities import capabilities
from polkit.policy.statements import read_statements

SOURCE = """
(handleunknown allow) (mls false) (policycap open_perms)
(class netlink_route_socket (ioctl nlmsg)) (classorder (netlink_route_socket))
(sid kernel) (sidorder (kernel)) (user u) (role r) (userrole u r) (type a) (roletype r a)
(sensitivity s0) (sensitivityorder (s0)) (userlevel u (s0)) (userrange u ((s0) (s0)))
(sidcontext kernel (u r a ((s0) (s0))))
(allow a self (netlink_route_socket (ioctl nlmsg)))
(allowx a self (ioctl netlink_route_socket (0x46d6)))
"""
NETLINK_XPERM, NLMSG, IOCTL_FUNCTION = 9, 3, 1


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    """A policy with one rule on an ioctl command and one capability."""
    (tmp_path / "p.cil").write_text(SOURCE)
    command = ["secilc", "-c", "31", "-o", tmp_path / "p", "-f", "/dev/null", tmp_path / "p.cil"]
    subprocess.run(command, check=True)
    return tmp_path / "p"


def patched(binary: Path, old: bytes, new: bytes) -> Path:
    """The first of the places that read ``old`` made to read ``new``."""
    data = binary.read_bytes()
    assert old in data
    binary.write_bytes(data.replace(old, new, 1))
    return binary


def with_nlmsg_rule(binary: Path) -> Path:
    """The rule made one on nlmsg commands, as libsepol 3.8 writes it (``struct avtab_extended_perms``)."""
    rest = bytes([0x46]) + bytes(24) + (1 << 22).to_bytes(4, "little") + bytes(4)
    return patched(binary, bytes([IOCTL_FUNCTION]) + rest, bytes([NLMSG]) + rest)


def with_capability(binary: Path, number: int) -> Path:
    """One more capability, whether or not the installed libsepol knows it."""
    one, two = 1 << 1, 1 << 1 | 1 << number
    head = (64).to_bytes(4, "little") * 2 + (1).to_bytes(4, "little") + bytes(4)
    return patched(binary, head + one.to_bytes(8, "little"), head + two.to_bytes(8, "little"))


def test_rules_on_nlmsg_commands_that_setools_cannot_read_are_an_error_in_one_line(binary: Path) -> None:
    with_nlmsg_rule(binary)
    try:
        rules = [str(rule) for rule in setools.SELinuxPolicy(str(binary)).terules()]
    except setools.exception.LowLevelPolicyError:
        with pytest.raises(SourceError, match="rules that this setools can't read") as caught:
            load_policy(str(binary))
        assert "nlmsg" in str(caught.value.hint)
    else:
        assert any("nlmsg" in rule for rule in rules)
        assert load_policy(str(binary)).has_xperm_rule("a", "a", "netlink_route_socket")


def test_a_capability_that_the_library_does_not_know_is_named(binary: Path) -> None:
    """setools would end the whole process here."""
    assert capabilities(binary) == {"open_perms"}
    with_capability(binary, NETLINK_XPERM)
    assert capabilities(binary) == {"open_perms", "netlink_xperm"}
    statements = {text for text in read_statements(binary) if text.startswith("policycap")}
    assert statements == {"policycap open_perms;", "policycap netlink_xperm;"}
    assert capabilities(with_capability_at_the_end(binary)) == {"open_perms", "netlink_xperm", "63"}


def with_capability_at_the_end(binary: Path) -> Path:
    two, three = 1 << 1 | 1 << NETLINK_XPERM, 1 << 1 | 1 << NETLINK_XPERM | 1 << 63
    return patched(binary, two.to_bytes(8, "little"), three.to_bytes(8, "little"))


def test_the_capabilities_of_the_real_policy_are_those_that_setools_lists(binary_policy: Path) -> None:
    listed = {policycap.name for policycap in setools.SELinuxPolicy(str(binary_policy)).polcaps()}
    assert capabilities(binary_policy) == listed
    assert "open_perms" in listed


def test_a_policy_that_ends_in_its_head_is_an_error(binary: Path) -> None:
    binary.write_bytes(binary.read_bytes()[:48])
    with pytest.raises(SourceError, match="ends early"):
        capabilities(binary)
