"""Findings on what runs where: transitions, entry points, written code, memberships, roles, lost commands, flows."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import pytest

from polkit.review import Finding, ReviewRequest, review

Finder = Callable[..., list[Finding]]

FILE = "class file { append create entrypoint execute execmod getattr map open read write };"
OWN = "attribute domain; attribute file_type; attribute exec_type;"


def ours(module: Path, policy: Path, config: Optional[Path] = None, build: bool = False) -> list[Finding]:
    """The findings PK020 to PK029 of a module."""
    found = review(ReviewRequest(str(module), str(policy), config=config, build=build)).findings
    return [one for one in found if one.id.startswith("PK02")]


@pytest.fixture
def found(policy_root: Path, tmp_path: Path) -> Finder:
    """``found(body, required)``: of a module on the real policy, without building it."""

    def run(body: str, required: str, suffix: str = ".te") -> list[Finding]:
        module = tmp_path / f"mine{suffix}"
        module.write_text(f"module mine 1.0;\n\nrequire {{ {required} }}\n\n{body}\n" if suffix == ".te" else body)
        return ours(module, policy_root)

    return run


@pytest.fixture
def on_host(host: Path, tmp_path: Path) -> Finder:
    """``on_host(cil, config)``: of a module built into the small host."""

    def run(cil: str, config: str = "") -> list[Finding]:
        module, toml = tmp_path / "mine.cil", tmp_path / "polkit.toml"
        module.write_text(cil)
        toml.write_text(config)
        return ours(module, host, toml, build=True)

    return run


def ids(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.id, one.severity) for one in findings]


# -- what is none -----------------------------------------------------------------------------------------------------


def test_what_is_as_it_should_be_is_none(found: Finder) -> None:
    """Weaker domains, files, entry points of the installer, execmod on what nobody writes, two types for writing and
    executing, what the policy allows anyway, memberships to exist, the own domain's roles and commands."""
    body = """
type mine_t, domain;
type mine_exec_t, file_type, exec_type;
type mine_data_t, file_type;
type_transition unconfined_t mine_exec_t:process mine_t;
type_transition user_t mine_exec_t:process mine_t;
type_transition user_t tmp_t:file shadow_t;
allow mine_t { mine_exec_t bin_t }:file { entrypoint execute getattr map open read };
allow mine_t mine_data_t:file { append create open read write };
allow httpd_t textrel_shlib_t:file execmod;
allow container_t container_file_t:file { execute write };
typeattribute unconfined_t files_unconfined_type;
role user_r types { mine_t httpd_t };
role unconfined_r types unconfined_t;
allow mine_t devtty_t:chr_file ioctl;
allowxperm mine_t xserver_misc_device_t:chr_file ioctl 0x46d6;
"""
    required = f"""{OWN} {FILE} attribute files_unconfined_type; class process transition; class chr_file ioctl;
    type unconfined_t, user_t, tmp_t, shadow_t, bin_t, httpd_t, textrel_shlib_t, container_t, container_file_t;
    type devtty_t, xserver_misc_device_t; role user_r, unconfined_r;"""
    assert found(body, required) == []


# -- PK020 ------------------------------------------------------------------------------------------------------------


def test_what_the_stronger_domain_may_do_is_named(found: Finder) -> None:
    """A domain of the module's own is as strong as what it joins."""
    body = "type mine_t, domain, unconfined_domain_type;\ntype_transition user_t bin_t:process mine_t;\n"
    body += "type_transition user_t shell_exec_t:process passwd_t;"
    required = (
        "attribute domain, unconfined_domain_type; type user_t, bin_t, shell_exec_t, passwd_t; class process fork;"
    )
    findings = found(body, required)
    assert ids(findings) == [("PK027", "high"), ("PK020", "high"), ("PK020", "medium")]
    assert findings[-1].evidence == ("user_t -> passwd_t: gains password hashes",)


# -- PK021, PK022, PK023 ----------------------------------------------------------------------------------------------


def test_who_may_write_the_program_is_named(found: Finder) -> None:
    """A writer that the module itself adds, too; other containers are no less trusted than a container."""
    body = "type mine_t, domain, container_domain;\ntype mine_exec_t, file_type, exec_type;\n"
    body += "allow httpd_t mine_exec_t:file { open write };\nallow mine_t mine_exec_t:file entrypoint;\n"
    body += "allow mine_t container_file_t:file entrypoint;"
    findings = found(body, f"{OWN} attribute container_domain; type httpd_t, container_file_t; {FILE}")
    assert [(one.id, one.place.line) for one in findings] == [("PK021", 8), ("PK021", 9)]
    assert "httpd_t" in findings[0].title
    assert all("container_t" not in line for line in findings[1].evidence)


def test_writing_and_executing_may_come_from_two_rules_or_the_policy(found: Finder) -> None:
    body = "type mine_t, domain;\ntype mine_data_t, file_type;\nallow mine_t mine_data_t:file { open write };\n"
    body += "allow mine_t mine_data_t:file execute;\nallow syslogd_t var_log_t:file execute;"
    findings = found(body, f"{OWN} type syslogd_t, var_log_t; {FILE}")
    assert [(one.id, one.severity, one.place.line) for one in findings] == [
        ("PK023", "medium", 8),
        ("PK023", "medium", 9),
    ]
    assert findings[1].evidence == ("syslogd_t may write and execute var_log_t",)


def test_where_containers_do_both_anyway_it_adds_little(found: Finder) -> None:
    attributes = "container_domain, container_net_domain, container_system_domain, container_user_domain, domain,"
    attributes += " mcs_constrained_type, mlsrangetrans, nsswitch_domain, process_user_target"
    body = f"type mine_t, {attributes};\ntype mine_cache_t, file_type;\n"
    body += "allow mine_t mine_cache_t:file { execute map open read write };"
    (one,) = found(body, f"attribute file_type, {attributes}; {FILE}")
    assert (one.id, one.severity) == ("PK023", "low")
    assert "anyway" in one.why


# -- PK026, PK027, PK028, PK029 ---------------------------------------------------------------------------------------


def test_a_permissive_domain_is_found_in_cil_too(found: Finder) -> None:
    (one,) = found("(type mine_t)\n(typeattributeset domain (mine_t))\n(typepermissive mine_t)\n", "", ".cil")
    assert (one.id, one.place.line) == ("PK026", 3)


def test_the_patch_takes_a_permissive_statement_out(found: Finder, tmp_path: Path) -> None:
    (one,) = found("permissive httpd_t;\nallow httpd_t self:process fork;", "type httpd_t; class process fork;")
    subprocess.run(["patch", "-p1"], cwd=tmp_path, input=one.fix.patch, text=True, check=True, capture_output=True)
    text = (tmp_path / "mine.te").read_text()
    assert "permissive" not in text and "allow httpd_t self:process fork;" in text


def test_memberships_and_roles_and_lost_commands(found: Finder) -> None:
    body = """
typeattribute httpd_t devices_unconfined_type;
role_transition user_r bin_t system_r;
allow staff_r user_r;
role user_r types unconfined_t;
allowxperm container_t xserver_misc_device_t:chr_file ioctl 0x46d6;
"""
    required = """attribute devices_unconfined_type; class chr_file ioctl; role user_r, system_r, staff_r;
    type httpd_t, bin_t, unconfined_t, container_t, xserver_misc_device_t;"""
    findings = sorted(found(body, required), key=lambda one: one.place)
    assert ids(findings) == [("PK027", "high"), *[("PK028", "medium")] * 3, ("PK029", "low")]
    assert any("physical or kernel memory" in line for line in findings[0].evidence)
    assert "container_use_devices" in findings[-1].evidence[0]


# -- PK024, PK025 -----------------------------------------------------------------------------------------------------

HELPER = """(type mine_t)
(typeattributeset domain (mine_t))
(type mine_exec_t)
(typeattributeset file_type (mine_exec_t))
(allow mine_t mine_exec_t (file (execute)))
(allow init_t mine_exec_t (file (entrypoint)))
(typetransition mine_t mine_exec_t process init_t)
"""
INTO = "(allow mine_t init_t (process (transition)))\n"


def test_a_chain_to_a_privileged_domain_is_shown_step_by_step(on_host: Finder) -> None:
    (one,) = [found for found in on_host(HELPER + INTO) if found.id == "PK024"]
    assert (one.severity, one.place.line) == ("high", 8)
    assert one.evidence == ("mine_t -> init_t: executes mine_exec_t (type_transition) (new)",)


def test_a_chain_that_lacks_one_part_is_none(on_host: Finder) -> None:
    assert "PK024" not in [one.id for one in on_host(HELPER)]


ZONES = """
[review]
flow_weight = 8
flow_exclude = [{}]
[review.zones.secrets]
level = 2
types = ["secret_t"]
[review.zones.shared]
level = 0
types = ["data_t"]
"""
PASSING = """(type mine_t)
(typeattributeset domain (mine_t))
(allow mine_t secret_t (file (read)))
(allow mine_t data_t (file (append)))
"""


def test_a_flow_to_a_lower_zone_is_shown_step_by_step(on_host: Finder) -> None:
    (one,) = on_host(PASSING, ZONES.format(""))
    assert (one.id, one.severity, one.place.line) == ("PK025", "high", 3)
    assert one.evidence[:2] == (
        "secret_t -> mine_t: allow mine_t secret_t:file { read } (new)",
        "mine_t -> data_t: allow mine_t data_t:file { append } (new)",
    )


def test_a_trusted_domain_may_pass_on_what_it_reads(on_host: Finder) -> None:
    assert on_host(PASSING, ZONES.format('"mine_t"')) == []


def test_without_zones_nothing_flows(on_host: Finder) -> None:
    assert on_host(PASSING) == []


@pytest.mark.heavy
def test_a_module_that_opens_too_much_to_compare_is_judged_by_its_statements(tmp_path: Path, policy_root: Path) -> None:
    body = "permissive httpd_t;\nallow domain file_type:file { entrypoint execute read write };"
    module = tmp_path / "mine.te"
    required = "attribute domain, file_type; type httpd_t; class file { entrypoint execute read write };"
    module.write_text(f"module mine 1.0;\n\nrequire {{ {required} }}\n\n{body}\n")
    found = review(ReviewRequest(str(module), str(policy_root)))
    assert found.exit_code == 1
    assert {"PK021", "PK023", "PK026"} <= {one.id for one in found.findings}
    assert any("more than" in text for text in found.unknown)
