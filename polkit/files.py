"""Putting files in place whole: a reader sees all of the old or all of the new."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from polkit.errors import SourceError, UsageError


def write_whole(path: Path, content: Iterable[bytes]) -> None:
    """Write a file under a temporary name beside it, then rename; missing directories are made. Raises SourceError."""
    target = path.absolute()
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:64]}.", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            for block in content:
                file.write(block)
        temporary.chmod(0o666 & ~file_mode_mask())
        temporary.replace(target)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def check_new(path: Path, force: bool) -> None:
    """Refuse an output file that is there already, before anything is worked out for it: ``force`` allows to overwrite
    a regular file. Raises UsageError."""
    if path.is_dir() or (path.exists() and not path.is_file()):
        raise UsageError(f"{path} is no regular file", "name a file with -o, or - for standard output")
    if path.exists() and not force:
        raise UsageError(f"{path} exists", "name another file with -o, or overwrite it with --force")


@contextmanager
def scratch_beside(target: Path, hint: str = "") -> Iterator[Path]:
    """A directory beside ``target``, to make there what is then renamed into place; removed at the end whatever
    happens. Missing directories above are made. Raises SourceError, with ``hint``, where nothing can be written."""
    parent = target.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix=f".{target.name[:64]}.", dir=parent))
    except OSError as error:
        raise SourceError(f"{parent}: {error.strerror}", hint) from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def file_mode_mask() -> int:
    """The process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
