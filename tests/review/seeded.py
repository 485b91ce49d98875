"""The seeded set: modules of one defect each, with what a review must say of them."""

from __future__ import annotations

import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.review import Finding, Review, ReviewRequest, review

BAD = Path(__file__).resolve().parent.parent.parent / "fixtures" / "review" / "bad"
_toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")


class Seeded(NamedTuple):
    """One of them. ``needs``: build where the policy has to be built with the module, selint where that tells it."""

    path: Path
    id: str
    file: str
    line: int
    needs: str = ""

    @property
    def testable(self) -> bool:
        """What it needs is there."""
        return self.needs != "selint" or shutil.which("selint") is not None

    def found_in(self, findings: tuple[Finding, ...]) -> bool:
        """The finding that it was written for is among them, at its place."""
        return any(
            (one.id, Path(one.place.file).name, one.place.line) == (self.id, self.file, self.line) for one in findings
        )


def seeded() -> tuple[Seeded, ...]:
    """All of them, by name."""
    found = []
    for path in sorted(BAD.iterdir()):
        if path.is_dir():
            expected = _toml.loads((path / "expect.toml").read_text("utf-8"))
            found.append(Seeded(path, **expected))
    return tuple(found)


def reviewed(path: Path, policy: Path, build: bool) -> Review:
    """A review of a directory with its own polkit.toml, where it has one."""
    config: Optional[Path] = path / "polkit.toml"
    assert config is not None
    return review(ReviewRequest(str(path), str(policy), build=build, config=config if config.is_file() else None))
