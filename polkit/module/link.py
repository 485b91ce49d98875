"""Links a module into a scratch copy of a module store: whether the target policy really takes it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.errors import CompileError, MissingDependency, PolkitError, SourceError
from polkit.module.tools import run_tool

PRIORITY = 200
"""Where third-party packages install (distributions 100, setroubleshoot 300, an administrator 400)."""

_SECONDS = 600
_UNKNOWN_OPERATION = "Unknown permissionx kind"
"""What the CIL compiler of libsepol before 3.8 says of ``(allowx A B (nlmsg ...))``."""
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
    for part in ("etc/selinux", "var/lib/selinux"):
        if not (store_root / part / store_name).is_dir():
            raise SourceError(
                f"there is no {part}/{store_name} under {store_root}",
                hint="name a root that holds etc/selinux/NAME and var/lib/selinux/NAME",
            )
    store = store_root / "var/lib/selinux" / store_name
    refuse_shadowing(module_file.stem, store / "active/modules")
    with tempfile.TemporaryDirectory(prefix="polkit-link-", dir=fast_place()) as scratch:
        copy = Path(scratch) / "root"
        work = Path(scratch) / "work"
        work.mkdir()
        copy_store(store, copy, store_root)
        shutil.copy(module_file, work / module_file.name)
        began = time.monotonic()
        run = run_tool(install_command(copy, store_name, module_file.name), work, seconds=_SECONDS)
        seconds = time.monotonic() - began
    output = run.output.replace(str(copy), str(store_root).rstrip("/"))
    if run.status != 0:
        raise does_not_link(module_file, store, output)
    return LinkResult(seconds, output)


def install_command(root: Path, store_name: str, module_file: str) -> list[str]:
    """``semodule`` for a module file in the working directory, into the store of ``root``, nothing loaded."""
    return ["semodule", "-p", str(root), "-s", store_name, "-N", "-n", "-X", str(PRIORITY), "-i", module_file]


def does_not_link(module_file: Path, store: Path, output: str) -> PolkitError:
    """The error for a module that ``semodule`` refused with ``output``."""
    if _UNKNOWN_OPERATION in output:
        return MissingDependency(
            f"module {module_file.stem} holds rules on nlmsg commands, which the libsepol of this host does not know",
            hint="libsepol 3.8 or newer knows them: prove and install the module there",
        )
    return CompileError(
        f"module {module_file.stem} does not link into the module store {store}: {_reason(output)}"
        + _statement_at_fault(module_file, output),
        output=output,
        hint="it needs a name that this policy doesn't have, or breaks one of its rules",
    )


def refuse_shadowing(name: str, modules: Path) -> None:
    """A module of the same name at another priority would be hidden by ours, or hide ours: CompileError."""
    try:
        found = sorted(entry.parent.name for entry in modules.glob(f"*/{name}") if entry.is_dir())
    except OSError as error:
        raise unreadable_store(modules, error) from error
    others = [priority for priority in found if priority.isdigit() and int(priority) != PRIORITY]
    if others:
        raise CompileError(
            f"the module store already has a module {name} at priority {', '.join(others)}",
            hint="choose another module name: at install one of the two would hide the other",
        )


def copy_store(store: Path, copy: Path, root: Optional[Path], expand_check: Optional[bool] = None) -> None:
    """Make ``copy`` a root with a copy of the module store ``store``, and the settings of ``root`` that decide what
    gets built (none of the programs it may name). ``expand_check`` stands in for the setting of that name (neverallow
    rules and type bounds are checked, and a policy that breaks one is not built). Raises SourceError.
    """
    name = store.name
    home = None if root is None else root / "etc/selinux" / name
    settings = None if root is None else root / "etc/selinux/semanage.conf"
    try:
        shutil.copytree(store, copy / "var/lib/selinux" / name, symlinks=True)
        if home is not None and home.is_dir():
            shutil.copytree(home, copy / "etc/selinux" / name, symlinks=True)
        else:
            (copy / "etc/selinux" / name).mkdir(parents=True)
        text = settings.read_text("utf-8", "replace") if settings is not None and settings.exists() else ""
    except (OSError, shutil.Error) as error:
        raise unreadable_store(store, error) from error
    kept = [line.strip() for line in text.split("\n") if _SETTINGS.match(line.strip())]
    (copy / "etc/selinux/semanage.conf").write_text("\n".join(kept) + "\n", encoding="utf-8")
    if expand_check is not None:
        set_expand_check(copy, expand_check)


def set_expand_check(copy: Path, value: bool) -> None:
    """Change the setting in a copy made by ``copy_store``."""
    path = copy / "etc/selinux/semanage.conf"
    lines = path.read_text(encoding="utf-8").split("\n")
    kept = [line for line in lines if line and not line.startswith("expand-check")]
    path.write_text("\n".join((*kept, f"expand-check={int(value)}")) + "\n", encoding="utf-8")


def unreadable_store(place: Path, error: Exception) -> SourceError:
    """The error for a module store that can't be copied: no room for it, or no right to read it."""
    full = os.strerror(errno.ENOSPC)
    if full in str(error):  # shutil.Error has but the words of what went wrong
        hint = "a copy takes 100 MB: make room, or name another place with TMPDIR"
        return SourceError(f"there is no room for a copy of the module store {place}: {full}", hint)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "not every file can be read"
    return SourceError(
        f"the module store under {place} can't be read: {reason}",
        hint="a host's module store belongs to root: run as root, or copy etc/selinux and var/lib/selinux elsewhere",
    )


def fast_place() -> str:
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
