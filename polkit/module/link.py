"""Links a module into a scratch copy of a module store: whether the target policy really takes it."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from polkit.errors import CompileError, SourceError
from polkit.module.tools import run_tool

PRIORITY = 200
"""Where third-party packages install (distributions 100, setroubleshoot 300, an administrator 400)."""

_SECONDS = 600
# Settings of semanage.conf(5) that decide what gets built. Everything else, above all the programs it can name
# ([verify module], [load_policy], compiler-directory), stays out of the copy: a store may come from anywhere.
_SETTINGS = re.compile(
    r"(?:module-store|policy-version|expand-check|usepasswd|ignoredirs|bzip-blocksize|bzip-small|handle-unknown"
    r"|optimize-policy|target-platform|multiple-decls|remove-hll|disable-genhomedircon|file-mode)\s*=[^\n]*\Z"
)


class LinkResult(NamedTuple):
    """A module that linked: how long the tool took, and what it said all the same (warnings)."""

    seconds: float
    output: str


def link_check(module_file: Path, store_root: Path, store_name: str) -> LinkResult:
    """Install ``module_file`` (``.pp`` or ``.cil``) into a copy of the module store ``store_name``.

    ``store_root`` holds ``etc/selinux/NAME`` and ``var/lib/selinux/NAME`` (``/`` on a host) and is only read.
    Raises CompileError with the tool's words when the module doesn't link, or when the store has another module of its
    name; SourceError when the store can't be read; MissingDependency without semodule.
    """
    if not module_file.is_file():
        raise SourceError(f"there is no module file {module_file}")
    store = store_root / "var/lib/selinux" / store_name
    _refuse_shadowing(module_file.stem, store / "active/modules")
    with tempfile.TemporaryDirectory(prefix="polkit-link-", dir=_fast_place()) as scratch:
        copy = Path(scratch) / "root"
        work = Path(scratch) / "work"
        work.mkdir()
        _copy_store(store_root, store_name, copy)
        shutil.copy(module_file, work / module_file.name)
        where = ["-p", str(copy), "-s", store_name]
        argv = ["semodule", *where, "-N", "-n", "-X", str(PRIORITY), "-i", module_file.name]
        began = time.monotonic()
        run = run_tool(argv, work, seconds=_SECONDS)
        seconds = time.monotonic() - began
    output = run.output.replace(str(copy), str(store_root).rstrip("/"))
    if run.status != 0:
        raise CompileError(
            f"module {module_file.stem} does not link into the module store {store}: {_reason(output)}"
            + _statement_at_fault(module_file, output),
            output=output,
            hint="it needs a name that this policy doesn't have, or breaks one of its rules",
        )
    return LinkResult(seconds, output)


def _refuse_shadowing(name: str, modules: Path) -> None:
    """A module of the same name at another priority would be hidden by ours, or hide ours."""
    try:
        found = sorted(entry.parent.name for entry in modules.glob(f"*/{name}") if entry.is_dir())
    except OSError as error:
        raise _unreadable(modules, error) from error
    others = [priority for priority in found if priority.isdigit() and int(priority) != PRIORITY]
    if others:
        raise CompileError(
            f"the module store already has a module {name} at priority {', '.join(others)}",
            hint="choose another module name: at install one of the two would hide the other",
        )


def _copy_store(store_root: Path, store_name: str, copy: Path) -> None:
    settings = store_root / "etc/selinux/semanage.conf"
    try:
        for part in ("etc/selinux", "var/lib/selinux"):
            if not (store_root / part / store_name).is_dir():
                raise SourceError(
                    f"there is no {part}/{store_name} under {store_root}",
                    hint="name a root that holds etc/selinux/NAME and var/lib/selinux/NAME",
                )
            shutil.copytree(store_root / part / store_name, copy / part / store_name, symlinks=True)
        lines = settings.read_text(encoding="utf-8", errors="replace").split("\n") if settings.exists() else []
    except (OSError, shutil.Error) as error:
        raise _unreadable(store_root, error) from error
    kept = [line.strip() for line in lines if _SETTINGS.match(line.strip())]
    (copy / "etc/selinux/semanage.conf").write_text("\n".join(kept) + "\n", encoding="utf-8")


def _unreadable(place: Path, error: Exception) -> SourceError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "not every file can be read"
    return SourceError(
        f"the module store under {place} can't be read: {reason}",
        hint="a host's module store belongs to root: run as root, or copy etc/selinux and var/lib/selinux elsewhere",
    )


def _fast_place() -> str:
    """A store is 25 to 60 MB of small files: kept in memory where there is room for a few copies."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > (512 << 20):
        return str(memory)
    return tempfile.gettempdir()


def _statement_at_fault(module_file: Path, output: str) -> str:
    """The statement of ours that an error of the CIL compiler (``.../NAME/cil:LINE``) speaks of, in parentheses."""
    place = re.search(rf"/{PRIORITY}/[^/\s]+/cil:(\d+)", output)
    if place is None:
        return ""
    if module_file.suffix == ".cil":
        text = module_file.read_text(encoding="utf-8", errors="replace")
    else:
        with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
            text = run_tool(["pp", str(module_file.resolve())], Path(scratch)).output
    lines = text.split("\n")
    number = int(place[1])
    return f" (in CIL: {lines[number - 1].strip()[:200]})" if 0 < number <= len(lines) else ""


def _reason(output: str) -> str:
    """The first line that tells what is wrong; the rest stays in the error's output."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    noise = ("libsemanage.add_user", "libsemanage.semanage_direct_commit", "semodule:")
    telling = [line for line in lines if not line.startswith(noise)]
    return re.sub(r" at \S+/cil:\d+$", "", (telling or lines or ["no reason given"])[0])[:300]
