"""Types that were named after a device, and that no policy has: which node is meant, and what its type is."""

from __future__ import annotations

import re

from polkit.policy import TargetPolicy

NODE_CLASSES = ("chr_file", "blk_file")
_DEVICE = re.compile(r"(?:dev_)?([a-z][a-z0-9_]*?)(?:_device|_dev)?_t\Z")
_UNLABELLED = ("device_t", "default_t")
"""What file contexts say of a path that they say nothing of."""


def nodes_meant(policy: TargetPolicy, type_: str, tclass: str) -> tuple[tuple[str, str], ...]:
    """The nodes that the name of a type speaks of, each with the type that the policy's file contexts give it:
    ``/dev/nvidia0`` for ``nvidia_device_t``. Empty where they know none, and for what is no class of nodes."""
    device = _DEVICE.match(type_)
    if device is None or tclass not in NODE_CLASSES:
        return ()
    paths = [f"/dev/{device[1]}{end}" for end in ("0", "", "ctl")]
    found = ((path, policy.file_label(path, tclass)) for path in paths)
    return tuple((path, label.type) for path, label in found if label is not None and label.type not in _UNLABELLED)
