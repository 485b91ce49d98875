"""Every question of TargetPolicy, to hold two policies' answers together; and loading with the cache or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product, zip_longest
from pathlib import Path
from random import Random
from typing import Any

import pytest
import setools

from polkit.model import Port, Xperm
from polkit.policy import Access, TargetPolicy, load_policy

SMALL = ("bounds.cil", "conditions.conf", "constraints.conf", "ports.cil", "roles.conf", "xperms.conf")


def load_kept(path: Path) -> TargetPolicy:
    """Loads from the cache; fails where the policy is read."""

    def refuse(path: str) -> None:
        raise AssertionError(f"{path} was read")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(setools, "SELinuxPolicy", refuse)
        return load_policy(str(path))


def is_kept(path: Path) -> bool:
    """The cache has the policy."""
    try:
        load_kept(path)
    except AssertionError:
        return False
    return True


def load_fresh(path: Path) -> TargetPolicy:
    """Loads without the cache."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("POLKIT_CACHE", "off")
        return load_policy(str(path))


def entry(home: Path) -> Path:
    """The only file in the cache."""
    (only,) = home.iterdir()
    assert only.suffix == ".index"
    return only


def with_commands(accesses: Iterator[Access]) -> Iterator[Access]:
    """Each access, and where it is ioctl also some of its commands."""
    for access in accesses:
        yield access
        if access.perm == "ioctl":
            for number in (0x4600, 0x47FF, 0x4800, 0x4907, 0x5401, 0x1234, 0xFFFF):
                yield replace(access, xperm=Xperm("ioctl", number))


def answers(policy: TargetPolicy, path: Path, accesses: list[Access], most: int = 10**9) -> Iterator[tuple[Any, ...]]:
    """The question and the answer, for every question of TargetPolicy; of ``most`` names of a kind."""
    plain = setools.SELinuxPolicy(str(path))
    types = sorted({name for type_ in plain.types() for name in (type_.name, *type_.aliases())})
    attributes = sorted(attribute.name for attribute in plain.typeattributes())
    types = Random(1).sample(types, min(most, len(types)))
    yield "info", policy.info, dict(policy.booleans), policy.knows_neverallows, policy.has_file_contexts
    for name in (*types, *attributes[:most], "no_such_t"):
        yield name, policy.type_name(name), policy.attributes(name), policy.types(name), policy.port_entries(name)
        yield name, policy.is_domain(name), policy.is_container_domain(name), policy.is_customizable(name)
        yield name, policy.shared_because(name), policy.entrypoint_domains(name), policy.nearest("type", name + "x")
        yield name, policy.structural((name,)), policy.container_file_type()
    yield from _answers_on_classes(policy, plain)
    for user, role in product(plain.users(), plain.roles()):
        yield user.name, role.name, policy.has_user(user.name), policy.has_role(role.name), policy.has_role(user.name)
        yield role.name, [policy.role_has_type(role.name, type_) for type_ in types]
    for protocol, number in product(("tcp", "udp", "dccp"), (0, 53, 80, 443, 1024, 8005, 8009, 8080, 65535)):
        yield protocol, number, policy.port_label(Port(protocol, number))
    for name, tclass in product(("/etc/shadow", "/var/lib/containers/x", "/no such"), ("file", "dir", "process")):
        yield name, tclass, policy.file_label(name, tclass)
    for access in accesses:
        yield from _answers_on_access(policy, access)
    for access in accesses[:most]:
        source, target = access.source.type, access.target.type
        yield access, policy.neverallowed(source, target, access.tclass, access.perm)
    for number, boolean in enumerate(sorted(policy.booleans)[:most]):
        turned = ((boolean, not policy.booleans[boolean]),)
        yield turned, policy.grants_of(turned)
        other = policy.with_booleans(dict(turned))
        for access in accesses[number :: max(1, len(policy.booleans))]:
            yield from _answers_on_access(other, access)


def _answers_on_classes(policy: TargetPolicy, plain: setools.SELinuxPolicy) -> Iterator[tuple[Any, ...]]:
    for name in [*sorted(tclass.name for tclass in plain.classes()), "no_such_class"]:
        yield name, policy.has_class(name), policy.permissions(name), policy.validatetrans(name)
        yield name, policy.nearest("class", name + "x"), policy.nearest("permission", "reed", name)


def _answers_on_access(policy: TargetPolicy, access: Access) -> Iterator[tuple[Any, ...]]:
    source, target, tclass = access.source.type, access.target.type, access.tclass
    yield access, policy.decide(access), policy.has_xperm_rule(source, target, tclass)
    yield access, policy.allowed(source, target, tclass), policy.dontaudited(source, target, tclass)


def same_answers(one: TargetPolicy, two: TargetPolicy, path: Path, accesses: list[Access], most: int = 10**9) -> int:
    count = 0
    for first, second in zip_longest(answers(one, path, accesses, most), answers(two, path, accesses, most)):
        assert first == second
        count += 1
    return count
