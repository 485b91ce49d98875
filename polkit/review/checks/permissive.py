"""PK026: a module makes a domain permissive."""

from __future__ import annotations

from collections.abc import Iterator

from polkit.module.source import Declaration
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix
from polkit.review.patches import without


def find(case: Case) -> Iterator[Finding]:
    """Each statement that does so, with or without a policy."""
    for one in case.statements:
        if isinstance(one.statement, Declaration) and one.statement.kind == "permissive":
            name = " ".join(one.statement.names.names)
            yield Finding(
                id="PK026",
                severity="high",
                confidence="high",
                place=place_of(one),
                title=f"{name} is permissive",
                why=(
                    f"Nothing that a process of {name} does is refused, it is only logged: for it the host has no"
                    " SELinux. A permissive domain is a means of recording, and stays where it is left in a module."
                ),
                fix=Fix(
                    "Record with the domain permissive on a test machine (semanage permissive), write the rules from"
                    " what was logged, and ship the module without the statement.",
                    (f"semanage permissive -d {name}",),
                    without(case.sources, one),
                ),
            )
