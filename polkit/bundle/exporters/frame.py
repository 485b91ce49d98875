"""What an exporter gets and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from polkit.bundle.project import Project
from polkit.bundle.targets import TargetBuild


@dataclass(frozen=True)
class Shipment:
    """What is shipped: the project, each target's module, the bundle's other files by their paths, the time of
    everything in it (seconds since 1970), and the name of the bundle's archive."""

    project: Project
    builds: tuple[TargetBuild, ...]
    files: Mapping[str, bytes]
    epoch: int
    archive: str

    @property
    def top(self) -> str:
        """``NAME-VERSION``, as the bundle's directory is called."""
        return f"{self.project.name}-{self.project.version}"

    @property
    def modules(self) -> tuple[TargetBuild, ...]:
        """The targets that get a module."""
        return tuple(build for build in self.builds if build.package is not None)

    def module_path(self, build: TargetBuild) -> str:
        """Where in the bundle a target's module lies."""
        return f"targets/{build.name}/{self.project.name}{build.suffix}"


@dataclass(frozen=True)
class Exported:
    """Files by their names, and what has to be said of them. Nothing in them may depend on the machine or the time."""

    files: Mapping[str, bytes]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exporter:
    """One kind of output.

    ``export`` writes texts, which become part of the bundle. ``build`` makes packages of these texts (by their names)
    and the finished archive, with a tool that need not be there: they lie beside the archive, so that the bytes of the
    bundle do not depend on it; it raises CompileError. ``check``, before any work is done, raises UsageError for a
    project that can't be exported so.
    """

    what: str
    export: Callable[[Shipment], Exported]
    build: Optional[Callable[[Shipment, Mapping[str, bytes], Path], Exported]] = None
    check: Optional[Callable[[Project], None]] = None
