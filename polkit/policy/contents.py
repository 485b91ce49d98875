"""All that is read from a binary policy, as plain data: what the cache keeps and every answer is worked out from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from polkit.errors import SourceError
from polkit.policy.binary import open_policy
from polkit.policy.facts import Facts, read_facts
from polkit.policy.index import RuleIndex, build_index
from polkit.policy.protocols import import_setools


@dataclass(frozen=True)
class Contents:
    """``version`` is the format's; ``handle_unknown`` is allow, deny or reject."""

    version: int
    mls: bool
    handle_unknown: str
    facts: Facts
    index: RuleIndex


def read_contents(path: Path) -> Contents:
    """Read a binary policy with setools: about a second for a distribution's.

    Raises SourceError for a file that can't be read or is no policy, MissingDependency without setools.
    """
    setools = import_setools()
    policy = open_policy(path)
    facts = read_facts(setools, policy)
    try:
        index = build_index(setools, policy, facts.permissions)
    except setools.exception.LowLevelPolicyError as error:
        raise SourceError(
            f"{path}: a policy with rules that this setools can't read ({error})",
            hint="rules on nlmsg commands are unknown to setools 4.4 and 4.5: update python3-setools",
        ) from error
    return Contents(policy.version, bool(policy.mls), policy.handle_unknown.name, facts, index)
