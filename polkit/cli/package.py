"""``polkit package``: a bundle from a module project."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Optional

import click


@click.command("package")
@click.argument("directory", type=click.Path(path_type=Path), default=".", metavar="[DIR]")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Where to; DIR/dist if not given.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME=PATH",
    help="Policy of a target: a root with etc/selinux in it, or a binary policy. Over polkit.toml. Repeatable.",
)
@click.option(
    "--for",
    "exports",
    multiple=True,
    metavar="FORM,...",
    help="Other forms that go with it: rpm, deb, ansible, kubernetes, openshift, podman, udica. Repeatable.",
)
@click.option("--compression", type=click.Choice(["zst", "gz"]), default="zst", show_default=True)
@click.option(
    "--sign",
    "keys",
    multiple=True,
    metavar="KEY",
    help="Sign with an OpenSSH key (a file; a .pub for ssh-agent), gpg:KEYID or cosign:KEY. Repeatable.",
)
@click.option("--builder", metavar="URI", help="Who builds, for the provenance.")
@click.option(
    "--against",
    type=click.Path(path_type=Path, exists=True),
    metavar="BUNDLE",
    help="The bundle released before, a directory or archive; the last one in DIR/dist if not given.",
)
@click.option("--bump", is_flag=True, help="Raise the version in polkit.toml, source and changelog to what is needed.")
@click.option("--redact-evidence", "redact", is_flag=True, help="Hosts, programs and paths go out under other names.")
@click.option("--no-proof", is_flag=True, help="Do not prove the modules; the bundle says so.")
@click.option("--force", is_flag=True, help="Overwrite a bundle that exists.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="No progress, and nothing printed but what failed.")
def command(
    directory: Path,
    output: Optional[Path],
    targets: tuple[str, ...],
    exports: tuple[str, ...],
    keys: tuple[str, ...],
    builder: Optional[str],
    against: Optional[Path],
    bump: bool,
    redact: bool,
    compression: str,
    no_proof: bool,
    force: bool,
    format_: str,
    quiet: bool,
) -> int:
    """Build the bundle of the module project in DIR: dist/NAME-VERSION/ and an archive of it.

    For each target of polkit.toml the module is made from the evidence on that target's policy, compiled in the format
    it can load, and proven. With it go source, manifest, evidence, a README for the customer's security team, and
    scripts that install, verify, roll back and uninstall. The same project gives the same bytes. Exits with 1 when a
    gate or a proof fails, and when the version is too low for what is granted beyond the last release.

    \b
    polkit package vllm --target el9=policies/el9
    """
    from polkit.bundle import package, packaged_text
    from polkit.cli.reading import read_with_progress

    named = dict(_pair(text) for text in targets)
    packaged = read_with_progress(
        lambda _, progress: package(
            directory,
            output,
            targets=named,
            compression=compression,
            force=force,
            with_proof=not no_proof,
            progress=progress,
            exports=exports,
            keys=keys,
            builder=builder,
            against=against,
            bump=bump,
            redact=redact,
        ),
        quiet,
    )
    if format_ == "json":
        sys.stdout.write(packaged_text(packaged))
    else:
        from polkit.cli.package_text import package_lines

        sys.stdout.writelines(f"{line}\n" for line in package_lines(packaged, quiet))
    return packaged.exit_code


def _pair(text: str) -> tuple[str, str]:
    name, found, path = text.partition("=")
    if not found or not path:
        raise click.UsageError(f"--target {text}: write NAME=PATH")
    return name, path
