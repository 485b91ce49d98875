"""``git:REV:PATH``: the files of a revision of the repository around the current directory, without a checkout.

A repository may be a stranger's, and git runs what its configuration and attributes name: hooks, filters, text
conversions, monitors, fetches of what is missing. Objects are read as they are stored, with all of these off.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.config import DEFAULT_FILE, load_config
from polkit.errors import SourceError, UsageError
from polkit.module import find_tool
from polkit.review.materials.files import LARGEST, PARTNERS, Held, bounded, suffix_of, too_large

PREFIX = "git:"
_SECONDS = 60
_MOST_ENTRIES = 100_000
_FORM = re.compile(r"(?P<rev>[^-:\x00-\x20\x7f][^:\x00-\x1f\x7f]*):(?P<path>[^\x00-\x1f\x7f]*)\Z")
_OPTIONS = (
    *("--no-pager", "--literal-pathspecs", "--no-optional-locks", "--no-replace-objects"),
    *("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "core.attributesFile="),
    *("-c", "protocol.allow=never", "-c", "core.sshCommand=false", "-c", "credential.helper="),
)
_ENVIRONMENT = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
_CONFIG_LARGEST = 1 << 20


class _Entry(NamedTuple):
    """One line of a tree: mode, type, object, size (0 for what is no file) and name."""

    mode: str
    kind: str
    sha: str
    size: int
    name: str


def of_revision(spec: str) -> tuple[tuple[Held, ...], Optional[str]]:
    """The files of modules that ``git:REV:PATH`` names: a file with those that belong to it, or a directory's; and the
    module that the polkit.toml there names.

    Raises UsageError for another form, SourceError for what the repository lacks, MissingDependency without git.
    """
    form = _FORM.match(spec[len(PREFIX) :])
    if form is None:
        raise UsageError(f"{spec!r} names no revision", "write git:REV:PATH, as git:HEAD~1:modules/mine.te")
    rev, path = form["rev"], form["path"].rstrip("/")
    kind = _git(spec, "cat-file", "-t", f"{rev}:{path}").decode("ascii", "replace").strip()
    if kind == "tree":
        entries = list(_tree(spec, f"{rev}:{path}"))
        own = _own_name(spec, entries)
        wanted = [one for one in entries if suffix_of(one.name) and own in (None, Held(one.name, b"").stem)]
        return _read(spec, wanted, path), own
    if kind != "blob":
        raise SourceError(f"{spec}: neither a file nor a directory of that revision, but a {kind}")
    directory, slash, name = path.rpartition("/")
    suffix = suffix_of(name)
    names = [name, *(name[: -len(suffix)] + one for one in PARTNERS.get(suffix, ()))]
    there = {one.name: one for one in _tree(spec, f"{rev}:{directory}{slash}")}
    return _read(spec, [there[one] for one in names if one in there], directory), None


def _own_name(spec: str, entries: list[_Entry]) -> Optional[str]:
    config = next((one for one in entries if one.name == DEFAULT_FILE and one.mode.startswith("100")), None)
    if config is None:
        return None
    if config.size > _CONFIG_LARGEST:
        raise UsageError(f"{spec}: its {DEFAULT_FILE} is larger than 1 MiB")
    with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
        path = Path(scratch) / DEFAULT_FILE
        path.write_bytes(_git(spec, "cat-file", "blob", config.sha))
        try:
            name = load_config(path).module.name
        except UsageError as error:
            raise UsageError(str(error).replace(str(path), f"{spec}/{DEFAULT_FILE}"), error.hint) from None
    return name if any(Held(one.name, b"").stem == name and suffix_of(one.name) != "" for one in entries) else None


def _read(spec: str, entries: list[_Entry], directory: str) -> tuple[Held, ...]:
    def files() -> Iterator[Held]:
        for one in entries:
            shown = f"{directory}/{one.name}" if directory else one.name
            if not one.mode.startswith("100"):
                raise SourceError(f"{spec}: {shown} is no regular file in that revision")
            if one.size > LARGEST:
                raise too_large(shown)
            yield Held(shown, _git(spec, "cat-file", "blob", one.sha))

    return tuple(bounded(files(), spec))


def _tree(spec: str, tree: str) -> Iterator[_Entry]:
    """What ``git ls-tree -l -z`` says of a directory."""
    lines = _git(spec, "ls-tree", "-l", "-z", tree).split(b"\0")
    if len(lines) > _MOST_ENTRIES:
        raise SourceError(f"{spec}: a directory of more than {_MOST_ENTRIES} files")
    for line in lines:
        head, tab, name = line.partition(b"\t")
        if tab:
            mode, kind, sha, size = head.decode("ascii").split()
            yield _Entry(mode, kind, sha, int(size) if size.isdigit() else 0, name.decode("utf-8", "replace"))


def _git(spec: str, *words: str) -> bytes:
    """What git says. Raises SourceError where it fails."""
    command = [find_tool("git"), *_OPTIONS, *words]
    environment = {**os.environ, **_ENVIRONMENT}
    try:
        run = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"{spec}: git did not answer within {_SECONDS} seconds") from None
    except OSError as error:
        raise SourceError(f"{spec}: git can't be run: {error.strerror}") from error
    if run.returncode != 0:
        said = (run.stderr.decode("utf-8", "replace").strip().splitlines() or ["it failed"])[0]
        raise SourceError(f"{spec}: git: {said.removeprefix('fatal: ')[:200]}", "look with: git show REV:PATH")
    return run.stdout
