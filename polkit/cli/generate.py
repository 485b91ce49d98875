"""``polkit generate``: the main job, from a log to a module directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from polkit.cli.options import interface_options, plan_options, predict_option

if TYPE_CHECKING:
    from polkit.minimize import Request


@click.command("generate")
@plan_options
@predict_option
@interface_options
@click.option("--module-version", metavar="X.Y.Z", help="Version of the module.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Where to write; ./NAME if not given."
)
@click.option("--force", is_flag=True, help="Write into a directory that exists.")
@click.option("--if-file", is_flag=True, help="Write NAME.if, too: interfaces for modules that use this one's types.")
@click.option("--interactive", is_flag=True, help="Choose the remedy of each decision at the terminal.")
@click.option(
    "--choices",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Make the choices kept in FILE again; with --interactive, keep them there. DIR.choices.json if not given.",
)
@click.option("--restart", is_flag=True, help="With --interactive: forget the choices made before.")
@click.option(
    "--empty-domain",
    is_flag=True,
    help="No log: write an empty permissive domain to record the workload in, for --base none.",
)
def command(
    format_: str,
    quiet: bool,
    verbose: bool,
    module_version: Optional[str],
    output: Optional[Path],
    force: bool,
    interactive: bool,
    choices: Optional[Path],
    restart: bool,
    empty_domain: bool,
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
    if empty_domain:
        return _empty_domain(request, output, force, format_, quiet)
    if interactive:
        from polkit.cli.interactive import generate_interactively

        outcome = generate_interactively(request, output, force, choices, restart, quiet)
        if outcome is None:
            return 1
    else:
        if restart:
            raise click.UsageError("--restart is for --interactive")
        request = replace(request, choices=choices)
        outcome = read_with_progress(lambda stdin, progress: generate(request, output, force, stdin, progress), quiet)
    show("generate", outcome, format_, verbose, quiet)
    return outcome.exit_code


def _empty_domain(request: Request, output: Optional[Path], force: bool, format_: str, quiet: bool) -> int:
    from polkit.cli.reading import read_with_progress
    from polkit.cli.show import show_empty_domain
    from polkit.minimize import empty_domain

    if request.logs:
        raise click.UsageError("--empty-domain reads no log: record one in it first")
    outcome = read_with_progress(lambda _, progress: empty_domain(request, output, force, progress), quiet)
    show_empty_domain(outcome, format_)
    return 0
