"""Options that verbs share, and how they become a Request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])

_INPUT = (
    click.argument("logs", nargs=-1, metavar="[LOG]..."),
    click.option(
        "--since",
        metavar="WHEN",
        help="Only denials from WHEN on: 2026-11-21T10:00, yesterday, 2h, policy-load (the last one).",
    ),
    click.option("--until", metavar="WHEN", help="Only denials up to WHEN."),
    click.option("--source", "sources", multiple=True, metavar="TYPE", help="Only denials of this domain. Repeatable."),
)
_POLICY = (
    click.option(
        "--policy",
        default="auto",
        show_default=True,
        metavar="PATH|auto|none",
        help="Target policy: a binary policy, or a root with etc/selinux in it.",
    ),
    click.option("--store", metavar="DIR", help="Module store, where the policy's place does not imply it."),
    click.option(
        "--booleans",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Output of `getsebool -a` on the host the log is from.",
    ),
)
_PATHS = (
    click.option(
        "--inspect",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="podman/docker/crictl inspect output or a pod's YAML: maps container paths to host paths. Repeatable.",
    ),
    click.option("--mount", "mounts", multiple=True, metavar="HOST:CTR", help="Map one mount by hand. Repeatable."),
)
_DECIDING = (
    click.option(
        "--accept", multiple=True, metavar="ID", help="Grant a refused risk: a decision's or risk's id, or all."
    ),
    click.option("--include-dontaudited", is_flag=True, help="Write rules also for what dontaudit rules silence."),
    click.option(
        "--base",
        metavar="TYPE|none",
        help="What a domain of the module's own inherits from; none: nothing but what was observed.",
    ),
    click.option("--extend", is_flag=True, help="Write rules onto the domains in the log, shared ones too."),
    click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Instead of ./polkit.toml."),
    click.option("-n", "--name", metavar="NAME", help="Name of the module and of its types."),
)
_INTERFACES = (
    click.option("--interfaces", is_flag=True, help="Name interfaces of the policy that grant exactly the rules."),
    click.option(
        "--allow-extra",
        type=click.IntRange(min=0),
        metavar="N",
        help="With --interfaces: use those that grant more, too; N accesses more at most in all.",
    ),
    click.option(
        "--headers",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="With --interfaces: where they are, if not with the policy or on this host.",
    ),
)
_OUTPUT = (
    click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True),
    click.option("-q", "--quiet", is_flag=True, help="No progress, no hints."),
    click.option(
        "-v", "--verbose", is_flag=True, help="With why each decision was made and what the policy was asked."
    ),
)


def plan_options(command: _F) -> _F:
    """Every option of a verb that reads logs and makes a plan."""
    for option in reversed((*_INPUT, *_POLICY, *_PATHS, *_DECIDING, *_OUTPUT)):
        command = option(command)
    return command


def input_options(command: _F) -> _F:
    """What to read, and which denials of it."""
    for option in reversed(_INPUT):
        command = option(command)
    return command


def output_options(command: _F) -> _F:
    """How the result is printed, and whether anything else is."""
    for option in reversed(_OUTPUT[:2]):
        command = option(command)
    return command


def predict_option(command: _F) -> _F:
    """The option of the verbs that may go beyond the evidence."""
    found: _F = click.option(
        "--predict",
        is_flag=True,
        help="Add what the refused system calls would be refused next: marked, and shown by no record.",
    )(command)
    return found


def interface_options(command: _F) -> _F:
    """The options of a verb that may propose calls of interfaces."""
    for option in reversed(_INTERFACES):
        command = option(command)
    return command
