"""What a domain may do to the host, and what it may write and execute, on the real policy."""

from __future__ import annotations

import pytest

from polkit.policy import (
    OVER_THE_KERNEL,
    UNCONFINED,
    Powers,
    TargetPolicy,
    given_between,
    risk_ids,
    writers,
    written_and_executed,
)


@pytest.fixture(scope="module")
def powers(real: TargetPolicy) -> Powers:
    return Powers(real)


def test_confined_domains_have_no_power_over_the_host(powers: Powers) -> None:
    assert {name: powers.of(name) for name in ("container_t", "user_t")} == {"container_t": (), "user_t": ()}
    assert [powers.why(name) for name in ("container_t", "user_t", "httpd_t", "no_such_t")] == ["", "", "", ""]


def test_what_a_domain_may_do_to_the_host_is_named_gravest_first(powers: Powers) -> None:
    assert powers.of("passwd_t") == ("shadow",)
    assert powers.of("unconfined_t")[:2] == (UNCONFINED, "memory")
    assert set(powers.of("unconfined_t")) <= {UNCONFINED, *risk_ids()}


@pytest.mark.parametrize(
    ("domain", "why"),
    [
        ("unconfined_t", "unconfined users' programs run in it"),
        ("dockerd_t", "it is a container engine"),
        ("spc_t", "it is an unconfined domain"),
        ("systemd_tmpfiles_t", "it has the power of physical or kernel memory"),
    ],
)
def test_who_is_past_the_policy_and_why(powers: Powers, domain: str, why: str) -> None:
    assert powers.why(domain) == why


def test_what_an_attribute_brings_is_worked_out_from_its_rules(powers: Powers) -> None:
    assert powers.brought_by("devices_unconfined_type") == ("memory", "raw-disk", "kernel-device")
    assert powers.brought_by("unconfined_domain_type")[0] == UNCONFINED
    assert [powers.brought_by(name) for name in ("domain", "container_domain", "file_type", "no_such")] == [()] * 4


def test_powers_over_the_kernel_are_risks_of_the_catalogue() -> None:
    assert set(OVER_THE_KERNEL) <= set(risk_ids())


def test_writers_are_those_whom_a_rule_lets_write(real: TargetPolicy) -> None:
    names = {"httpd_tmp_t", *real.attributes("httpd_tmp_t")}
    found = writers(real, names)
    every = {name for name in real.types("domain") if real.allowed(name, "httpd_tmp_t", "file") & {"write", "append"}}
    assert found == every
    assert "httpd_t" in found and "container_t" not in found


def test_what_is_written_and_executed_agrees_with_asking_type_by_type(real: TargetPolicy) -> None:
    sides = {"container_t", *real.attributes("container_t")}
    found = written_and_executed(real, sides)
    assert "container_file_t" in found
    for type_ in sorted(real.types("file_type"))[::40] + sorted(found):
        allowed = real.allowed("container_t", type_, "file")
        assert (type_ in found) == bool(allowed & {"write", "append"} and allowed & {"execute", "execute_no_trans"})


def test_what_names_give_each_other_is_what_the_types_have(real: TargetPolicy) -> None:
    for target in ("container_file_t", "shadow_t", "sysfs_t"):
        given = given_between(
            real, ("container_t", *real.attributes("container_t")), (target, *real.attributes(target)), "file"
        )
        assert given == real.allowed("container_t", target, "file")
    assert given_between(real, ("new_t", "container_domain"), ("new_file_t",), "file") == frozenset()
