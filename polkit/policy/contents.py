"""All that is read from a binary policy, as plain data: what the cache keeps and every answer is worked out from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Optional

from polkit.errors import SourceError
from polkit.policy.binary import open_policy
from polkit.policy.facts import Facts, read_facts
from polkit.policy.index import RuleIndex, build_index
from polkit.policy.protocols import SetoolsPolicy, SetoolsRule, import_setools
from polkit.policy.statements import add_rule, statements_of


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
    return _read(path, open_policy(path))


def read_everything(path: Path) -> tuple[Contents, frozenset[str]]:
    """What ``read_contents`` and ``read_statements`` say, in one pass over the rules. Raises as they do."""
    policy = open_policy(path)
    rules = set[str]()
    contents = _read(path, policy, partial(add_rule, rules))
    return contents, statements_of(path, policy, rules)


def _read(path: Path, policy: SetoolsPolicy, others: Optional[Callable[[str, SetoolsRule], None]] = None) -> Contents:
    setools = import_setools()
    facts = read_facts(setools, policy)
    try:
        index = build_index(setools, policy, facts.permissions, others)
    except setools.exception.LowLevelPolicyError as error:
        raise SourceError(
            f"{path}: a policy with rules that this setools can't read ({error})",
            hint="rules on nlmsg commands are unknown to setools 4.4 and 4.5: update python3-setools",
        ) from error
    return Contents(policy.version, bool(policy.mls), policy.handle_unknown.name, facts, index)
