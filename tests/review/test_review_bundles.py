"""Bundles: as archives and directories, against their sources, and what they set beside the module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polkit.bundle import Packaged, package
from polkit.errors import SourceError, UsageError
from polkit.review import diff
from tests.bundle.making import make_project, with_lists
from tests.bundle.tampering import edited, packed, resealed, tarred


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


def test_what_a_bundle_sets_beside_its_module_counts(bundle: Packaged, host: Path, tmp_path: Path) -> None:
    top = bundle.directory
    files = {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()}

    def more(manifest: Any) -> None:
        manifest["targets"]["host"]["booleans"] = {"container_use_devices": True}
        manifest["targets"]["host"]["ports"] = [{"protocol": "tcp", "port": 8000, "type": "vllm_port_t"}]

    edited(files, "manifest.json", more)
    archive = tmp_path / "vllm-0.1.0.tar.gz"
    archive.write_bytes(packed(tarred(resealed(files)), "gz"))
    found = diff(bundle.archive, archive, str(host), target="host")
    assert found.verdict == "incomparable"
    assert set(found.relation.more) == {"boolean container_use_devices on", "port tcp 8000 vllm_port_t"}
    assert found.b.host.booleans == {"container_use_devices on"}

    def less(manifest: Any) -> None:
        manifest["targets"]["host"]["booleans"] = {"container_use_data": True}
        manifest["targets"]["host"]["ports"] = []

    edited(files, "manifest.json", less)
    archive.write_bytes(packed(tarred(resealed(files)), "gz"))
    found = diff(bundle.archive, archive, str(host), target="host")
    assert found.verdict == "more-permissive"  # of container_t and of the module's own domain
    assert found.relation.more == ("boolean container_use_data on; 2 accesses more",)
    back = diff(archive, bundle.archive, str(host), target="host")
    assert back.verdict == "less-permissive"


def test_of_a_project_its_source_is_read_and_no_optional_module(host: Path, tmp_path: Path) -> None:
    project = make_project(tmp_path / "vllm", host)
    (project / "vllm-extra.cil").write_text("(allow container_t shadow_t (file (read)))")
    (project / "vllm.pp").unlink(missing_ok=True)
    (project / "plan.json").unlink(missing_ok=True)
    found = diff(host, project, str(host))
    assert [one.name for one in found.b.modules] == ["vllm"]
    assert "vllm_t" in found.found.types_added
    assert not any(entry.source == "container_t" and entry.target == "shadow_t" for entry in found.added)
