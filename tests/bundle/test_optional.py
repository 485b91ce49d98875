"""Modules beside a project's own: shipped, listed, and installed by nobody unasked."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest

from polkit.bundle import package
from polkit.errors import CompileError, PolkitError, UsageError
from tests.bundle.making import Run, make_project, semodule

OFFLINE = """; vllm-strict 1.0.0: nothing is read from <data>, whatever the base
; may do. To be added by whoever wants it.
;
; More that no README needs.
(constrain (file (read)) (or (neq t1 vllm_t) (neq t2 data_t)))
(allow vllm_t http_port_t (file (getattr)))
"""


def project_with(place: Path, host: Path, text: str, name: str = "vllm-strict") -> Path:
    """A project with one more module in it."""
    project = make_project(place, host)
    (project / f"{name}.cil").write_text(text, encoding="utf-8")
    return project


def test_an_optional_module_has_its_own_place(
    tmp_path: Path, host: Path, root: Path, run: Run, repository: Path
) -> None:
    project = project_with(tmp_path / "p", host, OFFLINE)
    packaged = package(project, targets={"host": str(host)})
    schema = json.loads((repository / "docs/schemas/polkit.bundle-1.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(packaged.manifest)
    (entry,) = packaged.manifest["optional"]
    assert (entry["name"], entry["path"]) == ("vllm-strict", "optional/vllm-strict.cil")
    assert entry["about"].endswith("whatever the base may do. To be added by whoever wants it.")
    assert entry["grants"] == ["allow vllm_t http_port_t:file getattr"]
    assert entry["statements"] == ["(constrain (file (read)) (or (neq t1 vllm_t) (neq t2 data_t)))"]
    assert entry["lacking"] == {}
    shipped = packaged.directory / entry["path"]
    assert shipped.read_text(encoding="ascii") == OFFLINE
    assert entry["path"] in packaged.manifest["files"]
    readme = (packaged.directory / "README.md").read_text(encoding="ascii")
    assert "## Modules to add" in readme
    assert "semodule -X 200 -i optional/vllm-strict.cil" in readme
    assert "<data>" not in readme

    assert run(packaged.directory, "install.sh", "--target", "host").returncode == 0
    assert "vllm-strict" not in semodule(root, "-lfull")
    semodule(root, "-X", "200", "-i", shipped)
    assert "200 vllm-strict" in semodule(root, "-lfull")


def test_a_target_that_lacks_its_types_is_named(tmp_path: Path, host: Path) -> None:
    text = OFFLINE.replace("data_t", "soundd_port_t")
    packaged = package(project_with(tmp_path / "p", host, text), targets={"host": str(host)})
    (entry,) = packaged.manifest["optional"]
    assert entry["lacking"] == {"host": ["soundd_port_t"]}
    readme = (packaged.directory / "README.md").read_text(encoding="ascii")
    assert "not for host: its policy has no `soundd_port_t`" in readme


def test_its_changes_count_for_the_version(tmp_path: Path, host: Path) -> None:
    project, targets = project_with(tmp_path / "p", host, OFFLINE), {"host": str(host)}
    package(project, targets=targets)
    (project / "vllm-strict.cil").write_text("; nothing is kept out any more\n", encoding="utf-8")
    with pytest.raises(PolkitError, match=r"on optional/vllm-strict\.cil: no longer: \(constrain"):
        package(project, targets=targets, force=True, against=project / "dist/vllm-0.1.0")
    assert package(project, targets=targets, bump=True).version == "1.0.0"


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("vllm-strict", "(block x (type y))\n", CompileError),
        ("vllm-strict", "(allow vllm_t\n", CompileError),
        ("vllm-strict", "; \u2013\n", CompileError),
        ("Vllm strict", OFFLINE, UsageError),
    ],
)
def test_what_can_not_be_told_is_refused(
    tmp_path: Path, host: Path, name: str, text: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        package(project_with(tmp_path / "p", host, text, name), targets={"host": str(host)})


def test_the_shipped_modules_that_forbid_are_read(repository: Path, tmp_path: Path) -> None:
    """A bundle of a real project, from its source: without a policy no module is made."""
    packaged = package(repository / "modules/vllm-cuda", tmp_path)
    (entry,) = packaged.manifest["optional"]
    assert entry["name"] == "vllm-cuda-offline"
    assert entry["statements"][0].startswith("(constrain (tcp_socket (name_connect))")
    sums = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=packaged.directory, check=False)
    assert sums.returncode == 0
