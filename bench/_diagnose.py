"""One process of ``script/bench minimize``: loads a policy and asks why accesses are refused; prints times and answers.

``_diagnose.py polkit|audit2why POLICY FILE``; a line of FILE is ``[source context, target context, class, perm]``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, Callable

Question = tuple[str, str, str, str]
Ask = Callable[[str, str, str, str], Any]


def polkit(policy: str) -> Ask:
    """Every reason of the policy: rules, booleans, constraints, roles, bounds, dontaudit; and neverallow rules."""
    from polkit.model import parse_context, relate
    from polkit.policy import Access, load_policy

    target_policy = load_policy(policy)

    def ask(scontext: str, tcontext: str, tclass: str, perm: str) -> list[str]:
        source, target = parse_context(scontext), parse_context(tcontext)
        assert source is not None
        assert target is not None
        levels = relate(source.level, target.level)
        verdict = target_policy.decide(Access(source.party, target.party, tclass, perm, levels))
        found = {
            "rule": not verdict.rule,
            "boolean": verdict.booleans,
            "constraint": verdict.constraints,
            "role": verdict.role,
            "bounds": verdict.bounds,
            "dontaudit": verdict.dontaudit,
            "neverallow": not verdict.rule and target_policy.neverallowed(source.type, target.type, tclass, perm),
        }
        return [reason for reason, holds in found.items() if holds]

    return ask


def audit2why(policy: str) -> Ask:
    """libsepol's first reason."""
    from selinux import audit2why as libsepol

    assert libsepol.init(policy) == 0

    def ask(scontext: str, tcontext: str, tclass: str, perm: str) -> int:
        code: int = libsepol.analyze(scontext, tcontext, tclass, [perm])[0]
        return code

    return ask


def main() -> None:
    """Print ``{"load": seconds, "ask": seconds, "answers": [...]}``."""
    tool, policy, questions = sys.argv[1:]
    asked: list[Question] = [tuple(json.loads(line)) for line in Path(questions).read_text().splitlines()]
    start = time.perf_counter()
    ask = {"polkit": polkit, "audit2why": audit2why}[tool](policy)
    loaded = time.perf_counter()
    answers = [ask(*one) for one in asked]
    done = time.perf_counter()
    print(json.dumps({"load": loaded - start, "ask": done - loaded, "answers": answers}))


if __name__ == "__main__":
    main()
