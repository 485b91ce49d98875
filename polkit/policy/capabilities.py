"""The capabilities of a policy (``policycap``), read from the head of the binary.

setools asks libsepol for a capability's name, and its process dies (4.4.1: segmentation fault) where the policy has one
that is newer than the library. The head is simple to read: libsepol ``policydb_read``, ``ebitmap_read``.
"""

from __future__ import annotations

import struct
from pathlib import Path

from polkit.errors import SourceError
from polkit.policy.binary import policy_version

NETLINK_XPERM = "netlink_xperm"
"""The kernel asks for ``nlmsg`` with the message's type, instead of ``nlmsg_read`` and its like (Linux 6.13)."""

_NAMES = (
    *("network_peer_controls", "open_perms", "extended_socket_class", "always_check_network", "cgroup_seclabel"),
    *("nnp_nosuid_transition", "genfs_seclabel_symlinks", "ioctl_skip_cloexec", "userspace_initial_context"),
    NETLINK_XPERM,
)
"""By number: libsepol ``polcaps.c``, Linux ``security/selinux/include/policycap_names.h``."""
_FIRST_VERSION = 22
"""POLICYDB_VERSION_POLCAP."""
_MOST_NODES = 64


def capabilities(path: Path) -> frozenset[str]:
    """The names of the capabilities that a binary policy has; of one without a name here, its number.

    Raises SourceError when the file can't be read or is no kernel policy.
    """
    if policy_version(path) < _FIRST_VERSION:
        return frozenset()
    try:
        with path.open("rb") as file:
            head = file.read(64 + 12 * _MOST_NODES)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    try:
        return frozenset(_names(head))
    except struct.error as error:
        raise SourceError(f"{path}: a binary policy that ends early") from error


def _names(head: bytes) -> list[str]:
    (length,) = struct.unpack_from("<I", head, 4)
    at = 8 + length + 16  # magic, length, text, then version, settings, and the number of two kinds of tables
    unit, _, nodes = struct.unpack_from("<III", head, at)
    numbers = []
    for node in range(min(nodes, _MOST_NODES)):
        start, bits = struct.unpack_from("<IQ", head, at + 12 + 12 * node)
        numbers += [start + bit for bit in range(unit) if bits >> bit & 1]
    return [_NAMES[number] if number < len(_NAMES) else str(number) for number in numbers]
