"""The interfaces of the reference policy as a distribution installs them: found, and read without running anything.

Layout: ``/usr/share/selinux/devel/include`` holds ``build.conf``, ``support/*.spt`` (macros) and ``LAYER/*.if``, each
with definitions of the form ``interface(`NAME',` BODY ')``; ``devel/include/Makefile`` says how they are used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from polkit.errors import MissingDependency, SourceError

_PLACE = Path("usr/share/selinux")
_HOW_TO_GET = (
    "install selinux-policy-dev (Debian, Ubuntu) or selinux-policy-devel (Fedora, RHEL), or name a directory: --headers"
)
_LARGEST = 16 << 20
"""Of one file. A distribution's headers have 4 MB in all."""

_DEFINITION = re.compile(r"^[ \t]*(interface|template)\(\s*`([A-Za-z_]\w*)'\s*,\s*`", re.MULTILINE | re.ASCII)
_QUOTE = re.compile("[`']")
_PARAMETER = re.compile(r"\$(?:(\d+)|[*@#{])")
_ASSIGNMENT = re.compile(r"(?:override\s+)?([A-Z_]+)\s*[:?]?=\s*(.*?)\s*(?:#.*)?\Z")
_MORE_PARAMETERS = 99


@dataclass(frozen=True)
class Definition:
    """An interface or template: its body as written, and how many parameters that uses (99: any number).

    ``header`` is the file under the headers' directory; ``deprecated`` says that the body warns of its use.
    """

    name: str
    kind: str
    body: str
    parameters: int
    header: str
    deprecated: bool


@dataclass(frozen=True)
class Headers:
    """A set of headers. ``options`` are the words that their ``build.conf`` has m4 define, with their values."""

    directory: Path
    support: str
    definitions: tuple[Definition, ...]
    options: tuple[tuple[str, str], ...]


def find_headers(named: Optional[Path] = None, roots: Iterable[Path] = (Path("/"),)) -> Path:
    """The directory of the headers: the one that was named, else the first that one of ``roots`` holds.

    Raises SourceError where the named one holds none, MissingDependency where no root does.
    """
    if named is not None:
        if not _holds_headers(named):
            raise SourceError(
                f"{named} holds no policy headers",
                hint="name the directory with `support` and the layers (kernel, system, ...) in it",
            )
        return named
    for root in roots:
        for place in (root / _PLACE / "devel/include", *sorted((root / _PLACE).glob("*/include"))):
            if _holds_headers(place):
                return place
    raise MissingDependency("the policy's interfaces are not installed", hint=_HOW_TO_GET)


def _holds_headers(directory: Path) -> bool:
    try:
        return any((directory / "support").glob("*.spt"))
    except OSError:
        return False


def read_headers(directory: Path) -> Headers:
    """The definitions and support macros of a directory that ``find_headers`` gave. Raises SourceError.

    A name that two files define differently is left out: what a call of it means depends on who expands it.
    """
    found: dict[str, Definition] = {}
    unsure: set[str] = set()
    for path in sorted(directory.glob("*/*.if")):
        for one in definitions(_read(path), path.relative_to(directory).as_posix()):
            if found.setdefault(one.name, one).body != one.body:
                unsure.add(one.name)
    support = "\n".join(_read(path) for path in sorted((directory / "support").glob("*.spt")))
    build = directory / "build.conf"
    return Headers(
        directory=directory,
        support=support,
        definitions=tuple(one for name, one in found.items() if name not in unsure),
        options=tuple(_options(_read(build) if build.exists() else "")),
    )


def definitions(text: str, header: str) -> Iterator[Definition]:
    """The interfaces and templates of one file, by m4's rules of quoting. What stands between them is passed over.

    A body without an end is the last thing read.
    """
    at = 0
    while (head := _DEFINITION.search(text, at)) is not None:
        at = _closing_quote(text, head.end())
        if at < 0:
            return
        body = text[head.end() : at]
        used = [int(one[1]) if one[1] else _MORE_PARAMETERS for one in _PARAMETER.finditer(body)]
        yield Definition(head[2], head[1], body, max(used, default=0), header, "refpolicywarn(" in body)


def _closing_quote(text: str, start: int) -> int:
    """Where the quote that was opened before ``start`` ends; -1 where it doesn't."""
    depth = 1
    for quote in _QUOTE.finditer(text, start):
        depth += 1 if quote[0] == "`" else -1
        if depth == 0:
            return quote.start()
    return -1


def _options(build: str) -> Iterator[tuple[str, str]]:
    """What the headers' Makefile passes to m4 with ``-D``."""
    given = {found[1]: found[2] for found in map(_ASSIGNMENT.match, build.splitlines()) if found is not None}
    kind = given.get("TYPE", "mcs")
    if kind in ("mls", "mcs"):
        yield f"enable_{kind}", ""
    if given.get("DISTRO", "").isidentifier():
        yield f"distro_{given['DISTRO']}", ""
    for name, word in (("SYSTEMD", "init_systemd"), ("DIRECT_INITRC", "direct_sysadm_daemon"), ("UBAC", "enable_ubac")):
        if given.get(name) == "y":
            yield word, ""
    for word in given.get("CUSTOM_BUILDOPT", "").split():
        if word.isidentifier():
            yield word, ""
    for name, usual in (("MLS_SENS", "16"), ("MLS_CATS", "1024"), ("MCS_CATS", "1024")):
        value = given.get(name, usual)
        words = {"MLS_SENS": "mls_num_sens", "MLS_CATS": "mls_num_cats", "MCS_CATS": "mcs_num_cats"}
        yield words[name], value if value.isdecimal() else usual


def _read(path: Path) -> str:
    """A file's bytes as Latin-1, which m4 gives back as they were. A pipe or device is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(_LARGEST + 1) if path.is_file() else b""
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    if len(content) > _LARGEST:
        raise SourceError(f"{path} is no policy header: it has more than {_LARGEST >> 20} MB")
    return content.decode("latin-1")
