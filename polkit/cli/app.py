"""The ``polkit`` command: finds the verb, and is the one place where errors become messages and exit codes.

Verbs are imported when they are called, so that ``polkit --help`` loads no parser and no policy library.
"""

from __future__ import annotations

import gc
import importlib
import io
import os
import signal
import sys
from typing import Any, Optional

import click

from polkit import __version__
from polkit.errors import PolkitError, SourceError

VERBS = {
    "collect": "Logs of any form into one ledger, which every verb reads as a log; ledgers merge.",
    "diff": "Which of two modules, bundles or policies allows more, with a witness, and what differs.",
    "explain": "Say why each access was refused and what to change; writes nothing.",
    "generate": "From a log to a least-privilege module: plan, .te, .fc and .pp.",
    "new": "A module project to begin with: source, scenario, a place for evidence.",
    "package": "From a module project to a bundle: modules for each target, manifest, scripts, archive.",
    "prove": "Whether a module gives its evidence what it needs, nothing else, and breaks no rule.",
    "rehearse": "Run a workload on a real SELinux kernel in a virtual machine, and compare.",
    "review": "What a module really grants on a policy, what is wrong or risky with it, and the gates it breaks.",
    "verify": "Whether a bundle is what it says it is, fits this policy, and is still as installed.",
}
"""Every verb with its one line of help; ``polkit/cli/VERB.py`` holds its ``command``."""


_SIGNALLED = 128
"""What a shell adds to the number of the signal that ended a command."""


class Verbs(click.Group):
    """A group that knows its verbs' names and imports only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in alphabetical order."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        """The verb's click command, imported now; None for an unknown verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"polkit.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[Optional[str], Optional[click.Command], list[str]]:
        """As click does, but a mistyped verb is answered with the one that was meant."""
        name = args[0]
        if name not in VERBS and not name.startswith("-"):
            import difflib

            nearest = difflib.get_close_matches(name, VERBS, 1)
            meant = f"; did you mean {nearest[0]}?" if nearest else ""
            raise click.UsageError(f"no verb {name!r}{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of verbs, without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, VERBS[name]) for name in self.list_commands(ctx)])


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="polkit")
@click.pass_context
def polkit(context: click.Context) -> None:
    """From SELinux denials of container workloads to the smallest policy change.

    Logs are files, directories, globs or - for standard input. `polkit VERB --help` explains each verb.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


_COLLECT_EVERY = 100_000
"""New objects between two searches for garbage. What is read of policies and logs stays: to search it every 700 objects
takes a tenth of the time of a verb."""


def run(arguments: Optional[list[str]] = None) -> None:
    """Run the command line and leave with the exit code of the design: 0, 1, 2, 3 or 4; 130 after Ctrl-C, 143 after
    SIGTERM (timeout, a CI job that is cancelled): both leave no process and no temporary file behind."""
    signal.signal(signal.SIGTERM, _terminated)
    gc.set_threshold(_COLLECT_EVERY)
    sys.exit(_guarded(arguments))


def _terminated(number: int, _: object) -> None:
    """What is under way cleans up after itself on its way out, as after Ctrl-C."""
    sys.exit(_SIGNALLED + number)


def _guarded(arguments: Optional[list[str]]) -> int:
    _open_streams()
    try:
        result: Any = polkit.main(args=arguments, prog_name="polkit", standalone_mode=False)
        sys.stdout.flush()
    except PolkitError as error:
        _report(str(error), error.hint, error.exit_code, _wants_json(arguments))
        return error.exit_code
    except click.ClickException as error:
        _report(error.format_message(), _usage_hint(error), error.exit_code, _wants_json(arguments))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("polkit: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _give_up_stdout()  # the reader (head, less) has seen enough
        return 0
    except OSError as error:
        _give_up_stdout()
        _report(f"standard output: {error.strerror or error}", "", SourceError.exit_code, as_json=False)
        return SourceError.exit_code
    return result if isinstance(result, int) else 0


def _open_streams() -> None:
    """Daemons and cron jobs start commands with closed descriptors; and not every terminal shows every character."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(descriptor, mode))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _give_up_stdout() -> None:
    """Python must not complain again when it closes stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"See: {context.command_path} --help" if context is not None else ""


def _wants_json(arguments: Optional[list[str]]) -> bool:
    """Whether ``--format json`` was asked for, also when the arguments were too wrong to be parsed."""
    words = sys.argv[1:] if arguments is None else arguments
    return "--format=json" in words or any(pair == ("--format", "json") for pair in zip(words, words[1:]))


def _report(message: str, hint: str, exit_code: int, as_json: bool) -> None:
    if as_json:
        import json

        error = {"message": message, "hint": hint or None, "exit_code": exit_code}
        print(json.dumps({"schema": "polkit.error/1", "error": error}, indent=2))
        return
    from polkit.cli.safe import safe

    print(f"polkit: {safe(message)}", file=sys.stderr)
    if hint:
        print(f"        {safe(hint)}", file=sys.stderr)
