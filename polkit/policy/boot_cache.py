"""Policies that machines were booted with, kept: with the same store and modules the next one need not be built.

A build is a function of its inputs, as ``baseline.py`` says; here these are the modules, what is installed beside them
and the flags, too. What is kept is what the machine needs of a build: the binary policy and its file contexts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from polkit.errors import PolkitError
from polkit.module import find_tool
from polkit.policy.baseline import baseline_key
from polkit.policy.cache import BOOT, entry_key, fetch, keep

POLICY, CONTEXTS = "policy.kern", "file_contexts"
_BESIDE = ("", ".homedirs", ".local", ".subs", ".subs_dist")
"""What libselinux reads, by what its name adds to that of the file contexts (selabel_file(5))."""


def boot_key(copy: Path, store_name: str, work: Path, modules: Iterable[str], flags: Iterable[str]) -> Optional[str]:
    """The key of what a copied store builds with ``modules``, files in ``work``; None where that isn't kept."""
    names = list(modules)
    store = baseline_key(copy, store_name, work)
    if store is None:
        return None
    try:
        files = [work / name for name in names]
        if any(name.endswith(".pp") for name in names):
            files.append(Path(find_tool("pp")))
        digests = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    except (OSError, PolkitError):
        return None
    return entry_key("boot", store, json.dumps([digests, list(flags)]))


def recall(key: Optional[str], place: Path) -> bool:
    """Write what was kept under a key into the directory ``place``; False where nothing was."""
    data = None if key is None else fetch(key, BOOT)
    if data is None:
        return False
    head, _, body = data.partition(b"\n")
    try:
        sizes = json.loads(head)
        if sum(sizes.values()) != len(body) or not {POLICY, CONTEXTS} <= sizes.keys() <= _names():
            return False
    except (ValueError, TypeError, AttributeError, RecursionError):
        return False
    place.mkdir(parents=True, exist_ok=True)
    for name, size in sizes.items():
        (place / name).write_bytes(body[:size])
        body = body[size:]
    return True


def remember(key: Optional[str], policy: Path, contexts: Path) -> None:
    """Keep a policy that was built, and its file contexts."""
    if key is None:
        return
    files = {POLICY: policy.read_bytes()}
    for suffix in _BESIDE:
        beside = contexts.with_name(contexts.name + suffix)
        if beside.is_file():
            files[CONTEXTS + suffix] = beside.read_bytes()
    head = json.dumps({name: len(content) for name, content in files.items()}).encode("ascii")
    keep(key, head + b"\n" + b"".join(files.values()), BOOT)


def _names() -> set[str]:
    return {POLICY, *(CONTEXTS + suffix for suffix in _BESIDE)}
