"""The three-valued evaluation has a law: what it decides holds for every level the record may have hidden."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.model import LevelRelations, Party
from polkit.policy import Access, TargetPolicy, load_policy

KNOWN = ("equal", "dominates", "dominated", "incomparable")
TYPES = ("one_t", "two_t", "free_t")
relations = st.sampled_from((*KNOWN, "unknown"))
parties = st.builds(Party, st.sampled_from(("ua", "ub")), st.sampled_from(("ra", "rb")), st.sampled_from(TYPES))


@pytest.fixture(scope="module")
def policy(compiled) -> TargetPolicy:
    return load_policy(str(compiled("constraints.conf")))


def outcomes(policy: TargetPolicy, access: Access) -> dict[str, bool]:
    """The text of each constraint that does not hold, and whether that is only for want of knowledge."""
    return {failed.text: failed.unknown for failed in policy.decide(access).constraints}


@given(source=parties, target=parties, levels=st.builds(LevelRelations, *[relations] * 6), data=st.data())
def test_what_is_decided_without_levels_holds_for_every_completion(policy, source, target, levels, data):
    perm = data.draw(st.sampled_from(sorted(policy.permissions("file"))))
    partly = outcomes(policy, Access(source, target, "file", perm, levels))
    choices = [KNOWN if relation == "unknown" else (relation,) for relation in levels]
    completions = list(product(*choices))
    for completion in completions if len(completions) <= 64 else completions[:: len(completions) // 64]:
        whole = outcomes(policy, Access(source, target, "file", perm, LevelRelations(*completion)))
        assert not any(whole.values()), "nothing is unknown when all levels are known"
        assert {text for text, unknown in partly.items() if not unknown} <= set(whole)
        assert set(whole) <= set(partly)


@given(source=parties, target=parties, levels=st.builds(LevelRelations, *[st.sampled_from(KNOWN)] * 6))
def test_a_permission_without_constraints_never_fails_one(policy, source, target, levels):
    assert outcomes(policy, Access(source, target, "file", "free", levels)) == {}


def test_every_refusal_says_what_it_compares(policy):
    party = Party("ub", "rb", "one_t")
    disjoint = LevelRelations(*["incomparable"] * 6)
    about = {
        perm: [
            sorted(failed.about) for failed in policy.decide(Access(party, party, "file", perm, disjoint)).constraints
        ]
        for perm in ("l1_dom_l2", "name_user", "not_user", "not_attribute", "eq_user")
    }
    assert about == {
        "l1_dom_l2": [["level"]],
        "name_user": [["user"]],
        "not_user": [["user"]],
        "not_attribute": [["type"]],
        "eq_user": [],
    }


def test_transition_statements_are_listed_and_refuse_no_access(policy, real):
    assert policy.validatetrans("file") == ("(t1 == t2) or (u3 == ua)", "l1 == l2")
    assert policy.validatetrans("process") == ()
    assert real.validatetrans("file") == ()


def test_the_real_policy_refuses_another_containers_level_by_an_mlsconstrain(real):
    container = Party("system_u", "system_r", "container_t")
    files = Party("system_u", "object_r", "container_file_t")
    disjoint = LevelRelations(*["incomparable"] * 4, "equal", "equal")
    failed = real.decide(Access(container, files, "file", "read", disjoint)).constraints
    assert [(one.kind, one.text) for one in failed] == [("mlsconstrain", "(h1 dom h2) or (t1 != mcs_constrained_type)")]
    assert failed[0].about == {"level", "type"}
