"""``polkit diff``: which of two modules, bundles or policies allows more, and what differs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Optional

import click


@click.command("diff")
@click.argument("a")
@click.argument("b")
@click.option(
    "--policy",
    metavar="PATH|auto",
    help="What modules are put onto: a binary policy, or a root with etc/selinux in it; auto: this host's.",
)
@click.option("--store", metavar="DIR", help="Module store, where the policy's place does not imply it.")
@click.option(
    "--target",
    metavar="NAME",
    help="As which of its targets a bundle counts; of a package with a module for each of several policies, the "
    "directory.",
)
@click.option(
    "--headers", type=click.Path(path_type=Path), metavar="DIR", help="Interfaces, if not with the policy or here."
)
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.option("-v", "--verbose", is_flag=True, help="Every rule, where there are many.")
def command(
    a: str,
    b: str,
    policy: Optional[str],
    store: Optional[str],
    target: Optional[str],
    headers: Optional[Path],
    format_: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Say whether B allows the same as A, less, more, or both less and more, with an access that shows it, and list
    what differs.

    Each of the two is a .te (with the .fc and .if beside it), .cil, .pp, .pp.bz2 or .mod file, a directory with some,
    a module project, a bundle, an RPM or Debian package with modules in it, git:REV:PATH for any of these as of a
    revision, or a whole policy: a binary one, or a root with etc/selinux in it. Modules are put onto the policy that
    --policy names; two whole policies need none. Nothing is installed, and nothing of a module is run.

    \b
    polkit diff vllm-1.1.0.tar.zst vllm-1.2.0.tar.zst --policy auto
    polkit diff old.pp new.te --policy /srv/hosts/rhel9
    polkit diff git:main:modules/mine modules/mine --policy auto
    """
    from polkit.cli.reading import with_phases
    from polkit.review import diff, diff_text

    found = with_phases(lambda phase: diff(a, b, policy, store, target, phase, headers), quiet)
    if format_ == "json":
        sys.stdout.write(diff_text(found))
    else:
        from polkit.cli.diff_text import diff_lines

        sys.stdout.writelines(f"{line}\n" for line in diff_lines(found, verbose))
    return 0
