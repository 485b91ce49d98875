"""What interfaces say: their definitions expanded by the distribution's m4, in one run.

A header may come from a stranger, and m4 runs programs and reads files when it is told to. So it is told nothing but
what we write: support macros and the bodies of definitions, after all builtins that reach outside are gone; it runs
under the limits of every tool, in an empty directory. Before the calls those builtins go too that could change what
another call means.
"""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from polkit.errors import CompileError
from polkit.module.headers import Definition, Headers
from polkit.module.tools import ToolRun, run_tool

ARGUMENTS = ("polkit_argument_1", "polkit_argument_2")
"""What stands for a call's arguments in an Expansion."""

_REACHING_OUT = (
    *("syscmd", "esyscmd", "builtin", "indir", "include", "sinclude", "undivert", "debugfile", "mkstemp", "maketemp"),
    *("divert", "errprint", "m4exit", "m4wrap", "changequote", "changecom", "changeword", "traceon", "traceoff"),
    *("dumpdef", "debugmode", "format"),
)
_DEFINING = ("define", "undefine", "pushdef", "popdef", "defn")
_OVERRIDES = """
define(`refpolicywarn',`')dnl
define(`refpolicyerr',`')dnl
define(`optional_policy',`optional { $1 ifelse(`$2',`',`',`} else { $2 ')}')dnl
"""
"""Warnings would only stand among the output; the original of the third keeps its state in definitions."""

_SECONDS = 30
_MOST_BROKEN = 16
_COMMENT = re.compile(r"#[^\n]*")
_ONLY_ALLOW = re.compile(r"(?:require \{(?:[^{}]|\{[^{}]*\})*\} ?|allow [^;]*; ?|; ?)*\Z")


@dataclass(frozen=True)
class Expansion:
    """What a call of an interface says: ``text`` holds ``require`` blocks and allow rules and nothing else.

    It is policy text on one line (``read_body`` reads it), with ``ARGUMENTS`` in place of the call's arguments.
    """

    name: str
    parameters: int
    header: str
    text: str


def expand(headers: Headers) -> tuple[Expansion, ...]:
    """Every interface with one or two parameters that holds allow rules and nothing else, expanded; by name.

    Deprecated ones are left out. Raises MissingDependency without m4, CompileError when it does not come to an end.
    """
    wanted = {
        one.name: one
        for one in sorted(headers.definitions, key=lambda one: one.name)
        if one.kind == "interface" and 1 <= one.parameters <= len(ARGUMENTS) and not one.deprecated
        if one.name not in (*_REACHING_OUT, *_DEFINING)
    }
    texts = _expanded(headers, wanted)
    normal = {name: " ".join(_COMMENT.sub("", text).split()) for name, text in texts.items()}
    return tuple(
        Expansion(name, wanted[name].parameters, wanted[name].header, text)
        for name, text in normal.items()
        if "allow " in text and _ONLY_ALLOW.match(text)
    )


def _expanded(headers: Headers, wanted: dict[str, Definition]) -> dict[str, str]:
    """What m4 makes of a call of each; those that it breaks off at are left out, one run each."""
    before = prelude(headers)
    names = list(wanted)
    for _ in range(_MOST_BROKEN):
        mark = f"@@{secrets.token_hex(8)}@"
        run = run_m4(before + "".join(_call(mark, number, wanted[name]) for number, name in enumerate(names)) + mark)
        parts = re.split(rf"^{mark}(\d*)\n?", run.output, flags=re.MULTILINE)
        if run.status == 0 and parts[1::2] == [*map(str, range(len(names))), ""]:
            return dict(zip(names, parts[2::2]))
        begun = [number for number in parts[1::2] if number]
        if not begun:
            break
        del names[int(begun[-1])]
    said = (run.complaints.strip().splitlines() or [f"it ended with status {run.status}"])[0]
    raise CompileError(f"m4 can't expand the interfaces of {headers.directory}: {said[:200]}", output=run.complaints)


def prelude(headers: Headers) -> str:
    """What m4 reads before a text that calls the headers' interfaces: definitions, and nothing that reaches outside.

    A definition never takes the place of a macro that is there already.
    """
    options = "".join(f"define(`{word}',`{value}')dnl\n" for word, value in headers.options)
    bodies = "".join(f"ifdef(`{one.name}',,`define(`{one.name}',`{one.body}')')dnl\n" for one in headers.definitions)
    return f"{_without(_REACHING_OUT)}{options}{headers.support}{_OVERRIDES}{bodies}{_without(_DEFINING)}"


def _without(builtins: Iterable[str]) -> str:
    quoted = ",".join(f"`{name}'" for name in builtins)
    return f"undefine({quoted})dnl\n"


def _call(mark: str, number: int, one: Definition) -> str:
    """A call on lines of its own; a body that ends with ``dnl`` takes no more than the first empty line."""
    arguments = ",".join(f"`{name}'" for name in ARGUMENTS[: one.parameters])
    return f"{mark}{number}\n{one.name}({arguments})\n\n"


def run_m4(text: str) -> ToolRun:
    """What m4 makes of ``text`` (Latin-1) under the limits of every tool. Raises MissingDependency, CompileError."""
    with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
        room = Path(scratch)
        (room / "calls.m4").write_text(text, encoding="latin-1")
        return run_tool(["m4", "calls.m4"], room, _SECONDS, apart=True)
