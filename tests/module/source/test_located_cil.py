"""Statements of CIL with their places, in the words of a policy source."""

from __future__ import annotations

import re

import pytest

from polkit.module import NameSet
from polkit.module.source import (
    Constraint,
    Declaration,
    ExtendedRule,
    Label,
    Requirement,
    RoleAllow,
    Rule,
    Statement,
    Transition,
    locate_cil,
    unresolved_cil,
)

EXAMPLE = """(block gpu
    (blockinherit container)
    (type process) (type tmp)
    (roletype system_r process)
    (allow process self (capability (all)))
    (optional more
        (booleanif (and one (not two))
            (true (allow process .gpu.tmp (file (read open))))
            (false (dontaudit process tmp (file (not (write))))))))
(typeattributeset domain (gpu.process))
(typeattribute made_typeattr_1)
(typeattributeset made_typeattr_1 (and (a_t b_t) (not (c_t))))
(allow made_typeattr_1 gpu.tmp (file (read)))
(classpermission reads)
(classpermissionset reads (file (read)))
(classpermissionset writes (dir (write)))
(allow a_t b_t reads)
(classmap any (see))
(classmapping any see (file (getattr)))
(classmapping any see (dir (search)))
(allow a_t b_t (any (see)))
(allowx a_t b_t (ioctl chr_file (0x4600 (range 0x4601 0x46ff))))
(typetransition a_t tmp_t file "named" gpu.tmp)
(rangetransition a_t b_t process ((s0) (s1)))
(roleallow system_r user_r)
(typealias old) (typealiasactual old a_t)
(typebounds a_t b_t)
(typepermissive a_t)
(boolean one false)
(portcon tcp 8000 (system_u object_r a_t ((s0) (s0))))
(mlsconstrain (file (read)) (dom l1 l2))
(block pattern (blockabstract pattern) (type never) (allow never never (file (read))))
(macro ask ((type x)) (allow x a_t (file (read))))
(call ask (b_t))
(typeattributeset cil_gen_require a_t)
(typeattributeset mixed (or (a_t) (and (b_t) (c_t))))
(allow a_t (b_t) (file))
"""


def names(*words: str) -> NameSet:
    return NameSet(words)


def test_each_statement_of_cil_is_said_as_a_source_says_it() -> None:
    found = locate_cil(EXAMPLE, "example.cil")
    process, tmp, file = names("gpu.process"), names("gpu.tmp"), names("file")
    wanted: list[tuple[int, Statement, str, bool]] = [
        (3, Declaration("type", process), "", False),
        (3, Declaration("type", tmp), "", False),
        (4, Declaration("role_types", names("system_r"), process), "", False),
        (5, Rule("allow", process, names("self"), names("capability"), NameSet((), (), True)), "", False),
        (8, Rule("allow", process, tmp, file, names("read", "open")), "one && !two", True),
        (9, Rule("dontaudit", process, tmp, file, NameSet(("write",), (), True)), "!(one && !two)", True),
        (10, Declaration("typeattribute", process, names("domain")), "", False),
        (13, Rule("allow", NameSet(("a_t", "b_t"), ("c_t",)), tmp, file, names("read")), "", False),
        (17, Rule("allow", names("a_t"), names("b_t"), file, names("read")), "", False),
        (21, Rule("allow", names("a_t"), names("b_t"), file, names("getattr")), "", False),
        (21, Rule("allow", names("a_t"), names("b_t"), names("dir"), names("search")), "", False),
        (
            22,
            ExtendedRule(
                "allowxperm",
                names("a_t"),
                names("b_t"),
                names("chr_file"),
                "ioctl",
                ((0x4600, 0x4600), (0x4601, 0x46FF)),
            ),
            "",
            False,
        ),
        (23, Transition("type_transition", names("a_t"), names("tmp_t"), file, "gpu.tmp", "named"), "", False),
        (24, Transition("range_transition", names("a_t"), names("b_t"), names("process"), "s0-s1"), "", False),
        (25, RoleAllow(names("system_r"), names("user_r")), "", False),
        (26, Declaration("typealias", names("a_t"), names(), names("old")), "", False),
        (27, Declaration("typebounds", names("a_t"), names("b_t")), "", False),
        (28, Declaration("permissive", names("a_t")), "", False),
        (29, Declaration("bool", names("one"), names("false")), "", False),
        (30, Label("portcon", "tcp 8000", (("system_u:object_r:a_t", "s0"),)), "", False),
        (31, Constraint("mlsconstrain", file, names("read"), "(dom l1 l2)"), "", False),
        (35, Requirement("type", names("a_t")), "", False),
    ]

    assert [(one.line, one.statement, one.condition, one.optional) for one in found] == wanted
    assert {one.file for one in found} == {"example.cil"}
    assert found[4].written == "(allow process .gpu.tmp (file (read open)))"
    assert [(one.word, one.line) for one in unresolved_cil(EXAMPLE, "example.cil")] == [
        ("blockinherit", 2),
        ("call", 34),
    ]


INHERITING = """(block container
    (blockabstract container)
    (type process)
    (roletype system_r process)
    (call both (process))
    (macro reads ((type x))
        (call both (x))
        (allow process x (file (read)))))
(macro both ((type y)) (allow y y (dir (search))))
(block mine
    (blockinherit container)
    (blockinherit outside)
    (call reads (etc_t))
    (allow process lib_t (dir (search)))
    (optional some (booleanif asked (true (call reads (var_t))))))
(call outside.ask (mine.process))
"""


def test_what_calls_and_inherited_blocks_make_stands_where_they_do() -> None:
    found = locate_cil(INHERITING, "inheriting.cil")
    process, dir_, file = names("mine.process"), names("dir"), names("file")

    def allowed(source: NameSet, target: NameSet, tclass: NameSet) -> Rule:
        return Rule("allow", source, target, tclass, names("search" if tclass == dir_ else "read"))

    etc, var = names("etc_t"), names("var_t")
    assert [(one.line, one.via, one.statement, one.condition, one.optional) for one in found] == [
        (11, "container", Declaration("type", process), "", False),
        (11, "container", Declaration("role_types", names("system_r"), process), "", False),
        (11, "container", allowed(process, process, dir_), "", False),
        (13, "reads", allowed(etc, etc, dir_), "", False),
        (13, "reads", allowed(process, etc, file), "", False),
        (14, "", allowed(process, names("lib_t"), dir_), "", False),
        (15, "reads", allowed(var, var, dir_), "asked", True),
        (15, "reads", allowed(process, var, file), "asked", True),
    ]
    assert found[3].written == "(call reads (etc_t))"
    assert [(one.word, one.line) for one in unresolved_cil(INHERITING, "inheriting.cil")] == [
        ("blockinherit", 12),
        ("call", 16),
    ]


def test_without_the_tool_calls_are_named_as_unresolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polkit.module.tools._SEARCH", ())
    monkeypatch.setenv("PATH", "")

    assert [one.line for one in locate_cil(INHERITING, "inheriting.cil")] == [14]
    assert [one.line for one in unresolved_cil(INHERITING, "inheriting.cil")] == [11, 12, 13, 15, 16]


ODD = """(call)|(blockinherit)|(typeattributeset)|(allow)|(macro m ())(call m)|(macro m (()))(call m)|(allow a b)
(typetransition a b)|(allowx a b ())|(classpermissionset)|(booleanif () (true (call m)))|(in b (call m))"""


@pytest.mark.parametrize("inside", re.split(r"[|\n]", ODD))
def test_statements_of_no_form_are_passed_over(inside: str) -> None:
    text = f"(macro m ((type x)) (allow x x (file (read))))\n(block b {inside})\n(call m (a_t))\n(type last)\n"

    assert locate_cil(text, "odd.cil")[-1].statement == Declaration("type", names("last"))
