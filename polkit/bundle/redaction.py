"""Evidence that can be given away: hosts, programs and paths under other names, each the same one everywhere.

What is installed stays what it is: the module is worked out from the renamed evidence too, on every target's policy,
and where a path turns out to decide something (a label looked up in file_contexts, a mount) it keeps its name.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from polkit.audit import Ledger, dump, read_logs, read_options
from polkit.bundle.paths import places
from polkit.bundle.project import Project
from polkit.bundle.targets import policy_of
from polkit.errors import PolkitError
from polkit.minimize import Draft, Progress, Request, draft, parse_mount
from polkit.model import Decision, Evidence, Remedy
from polkit.module import parts, render_fc

_TOP = frozenset(
    (
        *("bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run", "sbin"),
        *("srv", "sys", "tmp", "usr", "var"),
    )
)
"""Directories of every host (Filesystem Hierarchy Standard, hier(7))."""
_OF_THE_SYSTEM = ("/dev", "/proc", "/sys")
"""What lies below is the kernel's, and is called the same on every host."""
_MOST_ROUNDS = 8
_ADDRESS = re.compile(r"(?P<host>.*):(?P<port>\d+)\Z", re.DOTALL)


@contextmanager
def redacted(project: Project, progress: Optional[Progress] = None) -> Iterator[Project]:
    """The project with evidence under other names, which is gone after the block; without evidence, the project.

    Raises what ``draft`` raises, and PolkitError where the module would be another.
    """
    if not project.evidence:
        yield project
        return
    with tempfile.TemporaryDirectory(prefix="polkit-redacted-") as scratch:
        place = Path(scratch) / f"{project.name}.ledger"
        work = _Work(project, read_ledger(project), place, progress)
        work.run()
        request = replace(project.request, logs=(str(place),))
        sources = {suffix: _without_comments(text, suffix, project.name) for suffix, text in project.sources.items()}
        yield replace(project, evidence=(place,), request=request, sources=sources)


def read_ledger(project: Project) -> Ledger:
    """The evidence of a project as one ledger, with its sources called as they are in the project."""
    ledger = read_logs([str(path) for path in project.evidence], read_options(None, None, ()))
    names = evidence_names(project)
    return Ledger(
        {
            source: replace(
                partial,
                name=names.get(partial.name, partial.name),
                unparsed=tuple(replace(one, source=names.get(one.source, one.source)) for one in partial.unparsed),
            )
            for source, partial in ledger.partials.items()
        }
    )


def evidence_names(project: Project) -> dict[str, str]:
    """From each file of evidence to what it is called in a bundle."""
    return {str(path): project.relative(path) for path in project.evidence}


def ledger_bytes(ledger: Ledger) -> bytes:
    """A ledger as a file."""
    return "".join(f"{line}\n" for line in dump(ledger)).encode("utf-8", "backslashreplace")


@dataclass
class _Work:
    project: Project
    ledger: Ledger
    place: Path
    progress: Optional[Progress]

    def run(self) -> None:
        """Write the ledger under other names, with as few paths kept as the module needs."""
        requests = self._requests()
        drafts = [draft(request, progress=self.progress) for request in requests]
        kept = {path for request in requests for path in _mounted(self.project, request)}
        kept.update(path for one in drafts for path in _labelled(one))
        wanted = [_essence(one) for one in drafts]
        every = {path for one in _evidence(self.ledger) for path in _paths(one)}
        for number in range(_MOST_ROUNDS + 1):
            kept = kept if number < _MOST_ROUNDS else kept | every
            self.place.write_bytes(ledger_bytes(renamed(self.ledger, frozenset(kept))))
            again = [draft(replace(one, logs=(str(self.place),))) for one in requests]
            lost = {path for old, new in zip(drafts, again) for path in _paths_apart(old, new)}
            if [_essence(one) for one in again] == wanted:
                return
            kept |= lost if not lost <= kept else every
        raise PolkitError("the evidence can't be redacted: its module would be another", "package it as it is")

    def _requests(self) -> list[Request]:
        """One request for each policy of a target; without any, none: then no module is made of the evidence."""
        found: dict[tuple[str, Optional[str]], Request] = {}
        for target in self.project.config.targets.values():
            named = policy_of(self.project, target)
            if named is not None:
                found[named] = replace(self.project.request, policy=named[0], store=named[1])
        return list(found.values())


def renamed(ledger: Ledger, kept: frozenset[str]) -> Ledger:
    """A ledger under other names; paths in ``kept`` and the directories above them keep theirs. What could not be read
    is counted and not shown."""
    names = _Names(_evidence(ledger), kept)
    partials = {}
    for number, (_, partial) in enumerate(sorted(ledger.partials.items(), key=lambda item: (item[1].name, item[0])), 1):
        source = hashlib.sha256(f"{number} {partial.name}".encode("utf-8", "replace")).hexdigest()
        partials[source] = replace(
            partial,
            marks="",
            counts={key: names.evidence(evidence) for key, evidence in partial.counts.items()},
            unparsed=tuple(replace(one, text="") for one in partial.unparsed),
        )
    return Ledger(partials)


class _Names:
    """Other names for all that the evidence of one ledger names."""

    def __init__(self, evidence: Iterable[Evidence], kept: frozenset[str]) -> None:
        found = list(evidence)
        self._kept = {prefix for path in kept for prefix in _prefixes(path)}
        paths = [path for one in found for path in _paths(one)]
        components = {part for path in paths if path.startswith("/") for part in path.split("/") if part}
        components.update(path for path in paths if not path.startswith("/"))
        components.update(name for one in found for name in one.names)
        self._components = _numbered("part", components)
        self._comms = _numbered("program", (value for one in found for value in one.comms))
        self._lines = _numbered("command", (value for one in found for value in one.commands))
        self._hosts = _numbered("host", (value for one in found for value in one.hosts))
        addresses = (value for one in found for value in one.addresses if not _is_path(value))
        self._addresses = _numbered("address", (_host_of(value) for value in addresses))

    def evidence(self, one: Evidence) -> Evidence:
        """A sample under other names."""
        return replace(
            one,
            comms=_sorted(self._comms[value] for value in one.comms),
            commands=_sorted(self._lines[value] for value in one.commands),
            hosts=_sorted(self._hosts[value] for value in one.hosts),
            paths=_sorted(map(self.path, one.paths)),
            exes=_sorted(map(self.path, one.exes)),
            names=_sorted(self._name(value) for value in one.names),
            addresses=_sorted(map(self._address, one.addresses)),
        )

    def path(self, path: str) -> str:
        """A path under another name, directory by directory."""
        if path in self._kept or any(path == one or path.startswith(f"{one}/") for one in _OF_THE_SYSTEM):
            return path
        if not path.startswith("/"):
            return self._components[path]
        found, literal = [], ""
        for part in path.split("/")[1:]:
            first = not literal
            literal = f"{literal}/{part}"
            known = not part or literal in self._kept or (first and part in _TOP)
            found.append(part if known else self._components[part])
        return "/" + "/".join(found)

    def _name(self, name: str) -> str:
        return name if any(path.endswith(f"/{name}") for path in self._kept) else self._components[name]

    def _address(self, value: str) -> str:
        if _is_path(value):
            return self.path(value)
        found = _ADDRESS.match(value)
        other = self._addresses[_host_of(value)]
        return other if found is None else f"{other}:{found['port']}"


def _host_of(address: str) -> str:
    found = _ADDRESS.match(address)
    return address if found is None else found["host"]


def _is_path(address: str) -> bool:
    return address.startswith("/")


def _numbered(word: str, values: Iterable[str]) -> dict[str, str]:
    """Other names in the order of the first ones, so that the same evidence gives the same."""
    return {value: f"{word}{number}" for number, value in enumerate(sorted(set(values)), 1)}


def _sorted(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


def _prefixes(path: str) -> Iterator[str]:
    while path not in ("/", ""):
        yield path
        path = posixpath.dirname(path)


def _evidence(ledger: Ledger) -> Iterator[Evidence]:
    for partial in ledger.partials.values():
        yield from partial.counts.values()


def _paths(one: Evidence) -> Iterator[str]:
    yield from one.paths
    yield from one.exes
    yield from (value for value in one.addresses if _is_path(value))


def _mounted(project: Project, request: Request) -> Iterator[str]:
    for text in (*project.config.minimize.mounts, *request.mounts):
        mount = parse_mount(text)
        yield from (mount.host, mount.container)


def _labelled(found: Draft) -> Iterator[str]:
    if found.source is not None and found.source.access.contexts:
        yield from (place.path for place in places(render_fc(found.source)))


def _essence(found: Draft) -> tuple[Any, ...]:
    """What a draft installs and decides, whatever the things are called that it rests on."""
    access = None if found.source is None else found.source.access
    return (access, tuple(sorted(map(_essence_of, found.plan.decisions), key=repr)))


def _essence_of(decision: Decision) -> tuple[Any, ...]:
    remedies = (decision.remedy, *decision.also_remedies)
    what = (decision.cause, decision.source, decision.target, decision.tclass, decision.perms, decision.xperms)
    return (*what, decision.risk, decision.chosen, tuple(map(_essence_of_remedy, remedies)))


def _essence_of_remedy(one: Remedy) -> tuple[Any, ...]:
    return (
        one.kind,
        one.type,
        one.protocol,
        one.port,
        one.options,
        one.rules,
        one.any_command,
        one.types,
        one.contexts,
    )


def _paths_apart(old: Draft, new: Draft) -> Iterator[str]:
    """The paths of decisions that came out differently."""
    known = set(map(repr, map(_essence_of, new.plan.decisions)))
    for decision in old.plan.decisions:
        if repr(_essence_of(decision)) not in known:
            yield from _paths(decision.evidence)


def _without_comments(text: str, suffix: str, name: str) -> str:
    """A source file whose generated part has no comments: they tell the evidence."""
    found = parts(text, f"{name}.{suffix}")
    if found.generated is None or suffix == "if":
        return text
    bare = "".join(line for line in found.generated.splitlines(keepends=True) if not line.lstrip().startswith("#"))
    return text.replace(found.generated, bare, 1)
