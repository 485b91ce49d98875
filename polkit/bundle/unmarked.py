"""What somebody added to a source file that ``generate`` wrote without marks, and that is made anew for each target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from polkit.bundle.project import Project
from polkit.bundle.targets import TargetBuild
from polkit.module import hand_written, parts

_STATEMENTS = ("allow", "auditallow", "dontaudit", "neverallow", "range_transition", "role", "type")
_SHOWN, _LONGEST = 3, 100


def left_behind(project: Project, builds: Iterable[TargetBuild]) -> tuple[str, ...]:
    """A note on the statements of the project's ``.te`` that are in no target's, where nothing marks what of it is
    generated; none where there are none."""
    name, text = f"{project.name}.te", project.sources["te"]
    if not project.evidence or parts(text, name).generated is not None or hand_written(text, name):
        return ()
    shipped = {line for build in builds for line in _statements(build.te)}
    lost = [line for line in _statements(text) if line not in shipped]
    if not shipped or not lost:
        return ()
    shown = " ".join(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..." for line in lost[:_SHOWN])
    more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
    return (
        f"{name} has no marks around its generated part, so all of it was made anew from the evidence; "
        f"in no target's module: {shown}{more}",
    )


def _statements(text: str) -> Iterator[str]:
    """The lines outside ``require`` that grant or declare something."""
    required = False
    for line in text.splitlines():
        word = line.strip()
        required = (required or word.startswith("require")) and "}" not in word
        if not required and word.startswith(_STATEMENTS):
            yield word
