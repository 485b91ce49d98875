"""ioctl commands on the nodes of GPUs: what their drivers call them, and whether a real driver was there to be asked.

A workload stops at the first command that its driver does not answer. So what was recorded where something stood in for
the driver is no measurement of what the workload needs: it is marked, with what the log shows of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from importlib.resources import files
from typing import Any, Optional

from polkit.minimize.grouping import Decided
from polkit.model import Counted, Decision, DeviceCommand, Evidence
from polkit.policy import TargetPolicy

_NODE = "chr_file"
_TELLS_NOTHING = frozenset(("EACCES", "EPERM", "EINTR", "ENOTTY"))
"""Answers that need no driver: refused before it was asked, interrupted, or nobody there who knows the command."""
_WIDEST = 160
"""So many characters of commands go into one line for a person: with the rest it stays a comment line of a module."""


@dataclass(frozen=True)
class _Driver:
    id: str
    nodes: tuple[re.Pattern[str], ...]
    node: str
    majors: frozenset[int]
    source: str
    commands: Mapping[int, tuple[str, ...]]

    def owns(self, path: str) -> bool:
        """The path is one of the driver's nodes."""
        return any(pattern.fullmatch(path) for pattern in self.nodes)


@dataclass(frozen=True)
class _Catalogue:
    drivers: tuple[_Driver, ...]
    dynamic: tuple[tuple[int, int], ...]
    """Ranges of major numbers that the kernel gives out at run time."""


def with_device_commands(
    decided: Iterable[Decided], counted: Iterable[Counted], policy: TargetPolicy
) -> tuple[Decision, ...]:
    """The decisions, each with its commands on nodes of GPUs. ``counted``: everything that was read, since the numbers
    of a node stand beside other denials than its ioctls."""
    numbers: dict[str, set[str]] = {}
    for one in counted:
        for node in one.evidence.nodes:
            path, _, pair = node.rpartition(" ")
            numbers.setdefault(path, set()).add(pair)
    return tuple(
        replace(one.decision, device_commands=tuple(_commands(one, numbers, policy)))
        if one.decision.tclass == _NODE and one.decision.xperms
        else one.decision
        for one in decided
    )


def _commands(decided: Decided, numbers: Mapping[str, set[str]], policy: TargetPolicy) -> Iterator[DeviceCommand]:
    by_command: dict[int, list[Evidence]] = {}
    for part in decided.parts:
        xperm = part.question.access.xperm
        if xperm is not None and xperm.kind == "ioctl":
            by_command.setdefault(xperm.number, []).append(part.question.evidence)
    for number, evidence in sorted(by_command.items()):
        paths = {path for one in evidence for path in one.paths}
        drivers = _drivers_of(paths, decided.decision.target, number, policy)
        if drivers:
            named = [driver for driver in drivers if number in driver.commands] or drivers
            seen = {
                pair for path in paths if any(driver.owns(path) for driver in drivers) for pair in numbers.get(path, ())
            }
            measured, why = _measured(drivers, seen, {answer for one in evidence for answer in one.answers})
            yield DeviceCommand(
                xperm=f"0x{number:04x}",
                names=tuple(dict.fromkeys(name for driver in named for name in driver.commands.get(number, ()))),
                drivers=tuple(driver.id for driver in named),
                sources=tuple(dict.fromkeys(driver.source for driver in named if driver.source)),
                measured=measured,
                why=why,
            )


def _drivers_of(paths: Iterable[str], target: str, number: int, policy: TargetPolicy) -> tuple[_Driver, ...]:
    """Whose node it was: by its path; without any path, by the type that file contexts give the drivers' nodes."""
    catalogue = _catalogue()
    listed = tuple(paths)
    if listed:
        return tuple(driver for driver in catalogue.drivers if any(driver.owns(path) for path in listed))
    if not policy.has_file_contexts:
        return ()
    of_type = tuple(driver for driver in catalogue.drivers if driver.node and _type_of(driver.node, policy) == target)
    return tuple(driver for driver in of_type if number in driver.commands) or of_type


def _type_of(node: str, policy: TargetPolicy) -> Optional[str]:
    label = policy.file_label(node, _NODE)
    return None if label is None else label.type


def _measured(drivers: Iterable[_Driver], seen: Iterable[str], answers: Iterable[str]) -> tuple[bool, str]:
    """Whether a driver was there, and what shows it. ``seen``: the numbers of the nodes."""
    catalogue, pairs = _catalogue(), sorted(seen)
    own = frozenset(major for driver in drivers for major in driver.majors)
    strangers = [pair for pair in pairs if _major(pair) not in own and not _given_out(_major(pair), catalogue)]
    if pairs and len(strangers) == len(pairs):
        numbers = "is /dev/zero" if pairs == ["1:5"] else "is another device's number"
        return False, f"no driver stood behind its node: {', '.join(pairs)} {numbers}"
    answered = sorted(set(answers))
    telling = [answer for answer in answered if answer not in _TELLS_NOTHING]
    if telling:
        return True, f"a driver answered it ({', '.join(telling)})"
    if any(_major(pair) in own for pair in pairs):
        return True, f"its node has the driver's numbers ({', '.join(pairs)})"
    if "ENOTTY" in answered:
        return False, "what stood behind its node did not know it (ENOTTY)"
    return False, "no record shows that a driver stood behind its node"


def _major(pair: str) -> int:
    return int(pair.partition(":")[0])


def _given_out(major: int, catalogue: _Catalogue) -> bool:
    return any(first <= major <= last for first, last in catalogue.dynamic)


def unmeasured_notes(decisions: Iterable[Decision]) -> Iterator[str]:
    """A line for the head of a plan; none where every command was measured."""
    numbers = {one.xperm for decision in decisions for one in decision.device_commands if not one.measured}
    if numbers:
        what = "ioctl command on GPU nodes is" if len(numbers) == 1 else "ioctl commands on GPU nodes are"
        yield (
            f"{len(numbers)} {what} unmeasured: nothing shows that a real driver was there, and with one the workload "
            "may need others"
        )


def command_lines(commands: Iterable[DeviceCommand]) -> Iterator[str]:
    """What to tell of the commands, for a person: their names, together where the same is to be said of them."""
    groups: dict[tuple[bool, str, tuple[str, ...]], list[DeviceCommand]] = {}
    for one in commands:
        groups.setdefault((one.measured, one.why if not one.measured else "", one.drivers), []).append(one)
    for (measured, why, drivers), members in groups.items():
        for named in _in_lines(map(_named, members)):
            word = "" if measured else "unmeasured: "
            yield f"{word}{named} ({'/'.join(drivers)})" + (f"; {why}" if why else "")


def _in_lines(names: Iterable[str]) -> Iterator[str]:
    line = ""
    for name in names:
        if line and len(line) + len(name) > _WIDEST:
            yield line
            line = ""
        line += f", {name}" if line else name
    yield line


def _named(one: DeviceCommand) -> str:
    return f"{one.xperm} {' or '.join(one.names)}".rstrip()


@lru_cache(maxsize=1)
def _catalogue() -> _Catalogue:
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    text = files("polkit.minimize").joinpath("device_commands.toml").read_text("utf-8")
    document: Mapping[str, Any] = toml.loads(text)
    drivers = tuple(
        _Driver(
            entry["id"],
            tuple(re.compile(pattern) for pattern in entry["nodes"]),
            entry.get("node", ""),
            frozenset(entry["majors"]),
            entry["source"],
            {int(number, 16): tuple(names) for number, names in entry.get("commands", {}).items()},
        )
        for entry in document["driver"]
    )
    return _Catalogue(drivers, tuple((first, last) for first, last in document["dynamic_majors"]))
