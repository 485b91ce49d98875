"""``polkit new``: a module project to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click


@click.command("new")
@click.argument("name")
@click.option("--dir", "directory", type=click.Path(path_type=Path), metavar="DIR", help="Where; ./NAME if not given.")
@click.option("--summary", default="", metavar="TEXT", help="One line that says what the module confines.")
@click.option("--vendor", default="", metavar="TEXT", help="Who ships it.")
@click.option("--license", "license_", default="", metavar="SPDX", help="License of the module's text.")
@click.option("--force", is_flag=True, help="Into a directory that exists; files of the same names are replaced.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing.")
def command(
    name: str,
    directory: Optional[Path],
    summary: str,
    vendor: str,
    license_: str,
    force: bool,
    quiet: bool,
) -> int:
    """Write a module project for NAME: polkit.toml, source, a scenario, a place for evidence, CHANGELOG and README.

    \b
    polkit new vllm --summary "A model server on NVIDIA GPUs"
    """
    from polkit.bundle import Described, new_project
    from polkit.cli.safe import safe

    place = directory if directory is not None else Path(name)
    written = new_project(name, place, Described(summary, vendor, license_), force)
    if not quiet:
        click.echo(f"{safe(str(place))}: {', '.join(written)}")
        click.echo(f"Next: polkit collect LOG... -o {safe(str(place))}/evidence/{name}.ledger.zst")
    return 0
