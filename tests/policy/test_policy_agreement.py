"""The bar: the index says what libsepol says, on the real policy and on small policies that hold every construct."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from polkit.model import LevelRelations
from polkit.policy import Oracle, OracleAnswer, load_policy
from tests.policy.sampling import Asked, Sampler, every_access, predicted

SEED = 20240613
PORTIONS = (("blind", 1000), ("allow", 1300), ("dontaudit", 800), ("conditional", 1700), ("transition", 300))


@pytest.fixture(scope="module")
def sample(binary_policy: Path) -> list[Asked]:
    """5,550 accesses of the real policy."""
    sampler = Sampler(binary_policy, SEED)
    drawn = [
        sampler.blind() if kind == "blind" else sampler.near(kind) for kind, count in PORTIONS for _ in range(count)
    ]
    drawn += [sampler.role_change() for _ in range(200)]
    return drawn + [sampler.near("bounded") for _ in range(250)]


@pytest.fixture(scope="module")
def answers(sample: list[Asked], binary_policy: Path) -> list[OracleAnswer]:
    """What libsepol says of each."""
    with Oracle(binary_policy) as oracle:
        return [oracle.ask(str(one.source), str(one.target), one.access.tclass, [one.access.perm]) for one in sample]


def test_the_sample_has_every_answer_and_every_relation_of_levels(sample, answers):
    kinds = Counter(answer.kind for answer in answers)
    assert set(kinds) == {"ALLOW", "TERULE", "BOOLEAN", "CONSTRAINT", "RBAC", "BOUNDS", "DONTAUDIT"}, kinds
    assert min(kinds.values()) >= 10, kinds
    assert kinds["ALLOW"] <= len(sample) / 2, kinds
    assert len(sample) >= 5000
    for relation in LevelRelations._fields:
        seen = {getattr(one.access.levels, relation) for one in sample}
        assert "unknown" not in seen
        assert seen >= {"equal", "dominated"}, relation
    assert {one.access.levels.h1_h2 for one in sample} == {"equal", "dominates", "dominated", "incomparable"}


def test_the_index_agrees_with_libsepol_on_the_real_policy(sample, answers, real):
    wrong = [
        (str(one.source), str(one.target), one.access.tclass, one.access.perm, ours, theirs)
        for one, theirs in zip(sample, answers)
        if (ours := predicted(real, one.access)) != OracleAnswer(theirs.kind, theirs.booleans)
    ]
    assert not wrong, f"{len(wrong)} of {len(sample)} differ, the first: {wrong[0]}"


@pytest.mark.parametrize(
    ("source", "levels"),
    [
        ("constraints.conf", ("s0", "s0:c0", "s0:c1", "s0-s0:c0.c1", "s0:c0-s0:c0.c1")),
        ("roles.conf", ("",)),
        ("bounds.cil", ("",)),
        ("conditions.conf", ("",)),
    ],
)
def test_the_index_agrees_with_libsepol_on_every_access_of_a_small_policy(compiled, source, levels):
    path = compiled(source)
    policy = load_policy(str(path))
    kinds: Counter[str] = Counter()
    with Oracle(path) as oracle:
        for one in every_access(path, levels):
            theirs = oracle.ask(str(one.source), str(one.target), one.access.tclass, [one.access.perm])
            assert predicted(policy, one.access) == OracleAnswer(theirs.kind, theirs.booleans), one
            kinds[theirs.kind] += 1
    assert kinds["ALLOW"] > 0
    assert len(kinds) > 1, kinds
