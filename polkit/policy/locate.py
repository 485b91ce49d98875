"""Where a target policy and what belongs to it lie: the binary, its file contexts, its module store.

Layout: selinux_config(5) (``SELINUXTYPE``), ``/etc/selinux/NAME/policy/policy.VERSION``,
``/etc/selinux/NAME/contexts/files/file_contexts``, ``/var/lib/selinux/NAME/active`` (semanage.conf(5)).
"""

from __future__ import annotations

import filecmp
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from polkit.errors import MissingDependency, SourceError
from polkit.policy.binary import HOW_TO_GET_ONE, policy_version

_VERSION = re.compile(r"policy\.(\d+)\Z")


@dataclass(frozen=True)
class PolicyFiles:
    """Where everything of one target policy lies; None for what it doesn't have.

    ``root`` is the directory that holds ``etc/selinux``; ``name`` the policy's type (``targeted``); ``store`` the
    module store (the directory with ``active`` inside).
    """

    policy: Path
    root: Optional[Path]
    name: Optional[str]
    file_contexts: Optional[Path]
    store: Optional[Path]


def locate(policy: str, store: Optional[str] = None, host: Path = Path("/")) -> PolicyFiles:
    """The files of the policy that ``--policy`` and ``--store`` name.

    ``policy`` is a binary policy, a directory that holds ``etc/selinux``, or ``auto``: the running kernel's of
    ``host``, else the newest of the configured type. Raises SourceError for what can't be read or is no policy,
    MissingDependency when ``auto`` finds none.
    """
    found = _automatic(host) if policy == "auto" else _named(Path(policy))
    if store is None:
        return found
    return PolicyFiles(found.policy, found.root, found.name, found.file_contexts, _checked_store(Path(store)))


def _automatic(host: Path) -> PolicyFiles:
    """The running kernel's policy, else the newest of the configured type."""
    name = _configured_name(host)
    running = host / "sys/fs/selinux/policy"
    if running.exists():
        beside = _newest(host / "etc/selinux" / name) if name else None
        store = _implied_store(host, name, beside) if name and beside else None
        return PolicyFiles(running, host, name, _file_contexts(host / "etc/selinux" / name) if name else None, store)
    try:
        return _in_root(host)
    except SourceError as error:
        raise MissingDependency(f"no policy on this host: {error}", hint=HOW_TO_GET_ONE) from error


def _named(path: Path) -> PolicyFiles:
    """A binary policy, with what its place in the tree implies, or the newest of a root directory."""
    if _answered(path.is_dir, path):
        return _in_root(path)
    home = path.absolute().parent.parent
    in_tree = (
        path.absolute().parent.name == "policy" and home.parent.name == "selinux" and home.parent.parent.name == "etc"
    )
    if not in_tree:
        policy_version(path)
        return PolicyFiles(path, None, None, None, None)
    return _of_home(home, path)


def _in_root(root: Path) -> PolicyFiles:
    """The newest policy of the configured type under ``root``, else of the only type there."""
    configured = _configured_name(root)
    homes = [home for home in _homes(root) if configured is None or home.name == configured]
    if not homes:
        what = f"of type {configured} " if configured else ""
        raise SourceError(f"no policy {what}under {root / 'etc/selinux'}", hint=HOW_TO_GET_ONE)
    if len(homes) > 1:
        names = ", ".join(home.name for home in homes)
        raise SourceError(
            f"{root}: several policies ({names})",
            hint="name the file with --policy ROOT/etc/selinux/NAME/policy/policy.NN",
        )
    newest = _newest(homes[0])
    assert newest is not None  # _homes names only those that have one
    return _of_home(homes[0], newest)


def _of_home(home: Path, policy: Path) -> PolicyFiles:
    policy_version(policy)
    root = home.parent.parent.parent
    return PolicyFiles(policy, root, home.name, _file_contexts(home), _implied_store(root, home.name, policy))


def _homes(root: Path) -> list[Path]:
    try:
        children = sorted((root / "etc/selinux").iterdir())
    except OSError:
        return []
    return [child for child in children if _newest(child) is not None]


def _newest(home: Path) -> Optional[Path]:
    """The ``policy.NN`` with the highest number."""
    found = [(int(match[1]), path) for path in home.glob("policy/policy.*") if (match := _VERSION.match(path.name))]
    return max(found)[1] if found else None


def _configured_name(root: Path) -> Optional[str]:
    """SELINUXTYPE of ``etc/selinux/config``; None without the file or the setting."""
    try:
        text = (root / "etc/selinux/config").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.findall(r"^\s*SELINUXTYPE\s*=\s*([\w.-]+)", text, re.MULTILINE)
    return found[-1] if found else None


def _file_contexts(home: Path) -> Optional[Path]:
    path = home / "contexts/files/file_contexts"
    return path if _answered(path.is_file, path) else None


def _implied_store(root: Path, name: str, policy: Path) -> Optional[Path]:
    """ROOT/var/lib/selinux/NAME, when it is what the policy was built from (its ``policy.kern`` is the same bytes)."""
    store = root / "var/lib/selinux" / name
    try:
        same = filecmp.cmp(store / "active/policy.kern", policy, shallow=False)
    except OSError:
        return None
    return store if same else None


def _checked_store(store: Path) -> Path:
    """The module store a user named, as the directory or as its ``active``."""
    for candidate in (store, store.parent if store.name == "active" else store):
        if _answered((candidate / "active/modules").is_dir, candidate):
            return candidate
    raise SourceError(
        f"{store}: not a module store",
        hint="name the directory that holds active/modules, e.g. /var/lib/selinux/targeted",
    )


def _answered(question: Callable[[], bool], path: Path) -> bool:
    """What ``path.is_dir`` or ``path.is_file`` says. SourceError where it can't tell: a closed directory above it, a
    name that is too long."""
    try:
        return question()
    except OSError as error:
        hint = "a host's policy is usually readable by root only" if isinstance(error, PermissionError) else ""
        raise SourceError(f"{path}: {error.strerror}", hint=hint) from error
