"""A binary policy file: telling what it is, and opening it."""

from __future__ import annotations

import struct
from pathlib import Path

from polkit.errors import SourceError
from polkit.policy.noise import caught_stderr
from polkit.policy.protocols import SetoolsPolicy, import_setools

_KERNEL_POLICY_MAGIC = 0xF97CFF8C
_MODULE_MAGICS = (0xF97CFF8D, 0xF97CFF8F)
"""A policy module and a policy package (libsepol ``policydb.h``)."""
HOW_TO_GET_ONE = (
    "name one with --policy: a binary policy (on the target host: /etc/selinux/NAME/policy/policy.NN) or a directory "
    "that holds etc/selinux; or install your distribution's (selinux-policy-default, selinux-policy-targeted); "
    "--policy none works without, and says what is then unknown"
)


def policy_version(path: Path) -> int:
    """The format version in the head of a binary policy.

    Raises SourceError when the file can't be read or is no kernel policy (libsepol ``policydb_read``: magic number,
    length and text of the target's name, version; all little endian).
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except PermissionError as error:
        raise SourceError(f"{path}: permission denied", hint="a policy is usually readable by root only") from error
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}", hint=HOW_TO_GET_ONE) from error
    if len(head) >= 16:
        magic, length = struct.unpack_from("<II", head)
        if magic == _KERNEL_POLICY_MAGIC and length <= 32 and len(head) >= 12 + length:
            version: int = struct.unpack_from("<I", head, 8 + length)[0]
            return version
        if magic in _MODULE_MAGICS:
            raise SourceError(f"{path}: a policy module, not a policy", hint=HOW_TO_GET_ONE)
    raise SourceError(f"{path}: not a binary SELinux policy", hint=HOW_TO_GET_ONE)


def open_policy(path: Path) -> SetoolsPolicy:
    """The policy in a file, opened by setools (40 ms for a distribution's).

    Raises SourceError for a file that can't be read or is no policy, MissingDependency without setools.
    """
    version = policy_version(path)
    setools = import_setools()
    try:
        with caught_stderr():
            policy: SetoolsPolicy = setools.SELinuxPolicy(str(path))
    except (setools.exception.InvalidPolicy, OSError) as error:
        raise SourceError(
            f"{path}: a policy of format {version} that setools can't read",
            hint="it is damaged, or newer than the installed setools and libsepol: update python3-setools, or export "
            f"an older format with `semodule -B` under policy-version={version - 1} in semanage.conf",
        ) from error
    return policy
