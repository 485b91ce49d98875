"""The short lists and values that a bundle's scripts read. They say what the manifest says, and are made from it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from polkit.bundle.paths import places
from polkit.module import PRIORITY

FACTS = "facts.sh"


def script_lists(target: Mapping[str, Any], fc: str) -> dict[str, bytes]:
    """The lists of one target by file name, one thing a line. ``target``: its entry in the manifest; ``fc``: the file
    contexts of its module."""
    lists = {
        "types": target["types"],
        "places": ["\t".join(one) for one in places(fc)],
        "ports": [f"{one['protocol']} {one['port']} {one['type']}" for one in target["ports"]],
        "booleans": [f"{name} {int(value)}" for name, value in target["booleans"].items()],
        "needs": _needs(target["requires"], target["booleans"]),
    }
    return {name: "".join(f"{line}\n" for line in lines).encode() for name, lines in lists.items()}


def facts_text(name: str, version: str, targets: Iterable[str]) -> str:
    """``facts.sh``: the values that the scripts source. ``targets``: those that have a module."""
    values = {"NAME": name, "VERSION": version, "PRIORITY": str(PRIORITY), "TARGETS": " ".join(targets)}
    lines = ["# shellcheck shell=sh disable=SC2034", *(f"{key}={shlex.quote(value)}" for key, value in values.items())]
    return "".join(f"{line}\n" for line in lines)


def _needs(requires: Mapping[str, Any], booleans: Iterable[str]) -> list[str]:
    """What the host's policy must have."""
    permissions = requires["permissions"]
    return [
        *(f"type {name}" for name in (*requires["types"], *requires["attributes"])),
        *(f"role {name}" for name in requires["roles"]),
        *(f"class {name}" for name in permissions),
        *(f"perm {tclass} {perm}" for tclass, perms in permissions.items() for perm in perms),
        *(f"boolean {name}" for name in booleans),
    ]
