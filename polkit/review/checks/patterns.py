"""The patterns of file contexts themselves: PK032 can match no path, PK036 is no regular expression or not the one that
was meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Optional

from polkit.policy import TargetPolicy
from polkit.review.case import Case, Labelled
from polkit.review.findings import Finding, Fix, Place
from polkit.review.labels.labels_read import labels_of
from polkit.review.labels.path_patterns import PathPattern, is_path, path_pattern
from polkit.review.labels.pattern_errors import errors_of
from polkit.review.patches import unified

_WORDS = ("/", "HOME_DIR", "HOME_ROOT")
_STAR = re.compile(r"/\*")
_DOT = re.compile(r"(?<=[\w-])\.(?=\w)")
_TWICE = re.compile(r"[\w-]\+\+")
_BRACKETS = re.compile(r"\\.|\[\^?\]?[^\]]*\]")
_KIND_NAMES = {
    "--": "regular files",
    "-d": "directories",
    "-l": "symbolic links",
    "-c": "character devices",
    "-b": "block devices",
    "-s": "sockets",
    "-p": "pipes",
}
_NEVER = "Paths are looked up in one form: from the root, no slash doubled or at the end."


class Mistake(NamedTuple):
    """What is wrong with a pattern: ``meant`` is the one that was, empty where that can't be told."""

    id: str
    severity: str
    confidence: str
    title: str
    why: str
    fix: str
    meant: str = ""


def find(case: Case) -> Iterator[Finding]:
    """A finding for each mistake."""
    labels = labels_of(case)
    errors = errors_of(one.entry.pattern for one in labels)
    for one in labels:
        why = errors.get(one.entry.pattern)
        found = _broken(one, why) if why is not None else mistakes(case, one)
        for each in found:
            yield _finding(case, one.place, one.entry.pattern, each)


def mistakes(case: Case, one: Labelled) -> Iterator[Mistake]:
    """What is wrong with a pattern that compiles."""
    pattern = path_pattern(one.entry.pattern)
    if not pattern.text.startswith((*_WORDS, "^/", "(/")):
        yield _no_slash(pattern.text)
        return
    if pattern.intricate:
        yield _intricate(pattern)
        return
    shape = tuple(_shapes(pattern))
    yield from shape
    if not any(each.id == "PK032" for each in shape) and not _STAR.search(pattern.text):
        yield from _nowhere(case.policy, pattern)
        yield from _kind_contradicts(case.policy, one)


def _finding(case: Case, place: Place, pattern: str, one: Mistake) -> Finding:
    patch = _patch(case, place, pattern, one.meant) if one.meant else ""
    return Finding(one.id, one.severity, one.confidence, place, one.title, one.why, Fix(one.fix, (), patch))


def _patch(case: Case, place: Place, pattern: str, meant: str) -> str:
    """The line with the pattern that was meant; empty where the line holds it in another form."""
    source = next((text for text in case.sources if text.name == place.file and text.kind == "fc"), None)
    if source is None or not place.line:
        return ""
    lines = source.text.split("\n")
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if line.count(pattern) != 1:
        return ""
    return unified(source, "\n".join([*lines[: place.line - 1], line.replace(pattern, meant), *lines[place.line :]]))


# -- PK036 ------------------------------------------------------------------------------------------------------------


def _broken(one: Labelled, why: str) -> Iterator[Mistake]:
    yield Mistake(
        "PK036",
        "high",
        "high",
        f"{one.entry.pattern} is no regular expression: {why}",
        "A module store that checks file contexts refuses the module. One that doesn't leaves a file that libselinux "
        "can't use: whatever it is asked about then, it answers with an error.",
        "Correct the pattern; a character that means itself stands after a backslash.",
    )


def _intricate(pattern: PathPattern) -> Mistake:
    return Mistake(
        "PK036",
        "low",
        "high",
        f"{pattern.text[:80]} repeats repeats: what it matches was not tried",
        "To match a path against it may take longer than anybody waits, and restorecon does so for every file there. "
        "It was left out of all other checks.",
        "Write it as several entries without one repeat inside another.",
    )


def _shapes(pattern: PathPattern) -> Iterator[Mistake]:
    text = pattern.text
    bare = _BRACKETS.sub(lambda found: "x" * len(found[0]), text)
    if len(text) > 1 and text.endswith("/"):
        yield _trailing(text)
    if _STAR.search(bare):
        yield _shell_star(text, bare)
    if _TWICE.search(bare):
        yield Mistake(
            "PK036",
            "medium",
            "high",
            f"{text} does not match a name with ++ in it",
            "A + repeats what stands before it, and a second + makes the repeat possessive. The files that are meant "
            "keep their label.",
            "Write \\+\\+.",
            text.replace("++", r"\+\+"),
        )
    if "|" in bare and pattern.start == "" and not bare.startswith("("):
        yield _bare_bar(text)
    if bare.startswith("^") or re.search(r"(?<!\\)\$\Z", bare):
        yield Mistake(
            "PK036",
            "low",
            "high",
            f"{text} has anchors that every pattern has already",
            "libselinux matches whole paths. An anchor counts as a special character, and so the entry is sorted "
            "before others that have more plain text at their start.",
            "Leave ^ and $ out.",
            text.strip("^$"),
        )
    if _DOT.search(bare):
        yield _dot(text, bare)


def _shell_star(text: str, bare: str) -> Mistake:
    meant = "".join(
        "/.*"
        if bare[at : at + 2] == "/*" and at + 2 == len(bare)
        else "/[^/]*"
        if bare[at : at + 2] == "/*"
        else text[at]
        for at in range(len(text))
        if not (at and bare[at - 1 : at + 1] == "/*")
    )
    return Mistake(
        "PK036",
        "medium",
        "high",
        f"{text} is a shell's pattern: /* repeats the slash",
        "In a regular expression * repeats what stands before it, here the slash, and no path has two in a row. The "
        "files below that directory keep their label.",
        "Write /.* for everything below it, /[^/]* for names in it.",
        meant,
    )


def _bare_bar(text: str) -> Mistake:
    return Mistake(
        "PK036",
        "medium",
        "high",
        f"{text} has alternatives without parentheses",
        "The pattern is anchored as it stands, ^A|B$, so the first alternative matches every path that begins with it "
        "and the last every path that ends with it. Far more files get the label than the line says.",
        "Put the alternatives in parentheses, or write an entry for each.",
    )


def _dot(text: str, bare: str) -> Mistake:
    places = [found.start() for found in _DOT.finditer(bare)]
    meant = "".join(f"\\{one}" if at in places else one for at, one in enumerate(text))
    return Mistake(
        "PK036",
        "low",
        "medium",
        f"The dot in {text} matches any character",
        "A dot that means itself stands after a backslash. As it is, other names match too, and the entry is sorted "
        "before others that have more plain text at their start.",
        f"Write {meant}",
        meant,
    )


# -- PK032 ------------------------------------------------------------------------------------------------------------


def _no_slash(pattern: str) -> Mistake:
    return Mistake(
        "PK032",
        "low",
        "high",
        f"{pattern} matches nothing: it does not begin with a slash",
        f"{_NEVER} The files that are meant keep their label, and what the module allows on the new one is never met.",
        f"Write /{pattern}",
        f"/{pattern}",
    )


def _trailing(text: str) -> Mistake:
    meant = text.rstrip("/")
    return Mistake(
        "PK032",
        "low",
        "high",
        f"{text} matches nothing: it ends with a slash",
        f"{_NEVER} The directory that is meant keeps its label, and so does all in it.",
        f"Write {meant} for the directory alone, {meant}(/.*)? for it with all that it holds.",
        f"{meant}(/.*)?",
    )


def _nowhere(policy: Optional[TargetPolicy], pattern: PathPattern) -> Iterator[Mistake]:
    """No path of it is ever looked up: it has none, or all of them are looked up by another name."""
    paths = pattern.examples
    if not paths:
        if pattern.expression is not None:
            yield Mistake(
                "PK032",
                "low",
                "medium",
                f"{pattern.text} matches nothing: no path has that form",
                f"{_NEVER} The files that are meant keep their label.",
                "Correct the pattern, or leave the entry out.",
            )
        return
    if policy is None or not policy.has_file_contexts:
        return
    asked = {path: policy.spoken_of(path) for path in paths}
    if any(pattern.matches(spoken) for spoken in asked.values()):
        return
    path, spoken = next(iter(asked.items()))
    meant = _substituted(pattern.text, path, spoken)
    yield Mistake(
        "PK032",
        "low",
        "high",
        f"{pattern.text} matches nothing: {path} is looked up as {spoken}",
        f"The policy's file_contexts.subs and .subs_dist have {path} labelled as {spoken}, so an entry by the first "
        "name is never reached. The files that are meant keep the label of the second.",
        f"Write {meant or spoken}",
        meant,
    )


def _substituted(text: str, path: str, spoken: str) -> str:
    """The pattern with the part of the path replaced that a substitution replaces; empty where it is not written so."""
    common = 0
    while common < min(len(path), len(spoken)) and path[-1 - common] == spoken[-1 - common]:
        common += 1
    old, new = path[: len(path) - common], spoken[: len(spoken) - common]
    if not text.startswith(old) or not is_path(new.rstrip("/") or "/"):
        return ""
    return new + text[len(old) :]


def _kind_contradicts(policy: Optional[TargetPolicy], one: Labelled) -> Iterator[Mistake]:
    """A single path that the policy has as another kind of file."""
    pattern, kind = path_pattern(one.entry.pattern), one.entry.kind
    if policy is None or not kind or pattern.examples != (pattern.start,):
        return
    kinds = {each.kind for each in policy.file_entries() if each.pattern == pattern.text}
    if kinds and kind not in kinds and "" not in kinds:
        listed = " and ".join(sorted(_KIND_NAMES[each] for each in kinds))
        yield Mistake(
            "PK032",
            "low",
            "medium",
            f"{pattern.text} {kind} matches nothing: the policy has it for {listed}",
            "An entry with a kind is for files of that kind alone. The policy's own entry says that this path is of "
            "another, so this one is never reached.",
            f"Write {pattern.text} {sorted(kinds)[0]}, or leave the kind out.",
        )
