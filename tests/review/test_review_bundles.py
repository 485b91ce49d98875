"""Bundles: as archives and directories, against their sources, and what they set beside the module."""

from __future__ import annotations

from pathlib import Path

import pytest

from polkit.bundle import Packaged, package
from polkit.errors import SourceError, UsageError
from polkit.review import diff
from tests.bundle.making import make_project, with_lists


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, host: Path) -> Packaged:
    project = make_project(tmp_path_factory.mktemp("project") / "vllm", host)
    return package(project, targets={"host": str(host), "other": str(host)}, with_proof=False)


def test_an_archive_is_its_directory_and_its_module(bundle: Packaged, host: Path) -> None:
    found = diff(bundle.directory, bundle.archive, str(host), target="host")
    assert (found.verdict, found.a.kind, found.b.kind) == ("equivalent", "bundle", "bundle")
    module = bundle.directory / "targets/host/vllm.pp"
    assert diff(bundle.archive, module, str(host), target="other").verdict == "equivalent"
    added = diff(host, bundle.archive, str(host), target="host")
    assert "vllm_t" in added.found.types_added
    assert added.found.labels_added


def test_a_target_has_to_be_named_and_there(bundle: Packaged, host: Path) -> None:
    with pytest.raises(UsageError, match="2 targets"):
        diff(host, bundle.archive, str(host))
    with pytest.raises(UsageError, match="no target 'rhel'"):
        diff(host, bundle.archive, str(host), target="rhel")


def test_a_bundle_that_was_changed_is_refused(bundle: Packaged, host: Path, tmp_path: Path) -> None:
    copy = with_lists(bundle.directory, tmp_path / "copy", booleans="x on\n")
    (copy / "targets/host/vllm.pp").write_bytes(b"another")
    with pytest.raises(SourceError, match="damaged"):
        diff(bundle.archive, copy, str(host), target="host")
