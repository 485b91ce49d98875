"""How a new bundle stands to those that were released: whether its version is one that what it grants allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from polkit.bundle.project import Project
from polkit.bundle.released import SUMS, Number, Released, number_of, read_released, releases_in
from polkit.bundle.steps import Demand
from polkit.bundle.targets import TargetBuild
from polkit.bundle.versions import needed_step
from polkit.errors import PolkitError, UsageError
from polkit.minimize import Progress

_MOST_WITNESSES = 3
_MOST_REASONS = 200


@dataclass(frozen=True)
class Standing:
    """``released``: what the new bundle was held against, None where nothing was released before. ``demand``: what that
    asks of the new version; None where the two are the same, byte for byte."""

    released: Optional[Released] = None
    demand: Optional[Demand] = None

    @property
    def unchanged(self) -> bool:
        """The bundle was released already, as it is."""
        return self.released is not None and self.demand is None

    def lies_in(self, place: Path) -> bool:
        """The same bundle lies in a directory already."""
        return self.released is not None and self.unchanged and self.released.place.parent == place

    def allows(self, version: str) -> bool:
        """Whether the bundle may go out under a version."""
        return self.demand is None or self.demand.allows(version)


def standing(
    project: Project,
    builds: tuple[TargetBuild, ...],
    files: Mapping[str, bytes],
    places: Iterable[Path],
    against: Optional[Path] = None,
    replacing: bool = False,
    progress: Optional[Progress] = None,
) -> Standing:
    """Hold a new bundle (``files``) against the last one released: the one that ``against`` names, else that of the
    highest version in ``places`` which is not above its own. ``replacing``: one of the very same version there is to be
    overwritten, so that the one below counts.

    Raises UsageError where ``against`` is newer than the project, and what ``read_released`` and ``needed_step`` raise.
    """
    number = number_of(project.version)
    released = _last(project.name, number, places, against, below=replacing)
    if released is not None and released.number == number and _same(released.files, files):
        return Standing(released)
    if released is None:
        return Standing()
    if released.number > number:
        raise UsageError(
            f"{released.place} is version {released.version}, above {project.version} in polkit.toml",
            "name a bundle that was released before",
        )
    return Standing(released, needed_step(project, builds, files, released, progress))


def refuse_low_version(found: Standing, project: Project, files: Mapping[str, bytes]) -> None:
    """Raise PolkitError, with what asks for more, where a version is too low for what the bundle grants."""
    released, demand = found.released, found.demand
    if released is None or demand is None or demand.allows(project.version):
        return
    hint = f"polkit package --bump makes it {demand.next_version}"
    if released.number == number_of(project.version):
        path = _first_difference(released.files, files)
        raise PolkitError(
            f"version {project.version} was released with other content: {path} differs from that in {released.place}"
            + _because(demand),
            f"{hint}; --force overwrites one that was never given away",
        )
    raise PolkitError(
        f"version {project.version} is too low after {demand.since}: a {demand.step.word} step is needed"
        + _because(demand),
        hint,
    )


def standing_object(found: Standing) -> Optional[dict[str, Any]]:
    """For JSON: what was compared with, the step that is needed, and why; None where nothing was released before."""
    if found.released is None:
        return None
    reasons = () if found.demand is None else found.demand.reasons
    return {
        "against": found.released.version,
        "unchanged": found.unchanged,
        "step": None if found.demand is None else found.demand.step.word,
        "changes": [{"step": one.step.word, "target": one.target, "text": one.text} for one in reasons[:_MOST_REASONS]],
        "changes_in_all": len(reasons),
    }


def _last(
    name: str, number: Number, places: Iterable[Path], against: Optional[Path], below: bool
) -> Optional[Released]:
    if against is not None:
        return read_released(against, name)
    known = releases_in(places, name)
    lower = [one for one in known if one < number or (one == number and not below)]
    return read_released(known[max(lower)], name) if lower else None


def _because(demand: Demand) -> str:
    shown = [f"on {one.target}: {one.text}" for one in demand.witnesses[:_MOST_WITNESSES]]
    more = len(demand.witnesses) - len(shown)
    return "".join(f"; {one}" for one in shown) + (f"; and {more} more" if more > 0 else "")


def _same(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> bool:
    return not _first_difference(old, new)


def _first_difference(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> str:
    """A path whose content differs, one that tells much; empty for none. Signatures, which stand over the sums, do not
    count."""
    paths = (path for path in old.keys() | new.keys() if not path.startswith(f"{SUMS}."))
    return min((path for path in paths if old.get(path) != new.get(path)), key=_weight, default="")


def _weight(path: str) -> tuple[int, str]:
    """The modules first; last what changes with every other file."""
    places = ("targets/", "source/", "")
    return (9 if path in _TOLD_BY_OTHERS else next(i for i, one in enumerate(places) if path.startswith(one)), path)


_TOLD_BY_OTHERS = frozenset(("README.md", "manifest.json", SUMS))
