"""A small host whose store builds in a tenth of a second, and modules to put onto it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from polkit.review import Difference, diff
from tests.bundle.making import small_host

Differ = Callable[..., Difference]


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_host(tmp_path_factory.mktemp("host"))


@pytest.fixture
def differ(host: Path, tmp_path: Path) -> Differ:
    """``differ("(allow ...)", "(allow ...)", suffix=".cil")``: of two modules' texts on the small host."""

    def run(a: str, b: str, suffix: str = ".cil") -> Difference:
        paths = []
        for side, text in (("a", a), ("b", b)):
            path = tmp_path / side / f"mine{suffix}"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            paths.append(path)
        return diff(paths[0], paths[1], str(host))

    return run
