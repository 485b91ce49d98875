"""``polkit collect``: logs and ledgers into one ledger."""

from __future__ import annotations

import sys
from typing import Optional

import click

from polkit.cli.options import input_options, output_options


@click.command("collect")
@input_options
@click.option(
    "-o",
    "--output",
    default="-",
    show_default=True,
    metavar="FILE",
    help="Where to write the ledger: compressed if it ends in .gz or .zst; - is standard output.",
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@click.option(
    "--on",
    "scheduler",
    metavar="SCHEDULER",
    help="Read on a Dask cluster: tcp://HOST:PORT, tls://HOST:PORT, or local:N. LOG may be a URL (s3://BUCKET/*/audit.log).",
)
@output_options
@click.option("-v", "--verbose", is_flag=True, help="With every record that could not be read.")
def command(
    logs: tuple[str, ...],
    since: Optional[str],
    until: Optional[str],
    sources: tuple[str, ...],
    output: str,
    force: bool,
    scheduler: Optional[str],
    format_: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Read LOG in any form and write a ledger: every denial counted, in the size of what is distinct.

    Every verb that takes a log takes a ledger. Ledgers are collected into one as logs are; what was collected twice
    counts once, and a log that has grown replaces its earlier part. docs/collect.md tells what a ledger holds.
    The summary is on standard output, or on standard error where the ledger goes to standard output.

    \b
    polkit collect /var/log/audit -o node7.ledger.zst
    polkit collect node*.ledger.zst -o fleet.ledger.zst
    polkit collect --on tcp://scheduler:8786 's3://logs/*/audit.log*' -o fleet.ledger.zst
    """
    from polkit.audit import check_output, collect, collection_text, read_options, totals, write_ledger
    from polkit.cli.reading import read_with_progress

    options = read_options(since, until, sources)
    check_output(output, force)
    if scheduler is None:
        ledger = read_with_progress(
            lambda stdin, progress: collect(logs, options, stdin, progress.reading if progress else None), quiet
        )
    else:
        from polkit.fleet import collect_on

        on = scheduler
        ledger = read_with_progress(
            lambda _, progress: collect_on(on, logs, options, progress.units if progress else None), quiet
        )
    denials = totals(ledger)
    write_ledger(ledger, output, sys.stdout.buffer)
    summary = sys.stderr if output == "-" else sys.stdout
    if format_ == "json":
        summary.write(collection_text(denials, output))
    elif not quiet:
        from polkit.cli.collection_text import collection_lines

        summary.writelines(f"{line}\n" for line in collection_lines(denials, output, verbose))
    return 0
