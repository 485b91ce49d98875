"""The entries of file contexts under review, those of a source that can't be read as a whole among them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from polkit.errors import SourceError
from polkit.module.source import FileLabel, read_fc
from polkit.review.case import Case, Labelled
from polkit.review.materials.reading import SourceText

_LINE = re.compile(
    r"(?P<pattern>[^\s#`']\S*)\s+(?:(?P<kind>-[-bcdpls])\s+)?(?:gen_context\()?"
    r"(?P<user>[\w$.-]+):(?P<role>[\w$.-]+):(?P<type>[\w$.-]+)(?P<rest>[:,][^#]*)?(?:#.*)?\Z",
    re.ASCII,
)
_MOST = 10_000


def labels_of(case: Case) -> tuple[Labelled, ...]:
    """The entries in the order of the sources. One line that is none, or whose pattern does not begin with a slash,
    takes nothing from the others here."""
    refused = {name for name, _ in case.read.refused}
    if not any(one.kind == "fc" and one.name in refused for one in case.sources):
        return case.labels
    found = [one for text in case.sources if text.kind == "fc" and text.name in refused for one in _by_line(text)]
    return (*case.labels, *found)


def _by_line(text: SourceText) -> Iterator[Labelled]:
    for number, line in enumerate(text.text.split("\n")[:_MOST], 1):
        said = line.strip()
        try:
            read = read_fc(said, text.name)
        except SourceError:
            read = ()
        for one in read:
            if isinstance(one, FileLabel):
                yield Labelled(text.name, replace(one, line=number))
        found = None if read else _LINE.match(said)
        if found is not None:
            context = (found["user"], found["role"], found["type"])
            yield Labelled(text.name, FileLabel(found["pattern"], found["kind"] or "", context, (), False, number, 1))
