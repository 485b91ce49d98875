"""``polkit generate``: the main job, from a log to a module directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import click

from polkit.cli.options import interface_options, plan_options, predict_option


@click.command("generate")
@plan_options
@interface_options
@predict_option
@click.option("--module-version", metavar="X.Y.Z", help="Version of the module.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Where to write; ./NAME if not given."
)
@click.option("--force", is_flag=True, help="Write into a directory that exists.")
def command(
    format_: str,
    quiet: bool,
    verbose: bool,
    module_version: Optional[str],
    output: Optional[Path],
    force: bool,
    **asked: Any,
) -> int:
    """Make the smallest module that lets the workload in LOG run: plan.json, .te, .fc and .pp.

    What a boolean, a label, a port or a level can do is not put into rules: the plan says it, with the command to
    run. Exits with 1 when some denials are left without a remedy.

    \b
    polkit generate /var/log/audit/audit.log -n vllm --mount /srv/models:/models
    """
    from polkit.cli.reading import read_with_progress, request_from
    from polkit.cli.show import show
    from polkit.minimize import generate

    request = request_from({**asked, "version": module_version})
    outcome = read_with_progress(lambda stdin, progress: generate(request, output, force, stdin, progress), quiet)
    show("generate", outcome, format_, verbose, quiet)
    return outcome.exit_code
