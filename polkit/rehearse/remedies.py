"""Carries out what a plan asks for besides rules, as an administrator would: booleans, labels, ports, levels.

Paths are the host's. What a machine can't be changed by is listed with the reason, never left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Optional, Union

from polkit.model import FileContext
from polkit.rehearse.changes import Change, Equivalence, PortRange, Restore, Setting, read_command
from polkit.rehearse.plan_reading import AskedRemedy
from polkit.rehearse.scenario import Scenario, Thing

Lasting = Union[FileContext, PortRange, Equivalence, Setting]
"""What is there from before the first step to the end; restorecon is done once, to the things of the scenario."""
_FILES = frozenset({"file", "dir", "lnk_file", "chr_file", "blk_file", "sock_file", "fifo_file"})


@dataclass(frozen=True)
class Carried:
    """One remedy of the plan. ``note``: what was done, or why it could not be."""

    decision: str
    kind: str
    applied: bool
    note: str


@dataclass(frozen=True)
class Known:
    """What names there are in the policy that is to be booted, its modules included."""

    has_type: Callable[[str], bool]
    has_boolean: Callable[[str], bool]
    is_customizable: Callable[[str], bool]


@dataclass(frozen=True)
class CarriedOut:
    """The scenario with its labels and levels changed, what the policy's build and the machine are told besides, and
    the account of all that was asked."""

    scenario: Scenario
    booleans: tuple[tuple[str, bool], ...] = ()
    entries: tuple[FileContext, ...] = ()
    equivalences: tuple[Equivalence, ...] = ()
    ports: tuple[PortRange, ...] = ()
    told: tuple[Carried, ...] = ()


@dataclass
class _Work:
    """What has been done so far; ``before`` is the scenario as it was."""

    known: Known
    before: Scenario
    scenario: Scenario
    changes: dict[Lasting, None] = field(default_factory=dict)


def carry_out(asked: Iterable[AskedRemedy], scenario: Scenario, known: Known) -> CarriedOut:
    """Change the scenario as the remedies ask, in their order."""
    work = _Work(known, scenario, scenario)
    told = tuple(_carried(remedy, work) for remedy in asked)
    return CarriedOut(
        scenario=work.scenario,
        booleans=tuple((one.name, one.value) for one in work.changes if isinstance(one, Setting)),
        entries=tuple(one for one in work.changes if isinstance(one, FileContext)),
        equivalences=tuple(one for one in work.changes if isinstance(one, Equivalence)),
        ports=tuple(one for one in work.changes if isinstance(one, PortRange)),
        told=told,
    )


def _carried(remedy: AskedRemedy, work: _Work) -> Carried:
    ways: dict[str, Callable[[AskedRemedy, _Work], tuple[bool, str]]] = {
        "boolean": _booleans,
        "level": _levels,
        "mount": _mount,
        "domain": _domain,
    }
    applied, note = ways.get(remedy.kind, _commands)(remedy, work)
    return Carried(remedy.decision, remedy.kind, applied, note)


def _booleans(remedy: AskedRemedy, work: _Work) -> tuple[bool, str]:
    results = [_change(Setting(name, value), work) for name, value in remedy.settings]
    failed = [note for ok, note in results if not ok]
    if failed or not results:
        return False, failed[0] if failed else "it names no boolean"
    return True, ", ".join(note for _, note in results)


def _commands(remedy: AskedRemedy, work: _Work) -> tuple[bool, str]:
    """semanage and restorecon, each line of them; one that can't be carried out makes the remedy one that was not."""
    if not remedy.commands:
        return False, "it holds no command to carry out"
    done: list[str] = []
    failed: list[str] = []
    for command in remedy.commands:
        changes = read_command(command)
        if not changes:
            failed.append(f"not known how to carry out in a machine: {command}")
        for change in changes:
            ok, note = _change(change, work)
            (done if ok else failed).append(note)
    return not failed, "; ".join(dict.fromkeys(failed or done))


def _change(change: Change, work: _Work) -> tuple[bool, str]:
    if isinstance(change, Restore):
        return _restored(change, work)
    if isinstance(change, (FileContext, PortRange)) and not work.known.has_type(change.type):
        return False, f"the policy has no type {change.type}: give the plan's module with --module"
    if isinstance(change, Setting) and not work.known.has_boolean(change.name):
        return False, f"the policy has no boolean {change.name}"
    if isinstance(change, FileContext) and not _is_pattern(change.pattern):
        return False, f"{change.pattern} is no regular expression"
    other = next((one for one in work.changes if _against(change, one)), None)
    if other is not None:
        return False, f"{_done(other)} by another remedy already"
    work.changes[change] = None
    return True, _done(change)


def _against(change: Lasting, other: Lasting) -> bool:
    """Both can't hold: the same ports with another type, the same boolean with another value."""
    if isinstance(change, PortRange) and isinstance(other, PortRange):
        return replace(change, type=other.type) == other != change
    return (
        isinstance(change, Setting)
        and isinstance(other, Setting)
        and change.name == other.name
        and change.value != other.value
    )


def _done(change: Lasting) -> str:
    if isinstance(change, FileContext):
        return f"file_contexts has {change.pattern} as {change.type}"
    if isinstance(change, PortRange):
        numbers = str(change.low) if change.low == change.high else f"{change.low}-{change.high}"
        return f"{change.protocol} port {numbers} is {change.type}"
    if isinstance(change, Equivalence):
        return f"{change.path} is labelled as {change.like} is"
    return f"{change.name} is {'on' if change.value else 'off'}"


def _is_pattern(text: str) -> bool:
    """As Python reads it, which stands in for PCRE2 here: libselinux passes an entry by that it can't compile."""
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _restored(restore: Restore, work: _Work) -> tuple[bool, str]:
    """restorecon(8): the type as file_contexts say; level and customizable types only by force."""
    things = work.scenario.things
    reached = [thing for thing in things if _reaches(restore, thing.path)]
    if not reached and not any(_is_below(thing.path, restore.path) for thing in things):
        return False, f"nothing of the scenario lies at {restore.path}"
    kept = [] if restore.force else [thing for thing in reached if _keeps(thing, work.known)]
    for thing in kept:
        reached.remove(thing)
    changed = {thing.path: _as_file_contexts_say(thing, restore.force) for thing in reached}
    work.scenario = replace(work.scenario, things=tuple(changed.get(thing.path, thing) for thing in things))
    if kept:
        return False, f"{kept[0].path} keeps its customizable type {_type(kept[0])}: it takes restorecon -F"
    return True, f"{restore.path} is labelled as file_contexts say"


def _reaches(restore: Restore, path: str) -> bool:
    return _is_below(path, restore.path) if restore.below else path == restore.path


def _keeps(thing: Thing, known: Known) -> bool:
    return thing.label is not None and known.is_customizable(_type(thing) or "")


def _as_file_contexts_say(thing: Thing, force: bool) -> Thing:
    return replace(thing, label=None, level=None if force else _level(thing))


def _mount(remedy: AskedRemedy, work: _Work) -> tuple[bool, str]:
    """``context=``: everything on the mount, which is everything with its label, has the one that was asked for."""
    if remedy.type is None or not any(command.startswith("mount -o context=") for command in remedy.commands):
        return False, f"only where the workload is started: {remedy.commands[0] if remedy.commands else 'its mount'}"
    if not work.known.has_type(remedy.type):
        return False, f"the policy has no type {remedy.type}"
    on_it = [thing for thing in work.before.things if _type(thing) == remedy.target]
    if not on_it:
        return False, f"nothing of the scenario is labelled {remedy.target}"
    changed = {thing.path: replace(thing, label=remedy.type, level=None) for thing in on_it}
    work.scenario = replace(
        work.scenario, things=tuple(changed.get(thing.path, thing) for thing in work.scenario.things)
    )
    return True, f"what was {remedy.target} ({', '.join(sorted(changed))}) is {remedy.type}, as context= makes it"


def _domain(remedy: AskedRemedy, work: _Work) -> tuple[bool, str]:
    """Relabelled it can be; started again in another domain only by whoever runs it."""
    restored = [change for command in remedy.commands for change in read_command(command)]
    for change in restored:
        if isinstance(change, Restore):
            _restored(change, work)
    also = "its executable is relabelled, but " if restored else ""
    return False, f"{also}a process is started in another domain only by whoever runs it: write it into the scenario"


def _levels(remedy: AskedRemedy, work: _Work) -> tuple[bool, str]:
    """The workload's level for what it shares, as :Z or one level for both containers gives it."""
    level = work.before.workload.level
    if level is None:
        return False, "the workload has no level that the other side could be given"
    if remedy.tclass in _FILES:
        return _level_of_files(remedy, level, work)
    others = {text.partition(" -> ")[2] for text in remedy.levels}
    peers = [one for one in work.before.processes if one.domain == remedy.target and (one.level or "s0") in others]
    if not peers:
        return False, f"no process of the scenario runs in {remedy.target} at {', '.join(sorted(others)) or 'a level'}"
    names = {one.name for one in peers}
    moved = (replace(one, level=level) if one.name in names else one for one in work.scenario.processes)
    work.scenario = replace(work.scenario, processes=tuple(moved))
    return True, f"{', '.join(sorted(names))} runs at {level}, the workload's level"


def _level_of_files(remedy: AskedRemedy, level: str, work: _Work) -> tuple[bool, str]:
    places = {place for path in remedy.paths for place in _host_paths(path, work.scenario)}
    found = [
        thing
        for thing in work.before.things
        if _level(thing) not in (None, level)
        if _type(thing) in (None, remedy.target)
        if thing.path in places or (not remedy.paths and _level(thing) in _targets(remedy.levels))
    ]
    if not found:
        where = ", ".join(sorted(places)[:4]) or f"any {remedy.target} of another level"
        return False, f"no thing of the scenario is at another level at {where}"
    changed = {thing.path for thing in found}
    work.scenario = replace(
        work.scenario,
        things=tuple(_at_level(thing, level) if thing.path in changed else thing for thing in work.scenario.things),
    )
    return True, f"{', '.join(sorted(changed))} has the workload's level {level}, as :Z gives it"


def _targets(levels: Iterable[str]) -> frozenset[str]:
    return frozenset(text.partition(" -> ")[2] for text in levels)


def _at_level(thing: Thing, level: str) -> Thing:
    """The label's own level goes, where it is a whole context."""
    words = (thing.label or "").split(":", 3)
    label = ":".join((*words[:3], level)) if len(words) == 4 else thing.label
    return replace(thing, label=label, level=level)


def _host_paths(path: str, scenario: Scenario) -> Iterator[str]:
    """Where a path in the log can be on the host: itself, below the workload's root, behind its mounts."""
    yield path
    root = scenario.workload.root
    if root is not None:
        binds = [bind for bind in scenario.workload.binds if _is_below(path, bind[1])]
        if binds:
            host, inside, _ = max(binds, key=lambda bind: len(bind[1]))
            yield (host.rstrip("/") + path[len(inside.rstrip("/")) :]) or "/"
        else:
            yield root.rstrip("/") + path


def _type(thing: Thing) -> Optional[str]:
    """The type that the scenario gives it; None where file_contexts do."""
    if thing.label is None:
        return None
    words = thing.label.split(":")
    return words[2] if len(words) > 2 else words[0]


def _level(thing: Thing) -> Optional[str]:
    words = (thing.label or "").split(":", 3)
    return words[3] if len(words) == 4 else thing.level


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")
