"""Policies that were read before, kept on disk: ``$XDG_CACHE_HOME/polkit``, else ``~/.cache/polkit``.

An entry is a file of our own making: a head (magic, format, its key, the digest of what follows) and packed data. It is
named by its key, which covers the bytes of the policy (and of its store's modules), the setools that read them and the
code that made sense of them, so that an entry is either the one for this question or isn't found. Nothing is believed
that another user could have written; a head and digest that don't fit are what a crash, a full disk or a foreign file
look like. In every such case, and wherever the directory can't be used, there is no entry and nothing is said: the
policy is read again.

Sources: XDG Base Directory Specification (``XDG_CACHE_HOME`` is absolute, directories are made with mode 0700).
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

_FORMAT = 1
_MAGIC = b"polkit index"
_HEAD = struct.Struct("<12sI32s32s")
INDEX, BOOT, FLAT = "index", "boot", "flat"
_MOST_ENTRIES = {INDEX: 20, BOOT: 6, FLAT: 4}
"""Of each kind. A policy has some five of the first: its contents, its store's neverallow rules, what the store builds,
its statements, a base to inherit; one of the second for each set of modules that a machine was booted with; and one of
the last for its store."""
_LARGEST = 64 * 1024 * 1024
"""Of an entry, and of what it unpacks to; a distribution's policy packs to 0.5 and unpacks to 3.5 MB."""
_UNFINISHED = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{16}\Z")
_KEY = re.compile(r"[0-9a-f]{64}\Z")
_READERS = (
    *("constraints.py", "contents.py", "encoding.py", "facts.py", "index.py", "ports.py"),
    *("baseline.py", "boot_cache.py", "booting.py", "neverallow.py", "store_neverallows.py", "store.py", "whatif.py"),
    *("inheritance.py", "standin.py", "statements.py", "capabilities.py", "flat.py"),
)
_OPENED = os.O_CLOEXEC | os.O_NOFOLLOW


def entry_key(*sources: str) -> Optional[str]:
    """The key of what is worked out from ``sources``, digests and other text without NUL; None when there is no cache:
    switched off, no place for it, or no setools whose version is known.
    """
    version = _setools_version()
    if version is None or _folder(os.environ) is None:
        return None
    digest = hashlib.sha256("\0".join((str(_FORMAT), version, *sources)).encode())
    try:
        for name in _READERS:
            digest.update(Path(__file__).with_name(name).read_bytes())
    except OSError:
        return None
    return digest.hexdigest()


def fetch(key: str, kind: str = INDEX) -> Optional[bytes]:
    """The data kept under a key; None where there is none, or none to be trusted."""
    try:
        with _opened_folder(create=False) as folder:
            return _unsealed(_read(f"{key}.{kind}", folder), bytes.fromhex(key))
    except (OSError, ValueError, zlib.error):
        return None


def keep(key: str, data: bytes, kind: str = INDEX) -> None:
    """Keep data under a key, in place of any that stands there, and let the oldest entries of its kind go. Nothing is
    kept where that can't be done.
    """
    sealed = _sealed(data, bytes.fromhex(key))
    if max(len(data), len(sealed)) > _LARGEST:
        return
    with suppress(OSError, ValueError), _opened_folder(create=True) as folder:
        _write(f"{key}.{kind}", sealed, folder)
        _let_go(folder, f"{key}.{kind}", kind)


def _folder(environ: Mapping[str, str]) -> Optional[Path]:
    """Where entries are kept, if anywhere: ``POLKIT_CACHE=off`` says nowhere."""
    if environ.get("POLKIT_CACHE") == "off":
        return None
    given = Path(environ.get("XDG_CACHE_HOME", ""))
    home = Path(environ.get("HOME", ""))
    if given.is_absolute():
        return given / "polkit"
    return home / ".cache" / "polkit" if home.is_absolute() else None


@contextmanager
def _opened_folder(create: bool) -> Iterator[int]:
    """The folder's descriptor: what is checked is then what is used, whoever may rename things above it.

    Raises OSError for one that isn't there or that others can write to.
    """
    path = _folder(os.environ)
    if path is None:
        raise FileNotFoundError
    if create:
        for missing in (path.parent, path):  # what lies above, such as HOME, isn't ours to make
            missing.mkdir(mode=0o700, exist_ok=True)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _OPENED)
    try:
        _require_own(os.fstat(folder))
        yield folder
    finally:
        os.close(folder)


def _require_own(found: os.stat_result) -> None:
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError


def _read(name: str, folder: int) -> bytes:
    """A regular file that only we can have written. Not waited for: a pipe of this name would never end."""
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NONBLOCK | _OPENED, dir_fd=folder), "rb") as file:
        found = os.fstat(file.fileno())
        _require_own(found)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            raise ValueError
        return file.read(_LARGEST)


def _write(name: str, data: bytes, folder: int) -> None:
    """Written beside and renamed, so that a reader finds the old file or the new one, whole."""
    temporary = f"{name.partition('.')[0]}.{secrets.token_hex(8)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPENED, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _let_go(folder: int, newest: str, kind: str) -> None:
    """Remove the oldest entries, and files that a process left half-written, until few enough are left."""
    aged = []
    for name in os.listdir(folder):
        key, _, end = name.partition(".")
        if name != newest and ((end == kind and _KEY.match(key)) or _UNFINISHED.match(name)):
            with suppress(FileNotFoundError):  # another process lets it go
                aged.append((os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime_ns, name))
    for _, name in sorted(aged, reverse=True)[_MOST_ENTRIES[kind] - 1 :]:
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)


def _sealed(data: bytes, key: bytes) -> bytes:
    packed = zlib.compress(data, 1)
    return _HEAD.pack(_MAGIC, _FORMAT, key, hashlib.sha256(packed).digest()) + packed


def _unsealed(sealed: bytes, key: bytes) -> bytes:
    """The data of an entry. Raises ValueError or zlib.error for what ``_sealed`` never makes under this key."""
    packed = sealed[_HEAD.size :]
    if sealed[: _HEAD.size] != _HEAD.pack(_MAGIC, _FORMAT, key, hashlib.sha256(packed).digest()):
        raise ValueError
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(packed, _LARGEST)
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError
    return data


def _setools_version() -> Optional[str]:
    """The version of the setools that would be imported, told without importing it: the names of its metadata.

    ``importlib.metadata`` says the same, but its import alone takes 25 ms.
    """
    try:
        found = find_spec("setools")
        if found is None or found.origin is None:
            return None
        beside = [path.name for path in Path(found.origin).parent.parent.iterdir()]
    except (ImportError, ValueError, OSError):
        return None
    named = sorted(name for name in beside if name.startswith("setools-") and name.endswith(("dist-info", "egg-info")))
    return " ".join(named) or None
