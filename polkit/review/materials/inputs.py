"""What is compared: a whole policy, or the modules of a path, a package or a revision."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from polkit.errors import SourceError, UsageError
from polkit.policy import ModuleFile, PolicyFiles, locate
from polkit.review.materials.reading import NOTHING, HostSide, Materials, read_materials
from polkit.review.materials.revisions import PREFIX

_POLICY_MAGIC = (0xF97CFF8C).to_bytes(4, "little")
"""Of a kernel policy: libsepol ``policydb.h``."""


@dataclass(frozen=True)
class Compared:
    """One of the two: ``kind`` is policy, bundle or module. ``sha256``: of the policy, of the module as it would be
    installed, or of the list of several modules (None for a bundle whose target gets none). ``files`` are those of a
    policy."""

    path: str
    kind: str
    sha256: Optional[str]
    files: Optional[PolicyFiles] = None
    modules: tuple[ModuleFile, ...] = ()
    host: HostSide = NOTHING


def is_policy(spec: str) -> bool:
    """Whether what was named is a binary policy or a root with one. Raises SourceError for what is not there or is
    closed, UsageError for a pipe or a device: the one that waits for a writer would never be read."""
    if spec.startswith(PREFIX):
        return False
    path = Path(spec)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return (path / "etc/selinux").is_dir()
        if not stat.S_ISREG(mode):
            raise UsageError(f"{path} is neither a file nor a directory", "name a module, a bundle or a policy")
        with path.open("rb") as file:
            return file.read(len(_POLICY_MAGIC)) == _POLICY_MAGIC
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def read_policy(spec: str) -> Compared:
    """A whole policy. Raises SourceError for what is none."""
    files = locate(spec)
    try:
        return Compared(spec, "policy", hashlib.sha256(files.policy.read_bytes()).hexdigest(), files)
    except OSError as error:
        raise SourceError(f"{files.policy}: {error.strerror}") from error


def read_module(
    spec: str, mls: bool, target: Optional[str], roots: tuple[Path, ...], headers: Optional[Path] = None
) -> Compared:
    """What ``read_materials`` reads, to be compared. Raises as that does, and for a source that is no module."""
    found = read_materials(spec, mls, target, roots, headers)
    return compared(found)


def compared(found: Materials) -> Compared:
    """What was read, to be compared. Raises its problem, where it is no module."""
    if found.problem is not None:
        raise found.problem
    kind = "bundle" if found.kind == "bundle" else "module"
    return Compared(found.shown, kind, digest_of(found), None, found.modules, found.host)


def digest_of(found: Materials) -> Optional[str]:
    """The SHA-256 of the module as it would be installed; of several, that of the list of theirs as sha256sum writes
    it. None for none."""
    digests = sorted((one.name, hashlib.sha256(one.content).hexdigest()) for one in found.modules)
    if len(digests) < 2:
        return digests[0][1] if digests else None
    listed = "".join(f"{digest}  {name}\n" for name, digest in digests)
    return hashlib.sha256(listed.encode("utf-8")).hexdigest()
