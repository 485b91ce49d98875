"""The policy that the target would have with modules, built while the caller does something else, and all that differs
between it and the policy without them: what a reviewer is shown.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Callable, Optional

from polkit.model import PolicyInfo
from polkit.module import PRIORITY, fast_place, running_tools
from polkit.other_process import other_process, received
from polkit.policy.baseline import policy_digest
from polkit.policy.between import Between, between_loaded
from polkit.policy.both import Whole, load_both, load_fresh
from polkit.policy.builds import SECONDS, Build, ModuleFile, binary_build, demand, store_build
from polkit.policy.difference import AccessChange, compare_rules
from polkit.policy.flat import Flat, flat_command, keep_flat, kept_flat
from polkit.policy.interface import TargetPolicy
from polkit.policy.locate import PolicyFiles
from polkit.policy.protocols import import_setools
from polkit.policy.statements import kept_statements
from polkit.policy.store import enabled_modules, read_packed, unpack_modules
from polkit.policy.target import LoadedPolicy
from polkit.policy.violations import (
    Violation,
    bounds_violations,
    exempting_attributes,
    exemptions,
    neverallow_violations,
)
from polkit.policy.whatif import (
    binary_commands,
    built_policy,
    write_as_cil,
)

_FLAT, _LABELS = "flat.cil", "labels"
_HOMES = ("HOME_DIR", "HOME_ROOT")


@dataclass(frozen=True)
class Beside:
    """A policy without modules and with them. ``kind`` is store or binary.

    ``violations``: what the one with them breaks and the other doesn't, and types of both that a neverallow rule no
    longer covers; ``exempting``: from each attribute that a neverallow rule leaves out to such a rule. Both are None
    where no module store can tell.
    """

    kind: str
    old: TargetPolicy
    new: TargetPolicy
    between: Between
    violations: Optional[tuple[Violation, ...]]
    exempting: Optional[Mapping[str, str]]


@contextmanager
def built_beside(
    files: PolicyFiles, policy: TargetPolicy, modules: tuple[ModuleFile, ...]
) -> Iterator[Callable[[], Beside]]:
    """Start building the policy with ``modules``; the function given waits for it and compares: some seconds for a
    distribution's policy, the first time it is asked. Everything is gone after the block. ``policy`` is that of
    ``files``.

    Versions of the modules that the store has at our priority are left out on both sides. Where it has none, and its
    policy is the target's, nothing is built for the side without them. The function raises DoesNotLink for modules that
    the policy does not take, and as ``between`` does.
    """
    assert isinstance(policy, LoadedPolicy), "only a policy that was read can have modules"
    info = policy.info
    assert info is not None  # it was read
    with tempfile.TemporaryDirectory(prefix="polkit-beside-", dir=fast_place()) as scratch:
        place = Path(scratch)
        flat = kept_flat(files, info)
        if files.store is None:
            levels, common = binary_commands(info)
            write_as_cil(files, levels, place)
            sides: tuple[tuple[str, tuple[ModuleFile, ...]], ...] = (("old", ()), ("new", modules))
            old, jobs = None, [binary_build(files, common, put, place, word) for word, put in sides]
        else:
            old, jobs = _store_jobs(files, files.store, info, flat, modules, place)
        with ExitStack() as running:
            ended = running.enter_context(running_tools([(job.command, job.work) for job in jobs], SECONDS))
            if flat is None and files.store is not None and len(os.sched_getaffinity(0)) > 1:
                # for the next time: it ends with the block, done or not
                running.enter_context(other_process(lambda _: keep_flat(files, info)))

            @lru_cache(maxsize=1)
            def beside() -> Beside:
                _meanwhile(policy)
                for run, job in zip(ended(), jobs):
                    is_new = job is jobs[-1]
                    demand(run, modules if is_new else (), files.store or files.policy, not is_new)
                before = None if old is not None else jobs[0].files()
                return _compared(
                    policy, info.sha256, before, jobs[-1].files(), "binary" if files.store is None else "store"
                )

            yield beside


def _store_jobs(
    files: PolicyFiles,
    store: Path,
    info: PolicyInfo,
    flat: Optional[Flat],
    modules: tuple[ModuleFile, ...],
    place: Path,
) -> tuple[Optional[PolicyFiles], list[Build]]:
    names = {one.name for one in modules}
    enabled = enabled_modules(store).keys()
    installed = any((store / "active/modules" / str(PRIORITY) / name).is_dir() for name in names)
    if not installed and policy_digest(store / "active/policy.kern") == info.sha256:
        if flat is not None and names.isdisjoint(enabled) and all(flat.fits(one.cil) for one in modules):
            return files, [_flat_job(flat, files, store, info, modules, place)]
        return files, [store_build(store, files.file_contexts, names, modules, place / "new")]
    return None, [
        store_build(store, files.file_contexts, names, put, place / side)
        for side, put in (("old", ()), ("new", modules))
    ]


def _flat_job(
    flat: Flat,
    files: PolicyFiles,
    store: Path,
    info: PolicyInfo,
    modules: tuple[ModuleFile, ...],
    place: Path,
) -> Build:
    """The policy alone is compiled; what a store would hold beside it is put together here."""
    root, work = place / "root", place / "work"
    active = root / "var/lib/selinux" / store.name / "active"
    for directory in (work, active):
        directory.mkdir(parents=True)
    (work / _FLAT).write_bytes(flat.text)
    for one in modules:
        (work / f"{one.name}.cil").write_text(one.cil, encoding="utf-8")

    def made() -> PolicyFiles:
        shutil.copy(work / "new", active / "policy.kern")
        _store_around(active, store, files, modules, (work / _LABELS).read_text("utf-8").splitlines(keepends=True))
        return built_policy(root, store.name, files.file_contexts)

    texts = (_FLAT, *(f"{one.name}.cil" for one in modules))
    return Build(flat_command(info, flat.optimized, "new", _LABELS, *texts), work, made)


def _store_around(
    active: Path, store: Path, files: PolicyFiles, modules: tuple[ModuleFile, ...], labels: list[str]
) -> None:
    """The modules, and the file contexts: those of home directories are written elsewhere (genhomedircon(8))."""
    for name, path in enabled_modules(store).items():
        beside = active / "modules" / path.parent.name
        beside.mkdir(parents=True, exist_ok=True)
        (beside / name).symlink_to(path.absolute())
    for one in modules:
        directory = active / "modules" / str(PRIORITY) / one.name
        directory.mkdir(parents=True)
        (directory / "cil").write_text(one.cil, encoding="utf-8")
    homes = [line for line in labels if line.startswith(_HOMES)]
    main = files.file_contexts or store / "active/file_contexts"
    for source, name, own in (
        (main, "file_contexts", [line for line in labels if line not in homes]),
        (store / "active/homedir_template", "homedir_template", homes),
    ):
        text = source.read_text("utf-8", "surrogateescape") if source.is_file() else ""
        (active / name).write_text("".join((text, *own)), "utf-8", "surrogateescape")
    local = main.with_name("file_contexts.local")
    if local.is_file():
        shutil.copy(local, active / local.name)


def _meanwhile(policy: LoadedPolicy) -> None:
    """What will be asked of the policy without the modules, worked out while the other one is built."""
    import_setools()
    if policy.neverallows is not None:
        policy.neverallows.rules()
    if policy.files.store is not None:
        for _ in unpack_modules(read_packed(policy.files.store)):
            pass  # kept: those of the copy are the same


def _compared(
    policy: LoadedPolicy, sha256: str, built: Optional[PolicyFiles], new_files: PolicyFiles, kind: str
) -> Beside:
    """``built``: the policy without the modules, where that is not the target's own."""
    if built is None:
        one, other = Whole(policy, kept_statements(policy.files.policy, sha256)), load_fresh(new_files)
    else:
        one, other = load_both((built, new_files), (True, True))
    old, new = one.policy, other.policy
    files = built or policy.files, new_files
    fresh = (built is not None and kind == "store", kind == "store")
    rules = compare_rules(old.rules, new.rules)
    broken = partial(_violations, old, new, rules.gained)
    with other_process(lambda _: broken()) as answers:
        found = between_loaded(old, new, files, fresh, (one.statements, other.statements), rules)
        try:
            violations, exempting = received(answers)
        except EOFError:  # it was ended, for want of memory perhaps
            violations, exempting = broken()
    return Beside(kind, old, new, found, violations, exempting)


def _violations(
    old: LoadedPolicy, new: LoadedPolicy, gained: tuple[AccessChange, ...]
) -> tuple[Optional[tuple[Violation, ...]], Optional[dict[str, str]]]:
    before, after = old.neverallows, new.neverallows
    if before is None or after is None:
        return None, None
    broken = {
        *neverallow_violations(before, after, new.rules, gained),
        *bounds_violations(new.rules, gained),
        *exemptions(before, after, frozenset(old.rules.facts.attributes)),
    }
    return tuple(sorted(broken)), exempting_attributes(after)
