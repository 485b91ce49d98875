"""A bundle as a directory and as an archive: the same files give the same bytes, whoever builds it, where and when.

In the archive every file belongs to uid and gid 0 without names, has the mode its kind has, and the one time that
``SOURCE_DATE_EPOCH`` sets, else 0 (https://reproducible-builds.org/specs/source-date-epoch/).
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

from polkit.errors import SourceError, UsageError
from polkit.files import scratch_beside, write_whole

SUFFIXES = {"zst": ".tar.zst", "gz": ".tar.gz"}
_ZSTD_LEVEL = 19
_DIRECTORY = 0o755


def source_date_epoch() -> int:
    """The time of everything in a bundle. Raises UsageError for a SOURCE_DATE_EPOCH that is no time."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "").strip()
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 33):
        raise UsageError(f"SOURCE_DATE_EPOCH is {text[:40]!r}", "it is a number of seconds since 1970")
    return int(text)


def mode_of(path: str) -> int:
    """The mode of a file in a bundle, by its name."""
    return 0o755 if path.endswith(".sh") else 0o644


def tar_bytes(top: str, files: Mapping[str, bytes], epoch: int) -> bytes:
    """A tar of ``files`` under one directory, sorted."""
    directories = {top}
    for path in files:
        parts = path.split("/")[:-1]
        directories.update("/".join((top, *parts[: depth + 1])) for depth in range(len(parts)))
    entries = {**dict.fromkeys(directories), **{f"{top}/{path}": content for path, content in files.items()}}
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(entries):
            content = entries[name]
            entry = tarfile.TarInfo(name)
            entry.mtime = epoch
            if content is None:
                entry.type, entry.mode = tarfile.DIRTYPE, _DIRECTORY
                archive.addfile(entry)
            else:
                entry.size, entry.mode = len(content), mode_of(name)
                archive.addfile(entry, io.BytesIO(content))
    return sink.getvalue()


def compressed(data: bytes, kind: str) -> bytes:
    """``data`` as ``kind`` (``zst``, ``gz``), without a name or a time of its own."""
    if kind == "gz":
        sink = io.BytesIO()
        # Not gzip.compress: what it writes into the head differs between releases of Python.
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=sink, mtime=0) as packer:
            packer.write(data)
        return sink.getvalue()
    import zstandard

    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compress(data)


def write_bundle(place: Path, top: str, files: Mapping[str, bytes], epoch: int, kind: str, force: bool) -> Path:
    """Write ``place/top/`` and the archive beside it, each in one step; returns the archive.

    Raises UsageError where either is there and ``force`` is not given, SourceError where it can't be written.
    """
    target, archive = place / top, place / f"{top}{SUFFIXES[kind]}"
    check_output(place, top, kind, force)
    with scratch_beside(target, "name a directory that you may write with -o") as scratch:
        try:
            _write_tree(scratch / top, files, epoch)
            if target.exists():
                target.rename(scratch / "old")
            (scratch / top).rename(target)
            os.utime(target, (epoch, epoch))
        except OSError as error:
            raise SourceError(f"{target}: {error.strerror}") from error
    write_whole(archive, (compressed(tar_bytes(top, files, epoch), kind),))
    return archive


def check_output(place: Path, top: str, kind: str, force: bool) -> None:
    """Refuse what is there already, before any work is done. Raises UsageError."""
    for path in (place / top, place / f"{top}{SUFFIXES[kind]}"):
        if (path.exists() or path.is_symlink()) and not force:
            raise UsageError(
                f"{path} exists", "raise the version, name another place with -o, or overwrite with --force"
            )


def _write_tree(top: Path, files: Mapping[str, bytes], epoch: int) -> None:
    made = {top}
    top.mkdir()
    for path in sorted(files):
        target = top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        made.update(parent for parent in target.parents if top in parent.parents)
        target.write_bytes(files[path])
        target.chmod(mode_of(path))
        os.utime(target, (epoch, epoch))
    for directory in sorted(made, reverse=True):
        directory.chmod(_DIRECTORY)
        os.utime(directory, (epoch, epoch))
