"""Provenance and bill of materials: what others' tools read, held against their own schemas."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from polkit.bundle import Packaged, package
from polkit.errors import UsageError
from tests.bundle.making import make_project


def statement(path: Path) -> dict[str, Any]:
    """A statement that in-toto's own library takes, field by field."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
    read = json_format.ParseDict(found, statement_pb2.Statement())
    Statement.copy_from_pb(read).validate()
    json_format.ParseDict(found["predicate"], provenance_pb2.Provenance())
    return found


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_provenance_says_what_it_was_made_of(host_bundle: Packaged, host: Path) -> None:
    found = statement(host_bundle.directory / "provenance.json")
    named = {one["name"]: one["digest"]["sha256"] for one in found["subject"]}
    top = host_bundle.directory
    files = {path.relative_to(top).as_posix(): sha256(path) for path in top.rglob("*") if path.is_file()}
    aside = {"manifest.json", "SHA256SUMS", "provenance.json"}
    assert named == {path: digest for path, digest in files.items() if path not in aside}
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    definition, run = found["predicate"]["buildDefinition"], found["predicate"]["runDetails"]
    (binary,) = host.glob("etc/selinux/*/policy/policy.*")
    project = top.parent.parent
    made_of = {one["name"]: one["digest"]["sha256"] for one in definition["resolvedDependencies"]}
    assert made_of == {
        "targets.host.policy": sha256(binary),
        **{
            path: sha256(project / path)
            for path in ("polkit.toml", "vllm.te", "vllm.fc", "vllm.if", "evidence/recorded.log")
        },
    }
    assert definition["externalParameters"]["targets"] == {"host": {"policydb": 19}}
    assert run["builder"]["id"] == "urn:selinux-polkit:unnamed-builder"
    assert "startedOn" not in json.dumps(found)


def test_the_statement_beside_speaks_of_the_archive(host_bundle: Packaged) -> None:
    (path,) = host_bundle.beside
    found = statement(path)
    digest = {"sha256": sha256(host_bundle.archive)}
    assert found["subject"] == [{"name": host_bundle.archive.name, "digest": digest}]
    assert found["predicate"] == statement(host_bundle.directory / "provenance.json")["predicate"]


def test_the_bill_of_materials_is_cyclonedx(host_bundle: Packaged, host: Path) -> None:
    text = (host_bundle.directory / "sbom.cdx.json").read_text(encoding="ascii")
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(text) is None
    found = json.loads(text)
    assert found["metadata"]["component"]["supplier"] == {"name": "ACME"}
    listed = {one["name"] for one in found["components"] if one["type"] == "file"}
    assert {"targets/host/vllm.pp", "install.sh", "README.md"} <= listed
    (binary,) = host.glob("etc/selinux/*/policy/policy.*")
    needs = {one["ref"]: one["dependsOn"] for one in found["dependencies"]}
    assert needs["targets/host/vllm.pp"] == [f"policy:{sha256(binary)}"]


def test_who_builds_is_named_and_the_time_is_the_bundles(
    tmp_path: Path, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    project = make_project(tmp_path / "p", host)
    builder = "https://ci.example/acme/release@v3"
    made = package(project, with_proof=False, builder=builder)
    assert statement(made.beside[0])["predicate"]["runDetails"]["builder"]["id"] == builder
    text = (made.directory / "sbom.cdx.json").read_text(encoding="ascii")
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(text) is None
    assert json.loads(text)["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    for wrong in ("nobody", "a b:c", "https://x\n"):
        with pytest.raises(UsageError, match="is no URI"):
            package(project, force=True, builder=wrong)
