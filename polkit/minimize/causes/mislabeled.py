"""mislabeled: the file has a type that is not its own, so the label is what to change and never the rule.

Known by the path where it is known on the host (file_contexts says another type), or by a type that only means
"nobody labelled this". A container's path that no mount maps is never looked up: it is not the host's path.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Optional

from polkit.minimize.generic_types import why_generic
from polkit.minimize.labels_in_force import context_of
from polkit.minimize.paths import HostPath, is_below
from polkit.minimize.placing import better_label
from polkit.minimize.question import (
    DEVICE_CLASSES,
    FILE_CLASSES,
    NOTHING,
    WRITING,
    Finding,
    LabelTree,
    Question,
    domain_name,
)
from polkit.minimize.rules_for import rules_for, tells_no_command
from polkit.model import AvRule, Remedy, Rule, TypeDeclaration
from polkit.module import KINDS
from polkit.policy import FileEntry

_IMAGE = re.compile(r"/(usr|lib|lib32|lib64|libx32|bin|sbin|etc|opt)(/|\Z)")
_IMAGE_TYPES = frozenset({"var_lib_t", "var_t", "default_t", "unlabeled_t", "usr_t", "mnt_t", "user_home_t"})
_VOLATILE = re.compile(r"/(tmp|var/tmp|run|var/run|proc|sys|dev/shm|dev/pts)(/|\Z)")
_NETWORK_TYPES = frozenset({"nfs_t", "cifs_t", "fusefs_t", "ceph_t", "cephfs_t", "removable_t", "dosfs_t"})
_PLAIN = ("dir", "file", "lnk_file")
_NEVER_ALONG = frozenset({"ioctl", "execmod", "entrypoint"})
_LOCAL_KINDS = {"--": "f", "-d": "d", "-c": "c", "-b": "b", "-s": "s", "-p": "p", "-l": "l"}
"""semanage-fcontext(8), --ftype."""
_SHOWN = 4
STORAGE = "/var/lib/containers/storage"


def examine(question: Question) -> Optional[Finding]:
    """Tries, in this order: an image layer, a label file_contexts knows, a type of our own, a mount, advice."""
    if question.verdict is None or question.verdict.rule or question.key.tclass not in FILE_CLASSES:
        return None
    return (
        _image_layer(question)
        or _restore(question)
        or _own_type(question)
        or _host_memory(question)
        or _network_mount(question)
        or _ask_for_path(question)
    )


def _image_layer(question: Question) -> Optional[Finding]:
    """A program or library of the image: the directory that holds the layers is mislabelled, not this file."""
    if not question.from_container or question.target not in _IMAGE_TYPES or question.access.perm in WRITING:
        return None
    paths = question.evidence.paths
    if not paths or not all(_IMAGE.match(path) for path in paths) or question.host_paths():
        return None
    roots = tuple(root for root in question.settings.paths.graph_roots if not is_below(root, "/var/lib/containers"))
    why = (
        f"{paths[0]} is a file of the container's image, so it lies in a layer below the engine's storage on the "
        f"host, and that storage is labelled {question.target} instead of a type for containers."
    )
    if roots:
        root = roots[0]
        text = f"The storage was moved to {root}: make it equivalent to {STORAGE} and relabel it."
        commands = (
            f"semanage fcontext -a -e {STORAGE} {shlex.quote(root)}",
            f"restorecon -RFv {shlex.quote(root)}",
        )
        return Finding(
            "mislabeled", Remedy("equivalence", text, commands, path=root, type=_storage_type(question)), why
        )
    text = (
        "Relabel the engine's storage on the host (reinstall container-selinux first if file_contexts lacks it); for "
        "storage that was moved use semanage fcontext -a -e /var/lib/containers/storage NEW_PLACE."
    )
    command = "restorecon -RFv /var/lib/containers"
    remedy = Remedy("relabel", text, (command,), path="/var/lib/containers", type=_storage_type(question))
    return Finding("mislabeled", remedy, why)


def _storage_type(question: Question) -> Optional[str]:
    label = question.policy.file_label(f"{STORAGE}/overlay", "dir")
    return label.type if label is not None else None


def _restore(question: Question) -> Optional[Finding]:
    """file_contexts knows a better type for the path: restorecon."""
    found: list[tuple[HostPath, str]] = []
    for place in question.host_paths():
        label = better_label(place, question.source, question.target, question.key.tclass, question.policy)
        if label is not None and not _leave_alone(question, place):
            found.append((place, label))
    if not found:
        return None
    force = "F" if question.policy.is_customizable(question.target) else ""
    places = tuple(dict.fromkeys(place.path for place, _ in found))
    commands = tuple(f"restorecon -{force}v {shlex.quote(path)}" for path in places)
    expected = found[0][1]
    text = f"Put the label back that file_contexts gives: {places[0]} is {expected}."
    if len(places) > 1:
        text = f"Put the labels back that file_contexts gives: {places[0]} is {expected}; {len(places) - 1} more."
    why = f"{places[0]} is labelled {question.target}, and the policy's file contexts say {expected}."
    asked = tuple(f"file_contexts {place.path}? {label}" for place, label in found[:8])
    remedy = Remedy("relabel", text, commands, path=places[0], type=expected)
    return Finding("mislabeled", remedy, why, asked=asked, retarget=question.policy.type_name(expected))


def _leave_alone(question: Question, place: HostPath) -> bool:
    """Labels that are made at run time, or chosen by an administrator, are not mistakes."""
    generic = why_generic(question.policy, question.source, question.target, question.key.tclass)
    return not generic and (_VOLATILE.match(place.path) is not None or question.policy.is_customizable(question.target))


def _own_type(question: Question) -> Optional[Finding]:
    """A host directory that nobody labelled: an fcontext entry with a type of the module's own."""
    found = [question.own.trees[place.path] for place in question.host_paths() if place.path in question.own.trees]
    trees = sorted(set(found), key=lambda tree: (tree.root, tree.kind)) or _without_path(question)
    generic = why_generic(question.policy, question.source, question.target, question.key.tclass)
    if not trees or not generic:
        return _kept(question) if generic else None
    first, own = trees[0], [tree for tree in trees if tree.own]
    why = (
        f"{first.root} is labelled {question.target}, which means {generic}; an allow rule on it would open every "
        "such file."
    )
    remedy = Remedy(
        "fcontext",
        _how_to_label(question, trees),
        tuple(dict.fromkeys(command for tree in trees for command in _relabel_commands(question, tree))),
        path=first.root,
        pattern=first.pattern,
        type=first.type,
        rules=tuple(rule for tree in own for rule in _tree_rules(question, tree)),
        any_command=tells_no_command(question.access),
        types=tuple(TypeDeclaration(tree.type, tree.attributes) for tree in own),
        contexts=tuple(context_of(tree) for tree in trees if not tree.over),
    )
    asked = tuple(f"file_contexts {place.path}? {_label(question, place)}" for place in question.host_paths()[:8])
    return Finding("mislabeled", remedy, why, asked=asked, retarget=None if own else first.type)


def _without_path(question: Question) -> list[LabelTree]:
    """The record names no path (auditd without rules logs none): it goes where all known paths on this type lie, and
    what changes the object goes where something was seen to change any."""
    trees = question.own.pathless.get((question.source, question.target), ())
    writes = question.access.perm in WRITING
    return [] if question.evidence.paths else [tree for tree in trees if tree.writable or not writes]


def _kept(question: Question) -> Optional[Finding]:
    """An entry of file contexts decides over any that could be added."""
    blocked = [place.path for place in question.host_paths() if place.path in question.own.blocked]
    if not blocked:
        return None
    entry = question.own.blocked[blocked[0]]
    text = f"Not labelled: take out the entry first that decides the label of {blocked[0]} ({_named(entry)})."
    why = f"{blocked[0]} is labelled {question.target}, and {_named(entry)} would keep it so over any entry added."
    return Finding("mislabeled", Remedy("refuse", text), why)


def _named(entry: FileEntry) -> str:
    return f"{entry.pattern} in {entry.file}"


def _how_to_label(question: Question, trees: list[LabelTree]) -> str:
    """What to label how, and what stands against it."""
    over = next((tree.over for tree in trees if tree.over), "")
    blocked = [place.path for place in question.host_paths() if place.path in question.own.blocked]
    text = _label_text(question, trees)
    if over:
        text += f" {over} decides over any module's entry, so this is a local one: delete it before the module goes."
    if blocked:
        text += f" {blocked[0]} keeps its label: {_named(question.own.blocked[blocked[0]])} decides over any other."
    return text


def _label_text(question: Question, trees: list[LabelTree]) -> str:
    """One sentence that names each directory, and for a volume that is written what the engine would do instead."""
    first = trees[0]
    if len(trees) > 1:
        named = ", ".join(f"{_place(tree)} as {tree.type} ({_mode(tree)})" for tree in trees[:_SHOWN])
        more = f" and {len(trees) - _SHOWN} more" if len(trees) > _SHOWN else ""
        return f"Label {named}{more}."
    if not first.own:
        return (
            f"Label {_place(first)} as {first.type}: this type gives the domain exactly what was observed, and nobody "
            "else anything."
        )
    text = f"Label {_place(first)} as {first.type}, a type of the module's own that is {_mode(first)} to this domain."
    if first.kind == KINDS["dir"] and first.writable:
        text += f" What else lies in it stays read-only; what is made there has {first.type} until the next restorecon."
    if first.volume and first.writable and question.from_container:
        text += (
            " For a volume of one container :Z would do too (it rewrites the labels of the whole directory; "
            "with :z every container could then write it)."
        )
    return text


def _place(tree: LabelTree) -> str:
    return f"the directory {tree.root} itself" if tree.kind == KINDS["dir"] else tree.root


def _mode(tree: LabelTree) -> str:
    return "readable and writable" if tree.writable else "read-only"


def _relabel_commands(question: Question, tree: LabelTree) -> Iterator[str]:
    """A local entry where a module's would not decide, after those around it: the last one added decides. With -F: the
    files of a container have its level."""
    if tree.over:
        local = {one for one in question.own.trees.values() if one.over and is_below(tree.root, one.root)}
        for one in sorted(local, key=lambda one: (one.root, one.kind)):
            kind = f"-f {_LOCAL_KINDS[one.kind]} " if one.kind else ""
            yield f"semanage fcontext -a {kind}-t {one.type} {shlex.quote(one.pattern)}"
    flags = "-v" if question.key.tclass in DEVICE_CLASSES else ("-Fv" if tree.kind else "-RFv")
    yield f"restorecon {flags} {shlex.quote(tree.root)}"


def _label(question: Question, place: HostPath) -> str:
    label = question.policy.file_label(place.path, question.key.tclass)
    return label.type if label is not None else "none"


def _tree_rules(question: Question, tree: LabelTree) -> tuple[Rule, ...]:
    """The observed permission on the new type, and what the relabel must take along."""
    along = tuple(
        AvRule("allow", question.source, tree.type, tclass, tuple(sorted(perms)))
        for tclass in dict.fromkeys((question.key.tclass, *_PLAIN))
        if (perms := _taken_along(question, tree, tclass))
    )
    return (*rules_for(question.access, tree.type), *along)


def _taken_along(question: Question, tree: LabelTree, tclass: str) -> frozenset[str]:
    """What is in no log because of the old label: a dontaudit rule hid it, or the label allowed it. Without it the
    workload would lose by the relabel.

    Never an ioctl: nobody saw its command, so it could not be granted exactly. A domain that starts from nothing takes
    along nothing that the domain in the log was allowed, but what it is allowed itself, as every domain is.
    """
    source, target, policy = question.source, question.target, question.policy
    heir = domain_name(question.settings) if question.settings.base == NOTHING else source
    if tclass != question.key.tclass and question.key.tclass not in _PLAIN:
        return frozenset()
    hidden = policy.dontaudited(source, target, tclass) if tclass == question.key.tclass else frozenset()
    allowed = policy.allowed(heir, target, tclass)
    structural = (policy.allowed(heir, attribute, tclass) for attribute in tree.attributes)
    along = (hidden | allowed).difference(_NEVER_ALONG, *structural)
    return along if tree.writable else along - WRITING - {"execute", "execute_no_trans"}


def _host_memory(question: Question) -> Optional[Finding]:
    """The host's /dev/shm or message queues, seen by a container that shares the host's IPC namespace."""
    if not question.from_container or question.target != "tmpfs_t" or question.key.tclass not in ("file", "dir"):
        return None
    evidence = question.evidence
    shared = any(path.startswith("/dev/shm") for path in evidence.paths) or "mqueue" in evidence.devices
    anonymous = any(path.startswith(("/memfd:", "/SYSV")) for path in evidence.paths)
    if not shared or anonymous:
        return None
    text = "Run it with an IPC namespace of its own and --shm-size=SIZE instead of the host's (--ipc=host)."
    type_ = question.policy.container_file_type()
    remedy = Remedy("mount", text, ("podman run --shm-size=SIZE ...",), path="/dev/shm", type=type_)
    why = "The container sees the host's /dev/shm or message queues (tmpfs_t): it shares the host's IPC namespace."
    return Finding("mislabeled", remedy, why)


def _network_mount(question: Question) -> Optional[Finding]:
    """NFS, CIFS and FUSE files have the label of their mount, and no boolean gives what was asked."""
    if question.target not in _NETWORK_TYPES or not question.from_container or question.verdict is None:
        return None
    if question.verdict.booleans:
        return None
    type_ = question.policy.container_file_type()
    if type_ is None:
        return None
    text = (
        f"Mount the file system with a label of its own: context=system_u:object_r:{type_}:s0 (podman and CSI "
        "drivers take it as a mount option); files on it can't be labelled one by one."
    )
    command = f'mount -o context="system_u:object_r:{type_}:s0" SOURCE DIRECTORY'
    why = f"{question.target} is the label of the whole mount, and {question.source} may not do this on it."
    return Finding("mislabeled", Remedy("mount", text, (command,), path=None, type=type_), why)


def _ask_for_path(question: Question) -> Optional[Finding]:
    """Nobody labelled the file, and where it lies on the host is not known: say how to find out."""
    generic = why_generic(question.policy, question.source, question.target, question.key.tclass)
    if not generic:
        return None
    seen = question.evidence.paths[0] if question.evidence.paths else ""
    what = seen or (question.evidence.names[0] if question.evidence.names else "the object")
    known = question.host_paths()
    if question.from_container and known:
        text = (
            f"Not labelled: {known[0].path} belongs to the host or is labelled by another program. Give the workload "
            "a directory of its own."
        )
        why = f"{what} is labelled {question.target}, which means {generic}, and lies where others live by it."
        return Finding("mislabeled", Remedy("refuse", text), why)
    if question.from_container:
        text = (
            f"Say where {what} lies on the host: --inspect FILE (podman inspect, crictl inspect or the pod's YAML) or "
            "--mount HOST:CTR; then it gets a label of its own. No rule is written on this type."
        )
        directory = seen.rsplit("/", 1)[0] if seen.count("/") > 1 else (seen or "/CONTAINER_DIR")
        command = f"polkit generate --mount /HOST_DIR:{shlex.quote(directory)} ..."
    else:
        text = f"Find {what} on the host (find / -xdev -inum INODE) and put its label back with restorecon."
        command = "restorecon -v PATH"
    why = f"{what} is labelled {question.target}, which means {generic}; an allow rule would open every such file."
    return Finding("mislabeled", Remedy("fcontext" if question.from_container else "relabel", text, (command,)), why)
