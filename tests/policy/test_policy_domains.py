"""Which types are domains, which of them containers run in, and which are shared."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("type_", ["container_t", "spc_t"])
def test_container_domains(real, type_):
    assert real.is_domain(type_)
    assert real.is_container_domain(type_)
    assert real.shared_because(type_)


@pytest.mark.parametrize("type_", ["podman_t", "dockerd_t", "container_engine_t", "sshd_t", "container_file_t", "no_t"])
def test_engines_services_and_files_are_no_container_domains(real, type_):
    assert not real.is_container_domain(type_)


@pytest.mark.parametrize("type_", ["init_t", "initrc_t", "kernel_t", "unconfined_t", "xdm_t", "user_t"])
def test_domains_of_unrelated_workloads_are_shared(real, type_):
    assert real.shared_because(type_)


@pytest.mark.parametrize("type_", ["sshd_t", "ntpd_t", "podman_t", "child_t", "container_file_t", "no_t"])
def test_single_services_and_files_are_not(real, type_):
    assert real.shared_because(type_) is None


def test_entry_points(real):
    assert real.entrypoint_domains("sshd_exec_t") >= {"sshd_t"}
    assert "sshd_t" not in real.entrypoint_domains("ntpd_exec_t")
    assert real.entrypoint_domains("shadow_t") == frozenset()
    assert real.entrypoint_domains("no_t") == frozenset()


def test_entry_points_are_what_allow_rules_say(real):
    for type_ in ("container_file_t", "bin_t", "shell_exec_t"):
        said = {domain for domain in real.types("domain") if "entrypoint" in real.allowed(domain, type_, "file")}
        assert real.entrypoint_domains(type_) == said


def test_the_containers_file_type(real, compiled):
    from polkit.policy import load_policy

    assert real.container_file_type() == "container_file_t"
    assert load_policy(str(compiled("roles.conf"))).container_file_type() is None


def test_roles_and_users(real):
    assert real.role_has_type("system_r", "container_t")
    assert not real.role_has_type("system_r", "etc_t")
    assert real.role_has_type("object_r", "etc_t"), "object_r has every type"
    assert not real.role_has_type("object_r", "no_t")
    assert not real.role_has_type("no_r", "container_t")
    assert real.has_user("system_u")
    assert not real.has_user("no_u")
    assert real.has_role("system_r")
    assert not real.has_role("no_r")
