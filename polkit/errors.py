"""The one family of errors: each knows its exit code and tells the user what to do next.

Exit codes: 0 done; 1 findings, or denials left without a remedy; 2 wrong usage;
3 a source can't be read at all; 4 a needed tool or policy is missing.
"""

from __future__ import annotations


class PolkitError(Exception):
    """Something the user can act on. ``str(error)`` is one line; ``hint`` says what to do next."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(PolkitError):
    """The command line or the configuration is wrong."""

    exit_code = 2


class SourceError(PolkitError):
    """A log, policy or configuration file can't be read at all."""

    exit_code = 3


class MissingDependency(PolkitError):
    """A tool or a policy that the job needs is not on this machine."""

    exit_code = 4


class CompileError(PolkitError):
    """A policy compiler refused our module; ``output`` is what it said."""

    exit_code = 1

    def __init__(self, message: str, output: str = "", hint: str = "") -> None:
        super().__init__(message, hint)
        self.output = output


class AccountingError(PolkitError):
    """The books don't balance (design: denials, parsed, accesses). Always a defect of ours, never of the input."""

    exit_code = 1
