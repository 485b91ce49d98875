"""Builds of a policy with modules, to be run side by side: in a copy of its module store, or from the binary policy."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, NamedTuple, Optional

from polkit.errors import CompileError
from polkit.module import PRIORITY, ToolRun, copy_store
from polkit.policy.locate import PolicyFiles
from polkit.policy.whatif import BASE_CIL, build_command, built_policy, first_line, root_of, take_out, undeclared

SECONDS = 300


class DoesNotLink(CompileError):
    """Modules that a policy does not take; ``older`` says that they are the older ones."""

    def __init__(self, message: str, output: str, older: bool) -> None:
        super().__init__(message, output)
        self.older = older


class ModuleFile(NamedTuple):
    """A module as it is installed: its name, ``.pp`` or ``.cil``, its bytes, and the same as CIL."""

    name: str
    suffix: str
    content: bytes
    cil: str


class Build(NamedTuple):
    """A command and the directory to run it in; ``files`` gives what came of it."""

    command: list[str]
    work: Path
    files: Callable[[], PolicyFiles]


def store_build(
    store: Path, contexts: Optional[Path], names: set[str], modules: tuple[ModuleFile, ...], place: Path
) -> Build:
    """The build of a copy of the store in ``place``, without the modules with these names but for those given."""
    root, work = place / "root", place / "work"
    work.mkdir(parents=True)
    copy_store(store, root, root_of(store), expand_check=False)
    for name in names:
        take_out(root, store.name, name)
    command = build_command(root, store.name)
    if modules:
        command = [*command[:-1], "-X", str(PRIORITY)]
    for one in modules:
        (work / f"{one.name}{one.suffix}").write_bytes(one.content)
        command += ["-i", f"{one.name}{one.suffix}"]
    return Build(command, work, lambda: built_policy(root, store.name, contexts))


def binary_build(
    files: PolicyFiles, common: list[str], modules: tuple[ModuleFile, ...], place: Path, word: str
) -> Build:
    """The build from the CIL that ``write_as_cil`` wrote to ``place``; ``common``: secilc with its options. What it
    makes is called ``word``."""
    texts = {f"{word}.{one.name}.cil": one.cil for one in modules}
    texts[f"{word}.cil"] = undeclared(place, "".join(texts.values()))
    for name, text in texts.items():
        (place / name).write_text(text, encoding="utf-8")
    made = PolicyFiles(place / word, None, None, files.file_contexts, None)
    return Build([*common, "-o", word, BASE_CIL, *texts], place, lambda: made)


def demand(run: ToolRun, modules: tuple[ModuleFile, ...], policy: Path, older: bool) -> None:
    """Raises DoesNotLink where a build of ``policy`` with these modules failed."""
    if run.status != 0:
        names = " and ".join(one.name for one in modules) or "the policy as it is"
        raise DoesNotLink(f"{names} can't be built into {policy}: {first_line(run.output)}", run.output, older)
