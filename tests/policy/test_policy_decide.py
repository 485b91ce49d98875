"""Verdicts on small policies: every reason stands beside the others, and the state of booleans decides."""

from __future__ import annotations

import pytest

from polkit.model import EQUAL_LEVELS, UNKNOWN_LEVELS, Party, Xperm
from polkit.policy import Access, TargetPolicy, load_policy


def access(source: str, target: str, tclass: str, perm: str, **more) -> Access:
    one = Party(more.pop("user", "ua"), more.pop("role", "ra"), source)
    two = Party(more.pop("other_user", "ua"), more.pop("other_role", "object_r"), target)
    return Access(one, two, tclass, perm, more.pop("levels", EQUAL_LEVELS), **more)


@pytest.fixture(scope="module")
def conditions(compiled) -> TargetPolicy:
    return load_policy(str(compiled("conditions.conf")))


def sets(policy: TargetPolicy, target: str, perm: str, source: str = "a_t") -> list[tuple[tuple[str, bool], ...]]:
    return [found.settings for found in policy.decide(access(source, target, "file", perm)).booleans]


def test_two_booleans_are_named_where_one_is_not_enough(conditions):
    assert sets(conditions, "d_t", "both") == [(("one", True), ("two", True))]
    assert sets(conditions, "d_t", "either") == [(("one", True),), (("two", True),)]


def test_one_boolean_is_named_alone_even_where_two_would_do_as_well(conditions):
    assert sets(conditions, "d_t", "asked_by_two") == [(("one", True),)]


def test_no_boolean_is_named_for_an_access_that_a_rule_gives(conditions):
    verdict = conditions.decide(access("a_t", "d_t", "file", "not_one"))
    assert verdict.rule
    assert verdict.allowed
    assert verdict.booleans == ()


@pytest.mark.parametrize(
    ("state", "source", "target", "perm", "given"),
    [
        ({}, "a_t", "d_t", "same", True),
        ({"one": True}, "a_t", "d_t", "same", False),
        ({"one": True, "two": True}, "a_t", "d_t", "same", True),
        ({}, "a_t", "d_t", "differ", True),
        ({"one": True}, "a_t", "d_t", "differ", False),
        ({"two": True}, "b_t", "e_t", "differ", True),
        ({"one": True, "two": True}, "b_t", "e_t", "differ", False),
        ({"three": False}, "a_t", "e_t", "other_block", False),
        ({"three": False}, "b_t", "e_t", "other_block", True),
        ({"one": True}, "b_t", "d_t", "not_one", True),
        ({"one": True, "two": True}, "a_t", "e_t", "both", True),
    ],
)
def test_operators_of_conditions(conditions, state, source, target, perm, given):
    assert conditions.with_booleans(state).decide(access(source, target, "file", perm)).allowed == given
    assert (perm in conditions.with_booleans(state).allowed(source, target, "file")) == given


def test_a_state_of_the_booleans_leaves_the_policy_it_came_from_alone(conditions):
    changed = conditions.with_booleans({"one": True, "no_such_boolean": True})
    assert dict(changed.booleans) == {"one": True, "two": False, "three": True}
    assert dict(conditions.booleans) == {"one": False, "two": False, "three": True}
    assert changed.with_booleans({"one": False}).allowed("a_t", "d_t", "file") == conditions.allowed(
        "a_t", "d_t", "file"
    )


def test_an_alias_stands_for_its_type(conditions):
    assert conditions.type_name("older_d_t") == "d_t"
    assert conditions.decide(access("a_t", "old_d_t", "file", "plain")).allowed
    assert conditions.allowed("a_t", "old_d_t", "file") == conditions.allowed("a_t", "d_t", "file") != frozenset()
    assert conditions.attributes("old_d_t") == {"data"}


def test_self_means_the_same_type_only(conditions):
    assert conditions.allowed("a_t", "a_t", "process") == {"signal"}
    assert conditions.allowed("a_t", "b_t", "process") == frozenset()


def test_dontaudit_is_told_beside_the_other_reasons(conditions):
    quiet = conditions.decide(access("a_t", "e_t", "file", "quiet"))
    assert quiet.dontaudit
    assert not quiet.rule
    assert conditions.dontaudited("a_t", "e_t", "file") == {"quiet"}
    both = conditions.decide(access("b_t", "d_t", "file", "both"))
    assert both.dontaudit, "a conditional dontaudit, in force by default"
    assert not conditions.with_booleans({"one": True}).decide(access("b_t", "d_t", "file", "both")).dontaudit


def test_names_the_policy_lacks_are_refused_without_a_traceback(conditions):
    for unknown in (
        access("nobody_t", "d_t", "file", "plain"),
        access("a_t", "nothing_t", "file", "plain"),
        access("a_t", "d_t", "no_class", "plain"),
        access("a_t", "d_t", "file", "no_perm"),
    ):
        verdict = conditions.decide(unknown)
        assert not verdict.allowed
        assert not verdict.rule
    assert conditions.type_name("nobody_t") is None
    assert conditions.permissions("no_class") == frozenset()
    assert conditions.types("nobody_t") == frozenset()
    assert conditions.types("data") == {"d_t", "e_t"}
    assert conditions.types("d_t") == {"d_t"}


def test_a_constraint_is_told_even_where_the_rule_is_missing_too(compiled):
    """libsepol hides the one behind the other; a person needs both."""
    policy = load_policy(str(compiled("bounds.cil")))
    verdict = policy.decide(access("unrelated_t", "data_t", "file", "ioctl", user="u", role="r", other_user="u"))
    assert not verdict.rule
    assert [failed.text for failed in verdict.constraints] == ["t1 == child_t"]
    assert [failed.about for failed in verdict.constraints] == [{"type"}]


def test_bounds_name_the_bounding_type_and_only_where_a_rule_is_there(compiled):
    policy = load_policy(str(compiled("bounds.cil")))

    def bounds(target: str, perm: str) -> object:
        asked = access("child_t", target, "file", perm, user="u", role="r", other_user="u")
        verdict = policy.decide(asked)
        assert verdict.allowed == (verdict.rule and verdict.bounds is None)
        return verdict.bounds

    assert bounds("data_t", "read") is None
    assert bounds("data_t", "write") == "parent_t"
    assert bounds("data_child_t", "read") is None, "parent_t may read data_t, which bounds data_child_t"
    assert bounds("data_child_t", "append") == "parent_t"
    assert bounds("data_t", "append") is None, "no rule of child_t gives it"
    assert bounds("data_t", "ioctl") == "parent_t", "a constraint refuses the bounding type alone"


def test_a_role_change_needs_its_role_rule(compiled):
    policy = load_policy(str(compiled("roles.conf")))

    def verdict(role: str, other: str, perm: str = "transition"):
        return policy.decide(access("init_t", "other_t", "process", perm, role=role, other_role=other))

    assert verdict("system_r", "app_r").allowed
    refused = verdict("system_r", "lost_r")
    assert refused.rule
    assert refused.role is not None
    assert "allow system_r lost_r;" in refused.role
    assert not verdict("app_r", "system_r", "dyntransition").allowed, "the rule has a direction"
    assert verdict("lost_r", "lost_r").allowed, "no change, no rule needed"
    assert verdict("system_r", "lost_r", "signal").allowed, "roles matter to transitions only"


def test_unknown_levels_leave_a_level_constraint_open_and_others_decided(compiled):
    policy = load_policy(str(compiled("constraints.conf")))
    open_ = policy.decide(access("one_t", "one_t", "file", "l1_dom_l2", levels=UNKNOWN_LEVELS, other_role="ra"))
    assert [(failed.unknown, failed.kind, failed.text) for failed in open_.constraints] == [
        (True, "mlsconstrain", "l1 dom l2")
    ]
    assert policy.decide(access("one_t", "one_t", "file", "eq_user", levels=UNKNOWN_LEVELS)).allowed
    free = policy.decide(access("free_t", "one_t", "file", "joined", levels=UNKNOWN_LEVELS, other_user="ub"))
    assert free.allowed, "decided by the type, whatever the levels are"
    closed = policy.decide(access("one_t", "two_t", "file", "joined", levels=UNKNOWN_LEVELS))
    assert [failed.text for failed in closed.constraints] == [
        "((h1 dom h2) and (l2 domby h2)) or ((t1 != confined) and (not (u1 == u2)))"
    ]
    assert closed.constraints[0].about == {"level", "type", "user"}


@pytest.mark.parametrize(
    ("source", "target", "number", "refused"),
    [
        ("a_t", "d_t", 0x4600, False),
        ("a_t", "d_t", 0x46D6, False),
        ("a_t", "d_t", 0x47FF, False),
        ("a_t", "d_t", 0x4801, False),
        ("a_t", "d_t", 0x4802, True),
        ("a_t", "d_t", 0x490A, False),
        ("a_t", "d_t", 0x490B, True),
        ("a_t", "d_t", 0x5401, False),
        ("b_t", "d_t", 0x5401, False),
        ("b_t", "d_t", 0x4600, True),
        ("a_t", "e_t", 0x1234, False),
        ("a_t", "f_t", 0x5401, True),
        ("a_t", "f_t", 0x5402, False),
        ("b_t", "e_t", 0x1234, True),
        ("b_t", "e_t", 0x9999, True),
        ("c_t", "e_t", 0x1234, True),
    ],
)
def test_extended_permissions(compiled, source, target, number, refused):
    """A dontauditxperm or auditallowxperm rule alone closes the list, too (kernel services_compute_xperms_drivers)."""
    policy = load_policy(str(compiled("xperms.conf")))
    verdict = policy.decide(access(source, target, "file", "ioctl", xperm=Xperm("ioctl", number)))
    assert verdict.rule
    assert verdict.xperm_refused == refused
    assert verdict.allowed != refused


def test_extended_permissions_concern_their_own_permission_only(compiled):
    policy = load_policy(str(compiled("xperms.conf")))
    assert policy.decide(access("a_t", "d_t", "file", "read", xperm=Xperm("ioctl", 0x9999))).allowed
    assert policy.decide(access("a_t", "d_t", "file", "ioctl", xperm=Xperm("nlmsg", 0x9999))).allowed
    assert policy.decide(access("a_t", "d_t", "file", "ioctl")).allowed, "a record without ioctlcmd"
    assert policy.has_xperm_rule("b_t", "d_t", "file")
    assert not policy.has_xperm_rule("a_t", "e_t", "file")


def test_dontauditxperm_silences_its_commands(compiled):
    policy = load_policy(str(compiled("xperms.conf")))
    assert policy.decide(access("b_t", "e_t", "file", "ioctl", xperm=Xperm("ioctl", 0x1234))).dontaudit
    assert not policy.decide(access("b_t", "e_t", "file", "ioctl", xperm=Xperm("ioctl", 0x1235))).dontaudit
