"""Printing an outcome: JSON for programs, text for people."""

from __future__ import annotations

import sys

from polkit.minimize import Outcome, plan_text


def show(verb: str, outcome: Outcome, format_: str, verbose: bool, quiet: bool) -> None:
    """Print the outcome of ``explain`` or ``generate`` on stdout, in the format that was asked for."""
    if format_ == "json":
        sys.stdout.write(plan_text(outcome.plan))
        return
    from polkit.cli.plan_text import print_outcome

    print_outcome(verb, outcome, verbose, quiet)
    if outcome.changes:
        from polkit.cli.project_text import change_lines

        sys.stdout.writelines(
            f"{line}\n" for line in ("", "Changed in the project:", *change_lines(outcome.changes, verbose))
        )


def show_empty_domain(outcome: Outcome, format_: str) -> None:
    """Print what ``generate --empty-domain`` wrote, and how to go on."""
    if format_ == "json":
        sys.stdout.write(plan_text(outcome.plan))
        return
    from polkit.cli.plan_text import print_empty_domain

    print_empty_domain(outcome)
