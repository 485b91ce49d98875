"""``polkit review``: what a module really grants, what is risky or wrong with it, and whether it keeps to the gates."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Optional

import click

_FORMATS = ("text", "json", "markdown", "sarif", "html")


@click.command("review")
@click.argument("module", required=False)
@click.option(
    "--policy",
    default="auto",
    show_default=True,
    metavar="PATH|auto|none",
    help="Target policy: a binary policy, or a root with etc/selinux in it; none: the sources alone.",
)
@click.option("--store", metavar="DIR", help="Module store, where the policy's place does not imply it.")
@click.option("--against", metavar="OLD", help="An older form of the module: say whether this one allows more.")
@click.option("--target", metavar="NAME", help="As which of its targets a bundle counts.")
@click.option("--host", is_flag=True, help="Instead of MODULE: every local module of this host's store.")
@click.option(
    "--headers", type=click.Path(path_type=Path), metavar="DIR", help="Interfaces, if not with the policy or here."
)
@click.option("--no-build", is_flag=True, help="Judge by the statements alone: quick, without what only a build tells.")
@click.option("--no-ignore", is_flag=True, help="Heed no `polkit: ignore` comment of the source.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Instead of ./polkit.toml.")
@click.option("--format", "format_", type=click.Choice(_FORMATS), default="text", show_default=True)
@click.option("-o", "--output", metavar="FILE", help="Write the report there instead; - is standard output.")
@click.option("-f", "--force", is_flag=True, help="Overwrite FILE.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.option("-v", "--verbose", is_flag=True, help="With every access a finding rests on.")
def command(
    module: Optional[str],
    policy: str,
    store: Optional[str],
    against: Optional[str],
    target: Optional[str],
    host: bool,
    headers: Optional[Path],
    no_build: bool,
    no_ignore: bool,
    config: Optional[Path],
    format_: str,
    output: Optional[str],
    force: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Say what MODULE really grants on a policy, what is wrong or risky with it, where, and how to mend it.

    MODULE is a .te (with the .fc beside it), .cil, .pp, .pp.bz2 or .mod file, a directory, a bundle, an RPM or Debian
    package, or git:REV:PATH. The policy with it is built beside the target's; nothing is installed, and nothing of the
    module is run. Exits with 1 for a finding of severity medium or more, or a broken gate of polkit.toml.

    \b
    polkit review mypol.te
    polkit review vllm-1.2.0.tar.zst --against vllm-1.1.0.tar.zst --policy /srv/hosts/rhel9
    polkit review . --format sarif -o review.sarif
    polkit review --host
    """
    from polkit.cli.reading import with_phases
    from polkit.cli.review_text import print_review, review_as
    from polkit.files import check_new, write_whole
    from polkit.review import ReviewRequest, review

    if host:
        if module is not None or against is not None or target is not None:
            raise click.UsageError("--host reviews what is installed: name no MODULE, --against or --target")
        return _host(policy, store, format_, quiet, verbose)
    if module is None:
        raise click.UsageError("name a MODULE, or --host for those of this host")
    place = None if output in (None, "-") else Path(str(output))
    if place is not None:
        check_new(place, force)
    request = ReviewRequest(
        module, policy, store, against, target, config, headers, build=not no_build, heed_ignores=not no_ignore
    )
    found = with_phases(lambda phase: review(request, phase), quiet)
    if place is not None:
        write_whole(place, [review_as(found, format_, verbose).encode("utf-8")])
    elif format_ == "text":
        print_review(found, verbose)
    else:
        sys.stdout.write(review_as(found, format_, verbose))
    return found.exit_code


def _host(policy: str, store: Optional[str], format_: str, quiet: bool, verbose: bool) -> int:
    from polkit.cli.reading import with_phases
    from polkit.review import host_review_text, review_host

    if format_ not in ("text", "json"):
        raise click.UsageError("--host has the formats text and json")
    found = with_phases(lambda phase: review_host(policy, store, phase), quiet)
    if format_ == "json":
        sys.stdout.write(host_review_text(found))
    else:
        from polkit.cli.host_review_text import print_host_review

        print_host_review(found, verbose)
    return found.exit_code
