"""A module that has to go out as CIL, with statements by hand: in the bundle, on a host, and away again."""

from __future__ import annotations

from pathlib import Path

import pytest

from polkit.bundle import package
from polkit.bundle.claims import as_file_contexts, read_claims
from polkit.errors import CompileError
from polkit.minimize import Request, generate
from polkit.model import AccessSet, FileContext, ModuleSource, TypeDeclaration
from polkit.module import render_cil, render_fc
from tests.bundle.making import Run, evidence, make_project, semodule, small_host, snapshot
from tests.records import avc

BLOCK = "(block x (type data) (roletype object_r data) (typeattributeset file_type (data)))\n"
BY_HAND = """
require { type vllm_t; type dri_device_t; class chr_file getattr; }
allow vllm_t dri_device_t:chr_file getattr;
"""


@pytest.fixture
def dotted(tmp_path: Path) -> Path:
    """The small host with a type that no .te can name."""
    (tmp_path / "x.cil").write_text(BLOCK, encoding="ascii")
    root = small_host(tmp_path / "dotted")
    semodule(root, "-X", "100", "-i", tmp_path / "x.cil")
    return root


def project_with(place: Path, host: Path, by_hand: str) -> Path:
    """A project whose evidence asks for access to that type."""
    log = evidence() + avc("read", "x.data", levels=("s0:c0", "s0"), fields='comm="serve"', serial=8)
    project = make_project(place, host, log)
    with (project / "vllm.te").open("a", encoding="utf-8") as file:
        file.write(by_hand)
    with (project / "vllm.fc").open("a", encoding="utf-8") as file:
        file.write("/run/vllm(/.*)? -d system_u:object_r:vllm_model_t:s0\n")
    config = project / "polkit.toml"
    text = config.read_text(encoding="utf-8").replace("max_over_permission = 0", "max_over_permission = 1")
    text += '\n[targets.host]\nrewrite = ["/run:/var/run", "/srv:/var/srv"]\n'
    config.write_text(text, encoding="utf-8")
    return project


def test_what_was_written_by_hand_goes_along(tmp_path: Path, dotted: Path, run: Run) -> None:
    project = project_with(tmp_path / "p", dotted, BY_HAND)
    # Again, now that there is something by hand: nothing of it is lost, and both parts are compiled.
    generate(Request((str(project / "evidence/recorded.log"),), str(dotted)), project)
    assert BY_HAND in (project / "vllm.te").read_text(encoding="utf-8")
    packaged = package(project, targets={"host": str(dotted)})
    target = packaged.manifest["targets"]["host"]
    assert target["module"] == "targets/host/vllm.cil"
    assert not packaged.failed
    by_hand = [one for one in packaged.manifest["grants"] if one["origin"] == "by-hand" and one["kind"] == "allow"]
    assert [(one["target"], one["perms"]) for one in by_hand] == [("dri_device_t", ["getattr"])]
    assert {one["pattern"]: (one["kind"], one["context"]) for one in target["contexts"]} == {
        "/var/srv/models(/.*)?": ("", "system_u:object_r:vllm_model_t:s0"),
        "/var/run/vllm(/.*)?": ("-d", "system_u:object_r:vllm_model_t:s0"),
    }
    places = (packaged.directory / "targets/host/places").read_text(encoding="ascii")
    assert places == "tree\t/var/run/vllm\t\ntree\t/var/srv/models\t\n"

    before = snapshot(dotted)
    done = run(packaged.directory, "install.sh", "--target", "host", on=dotted)
    assert done.returncode == 0, done.stderr
    assert "200 vllm " in semodule(dotted, "-lfull")
    contexts = next((dotted / "etc/selinux").glob("*/contexts/files/file_contexts")).read_text(encoding="utf-8")
    assert "/var/run/vllm(/.*)?\t-d\tsystem_u:object_r:vllm_model_t:s0" in contexts
    assert run(packaged.directory, "uninstall.sh", on=dotted).returncode == 0
    assert snapshot(dotted) == before


def test_what_does_not_compile_is_refused(tmp_path: Path, dotted: Path) -> None:
    project = project_with(tmp_path / "p", dotted, "allow vllm_t nowhere_t:file read;\n")
    with pytest.raises(CompileError, match="checkmodule refuses"):
        generate(Request((str(project / "evidence/recorded.log"),), str(dotted)), project)
    with pytest.raises(CompileError, match=r"target host: .*checkmodule refuses"):
        package(project, targets={"host": str(dotted)})


@pytest.mark.parametrize("level", ["s0", "s0:c1", "s0:c1,c7", "s0-s0:c0.c3,c9"])
@pytest.mark.parametrize("kind", ["", "--", "-d", "-l", "-c", "-b", "-s", "-p"])
def test_contexts_come_back_from_cil(kind: str, level: str) -> None:
    access = AccessSet(
        types=(TypeDeclaration("a_t", ("file_type",)),),
        contexts=(FileContext("/srv/a\\.b(/.*)?", kind, "a_t", level), FileContext("/srv/c", kind, "a_t", "s0")),
    )
    source = ModuleSource("x", "1.0.0", access)
    wanted = sorted(line for line in render_fc(source).splitlines() if line.startswith("/"))
    found = as_file_contexts(read_claims(render_cil(source)).contexts).splitlines()
    assert [line.split() for line in found] == [line.split() for line in wanted]
