"""The pages of the findings: ``python tests/finding_pages.py --write`` writes their index, docs/findings/README.md."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from polkit.review import KINDS

PAGES = Path(__file__).resolve().parent.parent / "docs" / "findings"
INDEX = PAGES / "README.md"
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEAD = re.compile(r"^\s*(?:module\s+([\w.-]+)\s|policy_module\(\s*([\w.-]+)\s*,)", re.MULTILINE)
_LABEL = re.compile(r"\S+:object_r:(\w+)")

_INTRODUCTION = """\
# Findings of `polkit review`

A page for each: why it matters, a module that has it, the same mended, and when it is right to ignore it. The severity
is the usual one; the facts may say otherwise, and `[review.severity]` in polkit.toml settles it for a project. A
comment `# polkit: ignore[PK012] reason` on the line, or on the line above, silences a finding there; what is silenced
is counted.

| id | name | severity | says |
| --- | --- | --- | --- |
"""


class Example(NamedTuple):
    """The files of a page's module: by name."""

    files: dict[str, str]

    def write(self, place: Path) -> None:
        """Put them into a directory."""
        for name, text in self.files.items():
            (place / name).write_text(text, "utf-8")


def sections(id_: str) -> dict[str, str]:
    """The text of each section of a page, by its heading."""
    parts = _SECTION.split((PAGES / f"{id_}.md").read_text("utf-8"))
    return dict(zip(parts[1::2], parts[2::2]))


def example(id_: str, section: str) -> Example:
    """The module that the blocks of a section are: ``te``, ``fc`` and ``cil``, ``toml`` for its polkit.toml. Labels
    alone stand beside a source that declares their types."""
    blocks = _BLOCK.findall(sections(id_)[section])
    return Example(dict(_files(blocks)))


def _files(blocks: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    name = "example"
    for language, text in blocks:
        head = _HEAD.search(text) if language == "te" else None
        name = next(filter(None, head.groups())) if head else name
        if language == "te":
            yield f"{name}.te", text
    labels = "".join(text for language, text in blocks if language == "fc")
    if labels and not any(language in ("te", "cil") for language, _ in blocks):
        types = sorted({one for one in _LABEL.findall(labels) if one.startswith("example_")})
        declared = "".join(f"type {one}, file_type;\n" for one in types)
        yield f"{name}.te", f"module {name} 1.0.0;\n\nrequire {{\n    attribute file_type;\n}}\n\n{declared}"
    for language, text in blocks:
        if language == "toml":
            yield "polkit.toml", text
        elif language in ("fc", "cil", "if"):
            yield f"{name}.{language}", text


def index() -> str:
    """The text of the index."""
    rows = (f"| [{one.id}]({one.id}.md) | {one.slug} | {one.severity} | {one.summary} |\n" for one in KINDS.values())
    return _INTRODUCTION + "".join(rows)


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/finding_pages.py --write")
    INDEX.write_text(index(), "utf-8")
