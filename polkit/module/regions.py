"""The generated part of a source file, between two marked lines; what stands outside them is somebody's own and stays.

The lines are comments of every policy language that has ``#`` for one, and of the reference policy's ``.if``.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from polkit.errors import CompileError

BEGIN = "# --- polkit: generated from here: what is changed by hand before the next mark is lost ---"
END = "# --- polkit: generated to here: what you add below stays, with a require block of its own in a .te ---"
_WRITTEN_BY_US = "written by polkit"
"""In the head of every ``.te`` and ``.if`` that generate writes, with marks or without."""
_CONTEXTS_ONLY = ": file contexts"


class Parts(NamedTuple):
    """A source file in three: before its generated part, that part, and after it. ``generated`` is None in a file
    without marks; then all of it is ``before``."""

    before: str
    generated: Optional[str]
    after: str


def parts(text: str, name: str) -> Parts:
    """The parts of a source file; ``name`` is for messages. Raises CompileError where the marks are not one pair."""
    lines = text.splitlines(keepends=True)
    begins = [number for number, line in enumerate(lines) if line.rstrip() == BEGIN]
    ends = [number for number, line in enumerate(lines) if line.rstrip() == END]
    if not begins and not ends:
        return Parts(text, None, "")
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
        raise CompileError(
            f"{name}: the marks of its generated part are not one pair",
            hint=f"there must be one line {BEGIN!r} and after it one line {END!r}",
        )
    begin, end = begins[0], ends[0]
    return Parts("".join(lines[:begin]), "".join(lines[begin + 1 : end]), "".join(lines[end + 1 :]))


def marked(generated: str) -> str:
    """A text between its marks."""
    return f"{BEGIN}\n{generated}{END}\n"


def splice(old: str, generated: str, name: str) -> str:
    """A source file with another generated part; the rest as it was. An earlier output of ours without marks is
    replaced whole, an empty file filled.

    Raises CompileError for a file without marks that somebody wrote, and where the marks are not one pair.
    """
    found = parts(old, name)
    if found.generated is not None:
        return found.before + marked(generated) + found.after
    if old.strip() and not _ours(old):
        raise CompileError(
            f"{name} has no marks around its generated part, and all of it would be lost",
            hint=f"put the lines {BEGIN!r} and {END!r} where the generated part belongs",
        )
    return marked(generated)


def hand_written(text: str, name: str) -> str:
    """What of a source file somebody wrote: all of it without its generated part. Raises CompileError as ``parts``."""
    found = parts(text, name)
    return "" if found.generated is None and _ours(text) else found.before + found.after


def says_something(text: str) -> bool:
    """A text holds more than comments and empty lines."""
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())


def empty_module(name: str, version: str) -> str:
    """A ``.te`` with nothing in it that ``checkmodule`` takes: it wants a require block that is not empty."""
    return f"module {name} {version};\n\nrequire {{\n    role object_r;\n}}\n"


def _ours(text: str) -> bool:
    first = text.split("\n", 1)[0]
    return first.startswith("#") and (_WRITTEN_BY_US in text[:400] or first.endswith(_CONTEXTS_ONLY))
