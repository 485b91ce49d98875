"""The bar: the index says what libsepol says, on the real policy and on small policies that hold every construct."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from polkit.model import LevelRelations
from polkit.policy import Oracle, OracleAnswer, TargetPolicy, load_policy
from tests.policy.sampling import Asked, Sampler, every_access, predicted, with_booleans

SEED = 20240613
KINDS = {"ALLOW", "TERULE", "BOOLEAN", "CONSTRAINT", "RBAC", "BOUNDS", "DONTAUDIT"}
WHOLE = pytest.param(20_000, marks=pytest.mark.heavy)


def ask(oracle: Oracle, one: Asked) -> OracleAnswer:
    return oracle.ask(str(one.source), str(one.target), one.access.tclass, [one.access.perm])


def differing(policy: TargetPolicy, sample: list[Asked], answers: list[OracleAnswer]) -> list[tuple[object, ...]]:
    return [
        (str(one.source), str(one.target), one.access.tclass, one.access.perm, ours, theirs)
        for one, theirs in zip(sample, answers)
        if (ours := predicted(policy, one.access)) != OracleAnswer(theirs.kind, theirs.booleans)
    ]


@pytest.fixture(scope="module", params=[2_000, WHOLE])
def sample(binary_policy: Path, request: pytest.FixtureRequest) -> list[Asked]:
    """Distinct accesses of the real policy."""
    return Sampler(binary_policy, SEED).mixed(request.param)


@pytest.fixture(scope="module")
def answers(sample: list[Asked], binary_policy: Path) -> list[OracleAnswer]:
    """What libsepol says of each."""
    with Oracle(binary_policy) as oracle:
        return [ask(oracle, one) for one in sample]


def test_the_index_agrees_with_libsepol_on_the_real_policy(sample, answers, real):
    wrong = differing(real, sample, answers)
    assert not wrong, f"{len(wrong)} of {len(sample)} differ, the first: {wrong[0]}"


def test_the_sample_has_every_answer_level_role_and_user(sample, answers, real):
    kinds = Counter(answer.kind for answer in answers)
    assert set(kinds) == KINDS, kinds
    assert kinds["ALLOW"] < len(sample) / 2, kinds
    assert sum(len(answer.booleans) > 1 for answer in answers) > len(sample) / 200
    for relation in LevelRelations._fields:
        seen = {getattr(one.access.levels, relation) for one in sample}
        one_context = relation in ("l1_h1", "l2_h2")
        assert seen == ({"equal", "dominated"} if one_context else {"equal", "dominates", "dominated", "incomparable"})
    refused_by = Counter(
        tuple(sorted(failed.about)) for one in sample for failed in real.decide(one.access).constraints
    )
    assert {about for which in refused_by for about in which} == {"level", "role", "type", "user"}, refused_by
    sides = [side for one in sample for side in (one.access.source, one.access.target)]
    assert len({side.user for side in sides}) > 5
    assert len({side.role for side in sides}) > 5
    assert sum(one.access.source.user != one.access.target.user for one in sample) > len(sample) / 4


@pytest.mark.heavy
def test_the_index_agrees_with_libsepol_on_a_host_with_other_booleans(binary_policy, real, tmp_path):
    random = Random(SEED)
    state = {name: value != (random.random() < 0.4) for name, value in sorted(real.booleans.items())}
    path = tmp_path / "policy"
    path.write_bytes(with_booleans(binary_policy.read_bytes(), state))
    sampler = Sampler(binary_policy, SEED)
    sample = [sampler.drawn("conditional") for _ in range(3000)] + sampler.mixed(1000)
    refused = "system_u:system_r:container_t:s0", "system_u:object_r:shadow_t:s0", "file", ["read"]
    with Oracle(path) as oracle:
        assert oracle.ask(*refused).kind != "ALLOW"  # makes libsepol work its conditions out
        answers = [ask(oracle, one) for one in sample]
    assert sum(answer.kind == "BOOLEAN" for answer in answers) > 500
    wrong = differing(real.with_booleans(state), sample, answers)
    assert not wrong, f"{len(wrong)} of {len(sample)} differ, the first: {wrong[0]}"
    assert load_policy(str(path)).booleans == state
    assert len(differing(real, sample, answers)) > 100, "the booleans matter"


@pytest.mark.heavy
def test_the_index_agrees_with_libsepol_on_a_modules_own_types(policy_root, real, tmp_path):
    """Domains, files and ports that a module adds, with what they receive from the attributes they join."""
    root = tmp_path / "root"
    shutil.copytree(policy_root, root, symlinks=True)
    module = Path(__file__).parent / "sources/own_types.cil"
    command = ["semodule", "-p", root, "-s", real.files.name, "-N", "-n", "-i", module]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    path = root / "var/lib/selinux" / real.files.name / "active/policy.kern"
    policy = load_policy(str(path))
    sampler = Sampler(path, SEED)
    own = ("own_child_t", "own_data_t", "own_loose_t", "own_port_t", "own_t")
    sample = [sampler.of(own) for _ in range(6000)]
    with Oracle(path) as oracle:
        answers = [ask(oracle, one) for one in sample]
    kinds = Counter(answer.kind for answer in answers)
    assert set(kinds) >= KINDS - {"RBAC"}, kinds
    wrong = differing(policy, sample, answers)
    assert not wrong, f"{len(wrong)} of {len(sample)} differ, the first: {wrong[0]}"


@pytest.mark.parametrize(
    ("source", "levels"),
    [
        ("constraints.conf", ("s0", "s0:c0", "s0-s0:c1")),
        pytest.param(
            "constraints.conf", ("s0", "s0:c0", "s0:c1", "s0-s0:c0.c1", "s0:c0-s0:c0.c1"), marks=pytest.mark.heavy
        ),
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
            theirs = ask(oracle, one)
            assert predicted(policy, one.access) == OracleAnswer(theirs.kind, theirs.booleans), one
            kinds[theirs.kind] += 1
    assert kinds["ALLOW"] > 0
    assert len(kinds) > 1, kinds
