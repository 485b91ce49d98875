"""An administrator's commands on a host of their own: a machine with a module store and the tools for it.

So policy can be built, loaded and replaced there while the kernel enforces it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional, Union

from polkit.errors import CompileError, SourceError, UsageError
from polkit.module import copy_store, fast_place, find_tool, run_tool
from polkit.policy import FileLabels, load_policy, locate
from polkit.rehearse.image import write_image
from polkit.rehearse.layout import HARNESS, guest_plan
from polkit.rehearse.log_forms import RAW, machine_log
from polkit.rehearse.machine import boot
from polkit.rehearse.parts import find_busybox, find_emulator, find_kernel
from polkit.rehearse.scenario import Scenario, Step, Thing, Workload

ADMINISTRATOR = "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023"
_HARNESS_MODULE = "polkit_rehearsal"
# The base system's own level: below every module that somebody installs.
_PRIORITY = "100"
_STEP_SECONDS = 600
_FILE_SYSTEM = "fs_t"
_EXECUTING = 4
"""As ``guest/steps.py`` has it: the command began."""
_TOOLS = (
    "awk", "basename", "bzip2", "cat", "chcon", "chmod", "cmp", "comm", "cp", "cut", "dirname", "env", "find", "flock",
    "getsebool", "grep", "head", "id", "ln", "load_policy", "ls", "matchpathcon", "mkdir", "mktemp", "mv", "paste",
    "rm", "rmdir", "runcon", "sed", "sefcontext_compile", "semodule", "setfiles", "setsebool", "setsid", "sh",
    "sha256sum", "sleep", "sort", "stat", "tail", "touch", "tr", "uniq", "wc", "xargs",
)  # fmt: skip
_AT_SBIN = ("load_policy", "matchpathcon", "sefcontext_compile", "semodule", "setfiles", "setsebool", "getsebool")
_HARNESS_RULES = f"""
(type {HARNESS})
(roletype system_r {HARNESS})
(typepermissive {HARNESS})
(typeattributeset cil_gen_require domain)
(allow domain {HARNESS} (fd (use)))
(allow domain {HARNESS} (fifo_file (append getattr ioctl read write)))
(allow domain {HARNESS} (process (sigchld)))
"""


@dataclass(frozen=True)
class Command:
    """A command, as whom it runs (a whole context), and the name it is told by."""

    name: str
    argv: tuple[str, ...]
    context: str = ADMINISTRATOR


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status (negative: a signal; None: it did not begin) and what it wrote."""

    name: str
    status: Optional[int]
    output: str
    seconds: float


@dataclass(frozen=True)
class HostRun:
    """What happened: each command, the audit log, the kernel's messages."""

    commands: tuple[Ended, ...]
    audit: str
    dmesg: str
    seconds: float

    def __getitem__(self, name: str) -> Ended:
        return next(one for one in self.commands if one.name == name)


def run_on_host(
    policy: Path,
    commands: Sequence[Command],
    tree: Mapping[str, Union[Path, str]],
    labels: Optional[Mapping[str, str]] = None,
    kernel: Optional[Path] = None,
    seconds: float = 1800.0,
) -> HostRun:
    """Boot a machine with the module store under ``policy`` (a root with etc/selinux and var/lib/selinux, copied) and
    run the commands one after the other, the kernel enforcing.

    ``tree``: what else stands there, from absolute paths to a file or directory of this host, or to a text. ``labels``:
    types of paths that file_contexts would have otherwise. The tools of policycoreutils and coreutils are there.

    Raises UsageError for what is no such root or path, SourceError for what can't be read, CompileError where the store
    does not build, MissingDependency without qemu, a kernel or a tool, MachineFailed.
    """
    began = time.monotonic()
    own = _things(tree, labels or {})
    find_emulator()
    found = find_kernel(kernel)
    files, target = locate(str(policy)), load_policy(str(policy))
    if files.root is None or files.store is None:
        raise UsageError(f"{policy} holds no module store", "name a root with etc/selinux and var/lib/selinux")
    with tempfile.TemporaryDirectory(prefix="polkit-host-", dir=fast_place()) as scratch:
        place = Path(scratch)
        root = place / "root"
        copy_store(files.store, root, files.root)
        (root / "etc/selinux/config").write_text(
            f"SELINUX=enforcing\nSELINUXTYPE={files.store.name}\n", encoding="ascii"
        )
        _with_harness(root, files.store.name, place)
        home = root / "etc/selinux" / files.store.name
        things = (*_system(root), *own)
        mls = target.info is None or target.info.mls
        scenario = _scenario(things, commands)
        file_labels = FileLabels(home / "contexts/files/file_contexts")
        plan = guest_plan(
            scenario, scenario.steps, file_labels.label, mls, True, target.type_name(_FILE_SYSTEM), (), RAW
        )
        plan = replace(plan, told={**plan.told, **_as_told(plan.told, commands)})
        built = sorted((home / "policy").glob("policy.*"))[-1]
        write_image(plan, built, place / "image")
        answer = boot(found, place / "image", place, seconds)
    written = machine_log(RAW, answer["audit"], answer["dmesg"])
    ended = tuple(
        Ended(one["name"], one["status"] if one["state"] == _EXECUTING else None, one["output"], one["seconds"])
        for one in answer["steps"]
    )
    return HostRun(ended, written.log, written.dmesg, time.monotonic() - began)


def _with_harness(root: Path, store: str, place: Path) -> None:
    """The domain that starts the commands stands in the store, or the first reload would take it away."""
    (place / f"{_HARNESS_MODULE}.cil").write_text(_HARNESS_RULES, encoding="ascii")
    words = ["semodule", "-p", str(root), "-s", store, "-N", "-X", _PRIORITY, "-i", f"{_HARNESS_MODULE}.cil"]
    run = run_tool(words, place, 600)
    if run.status != 0:
        raise CompileError("the module store does not build", run.output)


def _as_told(told: Mapping[str, Any], commands: Sequence[Command]) -> dict[str, Any]:
    steps = [{**step, "context": command.context} for step, command in zip(told["steps"], commands)]
    return {"steps": steps, "step_seconds": _STEP_SECONDS}


def _scenario(things: tuple[Thing, ...], commands: Sequence[Command]) -> Scenario:
    steps = tuple(
        Step(one.name, "program", {"path": one.argv[0], "arguments": tuple(one.argv[1:])}, "allowed", "")
        for one in commands
    )
    return Scenario("host", "host", "", False, Workload("unconfined_t"), things, (), (), steps)


def _system(root: Path) -> tuple[Thing, ...]:
    """The root with its store, and the tools."""
    found = [
        Thing("/bin", "link", target="usr/bin"),
        Thing("/sbin", "link", target="usr/sbin"),
        Thing("/etc/passwd", "file", content="root:x:0:0:root:/root:/bin/sh\n"),
        Thing("/etc/group", "file", content="root:x:0:\n"),
    ]
    for name in _TOOLS:
        path = Path(find_tool(name)).resolve()
        found.append(Thing(f"/usr/{'sbin' if name in _AT_SBIN else 'bin'}/{name}", "file", mode=0o755, copy=str(path)))
    converter = Path(find_tool("pp")).resolve()
    found.append(Thing(str(converter), "file", mode=0o755, copy=str(converter)))
    found.append(Thing("/usr/bin/busybox", "file", mode=0o755, copy=str(find_busybox())))
    return (*found, *_below(root, "/"))


def _things(tree: Mapping[str, Union[Path, str]], labels: Mapping[str, str]) -> tuple[Thing, ...]:
    found: list[Thing] = []
    for path, what in tree.items():
        if not path.startswith("/") or not path.isprintable():
            raise UsageError(f"{path[:80]!r} is no absolute path")
        if isinstance(what, str):
            found.append(Thing(path, "file", content=what))
        elif what.is_dir():
            found.append(Thing(path, "dir"))
            found.extend(_below(what, path))
        elif what.is_file():
            found.append(Thing(path, "file", mode=what.stat().st_mode & 0o777, copy=str(what.resolve())))
        else:
            raise SourceError(f"{what} is neither file nor directory")
    return tuple(replace(thing, label=labels.get(thing.path)) for thing in found)


def _below(directory: Path, path: str) -> list[Thing]:
    found = []
    for one in sorted(directory.rglob("*")):
        where = f"{path.rstrip('/')}/{one.relative_to(directory).as_posix()}"
        if one.is_symlink():
            found.append(Thing(where, "link", target=str(one.readlink())))
        elif one.is_dir():
            found.append(Thing(where, "dir", mode=one.stat().st_mode & 0o777))
        elif one.is_file():
            found.append(Thing(where, "file", mode=one.stat().st_mode & 0o777, copy=str(one)))
        else:
            raise SourceError(f"{one} is neither file, directory nor link")
    return found
