"""PK001 and PK006: what the compiler, or our reader before it, has against the sources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Optional

from polkit.errors import CompileError, MissingDependency, PolkitError, SourceError
from polkit.module.source import Complaint, ReachesOutError, Source, complaints, read_te
from polkit.review.case import Case
from polkit.review.checks.headers import macros_of
from polkit.review.checks.missing import missing
from polkit.review.checks.unknown import unknown
from polkit.review.findings import Finding, Fix, Place
from polkit.review.materials.reading import SourceText

_PLACED = re.compile(r".*?:(\d+)(?::(\d+))?: (.*)\Z", re.DOTALL)
_MOST = 8
"""So many calls that make no statement are told; of a source for another policy all may be."""
_GOES_ON = "no statement goes on with "
"""How our reader begins where a grammar has no place for a word."""
_NOTHING_IN_FORCE = "What the compiler refuses is no module: nothing of it is in force on any host."
_UNNAMED = re.compile(
    r"(?:unknown (?:type|role|class|boolean|attribute)|attribute|type|type is not defined:|permission) ([\w.-]+)"
    r"(?: is not (?:declared|defined for class ([\w.-]+)))?"
)


class _Said(NamedTuple):
    """A message of the compiler, in other words."""

    pattern: str
    title: str
    fix: str


_IN_WORDS = (
    _Said(
        r"syntax error",
        "The statement ends before it is complete, or goes on with something that has no place there: {token}",
        "Look for a missing semicolon, brace or colon before {token}, on this line or the one before.",
    ),
    _Said(
        r"[Dd]uplicate declaration of (.*)",
        "It declares a {0} twice: {written}",
        "Take one of the two declarations out, or rename it; a type and an attribute can't share a name.",
    ),
    _Said(
        r"(\w+) (\S+) is not within scope",
        "The {0} {1} is required in an optional block only, and used outside of it",
        "Require it outside the optional block too, or move the rule into the block.",
    ),
    _Said(
        r"permission (\S+) is not defined for class (\S+)",
        "The class {1} has no permission {0}, or the require block does not name it",
        "Correct the permission, or add it to the require line of {1}.",
    ),
    _Said(
        r"(?:unknown|could not find) (\w+) (\S+).*",
        "The {0} {1} is neither declared nor required",
        "Declare it, or name it in the require block.",
    ),
    _Said(
        r"This block has no require section",
        "An optional block requires nothing, so nothing decides whether it holds",
        "Move the require lines of what the block uses into it.",
    ),
    _Said(
        r"Building a policy module, but no module specification found\.",
        "The file does not begin with `module NAME VERSION;`",
        "Begin the file with `module NAME VERSION;`.",
    ),
)


def find(case: Case) -> Iterator[Finding]:
    """What keeps the sources from being a module, but for what another check says better (PK002, PK003, PK004)."""
    count = 0
    for name, error in case.read.refused:
        if case.problem is not None or isinstance(error, ReachesOutError) or _is_cil(case, name):
            count += 1
            yield _refused(name, error)
    for name, misread in case.read.misread[:_MOST]:
        count += 1
        yield _misread(case, name, misread.line, misread.column, misread.text)
    for text in case.sources:
        if text.kind == "te" and case.problem is not None and not count:
            for finding in _of_compiler(case, text):
                count += 1
                yield finding
    if case.problem is not None and not count and not _told_elsewhere(case):
        yield _problem(case, case.problem)


def _is_cil(case: Case, name: str) -> bool:
    """No compiler looks at CIL before it is installed."""
    return any(text.name == name and text.kind == "cil" for text in case.sources)


def _told_elsewhere(case: Case) -> bool:
    return (
        isinstance(case.problem, MissingDependency)
        or bool(missing(case))
        or bool(unknown(case))
        or any(macros_of(case, text).stop for text in case.sources if text.kind == "te")
    )


def _refused(name: str, error: SourceError) -> Finding:
    placed = _PLACED.match(str(error))
    place = Place(name, int(placed[1]), int(placed[2] or 0)) if placed else Place(name)
    said = placed[3] if placed else str(error)
    if isinstance(error, ReachesOutError):
        return Finding(
            "PK006",
            "high",
            "high",
            place,
            f"The source has m4 do more than expand: {said.partition(' makes m4')[0]}",
            "The Makefile of the policy's development files runs m4 on this as whoever builds it, so a stranger's "
            "source can run commands there or read files. No policy module has a use for it.",
            Fix("Take it out and write what it stands for; do not build this source with make before."),
            (said,),
        )
    if said.startswith(_GOES_ON):
        token = said[len(_GOES_ON) :].partition(" here")[0]
        title = f"The statement does not end before {token}, or has no place for it"
        return _compile_finding(place, title, "Look for a missing semicolon, brace, quote or colon before it.", (said,))
    return _compile_finding(place, f"It can't be read: {said}", error.hint or "Correct the line.", ())


def _misread(case: Case, name: str, line: int, column: int, text: str) -> Finding:
    called = next(one for one in case.sources if one.name == name)
    return _compile_finding(
        Place(name, line, column),
        f"What m4 makes of this call is no statement: {_written(called, line)}",
        "Look at what the interface takes: often an argument is missing, or is a set where one name is wanted.",
        (text,),
    )


def _written(text: SourceText, line: int) -> str:
    """The beginning of a line."""
    lines = text.text.split("\n")
    return " ".join(lines[line - 1].split())[:80] if 0 < line <= len(lines) else ""


def _of_compiler(case: Case, text: SourceText) -> Iterator[Finding]:
    """The complaints about one source that nothing else explains."""
    policy = case.policy
    mls = policy is None or policy.info is None or policy.info.mls
    source = _read(text)
    if macros_of(case, text).stop:
        return
    try:
        said = complaints(text.text, source, case.interfaces, mls)
    except (CompileError, SourceError, MissingDependency):
        return
    known = {(one.name, one.tclass) for found in missing(case) for one in found.names}
    known |= {(one.name, one.tclass) for one in unknown(case)}
    for one in said:
        named = _UNNAMED.search(one.message)
        if named is None or (named[1], named[2] or "") not in known:
            yield _complaint(text, one)


def _read(text: SourceText) -> Optional[Source]:
    try:
        return read_te(text.text, text.name)
    except SourceError:
        return None


def _complaint(text: SourceText, one: Complaint) -> Finding:
    token = f"`{one.token}`" if one.token else "the end of the file"
    for said in _IN_WORDS:
        found = re.match(said.pattern, one.message)
        if found:
            kept = {"token": token, "written": _written(text, one.line)}
            title, fix = (words.format(*found.groups(), **kept) for words in (said.title, said.fix))
            break
    else:
        title, fix = f"The compiler refuses it: {one.message}", "Correct what the message names."
    inside = f" (in what {one.via} stands for)" if one.via else ""
    place = Place(text.name, one.line, one.column)
    return _compile_finding(place, title + inside, fix, (f"checkmodule: {one.message} at {token}",))


def _problem(case: Case, problem: PolkitError) -> Finding:
    """What is known of no line: a compiler other than checkmodule refused, or the file has no head."""
    placed = _PLACED.match(str(problem))
    name = next((one.name for one in case.sources if str(problem).startswith(one.name)), case.file)
    place = Place(name, int(placed[1]) if placed and str(problem).startswith(f"{name}:") else 1)
    lines = problem.output.strip().splitlines()[:4] if isinstance(problem, CompileError) else []
    if isinstance(problem, ReachesOutError):
        return _refused(name, problem)
    return _compile_finding(place, f"It does not compile: {problem}", problem.hint or "Correct it.", tuple(lines))


def _compile_finding(place: Place, title: str, fix: str, evidence: tuple[str, ...]) -> Finding:
    why = f"{_NOTHING_IN_FORCE} Who installs it gets an error, or keeps an older module that he takes for this one."
    return Finding("PK001", "high", "high", place, title, why, Fix(fix), evidence)
