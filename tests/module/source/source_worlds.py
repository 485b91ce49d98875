"""Draws policy sources: statements of every kind, in blocks inside blocks."""

from __future__ import annotations

from hypothesis import strategies as st

from polkit.module import NameSet
from polkit.module.source import (
    Block,
    Call,
    Constraint,
    Declaration,
    ExtendedRule,
    Head,
    Label,
    Requirement,
    RoleAllow,
    Rule,
    Statement,
    Transition,
)

NAMES = st.sampled_from(
    ["a_t", "b_t", "dashed-c", "dotted.d", "$1", "$1_exec_t", "x9", "self", "typed", "iffy", "v$2t"]
)
PLAIN_NAMES = st.sampled_from(["a_t", "reader", "typed", "x9"])
NUMBERS = st.tuples(st.integers(0, 0x7FFF), st.integers(0, 0x7FFF)).map(lambda pair: (min(pair), max(pair)))


def _set(names: tuple[str, ...], without: tuple[str, ...], others: bool) -> NameSet:
    return NameSet(names, without, others)


LISTS = st.lists(NAMES, min_size=1, max_size=4).map(tuple)
SETS = st.one_of(
    st.just(NameSet((), (), True)),
    st.builds(_set, LISTS, st.just(()), st.booleans()),
    st.builds(_set, LISTS, LISTS, st.booleans()),
)
PLAIN_SETS = st.builds(NameSet, LISTS)
ONE = NAMES.map(lambda name: NameSet((name,)))
CLASSES = st.one_of(st.none(), PLAIN_SETS)
ARGUMENTS = st.one_of(
    NAMES,
    SETS.map(lambda one: "{ " + " ".join(one.names) + " }"),
    st.sampled_from(
        ["", "a, b", "nested(a, b)", "type", "s0 - s15:c0.c3", "a `b' c", '"a name"', "with (a) b", "~x", "$*"]
    ),
)

RULES = st.builds(Rule, st.sampled_from(["allow", "dontaudit", "auditallow", "auditdeny", "neverallow"]), *[SETS] * 4)
EXTENDED = st.builds(
    ExtendedRule,
    st.sampled_from(["allowxperm", "dontauditxperm", "auditallowxperm", "neverallowxperm"]),
    *(SETS, SETS, SETS),
    st.sampled_from(["ioctl", "nlmsg"]),
    st.lists(NUMBERS, min_size=1, max_size=3).map(tuple),
    st.booleans(),
)
TRANSITIONS = st.one_of(
    st.builds(
        Transition,
        st.sampled_from(["type_transition", "type_change", "type_member"]),
        *(SETS, SETS, SETS, NAMES),
        st.sampled_from(["", "its.name", "with blank"]),
    ),
    st.builds(Transition, st.just("role_transition"), SETS, SETS, CLASSES, NAMES),
    st.builds(Transition, st.just("range_transition"), SETS, SETS, CLASSES, st.sampled_from(["s0", "s0-s1:c0,c2"])),
)
DECLARATIONS = st.one_of(
    st.builds(Declaration, st.just("type"), ONE, st.one_of(PLAIN_SETS, st.just(NameSet(()))), PLAIN_SETS),
    st.builds(Declaration, st.sampled_from(["attribute", "attribute_role", "permissive", "neveraudit"]), ONE),
    st.builds(Declaration, st.just("typealias"), ONE, st.just(NameSet(())), PLAIN_SETS),
    st.builds(Declaration, st.sampled_from(["typeattribute", "roleattribute", "typebounds", "role"]), ONE, PLAIN_SETS),
    st.builds(Declaration, st.just("role_types"), ONE, SETS),
    st.builds(
        Declaration,
        st.sampled_from(["bool", "tunable"]),
        ONE,
        st.sampled_from(["true", "false"]).map(lambda v: NameSet((v,))),
    ),
    st.builds(Declaration, st.just("expandattribute"), PLAIN_SETS, st.just(NameSet(("true",)))),
    st.builds(
        Declaration,
        st.just("user"),
        ONE,
        PLAIN_SETS,
        st.sampled_from(["", "level s0 range s0 - s1"]).map(lambda said: NameSet((said,) * bool(said))),
    ),
)
OTHERS: st.SearchStrategy[Statement] = st.one_of(
    st.builds(RoleAllow, SETS, SETS),
    st.builds(Head, NAMES, st.sampled_from(["1.0", "2", "1.0.3"])),
    st.builds(
        Call, st.one_of(PLAIN_NAMES, st.just("policy_module")), st.lists(ARGUMENTS, min_size=1, max_size=3).map(tuple)
    ),
    st.builds(
        Label,
        st.sampled_from(["genfscon", "fs_use_xattr"]),
        st.sampled_from(["proc /mdstat", "9p", "tcp 80-90"]),
        st.just((("system_u:object_r:a_t", "s0 - mls_systemhigh"),)),
    ),
    st.builds(
        Constraint,
        st.sampled_from(["constrain", "mlsconstrain"]),
        SETS,
        SETS,
        st.sampled_from(["u1 == u2", "( l1 dom l2 ) or t1 == x"]),
    ),
    st.builds(Constraint, st.just("validatetrans"), SETS, st.none(), st.just("t1 != x")),
)
REQUIREMENTS = st.one_of(
    st.builds(Requirement, st.just("class"), ONE, PLAIN_SETS),
    st.builds(Requirement, st.sampled_from(["type", "attribute", "role", "bool", "sensitivity"]), PLAIN_SETS),
)
LEAVES: st.SearchStrategy[Statement] = st.one_of(RULES, EXTENDED, TRANSITIONS, DECLARATIONS, OTHERS)


BRANCH = st.deferred(lambda: st.lists(STATEMENTS, max_size=2).map(tuple))
BRANCHES = st.lists(BRANCH, min_size=1, max_size=2).map(tuple)
NEEDED = st.lists(REQUIREMENTS, min_size=1, max_size=3).map(lambda lines: (tuple(lines),))
CONDITIONS = st.sampled_from([("a && !b",), ("a",), ("a || b",)])
BLOCKS: st.SearchStrategy[Statement] = st.one_of(
    st.builds(Block, st.sampled_from(["optional", "optional_policy"]), st.just(()), BRANCHES),
    st.builds(Block, st.sampled_from(["if", "tunable_policy"]), CONDITIONS, BRANCHES),
    st.builds(Block, st.sampled_from(["ifdef", "ifndef"]), st.tuples(PLAIN_NAMES), BRANCHES),
    st.builds(Block, st.sampled_from(["interface", "template"]), st.tuples(PLAIN_NAMES), st.tuples(BRANCH)),
    st.builds(Block, st.just("ifelse"), st.tuples(PLAIN_NAMES, PLAIN_NAMES), BRANCHES),
    st.builds(Block, st.just("ifelse"), st.tuples(*[PLAIN_NAMES] * 4), st.tuples(BRANCH, BRANCH, BRANCH)),
    st.builds(Block, st.sampled_from(["require", "gen_require"]), st.just(()), NEEDED),
)
STATEMENTS: st.SearchStrategy[Statement] = st.one_of(LEAVES, LEAVES, BLOCKS)
SOURCES = st.lists(STATEMENTS, max_size=5).map(tuple)
