"""The policy that the target would have with a module, built beside it; nothing is loaded or installed.

*Store build*: copies of the module store, one as it is (the baseline) and one with the module, both built by
``semodule``. This is what an installation does. *Binary build*, where no module store is known: the binary policy is
written as CIL by ``checkpolicy`` and compiled anew by ``secilc``, alone and with the module. An estimate: a binary has
lost its neverallow rules, the attributes that only those name, and which rules were written for ``self``.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.errors import CompileError, SourceError
from polkit.model import PolicyInfo
from polkit.module import (
    PRIORITY,
    ToolRun,
    copy_store,
    does_not_link,
    fast_place,
    install_command,
    refuse_shadowing,
    run_tool,
    run_tools,
    set_expand_check,
)
from polkit.policy.baseline import Baseline, baseline_key, policy_digest, recall, remember
from polkit.policy.locate import PolicyFiles

_SECONDS = 300
_BROKEN = re.compile(
    r"^neverallowx? check failed at [^\n]*\n(?P<rule>[^\n]*)|^(?P<bounds>[^\n]*exceeds bounds of parent[^\n]*)",
    re.MULTILINE | re.IGNORECASE,
)
_ALLOW = re.compile(r"^\s*(\((?:allow|allowx) .*\))\s*$", re.MULTILINE)
_MORE = re.compile(r"^\s*(Only first \d+ of \d+ matching rules shown)", re.MULTILINE)
"""The compiler lists four rules that break one neverallow, and how many there are. More verbose, it would list all,
but then it takes two equal file contexts for a conflict and builds no policy (libsepol 3.4)."""


class Breach(NamedTuple):
    """What a compiler complained of: the neverallow rule or bounds, and the allow rule that breaks it."""

    statement: str
    rule: str


@dataclass(frozen=True)
class WhatIf:
    """Two policies, of which one holds the module. Both live as long as the block that built them.

    ``kind`` is store or binary. ``breaches`` are the compiler's complaints about the policy with the module that it
    didn't have about the baseline; None in a binary build, where it can't know. ``replaced``: the store had an earlier
    version of the module, which the baseline doesn't hold.
    """

    kind: str
    baseline: PolicyFiles
    changed: PolicyFiles
    breaches: Optional[frozenset[Breach]]
    replaced: bool


@contextmanager
def what_if(files: PolicyFiles, info: PolicyInfo, module_file: Path, module_cil: str) -> Iterator[WhatIf]:
    """Build both policies; a store build where ``files`` has a module store.

    ``module_file`` is a ``.pp`` or ``.cil``, whose stem is the module's name; ``module_cil`` the same as CIL. Raises
    CompileError when it doesn't link, or would hide another module; SourceError; MissingDependency without the tools.
    """
    with tempfile.TemporaryDirectory(prefix="polkit-whatif-", dir=fast_place()) as scratch:
        place = Path(scratch)
        if files.store is not None:
            yield _store_build(files, files.store, module_file, place)
        else:
            yield _binary_build(files, info, module_file.stem, module_cil, place)


@contextmanager
def linked(files: PolicyFiles, info: PolicyInfo, name: str, cil: str) -> Iterator[Path]:
    """The binary policy that has one more module, given as CIL; unchecked, and gone after the block.

    From the module store where ``files`` has one, else from the binary policy. Raises as ``what_if``.
    """
    with tempfile.TemporaryDirectory(prefix="polkit-linked-", dir=fast_place()) as scratch:
        place = Path(scratch)
        if files.store is None:
            levels, common = binary_commands(info)
            write_as_cil(files, levels, place)
            (place / f"{name}.cil").write_text(cil, encoding="ascii")
            run = run_tool([*common, "-o", "linked", BASE_CIL, f"{name}.cil"], place, _SECONDS)
            if run.status != 0:
                raise CompileError(f"secilc refuses {name} on {files.policy}: {first_line(run.output)}", run.output)
            yield place / "linked"
            return
        root, work = place / "root", place / "work"
        work.mkdir()
        (work / f"{name}.cil").write_text(cil, encoding="ascii")
        copy_store(files.store, root, root_of(files.store), expand_check=False)
        run = run_tool(install_command(root, files.store.name, f"{name}.cil"), work, _SECONDS)
        if run.status != 0:
            raise does_not_link(work / f"{name}.cil", files.store, _without(run.output, root, root_of(files.store)))
        yield built_policy(root, files.store.name, None).policy


def remember_baseline(files: PolicyFiles, module: str) -> None:
    """Build the module store of ``files`` as it is, without an earlier version of ``module``, so that the next
    ``what_if`` need not; nothing where that is known, where it can't be kept, or without a store.

    Raises CompileError where it doesn't build, SourceError, MissingDependency without the tools.
    """
    store = files.store
    if store is None:
        return
    with tempfile.TemporaryDirectory(prefix="polkit-baseline-", dir=fast_place()) as scratch:
        base, work = Path(scratch) / "base", Path(scratch) / "work"
        work.mkdir()
        copy_store(store, base, root_of(store), expand_check=False)
        take_out(base, store.name, module)
        key, policy = baseline_key(base, store.name, work), base / "var/lib/selinux" / store.name / "active/policy.kern"
        if key is None or recall(key, policy) is not None:
            return
        run = run_tool(build_command(base, store.name), work, _SECONDS)
        _demand_baseline(run.status, run.output, store)
        remember(key, Baseline(policy_digest(policy), None))


@dataclass(frozen=True)
class _Copies:
    """Copies of a module store: as it is, with the module and checked, with the module and not."""

    name: str
    base: Path
    checked: Path
    changed: Path
    work: Path

    def jobs(self, module_file: str) -> dict[str, tuple[list[str], Path]]:
        """The build in each."""
        return {
            "base": (build_command(self.base, self.name), self.work),
            "checked": (install_command(self.checked, self.name, module_file), self.work),
            "changed": (install_command(self.changed, self.name, module_file), self.work),
        }

    @property
    def kern(self) -> Path:
        """The policy of the store as it is: its own at first, then the one that was built."""
        return self.base / "var/lib/selinux" / self.name / "active/policy.kern"


def _store_build(files: PolicyFiles, store: Path, module_file: Path, place: Path) -> WhatIf:
    """Copies of the store are built side by side, with the module and without."""
    refuse_shadowing(module_file.stem, store / "active/modules")
    root = root_of(store)
    copies = _Copies(store.name, *(place / name for name in ("base", "checked", "changed", "work")))
    copies.work.mkdir()
    shutil.copy(module_file, copies.work / module_file.name)
    for copy, expand_check in ((copies.base, False), (copies.checked, True), (copies.changed, False)):
        copy_store(store, copy, root, expand_check)
    replaced = take_out(copies.base, store.name, module_file.stem)
    changed, breaches = _build_both(copies, module_file, store)
    contexts = files.file_contexts
    return WhatIf(
        "store",
        built_policy(copies.base, store.name, contexts),
        built_policy(changed, store.name, contexts),
        breaches,
        replaced,
    )


def _build_both(copies: _Copies, module_file: Path, store: Path) -> tuple[Path, frozenset[Breach]]:
    """The copy that has the module, and what it breaks that the baseline doesn't.

    The module is tried checked: where nothing is broken, that was all. Else it is built unchecked, and what the
    baseline breaks is held against it. What the same baseline gave before is not built again.
    """
    jobs, root = copies.jobs(module_file.name), root_of(store)
    key = baseline_key(copies.base, copies.name, copies.work)
    recalled = known = recall(key, copies.kern)
    beside = "base" if known is None else "changed" if known.breaches else None
    ran = _run(jobs, "checked", *([beside] if beside else []))
    if known is None:
        _demand_baseline(ran["base"].status, ran["base"].output, store)
        known = Baseline(policy_digest(copies.kern), None)
    breaches: frozenset[Breach] = frozenset()
    if ran["checked"].status != 0:
        breaches = _breaches(ran["checked"].output)
        if not breaches:
            raise does_not_link(module_file, store, _without(ran["checked"].output, copies.checked, root))
        set_expand_check(copies.base, True)
        missing = {"changed": "changed" not in ran, "base": known.breaches is None}
        ran.update(_run(jobs, *(name for name in missing if missing[name])))
        if ran["changed"].status != 0:
            raise does_not_link(module_file, store, _without(ran["changed"].output, copies.changed, root))
        if known.breaches is None:
            known = known._replace(breaches=_breaches(ran["base"].output))
            if ran["base"].status != 0 and not known.breaches:
                key = None  # it failed for another reason, such as a limit: next time it may not
        before = known.breaches or frozenset()
        breaches = frozenset(one for one in breaches if one not in before)
    if known != recalled:
        remember(key, known)
    return copies.changed if ran["checked"].status else copies.checked, breaches


def _run(jobs: dict[str, tuple[list[str], Path]], *names: str) -> dict[str, ToolRun]:
    """Some of the jobs, side by side."""
    return dict(zip(names, run_tools([jobs[name] for name in names], _SECONDS)))


def root_of(store: Path) -> Optional[Path]:
    """The root that a store stands in, where it stands in one (``ROOT/var/lib/selinux/NAME``)."""
    parts = store.absolute().parts
    return Path(*parts[:-4]) if parts[-4:-1] == ("var", "lib", "selinux") else None


def take_out(root: Path, store_name: str, module: str) -> bool:
    """Remove an earlier version of the module from a copy."""
    installed = root / "var/lib/selinux" / store_name / "active/modules" / str(PRIORITY) / module
    if not installed.is_dir():
        return False
    shutil.rmtree(installed)
    return True


def build_command(root: Path, store_name: str) -> list[str]:
    """``semodule`` for a store as it is, nothing loaded."""
    return ["semodule", "-p", str(root), "-s", store_name, "-N", "-n", "-B"]


def _demand_baseline(status: int, output: str, store: Path) -> None:
    if status != 0:
        raise CompileError(
            f"the module store {store} does not build as it is: {first_line(output)}",
            output=output,
            hint="mend it first (`semodule -B` on the host says the same)",
        )


def _breaches(output: str) -> frozenset[Breach]:
    """The compiler's complaints, without the lines and files they stand in (those change from build to build)."""
    places = list(_BROKEN.finditer(output))
    ends = [place.start() for place in places[1:]] + [len(output)]
    found: set[Breach] = set()
    for place, end in zip(places, ends):
        statement = (place["rule"] or place["bounds"]).strip()
        listed = output[place.end() : end]
        found.update(Breach(statement, rule) for rule in (_ALLOW.findall(listed) or [""]) + _MORE.findall(listed))
    return frozenset(found)


def built_policy(root: Path, name: str, contexts: Optional[Path]) -> PolicyFiles:
    """The policy that was built in a copy of a store. Raises SourceError where none was."""
    kern = root / "var/lib/selinux" / name / "active/policy.kern"
    if not kern.is_file():
        raise SourceError(f"semodule built no policy in {root}")
    return PolicyFiles(kern, None, name, contexts, root / "var/lib/selinux" / name)


def _without(output: str, copy: Path, root: Optional[Path]) -> str:
    return output.replace(str(copy), "" if root is None else str(root).rstrip("/"))


def _binary_build(files: PolicyFiles, info: PolicyInfo, name: str, module_cil: str, place: Path) -> WhatIf:
    levels, common = binary_commands(info)
    write_as_cil(files, levels, place)
    (place / f"{name}.module.cil").write_text(undeclared(place, module_cil) + module_cil, encoding="utf-8")
    jobs = [
        ([*common, "-o", "baseline", BASE_CIL], place),
        ([*common, "-o", "changed", BASE_CIL, f"{name}.module.cil"], place),
    ]
    baseline, changed = run_tools(jobs, _SECONDS)
    for run, what in ((baseline, f"the CIL of {files.policy}"), (changed, f"module {name} on {files.policy}")):
        if run.status != 0:
            raise CompileError(f"secilc refuses {what}: {first_line(run.output)}", output=run.output)
    return WhatIf(
        "binary",
        PolicyFiles(place / "baseline", None, None, files.file_contexts, None),
        PolicyFiles(place / "changed", None, None, files.file_contexts, None),
        None,
        False,
    )


BASE_CIL = "base.cil"


def binary_commands(info: PolicyInfo) -> tuple[list[str], list[str]]:
    """checkpolicy's word for levels, and secilc with what makes a policy of the same form."""
    common = ["secilc", "-m", "-N", "-c", str(info.version), "-M", str(info.mls).lower(), "-f", "/dev/null"]
    return (["-M"] if info.mls else []), [*common, "-U", info.handle_unknown]


def write_as_cil(files: PolicyFiles, levels: list[str], place: Path) -> None:
    """The binary policy as ``base.cil``."""
    shutil.copy(files.policy, place / "policy")
    run = run_tool(["checkpolicy", *levels, "-b", "-C", "-o", BASE_CIL, "policy"], place, _SECONDS)
    if run.status != 0:
        raise CompileError(
            f"checkpolicy can't write {files.policy} as CIL: {first_line(run.output)}",
            output=run.output,
            hint="name the module store with --store: then nothing has to be made of the binary policy",
        )


_DECLARED = re.compile(r"\(\s*typeattribute\s+([^\s()]+)")
_JOINED = re.compile(r"\(\s*typeattributeset\s+([^\s()]+)")


def undeclared(place: Path, module_cil: str) -> str:
    """CIL that declares what modules name and the policy that ``write_as_cil`` wrote to ``place`` does not have: what
    hll/pp requires of other modules by, which only a module store declares, and lost attributes."""
    extra = "" if "cil_gen_require" not in module_cil else _GEN_REQUIRE
    return extra + "".join(f"(typeattribute {lost})\n" for lost in _lost_attributes(place / BASE_CIL, module_cil))


def _lost_attributes(base: Path, module_cil: str) -> list[str]:
    """Attributes that the module joins and the binary has lost, because no rule in it uses them."""
    joined = set(_JOINED.findall(module_cil)) - {"cil_gen_require"} - set(_DECLARED.findall(module_cil))
    return sorted(joined - set(_DECLARED.findall(base.read_text(encoding="utf-8")))) if joined else []


_GEN_REQUIRE = "(typeattribute cil_gen_require)(roleattribute cil_gen_require)\n"


def first_line(output: str) -> str:
    """The first line of a tool's output that tells something."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if not re.match(r"libsem\w+\.|Parsing |Building |Resolving |[A-Z]\w+ing ", line)]
    return (telling or lines or ["no reason given"])[0][:300]
