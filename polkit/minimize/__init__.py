"""The least change: cause -> remedy -> plan -> module. Start with ``make_plan``; the ladder is in ``ladder.py``."""

from __future__ import annotations

from polkit.minimize.assembling import assemble, describe_module
from polkit.minimize.inspect import read_inspect
from polkit.minimize.joining import join_rules
from polkit.minimize.paths import Mount, PathMap, join_maps, parse_mount
from polkit.minimize.planning import make_plan
from polkit.minimize.question import Settings

__all__ = [
    "Mount",
    "PathMap",
    "Settings",
    "assemble",
    "describe_module",
    "join_maps",
    "join_rules",
    "make_plan",
    "parse_mount",
    "read_inspect",
]
