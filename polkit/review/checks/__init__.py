"""The checks of a review: each looks at one side of a case, and says what it finds.

A check is one file with ``find``, from a Case to its findings. It asks only what the case can answer: without a policy,
or without the policy built with the module, it has less to say, and says nothing that it can't know.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Protocol, cast

from polkit.review.case import Case
from polkit.review.findings import Finding

CHECKS: tuple[str, ...] = (
    "compiles",
    "missing",
    "unknown",
    "headers",
    "unused",
    "wildcards",
    "allowed",
    "shared",
    "remedies",
    "constraints",
    "risks",
    "executing",
    "permissive",
    "joins",
    "roles",
    "commands",
    "labels",
    "patterns",
    "naming",
    "selint",
    # These wait for the policy that is built with the module.
    "neverallows",
    "transitions",
    "entering",
    "paths",
    "flows",
    "linking",
)
"""The files, in the order in which they are asked."""


class _Check(Protocol):
    def find(self, case: Case) -> Iterator[Finding]: ...


def every_finding(case: Case) -> Iterator[Finding]:
    """What all checks find; what SELint says of a line and we do, too, stands once."""
    from polkit.review.checks.selint import without_doubles

    yield from without_doubles(finding for name in CHECKS for finding in _check(name).find(case))


def _check(name: str) -> _Check:
    return cast(_Check, import_module(f"polkit.review.checks.{name}"))
