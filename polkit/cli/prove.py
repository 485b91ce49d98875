"""``polkit prove``: what a module really changes, held against its evidence."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Optional

import click

from polkit.cli.options import plan_options


@click.command("prove")
@click.argument("module", type=click.Path(path_type=Path))
@plan_options
@click.option(
    "--held-out",
    multiple=True,
    metavar="LOG",
    help="Another run's log: how much of what it needs is still refused. Repeatable.",
)
@click.option(
    "--choices",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take what a person chose in `generate --interactive` for decided: all that FILE says.",
)
def command(
    module: Path,
    held_out: tuple[str, ...],
    choices: Optional[Path],
    format_: str,
    quiet: bool,
    verbose: bool,
    **asked: Any,
) -> int:
    """Prove that MODULE gives the denials in LOG what they need and nothing else, and breaks no rule of the policy.

    MODULE is a directory made by generate, or a .te, .cil or .pp file. The policy that the target would have with it
    is built beside the target's, and the two are compared whole; nothing is installed. Give the options that generate
    was given. Exits with 1 when a statement is false.

    \b
    polkit prove vllm/ /var/log/audit/audit.log --mount /srv/models:/models
    """
    from polkit.cli.reading import read_with_progress, request_from
    from polkit.minimize import proof_text, prove

    request = request_from(asked)
    proof = read_with_progress(
        lambda stdin, progress: prove(module, request, held_out, stdin, progress, choices), quiet
    )
    if format_ == "json":
        sys.stdout.write(proof_text(proof))
    else:
        from polkit.cli.proof_text import print_proof

        print_proof(proof, verbose)
    return proof.exit_code
