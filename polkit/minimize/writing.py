"""Putting a module directory in place: everything is made beside it first, so a reader never sees half of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from polkit.errors import SourceError, UsageError
from polkit.files import file_mode_mask, scratch_beside, write_whole


@dataclass
class Scratch:
    """A directory under construction: ``path`` is where to write, ``target`` where it goes."""

    path: Path
    target: Path

    def put_in_place(self, replaced: tuple[str, ...]) -> tuple[str, ...]:
        """Rename the whole directory where the target is new, else each file; returns the files' names, sorted.

        Files named in ``replaced`` that this run did not make are an earlier run's, and go.
        """
        names = tuple(sorted(entry.name for entry in self.path.iterdir()))
        try:
            if self.target.is_dir():
                for name in names:
                    (self.path / name).replace(self.target / name)
                for name in set(replaced).difference(names):
                    (self.target / name).unlink(missing_ok=True)
            else:
                self.path.chmod(0o777 & ~file_mode_mask())
                self.path.rename(self.target)
        except OSError as error:
            raise SourceError(f"{self.target}: {error.strerror}") from error
        return names


def prepare_directory(target: Path, force: bool) -> None:
    """Refuse what exists unless ``force``, before any work is done. UsageError says what to do instead."""
    try:
        if target.is_dir():
            if not force:
                raise UsageError(f"{target} exists", "Name another directory with -o, or overwrite it with --force")
        elif target.is_symlink() or target.exists():
            raise UsageError(f"{target} exists and is no directory", "Name another directory with -o")
    except OSError as error:
        raise SourceError(f"{target}: {error.strerror}", "Name another directory with -o") from error


@contextmanager
def publish(target: Path) -> Iterator[Scratch]:
    """A Scratch beside ``target``, removed at the end whatever happens."""
    with scratch_beside(target, "Name a directory that you may write with -o") as path:
        yield Scratch(path, target)


def write_atomically(path: Path, text: str) -> None:
    """Write a file of ASCII text, so that a reader sees all of the old or all of the new. Raises SourceError."""
    write_whole(path, (text.encode("ascii"),))
