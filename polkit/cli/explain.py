"""``polkit explain``: why each access was refused and what to change."""

from __future__ import annotations

from typing import Any

import click

from polkit.cli.options import interface_options, plan_options, predict_option


@click.command("explain")
@plan_options
@interface_options
@predict_option
def command(format_: str, quiet: bool, verbose: bool, **asked: Any) -> int:
    """Say why each access in LOG was refused, and what to change. Writes nothing.

    \b
    polkit explain /var/log/audit/audit.log
    journalctl -k | polkit explain - --policy auto
    """
    from polkit.cli.reading import read_with_progress, request_from
    from polkit.cli.show import show
    from polkit.minimize import explain

    request = request_from(asked)
    outcome = read_with_progress(lambda stdin, progress: explain(request, stdin, progress), quiet)
    show("explain", outcome, format_, verbose, quiet)
    return outcome.exit_code
