"""This host's journal, for hosts without auditd: what the kernel and the object managers wrote of denials."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from polkit.errors import MissingDependency, SourceError

_COMMAND = ("journalctl", "--quiet", "--no-pager", "-o", "short-iso", "_TRANSPORT=audit", "_TRANSPORT=kernel")


@contextmanager
def host_journal() -> Iterator[BinaryIO]:
    """The journal's audit and kernel lines as a stream (journalctl(1), two matches on one field are an "or").

    Raises MissingDependency without journalctl, SourceError when it fails and said why.
    """
    if shutil.which(_COMMAND[0]) is None:
        raise MissingDependency(
            "this host has neither an audit log nor a journal", "Name a log, or - for standard input"
        )
    with subprocess.Popen(_COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        if child.stdout is None or child.stderr is None:  # both were asked for
            raise SourceError("journalctl gave no output")
        try:
            yield cast(BinaryIO, child.stdout)
            complaint = child.stderr.read().decode(errors="replace").strip()
        finally:
            child.kill()
    if child.returncode > 0:
        raise SourceError(f"journalctl: {complaint.splitlines()[0] if complaint else 'failed'}", "Run it as root")
