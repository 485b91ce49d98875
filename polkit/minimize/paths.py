"""Container paths and host paths: which mount a container's path lies under, and where that is on the host.

A record's ``path=`` is relative to the root of the process. file_contexts and ``.fc`` speak of host paths, so a
container's path means nothing to them until it is mapped.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

from polkit.errors import UsageError


@dataclass(frozen=True, order=True)
class Mount:
    """A host directory or file that a container sees at another place."""

    container: str
    host: str
    read_only: bool = False


@dataclass(frozen=True)
class HostPath:
    """A container's path on the host, and the mount that says so (None for a path that is the host's already)."""

    path: str
    mount: Optional[Mount]


@dataclass(frozen=True)
class PathMap:
    """All mounts known of the containers in the log, and the directories that hold their images' layers."""

    mounts: tuple[Mount, ...] = ()
    graph_roots: tuple[str, ...] = ()

    def to_host(self, path: str) -> Optional[HostPath]:
        """The host's path for a container's path, by the longest mount that covers it; None when none does."""
        normal = posixpath.normpath(path)
        covering = [mount for mount in self.mounts if is_below(normal, mount.container)]
        if not covering:
            return None
        mount = max(covering, key=lambda one: (len(one.container), one))
        rest = normal[len(mount.container.rstrip("/")) :].lstrip("/")
        return HostPath(posixpath.join(mount.host, rest) if rest else mount.host, mount)


def is_below(path: str, directory: str) -> bool:
    """``path`` is ``directory`` or lies under it, by whole components."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def join_maps(maps: Iterable[PathMap]) -> PathMap:
    """One map with the mounts and graph roots of all."""
    all_maps = tuple(maps)
    mounts = {mount for one in all_maps for mount in one.mounts}
    roots = {root for one in all_maps for root in one.graph_roots}
    return PathMap(tuple(sorted(mounts)), tuple(sorted(roots)))


def parse_mount(text: str) -> Mount:
    """``HOST:CTR[:OPTIONS]`` as podman's ``-v`` takes it. UsageError for relative or empty paths."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(part.startswith("/") for part in parts[:2]):
        raise UsageError(f"--mount {text!r}: not HOST:CTR", "Give two absolute paths: --mount /srv/models:/models")
    options = parts[2].split(",") if len(parts) == 3 else []
    if not all(re.fullmatch(r"[A-Za-z][A-Za-z0-9=_-]*", option) for option in options):
        raise UsageError(f"--mount {text!r}: {parts[2]!r} is no mount option", "As podman's -v: --mount /srv:/data:ro")
    return make_mount(parts[0], parts[1], "ro" in options)


def make_mount(host: str, container: str, read_only: bool) -> Mount:
    """A Mount with both paths normalised (``//`` and ``..`` resolved in text alone)."""
    return Mount(normal_path(container), normal_path(host), read_only)


def normal_path(path: str) -> str:
    """``posixpath.normpath``, with the leading ``//`` that POSIX keeps made one slash."""
    normal = posixpath.normpath(path)
    return "/" + normal.lstrip("/") if normal.startswith("/") else normal
