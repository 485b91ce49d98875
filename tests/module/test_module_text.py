"""What is written: goldens read by hand, names that are refused, one order for every input."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from module_worlds import ATTRIBUTES, access_sets, cil_facts, facts, module

from polkit.errors import CompileError
from polkit.model import (
    AccessSet,
    AvRule,
    FileContext,
    ModuleSource,
    RoleAllow,
    RoleTypes,
    TypeBounds,
    TypeDeclaration,
    XpermRule,
)
from polkit.module import needs_cil, quote_path, render_cil, render_fc, render_te, tree_pattern

GOLDEN = Path(__file__).parent / "golden"
READ = AvRule("allow", "vllm_t", "vllm_model_t", "file", ("getattr", "open", "read"))
MODELS = FileContext(tree_pattern("/srv/models"), "", "vllm_model_t")
SERVING = ModuleSource(
    name="vllm",
    version="1.2.0",
    access=AccessSet(
        types=(TypeDeclaration("vllm_model_t", ("file_type",)), TypeDeclaration("vllm_t", ("domain",))),
        rules=(
            READ,
            AvRule("allow", "vllm_t", "self", "process", ("getsched", "setsched")),
            AvRule("allow", "vllm_t", "xserver_misc_device_t", "chr_file", ("ioctl", "map", "open", "read", "write")),
        ),
        xperms=(
            XpermRule(
                "allowxperm", "vllm_t", "xserver_misc_device_t", "chr_file", "ioctl", (*range(0x4600, 0x4621), 0x46D6)
            ),
        ),
        role_allows=(RoleAllow("sysadm_r", "system_r"),),
        role_types=(RoleTypes("system_r", "vllm_t"),),
        bounds=(TypeBounds("container_t", "vllm_t"),),
        contexts=(MODELS, FileContext(quote_path("/opt/v llm.bin"), "--", "vllm_model_t", "s0:c1.c3,c7")),
    ),
    comments={
        READ: ("D3: 12 records, comm=VLLM::EngineCore", "path=/models/x\nallow vllm_t shadow_t:file read;"),
        MODELS: ("D3: the model directory, as inspected",),
    },
    summary=("Target policy: sha256 9f86d081", "", "2 decisions"),
)


@pytest.mark.parametrize(
    ("name", "text"),
    [("vllm.te", render_te(SERVING)), ("vllm.fc", render_fc(SERVING)), ("vllm.cil", render_cil(SERVING))],
)
def test_golden(name: str, text: str) -> None:
    assert text == (GOLDEN / name).read_text(encoding="ascii")


def test_a_policy_without_levels_gets_contexts_without_levels() -> None:
    plain = replace(SERVING, mls=False)
    assert render_fc(plain).splitlines()[-1].endswith("system_u:object_r:vllm_model_t")
    assert "(system_u object_r vllm_model_t (systemlow systemlow))" in render_cil(plain)


def test_a_level_range_is_written_in_cil() -> None:
    ranged = AccessSet(contexts=(FileContext("/srv/x", "-d", "x_t", "s0-s0:c0.c1023"),))
    assert "dir (system_u object_r x_t ((s0) (s0 ((range c0 c1023)))))" in render_cil(module(ranged))


@given(access=access_sets(), data=st.data())
@settings(max_examples=60)
def test_the_order_of_the_input_changes_nothing(access: AccessSet, data: st.DataObject) -> None:
    shuffled = AccessSet(
        **{part.name: tuple(data.draw(st.permutations(getattr(access, part.name)))) for part in fields(AccessSet)}
    )
    attributes = frozenset(ATTRIBUTES)
    assert render_te(module(shuffled), attributes) == render_te(module(access), attributes)
    assert render_cil(module(shuffled)) == render_cil(module(access))
    assert render_fc(module(shuffled)) == render_fc(module(access))


@given(access_sets())
def test_cil_says_what_the_access_set_says(access: AccessSet) -> None:
    assert cil_facts(render_cil(module(access))) == facts(access)


RULE = AvRule("allow", "a_t", "b_t", "file", ("read",))


@pytest.mark.parametrize(
    "rule",
    [
        replace(RULE, tclass="file{read};allow@X"),
        replace(RULE, target="b_t:file read; allow a_t c_t"),
        replace(RULE, source="a_t\n"),
        replace(RULE, source="self"),
        replace(RULE, source="*"),
        replace(RULE, source="-a_t"),
        replace(RULE, source="a_t{"),
        replace(RULE, source=""),
        replace(RULE, source="_a_t"),
        replace(RULE, source="a$b"),
        replace(RULE, source="a..b"),
        replace(RULE, source="é_t"),
        replace(RULE, perms=("*",)),
        replace(RULE, perms=("all",)),
        replace(RULE, perms=()),
        replace(RULE, kind="allow a_t c_t:file read; allow"),
    ],
    ids=lambda rule: "/".join((rule.kind, rule.source, rule.target, rule.tclass, *rule.perms)).encode().hex()[-40:],
)
@pytest.mark.parametrize("render", [render_te, render_cil, render_fc])
def test_what_is_no_identifier_never_reaches_a_policy_file(rule: AvRule, render: object) -> None:
    with pytest.raises(CompileError):
        render(module(AccessSet(rules=(rule,))))  # type: ignore[operator]


@pytest.mark.parametrize(
    "access",
    [
        AccessSet(types=(TypeDeclaration("own.t"),)),
        AccessSet(types=(TypeDeclaration("own_t", ("domain, file_type",)),)),
        AccessSet(role_allows=(RoleAllow("a_r", "b_r;"),)),
        AccessSet(role_types=(RoleTypes("a_r", "b_t c_t"),)),
        AccessSet(bounds=(TypeBounds("a_t", "b_t, c_t"),)),
        AccessSet(xperms=(XpermRule("allowxperm", "a_t", "b_t", "file", "ioctl", (0x10000,)),)),
        AccessSet(xperms=(XpermRule("allowxperm", "a_t", "b_t", "file", "ioctl", (-1,)),)),
        AccessSet(xperms=(XpermRule("allowxperm", "a_t", "b_t", "file", "ioctl", ()),)),
        AccessSet(xperms=(XpermRule("allowxperm", "a_t", "b_t", "file", "IOCTL", (1,)),)),
        AccessSet(contexts=(FileContext("/a b", "", "a_t"),)),
        AccessSet(contexts=(FileContext('/a"(x)"', "", "a_t"),)),
        AccessSet(contexts=(FileContext("/a\nb", "", "a_t"),)),
        AccessSet(contexts=(FileContext("/é", "", "a_t"),)),
        AccessSet(contexts=(FileContext("a", "", "a_t"),)),
        AccessSet(contexts=(FileContext("/a", "-x", "a_t"),)),
        AccessSet(contexts=(FileContext("/a", "", "a_t:s0\n/x"),)),
        AccessSet(contexts=(FileContext("/a", "", "a_t", "s0\n/x"),)),
        AccessSet(contexts=(FileContext("/a", "", "a_t", "SystemHigh"),)),
    ],
)
def test_other_statements_are_checked_as_well(access: AccessSet) -> None:
    with pytest.raises(CompileError):
        render_cil(module(access))


@pytest.mark.parametrize("name", ["", "Vllm", "9x", "a.b", "a/b", "../x", "a b", "x" * 65, "vllm;", "user"])
def test_a_module_name_is_checked(name: str) -> None:
    with pytest.raises(CompileError):
        render_te(replace(SERVING, name=name))


@pytest.mark.parametrize("version", ["", "1.", "1.0.0.0", "1.0a", "v1", "1.0;", "1 0", "1\n", "٣.0"])
def test_a_module_version_is_checked(version: str) -> None:
    with pytest.raises(CompileError, match="version"):
        render_te(replace(SERVING, version=version))


@pytest.mark.parametrize(
    ("type_", "reason"),
    [
        ("x.process", "namespace"),
        ("user", "keyword"),
        ("H1", "keyword"),
        ("low", "keyword"),
        ("base", None),
        ("Module", None),
        ("dashed-c_t", None),
    ],
)
def test_what_checkmodule_refuses_goes_out_as_cil(type_: str, reason: str) -> None:
    found = needs_cil(module(AccessSet(rules=(replace(RULE, target=type_),))))
    assert found is None if reason is None else reason in str(found)


def test_nlmsg_goes_out_as_cil() -> None:
    source = module(AccessSet(xperms=(XpermRule("allowxperm", "a_t", "self", "netlink_route_socket", "nlmsg", (18,)),)))
    assert "nlmsg" in str(needs_cil(source))
    assert "(allowx a_t self (nlmsg netlink_route_socket (0x0012)))" in render_cil(source)
    with pytest.raises(CompileError, match="nlmsg"):
        render_te(source)


def test_importing_the_room_costs_no_template_engine() -> None:
    script = "import sys, polkit.module; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
