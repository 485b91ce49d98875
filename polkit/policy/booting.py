"""The policy that a machine is to boot with: the target's store with modules in it, and what it labels files as.

Built in a copy of the store by ``semodule``, as an installation does; nothing is installed or loaded.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.errors import CompileError, SourceError, UsageError
from polkit.model import Context
from polkit.module import PRIORITY, copy_store, does_not_link, refuse_shadowing, run_tool, unreadable_store
from polkit.policy.boot_cache import CONTEXTS, POLICY, boot_key, recall, remember
from polkit.policy.interface import TargetPolicy
from polkit.policy.labels import FileLabels
from polkit.policy.locate import PolicyFiles
from polkit.policy.target import load

_SECONDS = 300
_SUFFIXES = (".pp", ".cil")


@dataclass(frozen=True)
class BootPolicy:
    """A binary policy and its file contexts; both lie where they were built."""

    policy: Path
    labels: FileLabels

    def label(self, path: str, tclass: str) -> Optional[Context]:
        """What file_contexts says of a path (``<<none>>`` and no answer are None)."""
        return self.labels.label(path, tclass)


def load_booted(booted: BootPolicy, files: PolicyFiles, booleans: Mapping[str, bool]) -> TargetPolicy:
    """The policy that was built from ``files``, to be asked as any other, with the booleans that a machine sets.

    Raises SourceError, MissingDependency without setools.
    """
    found = load(replace(files, policy=booted.policy), to_cache=False)
    return replace(found, _labels=booted.labels).with_booleans(booleans)


class LocalPort(NamedTuple):
    """A port's label as ``semanage port`` sets it, -a and -m alike; ``low`` is ``high`` for one port."""

    protocol: str
    low: int
    high: int
    context: str


def policy_to_boot(
    files: PolicyFiles,
    modules: Sequence[Path],
    own: tuple[str, str],
    place: Path,
    dontaudit: bool = False,
    ports: Sequence[LocalPort] = (),
    keep: bool = True,
) -> BootPolicy:
    """Build the policy of ``files`` with ``modules`` (``.pp``, ``.cil``) and ``own``, a name and its CIL, in ``place``.

    ``place`` is a directory that is not there yet; what comes back lives in it. ``dontaudit``: whether the policy's
    dontaudit rules stay. ``ports``: an administrator's port labels beside the policy's own. ``keep``: remember
    it for the next machine with the same store and modules. Raises UsageError for what is no module, SourceError
    without a module store, CompileError when it does not link, MissingDependency without semodule.
    """
    if files.store is None or files.root is None:
        _refuse_closed(files)
        raise SourceError(
            f"{files.policy}: there is no module store that it was built from",
            hint="name a root that holds etc/selinux/NAME and var/lib/selinux/NAME",
        )
    root, work = place / "root", place / "work"
    work.mkdir(parents=True)
    names = [_copied(module, work, files.store) for module in modules]
    (work / f"{own[0]}.cil").write_text(own[1], encoding="ascii")
    copy_store(files.store, root, files.root, expand_check=False)
    if ports:
        _label_ports(root / "var/lib/selinux" / files.store.name / "active/ports.local", ports)
    names.append(f"{own[0]}.cil")
    silent = [] if dontaudit else ["-D"]
    key = boot_key(root, files.store.name, work, names, silent) if keep else None
    if recall(key, place / "kept"):
        return BootPolicy(place / "kept" / POLICY, FileLabels(place / "kept" / CONTEXTS))
    install = [word for name in names for word in ("-i", name)]
    command = ["semodule", "-p", str(root), "-s", files.store.name, "-N", "-n", *silent, "-X", str(PRIORITY)]
    run = run_tool([*command, *install], work, _SECONDS)
    if run.status != 0:
        raise _refused([work / name for name in names[:-1]], own[0], files.store, run.output)
    policy, contexts = _built(root, files.store.name)
    remember(key, policy, contexts)
    return BootPolicy(policy, FileLabels(contexts))


def _refuse_closed(files: PolicyFiles) -> None:
    """SourceError where a module store is there, and this user may not look into it."""
    if files.root is not None and files.name is not None:
        store = files.root / "var/lib/selinux" / files.name
        try:
            (store / "active/policy.kern").open("rb").close()
        except PermissionError as error:
            raise unreadable_store(store, error) from error
        except OSError:
            return


def _label_ports(local: Path, ports: Sequence[LocalPort]) -> None:
    """What semanage-port(8) keeps (libsemanage/src/ports_file.c); a build puts it in, before the policy's own."""
    before = local.read_text(encoding="utf-8") if local.exists() else ""
    lines = []
    for one in ports:
        numbers = str(one.low) if one.low == one.high else f"{one.low} - {one.high}"
        lines.append(f"portcon {one.protocol} {numbers} {one.context}\n")
    local.write_text(before + "".join(lines), encoding="utf-8")


def _copied(module: Path, work: Path, store: Path) -> str:
    if module.suffix not in _SUFFIXES:
        raise UsageError(f"{module} is no compiled module", "name a .pp or .cil file, as generate writes them")
    refuse_shadowing(module.stem, store / "active/modules")
    try:
        shutil.copy(module, work / module.name)
    except OSError as error:
        raise SourceError(f"{module} can't be read: {error.strerror}") from error
    return module.name


def _refused(modules: list[Path], own: str, store: Path, output: str) -> Exception:
    """The error for the module that the tool's words speak of."""
    if f"/{own}/cil" in output or not modules:
        lines = [re.sub(r" at \S+/cil:\d+$", "", line.strip()) for line in output.splitlines() if line.strip()]
        return CompileError(
            f"the policy does not build with the domains of the scenario: {lines[0][:200] if lines else 'no reason'}",
            output,
            hint="every domain must be a type of the policy, and its role one that may have it",
        )
    named = [module for module in modules if f"/{module.stem}/" in output]
    return does_not_link((named or modules)[0], store, output)


def _built(root: Path, name: str) -> tuple[Path, Path]:
    home = root / "etc/selinux" / name
    kern = root / "var/lib/selinux" / name / "active/policy.kern"
    contexts = home / "contexts/files/file_contexts"
    if not kern.is_file():
        raise SourceError(f"semodule built no policy in {root}")
    if not contexts.is_file():
        raise SourceError(f"semodule wrote no file contexts in {root}")
    return kern, contexts
