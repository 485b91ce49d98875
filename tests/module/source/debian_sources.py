"""The source of Debian's policy: fetched once from the distribution, unpacked into .cache, read and never built."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Optional

_CACHE = Path(__file__).resolve().parents[3] / ".cache" / "policy-source"
_PACKAGE = "selinux-policy-src"


def policy_sources() -> Optional[Path]:
    """The directory with the layers (kernel, system, ...) in it; None where the package can't be had."""
    modules = _CACHE / "policy" / "modules"
    if not modules.is_dir() and not _fetch():
        return None
    return modules


def sources(suffix: str) -> list[tuple[str, str]]:
    """Name and text of every source with that suffix; none where the package can't be had."""
    modules = policy_sources()
    paths = [] if modules is None else sorted(_CACHE.rglob(f"*{suffix}"))
    return [(f"{path.parent.name}/{path.name}", path.read_text(encoding="utf-8")) for path in paths]


def _fetch() -> bool:
    _CACHE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE.parent) as scratch:
        room = Path(scratch)
        try:
            _run(room, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", _PACKAGE)
            _run(room, "dpkg-deb", "--extract", *(one.name for one in room.glob("*.deb")), "tree")
            (packed,) = (room / "tree/usr/src").glob(f"{_PACKAGE}.tar.*")
            (room / "new").mkdir()
            _run(room, "tar", "--extract", "--no-same-owner", "--strip-components=1", f"--file={packed}", "-Cnew")
            (room / "new").rename(_CACHE)
        except (OSError, subprocess.SubprocessError, ValueError):
            return _CACHE.is_dir()  # another run may have been faster
    return True


def _run(room: Path, *command: str) -> None:
    subprocess.run(command, cwd=room, check=True, capture_output=True, timeout=120)
