"""What C libraries write to standard error, past Python."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable


@contextmanager
def caught_stderr() -> Iterator[Callable[[], str]]:
    """File descriptor 2 leads to a temporary file inside the block; yields a function that reads what came so far.

    It is the whole process' descriptor: what another thread writes to stderr meanwhile goes the same way.
    """
    try:
        kept = os.dup(2)
    except OSError:  # the process was started with stderr closed: nothing to catch
        yield lambda: ""
        return
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)
            try:
                yield lambda: os.pread(file.fileno(), 4096, 0).decode("utf-8", "replace").strip()
            finally:
                os.dup2(kept, 2)
    finally:
        os.close(kept)
