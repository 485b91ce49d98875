"""The distribution's compilers on what we write: accepted, complete, minimal, reproducible."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from module_worlds import ATTRIBUTES, access_sets, checkmodule, cil_facts, facts, module, package_as_cil

from polkit.errors import CompileError, MissingDependency, SourceError
from polkit.model import AccessSet, AvRule, ModuleSource, TypeDeclaration
from polkit.module import OLDEST, CompiledModule, compile_module, render_te, write_module
from polkit.module.tools import find_tool, run_tool

KNOWN = frozenset(ATTRIBUTES)
RULE = AvRule("allow", "a_t", "b_t", "file", ("read",))
SMALL = module(AccessSet(rules=(RULE,)))


@given(access_sets())
@settings(max_examples=60)
def test_any_module_compiles_and_says_what_its_access_set_says(access: AccessSet) -> None:
    with tempfile.TemporaryDirectory() as place:
        made = compile_module(module(access), Path(place), KNOWN)
        assert made == CompiledModule(("drawn.te", "drawn.fc", "drawn.pp"), OLDEST)
        assert cil_facts(package_as_cil(Path(place) / "drawn.pp")) == facts(access)


@given(access_sets())
@settings(max_examples=25)
def test_every_required_name_is_needed(access: AccessSet) -> None:
    text = render_te(module(access), KNOWN)
    with tempfile.TemporaryDirectory() as place:
        assert checkmodule(text, Path(place)).returncode == 0
        for poorer in without_one_requirement(text):
            assert checkmodule(poorer, Path(place)).returncode != 0, poorer


def without_one_requirement(text: str) -> list[str]:
    """The text without each required name, and without each permission of a required class."""
    head, block, tail = re.split(r"(?<=require \{\n)((?:    .*\n)+)", text, maxsplit=1)
    found = []
    lines = block.splitlines(keepends=True)
    for number, line in enumerate(lines):
        rest = lines[:number], lines[number + 1 :]
        found.append(head + "".join([*rest[0], *rest[1]]) + tail)
        tclass = re.fullmatch(r"    class (\S+) \{ (.*) \};\n", line)
        perms = tclass[2].split() if tclass else []
        for perm in perms if len(perms) > 1 else []:
            fewer = f"    class {tclass[1]} {{ {' '.join(p for p in perms if p != perm)} }};\n"
            found.append(head + "".join([*rest[0], fewer, *rest[1]]) + tail)
    return found


def test_a_module_of_nothing_but_a_type_compiles(tmp_path: Path) -> None:
    compile_module(module(AccessSet(types=(TypeDeclaration("own_t"),))), tmp_path)
    assert ("type", "own_t") in cil_facts(package_as_cil(tmp_path / "drawn.pp"))


def test_the_package_is_the_same_at_another_place_and_time(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from test_module_text import SERVING; from polkit.module import compile_module\n"
        "compile_module(SERVING, Path(sys.argv[1]), frozenset({'domain', 'file_type'}))"
    )
    files = []
    for number, zone in enumerate(("UTC", "Pacific/Kiritimati")):
        place = tmp_path / ("deep/" * number) / "out"
        environment = {**os.environ, "TZ": zone, "LANG": "de_DE.UTF-8", "PYTHONHASHSEED": str(number)}
        subprocess.run([sys.executable, "-c", script, place, Path(__file__).parent], env=environment, check=True)
        files.append({path.name: path.read_bytes() for path in place.iterdir()})
        time.sleep(1.1)  # a time stamp of whole seconds would differ
    assert files[0] == files[1]
    assert sorted(files[0]) == ["vllm.fc", "vllm.pp", "vllm.te"]


def test_the_module_format_can_be_older_but_not_too_old(tmp_path: Path) -> None:
    assert compile_module(SMALL, tmp_path, policydb=17).policydb == 17
    with pytest.raises(CompileError, match="checkmodule refuses module drawn") as caught:
        compile_module(SMALL, tmp_path, policydb=4)
    assert "MLS" in caught.value.output


def test_without_levels_the_package_has_none(tmp_path: Path) -> None:
    compile_module(replace(SMALL, mls=False), tmp_path)
    without = (tmp_path / "drawn.pp").read_bytes()
    compile_module(SMALL, tmp_path)
    assert without != (tmp_path / "drawn.pp").read_bytes()


def test_a_dotted_type_is_written_as_cil(tmp_path: Path) -> None:
    made = compile_module(module(AccessSet(rules=(replace(RULE, target="x.process"),))), tmp_path)
    assert made.files == ("drawn.cil",) and made.policydb is None
    assert "x.process" in str(made.cil_reason)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drawn.cil"]


@pytest.mark.parametrize("write", [compile_module, write_module])
def test_an_empty_module_is_refused_and_nothing_written(write: object, tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="says nothing"):
        write(module(AccessSet()), tmp_path / "out")  # type: ignore[operator]
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_when_the_compiler_refuses(tmp_path: Path) -> None:
    wrong = module(AccessSet(types=(TypeDeclaration("own_t", ("domain",)),), rules=(replace(RULE, source="domain"),)))
    clash = replace(wrong, access=replace(wrong.access, types=(TypeDeclaration("a_t"), TypeDeclaration("a_t", ("x",)))))
    with pytest.raises(CompileError) as caught:
        compile_module(clash, tmp_path / "out")
    assert "a_t" in caught.value.output
    assert not (tmp_path / "out").exists()


def test_writing_without_compiling_gives_the_same_texts(tmp_path: Path) -> None:
    assert write_module(SMALL, tmp_path / "one") == ("drawn.te", "drawn.fc")
    compile_module(SMALL, tmp_path / "two")
    for name in ("drawn.te", "drawn.fc"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="can't be written"):
        compile_module(SMALL, tmp_path / "file")


def test_a_file_is_replaced_whole_and_nothing_else_left(tmp_path: Path) -> None:
    (tmp_path / "drawn.te").write_text("old")
    compile_module(SMALL, tmp_path)
    assert (tmp_path / "drawn.te").read_text() == render_te(SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drawn.fc", "drawn.pp", "drawn.te"]


def test_a_tool_that_is_not_there_names_its_package() -> None:
    with pytest.raises(MissingDependency, match="no-such-compiler is not installed"):
        find_tool("no-such-compiler")


def test_a_tool_runs_under_limits(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="did not end within 1 second"):
        run_tool(["sleep", "30"], tmp_path, seconds=1)
    assert run_tool(["cat"], tmp_path) == (0, "", "")
    run = run_tool(["sh", "-c", "env | sort; ulimit -v; ulimit -c; pwd"], tmp_path)
    assert "LC_ALL=C" in run.output and "POLKIT" not in run.output and "HOME" not in run.output
    assert run.output.splitlines()[-3:] == ["4194304", "0", str(tmp_path)]
    assert run_tool(["sh", "-c", "exit 3"], tmp_path).status == 3


def test_a_module_the_size_of_an_own_domain_compiles(tmp_path: Path) -> None:
    rules = tuple(AvRule("allow", "own_t", f"t{n:04}_t", "file", ("getattr", "open", "read")) for n in range(1500))
    source = ModuleSource("big", "1.0", AccessSet(types=(TypeDeclaration("own_t", ("domain",)),), rules=rules))
    assert compile_module(source, tmp_path).files == ("big.te", "big.fc", "big.pp")
