"""``verify --installed``: a host held against a bundle that is verified first, or against what was put in there."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Union

from polkit.bundle.installed import STATE, Installed, check_installed
from polkit.bundle.verifying import Asked, Verification, verify
from polkit.errors import SourceError, UsageError


def verify_installed(what: Optional[str], asked: Asked, root: Optional[Path] = None) -> Union[Installed, Verification]:
    """What the host, or the system under ``root``, has of a bundle or of a module by name; None: of the one that was
    installed there. A bundle that is refused is not looked for: the answer is why it is refused.

    Raises what ``verify`` and ``check_installed`` raise; UsageError where several were installed and none is named.
    """
    name = what if what is not None else _only(root)
    path = Path(name)
    if not path.exists():
        if "/" in name or name.endswith((".zst", ".gz")):
            raise SourceError(f"{name}: no such bundle", "name a bundle, or a module that was installed from one")
        return check_installed(name, root, asked.store, asked.target)
    found = verify(path, asked)
    return check_installed(found.files, root, asked.store, asked.target) if found.ok else found


def _only(root: Optional[Path]) -> str:
    """The one module whose record is there."""
    place = (root or Path("/")) / STATE
    try:
        names = sorted(one.name for one in place.iterdir() if (one / "current").is_dir()) if place.is_dir() else []
    except OSError as error:
        raise SourceError(f"{place}: {error.strerror}") from error
    if len(names) != 1:
        listed = f"{', '.join(names[:20])} were installed" if names else "no bundle was installed"
        raise UsageError(f"{listed} here: name the one to look for" if names else f"{listed} here ({place})")
    return names[0]
