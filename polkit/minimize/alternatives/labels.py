"""Ways to label what nobody labelled: with an existing type that fits, or by the engine for a container's volume."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import Optional

from polkit.minimize.alternatives.costs import Price, fixed
from polkit.minimize.alternatives.ways import POLICY, SHARED, Case, Way, main_changed, main_of
from polkit.minimize.grouping import Diagnosed
from polkit.minimize.ladder import fresh_label
from polkit.minimize.paths import Mount
from polkit.minimize.question import WRITING, Question
from polkit.model import EQUAL_LEVELS, Cost, LevelRelations, Remedy

_READ_ONLY = ("container_ro_file_t", "container_share_t")
"""What containers may read and none may write: reference policy and container-selinux; the older name."""


def labels(case: Case) -> Iterator[Way]:
    """Instead of a type of the module's own."""
    remedy = case.decision.remedy
    if case.decision.cause != "mislabeled" or remedy.kind != "fcontext" or not remedy.types:
        return
    if case.policy.info is None or not case.first.from_container or case.acting is None:
        return
    yield from _existing(case)
    yield from _by_engine(case)


def _existing(case: Case) -> Iterator[Way]:
    """A type for files that containers only read, where nothing writes."""
    names = (case.policy.type_name(name) for name in _READ_ONLY)
    type_ = next((name for name in names if name is not None), None)
    if type_ is None or _written(case):
        return

    def change(part: Diagnosed) -> Optional[Diagnosed]:
        question = case.asks_as(part.question)
        if question is None or not _fits(question, type_, fresh_label(question.key.levels)):
            return None
        given = case.policy.allowed(question.source, type_, question.key.tclass)
        before = case.policy.allowed(question.source, question.target, question.key.tclass)
        if not WRITING.isdisjoint(given) or not before - WRITING <= given:
            return None  # it would open more than was asked for, or take away what the old label gave
        own = main_of(part).remedy
        text = f"Label {own.path} as {type_}, which containers may read and none may write."
        contexts = tuple(replace(context, type=type_) for context in own.contexts)
        commands = tuple(command.replace(f" -t {own.type} ", f" -t {type_} ") for command in own.commands)
        labelled = replace(own, text=text, commands=commands, type=type_, contexts=contexts, rules=(), types=())
        return _labelled(part, labelled)

    text = "It needs no rule: what the policy allows on the type's other files it allows on these."
    yield Way(f"fcontext:{type_}", POLICY, change, fixed(Cost(0, _reach(case, type_), text)))


def _reach(case: Case, type_: str) -> int:
    """How many domains may do the same to whatever has the type, by the policy's rules."""
    return case.reach.domains(case.policy, type_, case.first.key.tclass, frozenset(case.decision.perms))


def _written(case: Case) -> bool:
    """The tree is one that something in the evidence writes."""
    own = case.first.own
    trees = {tree.type: tree for tree in own.trees.values()}
    return any(trees[declared.name].writable for declared in case.decision.remedy.types if declared.name in trees)


def _is_written_volume(case: Case) -> bool:
    """All of a mount is written: the engine would give what is only read the same label."""
    declared = {one.name for one in case.decision.remedy.types}
    trees = [tree for tree in case.first.own.trees.values() if tree.type in declared]
    return bool(trees) and all(tree.volume and tree.writable for tree in trees)


def _by_engine(case: Case) -> Iterator[Way]:
    """``:Z`` and ``:z`` on the volume: for what is written, and with what they cost."""
    type_, mount = case.policy.container_file_type(), _mount_of(case)
    if type_ is None or mount is None or not _is_written_volume(case):
        return
    host, inside = shlex.quote(mount.host), shlex.quote(mount.container)

    def changing(flag: str, levels: Optional[LevelRelations], text: str) -> Way:
        def change(part: Diagnosed) -> Optional[Diagnosed]:
            question = case.asks_as(part.question)
            if question is None or not _fits(question, type_, levels or fresh_label(question.key.levels)):
                return None
            command = f"podman run -v {host}:{inside}:{flag} ..."
            return _labelled(part, Remedy("mount", text, (command,), path=mount.host, type=type_))

        tier = POLICY if flag == "Z" else SHARED
        return Way(f"volume:{flag}", tier, change, _volume_cost(case, type_, flag), widens=flag == "z")

    relabels = f"The engine relabels everything below {mount.host} as {type_} at every start"
    yield changing("Z", EQUAL_LEVELS, f"Mount it with :Z. {relabels}, with this container's own categories.")
    yield changing("z", None, f"Mount it with :z. {relabels}, without categories: every container may write it.")


def _volume_cost(case: Case, type_: str, flag: str) -> Price:
    if flag == "Z":
        text = "It needs no rule. Every label of the directory is rewritten; no other container can use it then."
        return fixed(Cost(0, 1, text))
    text = "It needs no rule. Every label of the directory is rewritten; every container may read and write it then."
    return fixed(Cost(0, _reach(case, type_), text))


def _mount_of(case: Case) -> Optional[Mount]:
    """The mount whose source is to be labelled."""
    root = case.decision.remedy.path
    if root is None or len(case.decision.remedy.types) > 1:
        return None
    mounts = case.settings.paths.mounts
    return next((one for one in mounts if posixpath.normpath(one.host) == posixpath.normpath(root)), None)


def _fits(question: Question, type_: str, levels: LevelRelations) -> bool:
    """The policy allows the access, constraints included, once the file has this type and level."""
    verdict = question.at(type_, levels).verdict
    return verdict is not None and verdict.allowed


def _labelled(part: Diagnosed, remedy: Remedy) -> Diagnosed:
    """With the policy's own rules nothing else refuses: each of them was asked."""
    return main_changed(part, replace(remedy, any_command=False), settles_all=True, risk=None)
