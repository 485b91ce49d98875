"""What building a module store as it is gave before, so that the next proof on the same store need not build it again.

Such a build is a function of its inputs: the files of the store's copy, the settings in it, and the tool with its
libraries. All of them are in the key, byte by byte; what can't be told that way (a link out of the copy, a module still
to be converted by a program) has none. What is kept is the digest of the policy that came out and what the compiler
complained of: the policy itself is the store's own file, where it has that digest, and is built where it hasn't.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.errors import PolkitError
from polkit.module import find_tool, run_tool
from polkit.policy.cache import entry_key, fetch, keep
from polkit.policy.store import enabled_modules

_BUILDER = "semodule"
_LIBRARY = re.compile(r"(?:=>\s*|^\s*)(/\S+)\s+\(0x", re.MULTILINE)
"""A line of ldd(1) that names a file; the kernel's own page has none."""


class Baseline(NamedTuple):
    """The policy that a build gives, and (statement, rule) of each complaint where it was asked for those."""

    policy_sha256: Optional[str]
    breaches: Optional[frozenset[tuple[str, str]]]


def baseline_key(copy: Path, store_name: str, work: Path) -> Optional[str]:
    """The key of what the store in the root ``copy`` builds; None where that isn't kept. ``work`` is a scratch
    directory."""
    if entry_key() is None:
        return None
    digest = hashlib.sha256()
    try:
        enabled = enabled_modules(copy / "var/lib/selinux" / store_name)
        if not all((module / "cil").is_file() for module in enabled.values()):
            return None
        for path in (*_files(copy), *_tools(work)):
            data = path.read_bytes()
            name = path.relative_to(copy) if path.is_relative_to(copy) else path
            digest.update(f"{str(name)!r} {len(data)}\n".encode("utf-8", "backslashreplace"))
            digest.update(data)
    except (OSError, ValueError, PolkitError):
        return None
    return entry_key("baseline", digest.hexdigest())


def recall(key: Optional[str], policy: Path) -> Optional[Baseline]:
    """What was kept under a key, where ``policy`` (the store's own) is the one that was built then; else None."""
    data = None if key is None else fetch(key)
    if data is None:
        return None
    with suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):
        found = json.loads(data)
        pairs = found["breaches"]
        breaches = None if pairs is None else frozenset((statement + "", rule + "") for statement, rule in pairs)
        if isinstance(found["policy"], str) and found["policy"] == policy_digest(policy):
            return Baseline(found["policy"], breaches)
    return None


def remember(key: Optional[str], baseline: Baseline) -> None:
    """Keep what a build gave."""
    if key is not None and baseline.policy_sha256 is not None:
        breaches = None if baseline.breaches is None else sorted(baseline.breaches)
        keep(key, json.dumps({"policy": baseline.policy_sha256, "breaches": breaches}).encode("ascii"))


def policy_digest(policy: Path) -> Optional[str]:
    """The digest of a store's policy; None where it has none."""
    try:
        return hashlib.sha256(policy.read_bytes()).hexdigest()
    except OSError:
        return None


def _files(copy: Path) -> Iterator[Path]:
    """Every file of a copy, in one order. Raises ValueError for anything else that lies in it, directories aside."""
    for path in sorted(copy.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ValueError
        if path.is_file():
            yield path


def _tools(work: Path) -> list[Path]:
    """The builder and the libraries it is loaded with, as its dynamic linker finds them in the environment of a run."""
    builder = Path(find_tool(_BUILDER))
    run = run_tool(["ldd", str(builder)], work)
    libraries = [Path(found) for found in _LIBRARY.findall(run.output)]
    if run.status != 0 or not any(path.name.startswith("libsepol") for path in libraries):
        raise ValueError
    return [builder, *sorted(libraries)]
