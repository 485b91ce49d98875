"""On the real policy, a domain with ``container_t`` as its base is allowed what ``container_t`` is: all of it is worked
out from setools' own rules, nothing sampled, nothing asked of our index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from polkit.model import AccessSet, AvRule, ModuleSource, TypeDeclaration
from polkit.module import compile_module
from polkit.policy import TargetPolicy, locate, what_if

OWN, BASE = "vllm_t", "container_t"
Access = tuple[str, str, str, str, str]
"""Direction, the other side, class, permission, condition."""


def rules_of(policy: Any) -> Iterator[tuple[set[str], set[str], str, set[str], str]]:
    """Every allow rule with its sides expanded."""
    import setools

    members = {attribute.name: {one.name for one in attribute.expand()} for attribute in policy.typeattributes()}
    for rule in policy.terules():
        if rule.ruletype.name != "allow":
            continue
        try:
            condition = f"{rule.conditional} {rule.conditional_block}"
        except setools.exception.RuleNotConditional:
            condition = ""
        source, target = rule.source.name, rule.target.name
        yield members.get(source, {source}), members.get(target, {target}), rule.tclass.name, set(rule.perms), condition


def accesses(policy: Any) -> dict[str, set[Access]]:
    """What each of the two is allowed and what others are allowed on it; nothing that is between the two."""
    found: dict[str, set[Access]] = defaultdict(set)
    for sources, targets, tclass, perms, condition in rules_of(policy):
        for mine, other in ((OWN, BASE), (BASE, OWN)):
            if mine in sources:
                for target in targets - {other}:
                    name = "itself" if target == mine else target
                    found[mine].update(("to", name, tclass, perm, condition) for perm in perms)
            if mine in targets:
                for source in sources - {other, mine}:
                    found[mine].update(("from", source, tclass, perm, condition) for perm in perms)
    return found


def transitions(policy: Any, name: str) -> set[tuple[str, ...]]:
    """The type and range transitions of one, with its name taken out."""
    kinds = ("type_transition", "type_change", "type_member", "range_transition")
    rules = [rule for rule in (*policy.terules(), *policy.mlsrules()) if rule.ruletype.name in kinds]
    texts = [str(rule).replace(":", " : ").replace(";", " ;").split() for rule in rules]
    return {tuple("X" if word == name else word for word in text) for text in texts if name in text[1:4]}


@pytest.mark.heavy
def test_an_own_domain_is_allowed_exactly_what_its_base_is(
    policy: TargetPolicy, policy_root: Path, tmp_path: Path
) -> None:
    import setools

    found = policy.own_domain(OWN, BASE, True)
    assert found.weaker == ()
    more = AvRule("allow", OWN, "cert_t", "file", ("open", "read"))
    access = AccessSet(types=(found.declaration,), rules=(more,), role_types=found.roles)
    source = ModuleSource("vllm", "1.0.0", access, inherited=found.inherited)
    compile_module(source, tmp_path)
    files, info = locate(str(policy_root)), policy.info
    assert info is not None
    cil = ""  # a module store takes the package as it is
    with what_if(files, info, tmp_path / "vllm.pp", cil) as built:
        changed = setools.SELinuxPolicy(str(built.changed.policy))
        sides = accesses(changed)
        roles = {role.name for role in changed.roles() for type_ in role.types() if type_.name == OWN}
        of_base = {role.name for role in changed.roles() for type_ in role.types() if type_.name == BASE}
        mine, theirs = transitions(changed, OWN), transitions(changed, BASE)
    own_rule = {("to", "cert_t", "file", perm, "") for perm in ("open", "read")}
    # What the base has always covers what it has under a condition.
    base = sides[BASE]
    assert len(base) > 20_000
    missing = {one for one in base - sides[OWN] if (*one[:4], "") not in sides[OWN]}
    extra = {one for one in sides[OWN] - base - own_rule if (*one[:4], "") not in base}
    assert (missing, extra) == (set(), set())
    assert own_rule <= sides[OWN]
    assert roles - {"object_r"} == of_base - {"object_r"}
    assert mine == theirs
    assert isinstance(found.declaration, TypeDeclaration)
    assert "mcs_constrained_type" in found.declaration.attributes
