"""Whether a host still has what was shipped: asked from outside, of a bundle or of what its install.sh wrote down."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from polkit.bundle import Installed, Packaged, check_installed, installed_text
from polkit.errors import SourceError, UsageError
from tests.bundle.making import Run, semodule, snapshot


def found(installed: Installed) -> list[tuple[str, str]]:
    return [(one.kind, one.what) for one in installed.differences]


def test_before_during_and_after(host_bundle: Packaged, root: Path, run: Run) -> None:
    before = snapshot(root)
    missing = check_installed(host_bundle.directory, root)
    assert (found(missing), missing.present, missing.fits, missing.exit_code) == ([("absent", "vllm")], False, True, 1)
    with pytest.raises(SourceError, match="no bundle of vllm was installed here"):
        check_installed("vllm", root)
    assert snapshot(root) == before

    assert run(host_bundle.directory, "install.sh").returncode == 0
    for what in (host_bundle.directory, "vllm"):
        there = check_installed(what, root)
        assert (there.differences, there.same, there.fits, there.exit_code) == ((), True, True, 0)
        assert (there.name, there.version, there.target) == ("vllm", "0.1.0", "host")
    told = json.loads(installed_text(there))
    assert (told["schema"], told["same"], told["differences"]) == ("polkit.installed/1", True, [])
