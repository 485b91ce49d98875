"""Interfaces to a module's own types: the distribution's build takes them, and calls of them give what they say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from module_worlds import access_sets, cil_facts, module, package_as_cil

from polkit.errors import CompileError
from polkit.model import AccessSet, AvRule, ModuleSource, RoleTypes, TypeDeclaration
from polkit.module import compile_module, definitions, render_if

ATTRIBUTES = frozenset({"container_domain", "device_node", "domain", "file_type", "port_type"})


def serving() -> ModuleSource:
    access = AccessSet(
        types=(
            TypeDeclaration("my_server_cache_t", ("file_type",)),
            TypeDeclaration("my_server_device_t", ("device_node", "file_type")),
            TypeDeclaration("my_server_model_t", ("file_type",)),
            TypeDeclaration("my_server_port_t", ("port_type",)),
            TypeDeclaration("my_server_t", ("container_domain", "domain")),
        ),
        rules=(
            AvRule("allow", "my_server_t", "my_server_cache_t", "file", ("read", "write")),
            AvRule("allow", "my_server_t", "my_server_model_t", "file", ("read",)),
        ),
        role_types=(RoleTypes("system_r", "my_server_t"),),
    )
    return ModuleSource("my-server", "1.0.0", access)


def names(text: str) -> list[str]:
    return [one.name for one in definitions(text, "x.if") if one.kind == "interface" and one.parameters == 1]


def test_each_type_has_the_interfaces_of_its_kind() -> None:
    text = render_if(serving())
    assert names(text) == [
        "my_server_read_cache_files",
        "my_server_manage_cache_files",
        "my_server_relabel_cache_files",
        "my_server_rw_device",
        "my_server_read_model_files",
        "my_server_manage_model_files",
        "my_server_relabel_model_files",
        "my_server_tcp_connect_port",
        "my_server_transition",
        "my_server_signal",
        "my_server_stream_connect",
    ]
    assert "type my_server_model_t, which the module's own domain only reads." not in text, "m4 quotes stay out"
    assert "my_server_model_t, which the own domain only reads." in text
    assert "my_server_cache_t, which the own domain changes." in text
    assert text.startswith("## <summary>") and text.endswith("')\n")


def test_a_module_without_types_has_no_interface() -> None:
    rule = AvRule("allow", "a_t", "b_t", "file", ("read",))
    assert names(render_if(module(AccessSet(rules=(rule,))))) == []


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(CompileError, match="can't be a type"):
        render_if(module(AccessSet(types=(TypeDeclaration("a_t')dnl", ("file_type",)),))))


@given(access_sets().filter(bool), st.sampled_from(["drawn", "drawn-9"]))
def test_whatever_the_module_every_definition_ends_and_is_there_once(access: AccessSet, name: str) -> None:
    text = render_if(ModuleSource(name, "1.0", access))
    found = names(text)
    assert len(found) == len(set(found)) == text.count("interface(`")
    assert text.count("`") == text.count("'")


@pytest.fixture
def built(headers_dir: Path, tmp_path: Path) -> Path:
    """The directory of a module that calls every interface, built by the distribution's Makefile."""
    text = render_if(serving())
    compile_module(serving(), tmp_path, ATTRIBUTES)
    (tmp_path / "my-server.if").write_text(text)
    calls = "".join(f"{name}(caller_t)\n" for name in names(text))
    (tmp_path / "caller.te").write_text(f"policy_module(caller, 1.0)\ntype caller_t;\n{calls}")
    command = ["make", "-f", headers_dir.parent / "Makefile", "NAME=default", f"SHAREDIR={headers_dir.parent.parent}"]
    done = subprocess.run([*command, "caller.pp"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return tmp_path


def test_the_distributions_build_takes_them_and_gives_what_they_say(built: Path) -> None:
    allowed = {fact[1:] for fact in cil_facts(_only_allow(package_as_cil(built / "caller.pp"))) if fact[0] == "allow"}
    for one in (
        ("caller_t", "my_server_model_t", "file", "map"),
        ("caller_t", "my_server_model_t", "dir", "remove_name"),
        ("caller_t", "my_server_cache_t", "sock_file", "unlink"),
        ("caller_t", "my_server_device_t", "chr_file", "ioctl"),
        ("caller_t", "my_server_port_t", "tcp_socket", "name_connect"),
        ("caller_t", "my_server_t", "process", "transition"),
        ("my_server_t", "caller_t", "process", "sigchld"),
        ("caller_t", "my_server_t", "unix_stream_socket", "connectto"),
    ):
        assert one in allowed
    sides = {(source, target) for source, target, _, _ in allowed}
    assert {source for source, _ in sides} == {"caller_t", "my_server_t"}
    assert all("caller_t" in pair for pair in sides), (
        "an interface gives something between its caller and the module only"
    )


@pytest.mark.heavy
def test_a_module_that_calls_them_loads_beside_the_one_they_are_of(built: Path, policy_root: Path) -> None:
    root = built / "root"
    for part in ("etc/selinux", "var/lib/selinux"):
        shutil.copytree(policy_root / part, root / part, symlinks=True)
    store = next((root / "var/lib/selinux").glob("*/active")).parent.name
    command = ["semodule", "-p", root, "-s", store, "-N", "-n", "-X", "200"]
    packages = ["-i", built / "my-server.pp", "-i", built / "caller.pp"]
    done = subprocess.run([*command, *packages], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    alone = subprocess.run([*command, "-r", "my-server"], capture_output=True, text=True, check=False)
    assert alone.returncode != 0, "the caller needs what the interfaces are of"


def _only_allow(cil: str) -> str:
    return "\n".join(line for line in cil.splitlines() if line.startswith("(allow "))
