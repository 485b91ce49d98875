"""The grammar of type enforcement text: it takes what checkmodule takes, and a module that was written reads back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from module_worlds import access_sets, checkmodule, module

from polkit.errors import CompileError
from polkit.model import AccessSet
from polkit.module import NameSet, OtherStatement, Required, WrittenRule, read_body, render_te

REQUIRE = """require {
    type a_t, b_t; attribute domain; role system_r, other_r; attribute_role roles_of; bool one, two;
    class file { append open read write ioctl }; class dir { read search }; class process { signal transition };
    sensitivity s0; category c0, c1, c2;
}
"""

TAKEN = """
allow a_t b_t:file read;
allow a_t { b_t self }:{ file dir } { read };
allow { a_t b_t } self:file { read { open write } };
allow { domain -a_t } b_t:file ~{ read write };
allow domain - a_t b_t:file *;
dontaudit a_t b_t:dir search;
auditallow a_t b_t:dir search;
auditdeny a_t b_t:dir search;
neverallow a_t ~{ b_t domain }:file read;
neverallow * domain:process transition;
allowxperm a_t b_t:file ioctl 0x4601;
allowxperm a_t b_t:file ioctl { 0x4601 0x4603-0x4605 7 };
dontauditxperm a_t b_t:file ioctl ~{ 0x4601 { 1 2 } };
neverallowxperm a_t b_t:file ioctl ~ 0x4601;
type c_t; type d_t, domain; type e_t alias { f_t g_t }, domain;
typealias a_t alias h_t;
attribute fresh; typeattribute a_t fresh, domain;
expandattribute domain false;
typebounds a_t b_t;
permissive a_t;
bool three true; tunable four false;
type_transition a_t b_t:process b_t;
type_transition a_t b_t:file b_t "its.name";
type_change a_t b_t:file b_t; type_member a_t b_t:dir b_t;
range_transition a_t b_t:process s0:c0,c2 - s0:c0.c2; range_transition a_t b_t s0;
role fresh_r; role system_r types { a_t b_t }; attribute_role more; roleattribute system_r more;
allow system_r other_r; allow { system_r other_r } other_r;
role_transition system_r b_t other_r; role_transition system_r b_t:process other_r;
if (one && !two || (one ^ two) == one) { allow a_t b_t:file read; } else { dontaudit a_t b_t:file read; }
if (one) { require { type c_t; } type_transition a_t c_t:process b_t; }
if (not one) { }
optional { require { type gone_t; } allow a_t gone_t:file read; } else { allow a_t b_t:file read; }
allow a_t b_t:file read; ; # a comment; with { braces
""".strip().splitlines()

REFUSED = """
allow a_t b_t:file read
allow a_t b_t:file { };
allow a_t b_t:file -read;
allow a_t b_t read;
allow a_t b_t:file { read -{ open } };
allow type b_t:file read;
allow a_t b_t:file allow;
allow a_t, b_t:file read;
allowxperm a_t b_t:file ioctl { 0x1- };
allowxperm a_t b_t:file { ioctl } 0x1;
type_transition a_t b_t:file b_t its_name;
type_transition a_t b_t:file b_t "a/b";
role_transition system_r b_t { other_r };
if one { optional { allow a_t b_t:file read; } }
if (one) { optional { allow a_t b_t:file read; } }
if (one) allow a_t b_t:file read;
if (one ! two) { }
optional { }; else { }
require { }
require { type { a_t b_t }; }
require { class file; }
dev_rw_xserver_misc(a_t)
allow 9_t b_t:file read;
mlsconstrain file read (l1 eq l2);
portcon tcp 80 system_u:object_r:a_t;
""".strip().splitlines()


@pytest.mark.parametrize("text", TAKEN)
def test_what_checkmodule_takes_is_read(text: str, tmp_path: Path) -> None:
    said = checkmodule(f"module drawn 1.0;\n{REQUIRE}{text}\n", tmp_path)
    assert "syntax error" not in said.stdout
    assert read_body(REQUIRE + text)


@pytest.mark.parametrize("text", REFUSED)
def test_what_checkmodule_can_not_parse_is_refused(text: str, tmp_path: Path) -> None:
    assert checkmodule(f"module drawn 1.0;\n{REQUIRE}{text}\n", tmp_path).returncode != 0
    with pytest.raises(CompileError, match=r"at (line \d+, column \d+|its end)\Z"):
        read_body(REQUIRE + text)


def test_a_text_that_ends_too_early_says_so() -> None:
    with pytest.raises(CompileError, match="at its end"):
        read_body("allow a_t b_t:file { read")


@given(access_sets())
@settings(max_examples=150)
def test_a_written_module_reads_back(access: AccessSet) -> None:
    """Every rule as it was; what has another kind of statement is counted."""
    body = re.split(r"^module drawn 1\.0\.0;$", render_te(module(access)), flags=re.MULTILINE)[1]
    found = read_body(body)
    assert sorted(map(_flat, (one for one in found if isinstance(one, WrittenRule)))) == sorted(
        (rule.kind, (rule.source,), (rule.target,), (rule.tclass,), rule.perms) for rule in access.rules
    )
    others = [one.kind for one in found if isinstance(one, OtherStatement)]
    expected = {
        "type": len(access.types),
        "extended": len(access.xperms),
        "role_allow": len(access.role_allows),
        "role": len(access.role_types),
        "typebounds": len(access.bounds),
    }
    assert {kind: others.count(kind) for kind in expected} == expected
    assert sum(expected.values()) == len(others)
    classes = {one.names[0]: set(one.perms) for one in found if isinstance(one, Required) and one.kind == "class"}
    assert all(classes[rule.tclass].issuperset(rule.perms) for rule in access.rules)


def test_sets_are_told_as_written() -> None:
    rule, other = read_body("allow { a_t { domain } -b_t } ~{ c_t -d_t }:file *; allow domain - a_t self:file read;")
    assert rule == WrittenRule(
        "allow",
        NameSet(("a_t", "domain"), ("b_t",)),
        NameSet(("c_t",), ("d_t",), others=True),
        NameSet(("file",)),
        NameSet((), (), others=True),
    )
    assert isinstance(other, WrittenRule)
    assert other.sources == NameSet(("domain",), ("a_t",))


def test_what_stands_in_a_block_is_not_said_outright() -> None:
    text = "if (one) { allow a_t b_t:file read; } optional { require { type b_t; } allow a_t b_t:file read; }"
    assert read_body(text) == (OtherStatement("conditional"), OtherStatement("optional"))


def _flat(rule: WrittenRule) -> tuple[object, ...]:
    sets = (rule.sources, rule.targets, rule.classes, rule.perms)
    assert not any(one.without or one.others for one in sets)
    return (rule.kind, *(one.names for one in sets))
