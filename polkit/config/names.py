"""What a module may be called, wherever the name comes from: polkit.toml or the command line."""

from __future__ import annotations

import re

from polkit.errors import UsageError

MODULE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
TARGET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
RELEASE = re.compile(
    r"(?P<system>el|rhel|centos|rocky|almalinux|ol|fedora|fc|f|debian|ubuntu)-?(?P<number>[0-9]{1,3}(\.[0-9]{1,3})?)?\Z"
)
"""How a release is called: as its os-release says, or as its packages do."""
MODULE_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,2}\Z")


def check_module_name(name: str, where: str = "module name") -> str:
    """``name``, or UsageError. ``where`` is what the message calls it.

    A part of what checkmodule and semodule take: file names and types are made of it, so it is kept to lower case.
    """
    if not MODULE_NAME.match(name):
        raise UsageError(
            f"{where}: {name[:80]!r} can't name a module",
            hint="a name starts with a small letter and holds small letters, digits, _ and -, at most 64",
        )
    return name


def check_module_version(version: str, where: str = "module version") -> str:
    """``version``, or UsageError: checkmodule wants ``major[.minor[.patch]]`` in digits."""
    if not MODULE_VERSION.match(version):
        raise UsageError(
            f"{where}: {version[:80]!r} is no module version", hint="write major.minor.patch in digits, like 1.0.0"
        )
    return version


def check_target_name(name: str, where: str) -> str:
    """``name``, or UsageError: directories and scripts are called by it."""
    if not TARGET_NAME.match(name):
        raise UsageError(f"{where}: {name[:80]!r} can't name a target", hint="use letters, digits and . _ -")
    return name


def check_release(name: str, where: str) -> str:
    """``name``, or UsageError: packages are built for releases that we know."""
    if not RELEASE.match(name):
        raise UsageError(f"{where}: {name[:80]!r} is no release", hint="write el9, fedora42, debian12 or ubuntu24.04")
    return name
