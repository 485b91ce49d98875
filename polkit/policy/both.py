"""Two policies, each with its statements, read side by side."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.other_process import Send, other_process, received
from polkit.policy.cache import entry_key, fetch, keep
from polkit.policy.contents import Contents, read_everything
from polkit.policy.encoding import pack, unpack
from polkit.policy.locate import PolicyFiles
from polkit.policy.protocols import import_setools
from polkit.policy.statements import fetch_statements, keep_statements, pack_statements, unpack_statements
from polkit.policy.target import LoadedPolicy, digest_of, loaded


class Whole(NamedTuple):
    """A policy and, as ``read_statements`` says them, all its statements that are no access vector rules."""

    policy: LoadedPolicy
    statements: frozenset[str]


class _Read(NamedTuple):
    """What was read of a policy. ``known``: it comes from the cache."""

    contents: Contents
    statements: frozenset[str]
    known: bool = False


def load_both(files: tuple[PolicyFiles, PolicyFiles], fresh: tuple[bool, bool]) -> tuple[Whole, Whole]:
    """Load two policies: seconds for a distribution's, a tenth of that where the cache has them. Where there is more
    than one processor, and the cache has neither, the second is read by a process of its own. ``fresh``: one that
    nobody will load again, and that is not kept.

    Raises SourceError for a file that can't be read or is no policy, MissingDependency without setools.
    """
    digests = digest_of(files[0].policy), digest_of(files[1].policy)
    kept = [None if is_fresh else _kept(sha256) for sha256, is_fresh in zip(digests, fresh)]
    if kept == [None, None] and digests[0] != digests[1] and len(os.sched_getaffinity(0)) > 1:
        import_setools()  # once for both
        with other_process(partial(_everything, files[1].policy)) as answers:
            kept[0] = _Read(*read_everything(files[0].policy))
            with suppress(EOFError):  # it was ended, for want of memory perhaps: then this process reads it
                contents, statements = received(answers)
                kept[1] = _Read(unpack(contents), unpack_statements(statements))
    return _whole(files[0], digests[0], kept[0], fresh[0]), _whole(files[1], digests[1], kept[1], fresh[1])


def load_fresh(files: PolicyFiles) -> Whole:
    """Load a policy that nobody will load again. Raises as ``load_both``."""
    return _whole(files, digest_of(files.policy), None, True)


def _kept(sha256: str) -> Optional[_Read]:
    """What the cache has of a policy with this digest, where it has all."""
    key, statements = entry_key(sha256), fetch_statements(sha256)
    data = None if key is None or statements is None else fetch(key)
    if data is not None and statements is not None:
        with suppress(ValueError):
            return _Read(unpack(data), statements, known=True)
    return None


def _whole(files: PolicyFiles, sha256: str, found: Optional[_Read], fresh: bool) -> Whole:
    if found is None:
        found = _Read(*read_everything(files.policy))
    certain = not fresh
    if certain and not found.known:
        certain = digest_of(files.policy) == sha256  # it may have been installed anew while it was read
        key = entry_key(sha256)
        if certain and key is not None:
            keep(key, pack(found.contents))
            keep_statements(found.statements, sha256)
    return Whole(loaded(files, sha256, found.contents, certain), found.statements)


def _everything(policy: Path, _: Send) -> tuple[bytes, bytes]:
    contents, statements = read_everything(policy)
    return pack(contents), pack_statements(statements)
