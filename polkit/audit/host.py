"""This host's own record of denials: its audit log, or the journal where there is no auditd."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Callable, Optional, cast

from polkit.audit.ledger import Ledger
from polkit.audit.read import read_logs, read_stream
from polkit.audit.tally import ReadOptions
from polkit.errors import MissingDependency, SourceError

AUDIT_LOG = "/var/log/audit/audit.log"
_TRANSPORTS = ("audit", "kernel")
"""Without auditd the kernel prints every audit record too, so the journal may hold it twice
(systemd.journal-fields(7)): the second transport is read only where the first has no denial."""


def collect(
    logs: Sequence[str],
    options: ReadOptions,
    stdin: Optional[BinaryIO] = None,
    progress: Optional[Callable[[int], None]] = None,
) -> Ledger:
    """What the logs that were named hold, else this host's own. Raises what ``read_logs`` and ``read_host_logs`` do."""
    return read_logs(logs, options, stdin, progress) if logs else read_host_logs(options, progress)


def read_host_logs(options: ReadOptions, progress: Optional[Callable[[int], None]] = None) -> Ledger:
    """The denials of this host. Raises SourceError and MissingDependency as ``read_logs`` and ``journal`` do."""
    if Path(AUDIT_LOG).exists():
        return read_logs((AUDIT_LOG,), options, progress=progress)
    ledger = Ledger()
    for transport in _TRANSPORTS:
        with journal(transport) as stream:
            ledger = read_stream("journal", stream, options, progress)
        if any(partial.counts or partial.unparsed for partial in ledger.partials.values()):
            break
    return ledger


@contextmanager
def journal(transport: str) -> Iterator[BinaryIO]:
    """The journal's lines of one transport as a stream.

    Raises MissingDependency without journalctl, SourceError with its complaint when it fails.
    """
    if shutil.which("journalctl") is None:
        raise MissingDependency(
            "this host has neither an audit log nor a journal", "Name a log, or - for standard input"
        )
    command = ("journalctl", "--quiet", "--no-pager", "-o", "short-iso", f"_TRANSPORT={transport}")
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints) as child:
            try:
                yield cast(BinaryIO, child.stdout)
                child.wait()
            finally:
                child.kill()
        complaints.seek(0)
        said = complaints.read(400).decode(errors="replace").strip().splitlines()
    if child.returncode > 0:
        raise SourceError(f"journalctl: {said[0] if said else 'failed'}", "Run it as root, or name a log")
