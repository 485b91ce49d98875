"""PK004: macros of the policy's development files stand in a source, where a compiler alone knows none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Optional

from polkit.errors import SourceError
from polkit.module.source import (
    Block,
    Call,
    Located,
    Rule,
    Source,
    Statement,
    asks_m4,
    everything,
    macro_words,
    read_te,
)
from polkit.review.case import Case
from polkit.review.checks.missing import has, required_lines
from polkit.review.findings import Finding, Fix, Place
from polkit.review.grants.uses import Name, declared_by, required_by, used_by
from polkit.review.materials.reading import SourceText
from polkit.review.patches import unified

_MODULE = "policy_module"
_PLAIN = ("require", "optional", "if")
_LIKE_MACROS = re.compile(r"\w+_(?:perms|class_set)\Z", re.ASCII)
"""What the reference policy's own sets are called (obj_perm_sets.spt), where there are no headers to ask."""
_PACKAGES = "selinux-policy-dev (Debian, Ubuntu) or selinux-policy-devel (Fedora, RHEL)"
_BUILD = "make -f /usr/share/selinux/devel/Makefile"
_MOST = 6


@dataclass(frozen=True)
class Macros:
    """What of a source m4 has to expand: the head, calls and blocks, words of sets; ``undefined``: calls that nothing
    here defines."""

    head: Optional[Statement] = None
    calls: tuple[Statement, ...] = ()
    words: tuple[tuple[str, Statement], ...] = ()
    undefined: tuple[Call, ...] = ()
    here: bool = False

    @property
    def first(self) -> Optional[Statement]:
        """The first of them."""
        found = [one for one in (self.head, *self.calls, *(one for _, one in self.words)) if one is not None]
        return min(found, key=lambda one: (one.line, one.column), default=None)

    @property
    def stop(self) -> bool:
        """They keep the source from being compiled here."""
        return self.first is not None and (not self.here or bool(self.undefined))


def macros_of(case: Case, text: SourceText) -> Macros:
    """The macros of one source; none for one that can't be read."""
    try:
        source = read_te(text.text, text.name)
    except SourceError:
        return Macros()
    if not asks_m4(source):
        return Macros()
    every = list(everything(source))
    head = next((one for one in every if isinstance(one, Call) and one.name == _MODULE), None)
    calls = tuple(one for one in every if _is_macro(one))
    undefined = tuple(call for name, call in case.read.calls if name == text.name and call.name != _MODULE)
    return Macros(head, calls, _words(case, source), undefined, case.interfaces is not None)


def find(case: Case) -> Iterator[Finding]:
    """One finding for all macros of a source, and one for every interface that nothing defines."""
    for text in case.sources:
        macros = macros_of(case, text) if text.kind == "te" else Macros()
        if macros.here:
            yield from (_undefined(case, text, call) for call in _once(macros.undefined))
        if macros.first is not None and not (macros.here and macros.undefined):
            yield _finding(case, text, macros)


def _is_macro(one: Statement) -> bool:
    return (isinstance(one, Call) and one.name != _MODULE) or (isinstance(one, Block) and one.kind not in _PLAIN)


def _words(case: Case, source: Source) -> tuple[tuple[str, Statement], ...]:
    if case.interfaces is not None:
        return tuple(macro_words(source, case.interfaces).items())
    found: dict[str, Statement] = {}
    for one in everything(source):
        if isinstance(one, Rule):
            for word in (*one.perms.names, *one.classes.names):
                if _LIKE_MACROS.match(word):
                    found.setdefault(word, one)
    return tuple(found.items())


def _once(calls: tuple[Call, ...]) -> list[Call]:
    """The first call of each, a handful."""
    return list({call.name: call for call in reversed(calls)}.values())[::-1][:_MOST]


def _finding(case: Case, text: SourceText, macros: Macros) -> Finding:
    first = macros.first
    assert first is not None
    plain = not macros.calls
    names = _names(macros, _own(case))
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    needed = _needed(case, text) if plain and macros.head is not None else {}
    severity = "high" if plain or not macros.here else "info"
    lines = required_lines(needed, case.policy)
    return Finding(
        id="PK004",
        severity=severity,
        confidence="high" if not macros.here or not plain else "medium",
        place=Place(text.name, first.line, first.column),
        title=f"Does not compile without the policy's development files, which define {shown}",
        why=(
            f"{'They are macros' if len(names) > 1 else f'{names[0]} is a macro'} that m4 expands; checkmodule alone "
            f"refuses the source at line {first.line} and makes no module. "
            + (
                "Nothing else here needs those files."
                if plain and macros.here
                else "They come in a package of their own."
            )
        ),
        fix=_fix(text, macros, plain, lines, f"{_BUILD} {case.name or 'NAME'}.pp"),
        evidence=tuple(f"policy_module stands for: {line}" for line in lines),
    )


def _own(case: Case) -> frozenset[str]:
    """What the module's own ``.if`` defines."""
    files = {text.name for text in case.sources if text.kind == "if"}
    known = () if not files or case.interfaces is None else case.interfaces.definitions
    return frozenset(one.name for one in known if one.header in files)


def _names(macros: Macros, own: frozenset[str] = frozenset()) -> list[str]:
    names = [_MODULE] if macros.head is not None else []
    names += (one.name if isinstance(one, Call) else one.kind for one in macros.calls if isinstance(one, (Call, Block)))
    names = [name for name in names if name not in own]
    return list(dict.fromkeys((*names, *(word for word, _ in macros.words))))


def _needed(case: Case, text: SourceText) -> dict[Name, Located]:
    """What the source uses and only ``policy_module`` requires: it names every class of the kernel."""
    own = [one for one in case.statements if one.file == text.name and not one.via]
    known = {name for one in own for name in (*declared_by(one.statement), *required_by(one.statement))}
    found: dict[Name, Located] = {}
    for one in own:
        for name in used_by(one):
            if name not in known and (case.policy is None or has(case.policy, name)):
                found.setdefault(name, one)
    return found


def _fix(text: SourceText, macros: Macros, plain: bool, lines: list[str], command: str) -> Fix:
    build = f"Build it with the development files: {command}; they are in {_PACKAGES}."
    head = macros.head
    if not plain:
        return Fix(build, (command,))
    if head is None or macros.words or not isinstance(head, Call) or len(head.arguments) < 2:
        return Fix(f"Write out what {', '.join(_names(macros)[:4])} stands for, for checkmodule alone. Or: {build}")
    name, version = (one.strip() for one in head.arguments[:2])
    said = f"Begin with `module {name} {version};`" + (f" and require: {' '.join(lines)}" if lines else "")
    return Fix(f"{said} Or: {build}", (), _patch(text, head, f"module {name} {version};", lines))


def _patch(text: SourceText, head: Call, module: str, lines: list[str]) -> str:
    """Another head, and behind it a block for what the macro required."""
    written = text.text.split("\n")
    line = written[head.line - 1]
    found = re.match(rf"\s*{_MODULE}\([^()]*\)[ \t]*", line)
    if found is None:
        return ""
    block = ["", "require {", *(f"    {one}" for one in lines), "}"] if lines else []
    written[head.line - 1 : head.line] = [module + line[found.end() :].rstrip(), *block]
    return unified(text, "\n".join(written))


def _undefined(case: Case, text: SourceText, call: Call) -> Finding:
    assert case.interfaces is not None
    nearest = get_close_matches(call.name, [one.name for one in case.interfaces.definitions], 3, 0.75)
    like = f"; nearest: {', '.join(nearest)}" if nearest else ""
    return Finding(
        id="PK004",
        severity="high",
        confidence="high",
        place=Place(text.name, call.line, call.column),
        title=f"The policy's development files define no {call.name}{like}",
        why=(
            "m4 leaves a call that it has no definition for as it stands, and the compiler refuses it as a syntax "
            "error. The interface is of another distribution or release, is misspelled, or is in an .if that is "
            "missing here."
        ),
        fix=Fix(
            f"Call {' or '.join(nearest)}, if that is meant."
            if nearest
            else "Put the .if that defines it beside the .te, or write the rules out that it stands for."
        ),
    )
