"""``polkit rehearse``: a workload on a real SELinux kernel."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Optional

import click

_PATH = click.Path(path_type=Path)


@click.command("rehearse")
@click.argument("scenario", type=_PATH)
@click.option(
    "--module",
    "modules",
    type=_PATH,
    multiple=True,
    metavar="FILE",
    help="A .pp or .cil file, or the directory that generate wrote. Repeatable.",
)
@click.option(
    "--plan",
    type=_PATH,
    metavar="FILE",
    help="A plan.json, or its directory: what it asks for besides rules is carried out, as an administrator would.",
)
@click.option(
    "--policy-root",
    "policy",
    default="auto",
    show_default=True,
    metavar="ROOT",
    help="Holds etc/selinux and var/lib/selinux of the policy to boot with; auto: this host's.",
)
@click.option("--permissive", is_flag=True, help="The whole machine permissive: every step must succeed.")
@click.option("--learn", is_flag=True, help="Only the workload's domain permissive, and only steps to be allowed.")
@click.option(
    "--base",
    type=click.Choice(["none"]),
    help="With --learn: none runs the workload in a fresh, empty domain, started as its own would be.",
)
@click.option("--as", "domain", metavar="TYPE", help="Run the workload in this domain; with --base none, its name.")
@click.option(
    "--explain", is_flag=True, help="Say why the policy refuses what it refused each step, and compare with the kernel."
)
@click.option("--loop", is_flag=True, help="Learn, make the module, prove it, and run SCENARIO enforced with it.")
@click.option(
    "--attacks", type=_PATH, metavar="FILE", help="With --loop: a scenario whose steps the module must refuse."
)
@click.option("-n", "--name", metavar="NAME", help="With --loop: name of the module; the scenario's if not given.")
@click.option("--config", type=_PATH, metavar="FILE", help="With --loop: instead of ./polkit.toml.")
@click.option(
    "--beside",
    type=click.Choice(["none", "carry-on", "fail-fast", "both"]),
    help="With --loop: the same loop with audit2allow, where a run carries on past refusals (the default) or ends at "
    "the first.",
)
@click.option("-o", "--output", type=_PATH, metavar="DIR", help="Write audit.log, dmesg and results.json there.")
@click.option("--force", is_flag=True, help="Overwrite the results of an earlier run.")
@click.option(
    "--log",
    type=click.Choice(["raw", "enriched", "kernel"]),
    default="raw",
    show_default=True,
    help="The log's form: auditd's, with or without what numbers mean, or the kernel's own where no auditd runs.",
)
@click.option("--kernel", type=_PATH, metavar="FILE", help="The kernel image, instead of this host's newest.")
@click.option("--accelerator", type=click.Choice(["auto", "kvm", "tcg"]), default="auto", show_default=True)
@click.option(
    "--timeout",
    "seconds",
    type=click.FloatRange(min=1),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="End the machine after this.",
)
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.option("-v", "--verbose", is_flag=True, help="With each step's own denials.")
def command(
    output: Optional[Path],
    force: bool,
    format_: str,
    quiet: bool,
    verbose: bool,
    base: Optional[str],
    loop: bool,
    **asked: Any,
) -> int:
    """Run SCENARIO in a virtual machine with a real SELinux kernel, and compare what each step got with what is
    expected of it.

    The machine has the policy of ROOT with the modules, files labelled as that policy says, no disk and no network.
    docs/scenarios.md tells how a scenario is written. Exits with 1 when an expectation fails.

    \b
    polkit rehearse serving.toml --module vllm/vllm.pp --as vllm_t
    polkit rehearse serving.toml --learn -o evidence/
    """
    loop_options = {name: asked.pop(name) for name in ("attacks", "name", "config", "beside")}
    if loop:
        return _loop(output, force, format_, quiet, verbose, base, asked, loop_options)
    for name, value in loop_options.items():
        if value is not None:
            raise click.UsageError(f"--{name} is for --loop")
    from polkit.cli.reading import read_with_progress
    from polkit.rehearse import RehearsalRequest, check_directory, rehearsal_text, rehearse, write_results

    request = RehearsalRequest(empty=base == "none", **asked)
    if output is not None:
        check_directory(output, force)
    rehearsal = read_with_progress(
        lambda _, progress: rehearse(request, progress.phase if progress else lambda phase: None), quiet
    )
    if output is not None:
        write_results(rehearsal, output)
    if format_ == "json":
        sys.stdout.write(rehearsal_text(rehearsal))
    else:
        from polkit.cli.rehearsal_text import print_rehearsal

        print_rehearsal(rehearsal, verbose)
    return rehearsal.exit_code


def _loop(
    output: Optional[Path],
    force: bool,
    format_: str,
    quiet: bool,
    verbose: bool,
    base: Optional[str],
    asked: dict[str, Any],
    loop_options: dict[str, Any],
) -> int:
    """The closed loop, which decides for itself what is learned, and which module runs in which domain."""
    from polkit.cli.reading import read_with_progress
    from polkit.rehearse import LoopRequest, check_loop_directory, close_loop, loop_text, write_loop

    options = {"--module": "modules", "--as": "domain"}
    options.update((f"--{name}", name) for name in ("plan", "permissive", "learn"))
    for option, name in options.items():
        if asked.pop(name):
            raise click.UsageError(f"--loop and {option} exclude each other")
    if output is not None:
        check_loop_directory(output, force)
    beside = loop_options.pop("beside") or "carry-on"
    request = LoopRequest(empty=base == "none", directory=output, force=force, beside=beside, **loop_options, **asked)
    done = read_with_progress(
        lambda _, progress: close_loop(request, progress.phase if progress else lambda phase: None), quiet
    )
    if output is not None:
        write_loop(done, output)
    if format_ == "json":
        sys.stdout.write(loop_text(done))
    else:
        from polkit.cli.loop_text import print_loop

        print_loop(done, verbose)
    return done.exit_code
