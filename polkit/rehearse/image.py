"""The archive the machine starts from: Python, the guest's files, the policy, the plan."""

from __future__ import annotations

import json
import py_compile
import tempfile
from pathlib import Path

from polkit.errors import MissingDependency, SourceError
from polkit.rehearse.archive import Entries, cpio
from polkit.rehearse.elf import with_libraries
from polkit.rehearse.layout import GuestPlan
from polkit.rehearse.parts import guest_python

_HOME = "/rehearsal"
_GUEST = Path(__file__).parent / "guest"


def write_image(plan: GuestPlan, policy: Path, image: Path) -> None:
    """Write the archive to ``image``. Raises SourceError, MissingDependency."""
    python, modules = guest_python()
    entries: Entries = {"/init": _init(python)}
    executable = {"/init", str(python)}
    entries[str(python)] = python.read_bytes()
    for path, library in _libraries(python, modules).items():
        entries[path] = library.read_bytes()
        executable.add(path)
    with tempfile.TemporaryDirectory(prefix="polkit-guest-") as scratch:
        for source in modules.values():
            _add_module(entries, source, str(source), Path(scratch))
        for source in sorted(_GUEST.glob("*.py")):
            _add_module(entries, source, f"{_HOME}/lib/guest/{source.name}", Path(scratch))
    try:
        entries[f"{_HOME}/policy"] = policy.read_bytes()
        for name, file in plan.files.items():
            entries[f"{_HOME}/content/{name}"] = file.read_bytes()
        entries[f"{_HOME}/plan.json"] = json.dumps(plan.told).encode()
        with image.open("wb") as stream:
            stream.writelines(cpio(entries, frozenset(executable)))
    except OSError as error:
        raise SourceError(f"{error.filename or image}: {error.strerror}") from error


def _init(python: Path) -> bytes:
    lines = (
        f"#!{python} -ISB",
        "import sys",
        f"sys.path.insert(0, '{_HOME}/lib')",
        "from guest.agent import main",
        "main()",
    )
    return "\n".join(lines).encode() + b"\n"


def _libraries(python: Path, modules: dict[str, Path]) -> dict[str, Path]:
    found = with_libraries(python)
    for file in modules.values():
        if file.suffix == ".so":
            found.update(with_libraries(file))
    return found


def _add_module(entries: Entries, source: Path, place: str, scratch: Path) -> None:
    """Python source goes in compiled: compiling it in the guest would take longer than all its work."""
    if source.suffix != ".py":
        entries[place] = source.read_bytes()
        return
    compiled = scratch / "module.pyc"
    try:
        py_compile.compile(
            str(source), str(compiled), place, doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )  # fmt: skip
    except (OSError, py_compile.PyCompileError) as error:
        raise MissingDependency(f"{source} does not compile: {str(error)[:200]}") from error
    entries[place + "c"] = compiled.read_bytes()
