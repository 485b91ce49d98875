"""The module does what the plan says: installed into a copy of the store, it allows what was asked and no more.

libsepol (the oracle) answers for the accesses; that nothing else changed is seen by comparing the two policies whole,
as setools reads them: every rule, and every attribute's types. Rules go onto the domains in the log (``--extend``), so
that they are all that changes; what an own domain inherits is held in ``tests/policy/test_policy_inheritance.py``.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import setools

from polkit.errors import PolkitError
from polkit.minimize.job import Request, generate
from polkit.model import SELF, AvRule, Plan, Remedy, RoleTypes, XpermRule
from polkit.policy import Oracle, TargetPolicy, load_policy
from tests.fixture_plans import FIXTURES, logs

NAME = "asked"
MOUNTS = ("/srv/models:/models", "/srv/vllm/cache:/home/vllm/.cache")
LIGHT = ("kernel/vllm-serving.audit.log", "crafted/15_typebounds.log")
ROLES = ("system_r", "object_r", "staff_r", "sysadm_r", "user_r", "unconfined_r")


class Installed(NamedTuple):
    """A plan, and the binary policies that the host has without and with its module."""

    plan: Plan
    before: Path
    after: Path


class Installer:
    """Generates a module from logs and installs it into a copy of the policy root."""

    def __init__(self, root: Path, place: Path) -> None:
        self._root = root
        self._place = place
        self._number = 0

    def install(self, *names: str, **asked: Any) -> Installed:
        """The module of these fixture logs, installed. Skips the test where the logs ask for no module."""
        self._number += 1
        place = self._place / str(self._number)
        request = Request(
            logs=tuple(str(FIXTURES / name) for name in names),
            policy=str(self._root),
            name=NAME,
            mounts=MOUNTS,
            extend=True,
            **asked,
        )
        plan = generate(request, place / "module").plan
        packages = [path for suffix in ("pp", "cil") for path in (place / "module").glob(f"{NAME}.{suffix}")]
        if not packages:
            pytest.skip("the log asks for no module")
        copy = place / "root"
        shutil.copytree(self._root, copy, symlinks=True)
        type_ = next(copy.glob("etc/selinux/*/policy")).parent.name
        command = ["semodule", "-p", copy, "-s", type_, "-N", "-n", "-X", "200", "-i", packages[0]]
        subprocess.run(command, check=True, capture_output=True)
        shutil.rmtree(copy / "var")
        assert plan.policy is not None
        before = Path(plan.policy.path)
        return Installed(plan, before, copy / before.relative_to(self._root))


@pytest.fixture(scope="module")
def installer(policy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Installer:
    return Installer(policy_root, tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module", params=LIGHT)
def installed(request: pytest.FixtureRequest, installer: Installer) -> Installed:
    return installer.install(request.param)


def test_what_was_asked_is_allowed(installed: Installed) -> None:
    assert not list(_still_refused(installed))


def test_nothing_else_changed(installed: Installed) -> None:
    _compare(installed)
    _cuts_nothing_off(installed)


@pytest.mark.heavy
@pytest.mark.parametrize("log", [str(log.relative_to(FIXTURES)) for log in logs()])
def test_every_fixture(log: str, installer: Installer) -> None:
    try:
        one = installer.install(log, accept=("all",))
    except PolkitError as error:
        pytest.fail(f"{error}: {getattr(error, 'output', '')}")
    assert not list(_still_refused(one))
    _compare(one)
    _cuts_nothing_off(one)


def _still_refused(one: Installed) -> Iterator[str]:
    """Every access that the plan answers with a rule on an existing type, and that libsepol refuses all the same."""
    after = load_policy(str(one.after))
    with Oracle(one.after) as oracle:
        for decision in one.plan.decisions:
            if decision.remedy.kind != "allow" or decision.cause not in ("missing-rule", "xperm", "bounds"):
                continue
            if decision.cause == "bounds" and decision.tclass == "process":
                continue  # answered with a permission of process2
            source, target = _context(decision.source, after), _context(decision.target, after)
            answer = oracle.ask(source, target, decision.tclass, decision.perms)
            if answer.kind != "ALLOW" and not (answer.kind == "CONSTRAINT" and "constraint" in decision.also):
                yield f"{source} {target}:{decision.tclass} {decision.perms}: {answer}"


def _context(type_: str, policy: TargetPolicy) -> str:
    role = next(role for role in ROLES if policy.role_has_type(role, type_))
    user = {"staff_r": "staff_u", "sysadm_r": "sysadm_u", "user_r": "user_u", "unconfined_r": "unconfined_u"}.get(role)
    return f"{user or 'system_u'}:{role}:{type_}:s0"


def _compare(one: Installed) -> None:
    """What the new policy has beyond the old one is the module; nothing is lost, no old type gained an attribute."""
    before, after = _contents(one.before), _contents(one.after)
    own = {declared.name for remedy in _remedies(one.plan) for declared in remedy.types}
    assert not before.rules - after.rules, "nothing is lost"
    assert after.types - before.types == own
    assert {name: types - own for name, types in after.attributes.items()} == before.attributes
    role_types = {
        (rule.role, rule.type) for remedy in _remedies(one.plan) for rule in remedy.rules if isinstance(rule, RoleTypes)
    }
    assert after.roles - before.roles == role_types
    assert not before.roles - after.roles
    # The linker writes out what an own type gets by "self" rules on its attributes (file_type self:filesystem).
    structural = {rule for rule in after.rules - before.rules if rule[1] == rule[2] and rule[1] in own}
    assert after.rules - before.rules - structural == set(_planned(one.plan)) - before.rules


def _cuts_nothing_off(one: Installed) -> None:
    """No allowxperm of ours stands where the old policy allows every command: it would leave only those listed."""
    before = load_policy(str(one.before))
    for rule in (rule for remedy in _remedies(one.plan) for rule in remedy.rules if isinstance(rule, XpermRule)):
        target = rule.source if rule.target == SELF else rule.target
        if rule.operation in before.allowed(rule.source, target, rule.tclass):
            assert before.has_xperm_rule(rule.source, target, rule.tclass), rule


class Contents(NamedTuple):
    """A policy taken to pieces."""

    rules: set[tuple[str, ...]]
    types: set[str]
    attributes: dict[str, frozenset[str]]
    roles: set[tuple[str, str]]


def _contents(binary: Path) -> Contents:
    policy = setools.SELinuxPolicy(str(binary))
    rules: set[tuple[str, ...]] = set()
    for rule in policy.terules():
        try:
            condition = f"{rule.conditional} {rule.conditional_block}"
        except setools.exception.RuleNotConditional:
            condition = ""
        head = (str(rule.ruletype), str(rule.source), str(rule.target), str(rule.tclass), condition)
        if isinstance(rule, setools.AVRuleXperm):
            rules.update((*head, rule.xperm_type, str(number)) for number in rule.perms)
        elif isinstance(rule, setools.AVRule):
            rules.update((*head, perm) for perm in rule.perms)
        else:
            rules.add((*head, str(rule)))
    return Contents(
        rules,
        {str(type_) for type_ in policy.types()},
        {str(one): frozenset(map(str, one.expand())) for one in policy.typeattributes()},
        {(str(role), str(type_)) for role in policy.roles() for type_ in role.types()},
    )


def _planned(plan: Plan) -> Iterator[tuple[str, ...]]:
    """The statements of the plan's remedies as they stand in a policy."""
    for rule in (rule for remedy in _remedies(plan) for rule in remedy.rules):
        if isinstance(rule, (AvRule, XpermRule)):
            target = rule.source if rule.target == SELF else rule.target
            head = (rule.kind, rule.source, target, rule.tclass, "")
            if isinstance(rule, AvRule):
                yield from ((*head, perm) for perm in rule.perms)
            else:
                yield from ((*head, rule.operation, str(number)) for number in rule.numbers)


def _remedies(plan: Plan) -> Iterator[Remedy]:
    return (remedy for decision in plan.decisions for remedy in (decision.remedy, *decision.also_remedies))
