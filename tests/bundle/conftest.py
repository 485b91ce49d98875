"""A small host, and a bundle for it that is built once for every test that installs one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from polkit.bundle import Packaged, package
from tests.bundle.exporting import TEMPLATES, Exports, make_exports
from tests.bundle.making import Run, make_project, semodule, small_host
from tests.bundle.packing import STAND_INS, Packages, make_packages


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy root with a small store, to be read."""
    return small_host(tmp_path_factory.mktemp("host"))


@pytest.fixture(scope="session")
def host_bundle(tmp_path_factory: pytest.TempPathFactory, host: Path) -> Packaged:
    """The bundle for one target, the small host."""
    return package(make_project(tmp_path_factory.mktemp("project") / "vllm", host), targets={"host": str(host)})


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """Bundles with every form of export, and the host that they are for."""
    return make_exports(tmp_path_factory.mktemp("exports"))


@pytest.fixture
def node(exports: Exports, tmp_path: Path) -> Path:
    """The host that exports are for, with container templates, to be changed."""
    root = tmp_path / "node"
    shutil.copytree(exports.host, root)
    semodule(root, "-X", "100", "-i", TEMPLATES)
    return root


@pytest.fixture
def root(tmp_path: Path, host: Path) -> Path:
    """The small host as a system that is not running, to be changed."""
    place = tmp_path / "root of (a) host"
    shutil.copytree(host, place)
    (place / "srv/models/sub").mkdir(parents=True)
    (place / "srv/models/w").write_text("weights", encoding="utf-8")
    return place


@pytest.fixture
def run(root: Path) -> Run:
    """``run(bundle, "install.sh", "--target", "host")`` on the root."""

    def script(bundle: Path, name: str, *arguments: str, on: Path = root) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(bundle / name), "--root", str(on), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "TMPDIR": str(on.parent)},
            cwd="/",
        )

    return script


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Bundles with packages, built with stand-ins for the distribution's macros."""
    place = tmp_path_factory.mktemp("packages")
    (place / ".rpmmacros").write_text(STAND_INS, encoding="ascii")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(place))
        patch.delenv("SOURCE_DATE_EPOCH", raising=False)
        return make_packages(place)
