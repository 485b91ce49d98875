"""``polkit verify``: a stranger's bundle, before it is installed and after."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Optional

import click

_PATH = click.Path(path_type=Path)


@click.command("verify")
@click.argument("bundle", required=False)
@click.option(
    "--key",
    type=_PATH,
    metavar="FILE",
    help="The vendor's public key, which must have signed it: OpenSSH or allowed_signers, GPG, or PEM (cosign's).",
)
@click.option("--identity", metavar="NAME", help="Who must have signed: a line of allowed_signers, or for Sigstore.")
@click.option("--issuer", metavar="URL", help="With --identity: who vouches for it. Asks cosign.")
@click.option(
    "--signature",
    "signatures",
    type=_PATH,
    multiple=True,
    metavar="FILE",
    help="A signature over SHA256SUMS that lies elsewhere than in the bundle or beside it. Repeatable.",
)
@click.option("--require-signature", is_flag=True, help="Refuse a bundle without a signature.")
@click.option(
    "--policy",
    metavar="PATH|auto",
    help="Whether it fits this policy: a binary policy, or a root with etc/selinux in it; auto: this host's.",
)
@click.option(
    "--store", metavar="DIR", help="Module store, where it is not implied; with --installed the store's name."
)
@click.option("--target", metavar="NAME", help="As which of its targets.")
@click.option("--installed", is_flag=True, help="Whether this host still has what was shipped.")
@click.option("--root", type=_PATH, metavar="DIR", help="With --installed: a system that is not running.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but what is wrong.")
def command(
    bundle: Optional[str], installed: bool, root: Optional[Path], format_: str, quiet: bool, **asked: Any
) -> int:
    """Check BUNDLE, an archive or a directory, before anything of it is installed; nothing of it is run.

    Refused is a bundle with a wrong signature, with files that are not those it lists, with links, devices or paths
    that lead out of it, with a module that is not what its source compiles to, or that grants more than its manifest
    claims. One without a signature passes with a warning, unless a key is given. Exits with 1 when it is refused.

    With --installed BUNDLE may be the name of a module, and what the host has is compared with what was shipped.

    \b
    polkit verify vllm-1.2.0.tar.zst --key vendor.pub --policy auto
    polkit verify --installed vllm
    """
    from polkit.bundle import Asked, Installed, installed_text, verification_text, verify, verify_installed

    if bundle is None and not installed:
        raise click.UsageError("name a bundle: an archive or a directory")
    if root is not None and not installed:
        raise click.UsageError("--root goes with --installed")
    wanted = Asked(**asked)
    found = verify_installed(bundle, wanted, root) if installed else verify(Path(bundle or ""), wanted)
    if format_ == "json":
        sys.stdout.write(installed_text(found) if isinstance(found, Installed) else verification_text(found))
        return found.exit_code
    from polkit.cli.verify_text import installed_lines, verification_lines

    lines = installed_lines(found, quiet) if isinstance(found, Installed) else verification_lines(found, quiet)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return found.exit_code
