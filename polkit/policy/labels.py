"""File contexts: what a policy says the label of a path is, for the policy of any root.

libselinux' selabel interface is asked with the path of that root's ``file_contexts``: it reads the ``.homedirs``,
``.local``, ``.subs`` and ``.subs_dist`` beside it (selabel_file(5)), keeps each handle apart, and without
SELABEL_OPT_VALIDATE drops no context for want of a kernel. ``matchpathcon`` would do neither: its state is one a
process, and it resolves symbolic links on *this* host. Raw look-ups, so that no translation daemon has a say.
"""

from __future__ import annotations

import errno
import stat
import tempfile
import weakref
from pathlib import Path
from typing import Any, Optional

from polkit.errors import SourceError
from polkit.model import Context, FileContext, parse_context
from polkit.policy.interface import FileEntry, ListedLabel
from polkit.policy.label_files import NOTHING, Added, copy_with, deciding_entry, listed, substituted
from polkit.policy.noise import caught_stderr
from polkit.policy.protocols import import_selinux

_MODES = {
    "file": stat.S_IFREG,
    "dir": stat.S_IFDIR,
    "lnk_file": stat.S_IFLNK,
    "chr_file": stat.S_IFCHR,
    "blk_file": stat.S_IFBLK,
    "sock_file": stat.S_IFSOCK,
    "fifo_file": stat.S_IFIFO,
}
"""The kind of file an object class stands for; any other class asks without a kind."""


class FileLabels:
    """The file contexts of one root, with what would be added to them; opened at the first question."""

    def __init__(self, file_contexts: Path, added: Added = NOTHING) -> None:
        self._file_contexts = file_contexts
        self._added = added
        self._handle: Any = None
        self._listed: Optional[tuple[ListedLabel, ...]] = None

    def with_entries(self, entries: tuple[FileContext, ...], local: tuple[FileContext, ...], mls: bool) -> FileLabels:
        """The same file contexts with a module's entries where the module store would sort them in, and local ones."""
        modules, admins = (*self._added.modules, *entries), (*self._added.local, *local)
        return FileLabels(self._file_contexts, Added(modules, admins, mls, self._added.equal))

    def with_equivalences(self, equal: tuple[tuple[str, str], ...]) -> FileLabels:
        """The same, where the first path of each pair is labelled as the second one is."""
        return FileLabels(self._file_contexts, self._added._replace(equal=(*self._added.equal, *equal)))

    def entry(self, path: str, tclass: str) -> Optional[FileEntry]:
        """The entry that decides the label, as far as it can be told without libselinux' word: for a message."""
        label = self.label(path, tclass)
        return deciding_entry(self._file_contexts, self._added, self.spoken_of(path), tclass, label)

    def entries(self) -> tuple[ListedLabel, ...]:
        """Every entry; of those that match a path the last decides. Raises SourceError when they can't be read."""
        if self._listed is None:
            self._listed = listed(self._file_contexts, self._added)
        return self._listed

    def spoken_of(self, path: str) -> str:
        """The path after the substitutions of ``.subs`` and ``.subs_dist``. SourceError when they can't be read."""
        return substituted(self._file_contexts, path, self._added)

    def label(self, path: str, tclass: str) -> Optional[Context]:
        """The context for an absolute path; None for ``<<none>>``, no match, and what can't be a path.

        Raises SourceError when the file contexts can't be read.
        """
        if not path.startswith("/") or "\0" in path or not _is_utf8(path):
            return None
        selinux = import_selinux()
        if self._handle is None:
            self._handle = self._open()
        try:
            _, text = selinux.selabel_lookup_raw(self._handle, path, _MODES.get(tclass, 0))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINVAL, errno.ENAMETOOLONG):
                return None
            raise SourceError(f"{self._file_contexts}: {error.strerror}") from error
        return parse_context(text)

    def _open(self) -> Any:
        if self._added == NOTHING:
            return self._opened(self._file_contexts)
        with tempfile.TemporaryDirectory(prefix="polkit.") as place:  # libselinux has read all of it when it returns
            return self._opened(copy_with(self._file_contexts, self._added, Path(place)))

    def _opened(self, file_contexts: Path) -> Any:
        selinux = import_selinux()
        option = selinux.selinux_opt()
        option.type = selinux.SELABEL_OPT_PATH
        option.value = str(file_contexts)
        try:
            with caught_stderr():  # it complains of entries that differ, entry by entry
                handle = selinux.selabel_open(selinux.SELABEL_CTX_FILE, option, 1)
        except OSError as error:
            raise SourceError(f"{self._file_contexts}: can't read the file contexts: {error.strerror}") from error
        weakref.finalize(self, selinux.selabel_close, handle)
        return handle


def _is_utf8(path: str) -> bool:
    """The bindings take no other paths (a stray byte arrives as a lone surrogate)."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def read_customizable(file_contexts: Optional[Path]) -> frozenset[str]:
    """The types of ``contexts/customizable_types`` beside the file contexts; empty without it."""
    if file_contexts is None:
        return frozenset()
    path = file_contexts.parent.parent / "customizable_types"
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))
