"""The files of what is reviewed, read into memory within limits. Nothing of them is run or written anywhere."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.errors import SourceError, UsageError

LARGEST = 64 << 20
"""Bytes of one file: no module comes near."""
MOST_BYTES = 256 << 20
MOST_FILES = 4096
"""Of a directory, a package or a tree of git together."""
SUFFIXES = (".pp.bz2", ".pp", ".mod", ".cil", ".te", ".fc", ".if")
"""What a file that belongs to a module ends with."""
PARTNERS = {".te": (".fc", ".if"), ".mod": (".fc",)}
"""What lies beside a file and is part of the module."""


class Held(NamedTuple):
    """A file: what messages call it, and what it holds."""

    name: str
    content: bytes

    @property
    def suffix(self) -> str:
        """One of SUFFIXES, or empty."""
        return suffix_of(self.name)

    @property
    def stem(self) -> str:
        """Its name without suffix and directory."""
        base = self.name.rpartition("/")[2]
        return base[: len(base) - len(self.suffix)]

    @property
    def text(self) -> str:
        """Its content; what is no UTF-8 becomes U+FFFD."""
        return self.content.decode("utf-8", "replace")


def suffix_of(name: str) -> str:
    """Which of SUFFIXES a file's name ends with; empty for none."""
    return next((one for one in SUFFIXES if name.endswith(one)), "")


def with_partners(named: Path) -> tuple[Held, ...]:
    """The file that was named and, of a source, the ``.fc`` and ``.if`` beside it. Raises SourceError."""
    found = [Held(str(named), read_whole(named))]
    for suffix in PARTNERS.get(suffix_of(named.name), ()):
        beside = named.with_suffix(suffix)
        if os.path.lexists(beside):
            found.append(_inside(beside, named.parent))
    return tuple(found)


def of_directory(directory: Path, stem: Optional[str] = None) -> tuple[Held, ...]:
    """The files of modules that lie in a directory (not below it), of ``stem`` alone where one is given, by name.

    Raises SourceError for what can't be read, and for a link that leads out of the directory: what is outside is no
    part of what a stranger hands over.
    """
    try:
        paths = sorted(path for path in directory.iterdir() if suffix_of(path.name))
    except OSError as error:
        raise SourceError(f"{directory}: {error.strerror or error}") from error
    wanted = (path for path in paths if stem is None or Held(path.name, b"").stem == stem)
    return tuple(bounded((_inside(path, directory) for path in wanted), str(directory)))


def bounded(files: Iterable[Held], shown: str) -> Iterator[Held]:
    """The files, as long as they are few and small enough together. Raises SourceError."""
    total = 0
    for number, one in enumerate(files, 1):
        total += len(one.content)
        if number > MOST_FILES or total > MOST_BYTES:
            raise SourceError(f"{shown}: more than {MOST_FILES} files or {MOST_BYTES >> 20} MiB, which is no module")
        yield one


def too_large(shown: str, most: int = LARGEST) -> SourceError:
    """What to say of a file that is larger than ``most``."""
    return SourceError(f"{shown}: larger than {most >> 20} MiB, which no module is")


def _inside(path: Path, directory: Path) -> Held:
    try:
        leads_out = path.is_symlink() and directory.resolve() not in path.resolve().parents
    except (OSError, RuntimeError) as error:
        raise SourceError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if leads_out:
        raise SourceError(f"{path} is a link that leads out of its directory", "put the file itself there")
    return Held(str(path), read_whole(path))


def read_whole(path: Path, most: int = LARGEST) -> bytes:
    """What a file holds. A pipe or a device is not waited for. Raises SourceError for what can't be read or is larger
    than ``most``, UsageError for what is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"{path} is no file", "name a module, a bundle, a package, a directory or a policy")
            content = file.read(most + 1)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    if len(content) > most:
        raise too_large(str(path), most)
    return content
