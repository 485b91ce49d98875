"""The risk catalogue: what must be refused is, what is harmless is not, and every entry is reachable."""

from __future__ import annotations

import pytest

from polkit.policy import assess, load_policy, risk_ids, risk_named

REFUSED = [
    ("memory", "container_t", "memory_device_t", "chr_file", "read"),
    ("memory", "container_t", "proc_kcore_t", "file", "read"),
    ("raw-disk", "container_t", "fixed_disk_device_t", "blk_file", "write"),
    ("kernel-device", "container_t", "cpu_device_t", "chr_file", "write"),
    ("unlabelled-device", "container_t", "device_t", "chr_file", "ioctl"),
    ("shadow", "container_t", "shadow_t", "file", "read"),
    ("private-keys", "container_t", "sshd_key_t", "file", "read"),
    ("policy-load", "container_t", "security_t", "security", "load_policy"),
    ("setenforce", "container_t", "security_t", "security", "setenforce"),
    ("setbool", "container_t", "security_t", "security", "setbool"),
    ("policy-files", "container_t", "policy_config_t", "file", "write"),
    ("mac-admin", "container_t", "container_t", "capability2", "mac_admin"),
    ("module-load", "container_t", "modules_object_t", "system", "module_load"),
    ("module-load", "container_t", "self", "capability", "sys_module"),
    ("sys-admin", "container_t", "self", "capability", "sys_admin"),
    ("runtime-exec", "container_t", "container_engine_exec_t", "file", "write"),
    ("runtime-exec", "container_t", "podman_exec_t", "file", "append"),
    ("ptrace", "container_t", "init_t", "process", "ptrace"),
    ("relabel", "container_t", "etc_t", "file", "relabelto"),
    ("relabel", "container_t", "container_file_t", "dir", "relabelfrom"),
    ("execmod", "container_t", "lib_t", "file", "execmod"),
    ("unconfined-transition", "container_t", "unconfined_t", "process", "transition"),
    ("runtime-socket", "container_t", "podman_t", "unix_stream_socket", "connectto"),
    ("host-executables", "container_t", "bin_t", "file", "write"),
    ("sys-rawio", "container_t", "self", "capability", "sys_rawio"),
    ("unconfined-transition", "user_t", "sysadm_t", "process", "transition"),
    ("unconfined-transition", "container_t", "container_engine_t", "process", "dyntransition"),
    ("unconfined-transition", "container_t", "spc_t", "process2", "nnp_transition"),
    ("host-executables", "container_t", "user_cron_spool_t", "file", "write"),
    ("host-executables", "container_t", "sshd_unit_t", "file", "create"),
    ("host-executables", "container_t", "udev_rules_t", "dir", "add_name"),
    ("host-executables", "container_t", "modules_object_t", "file", "write"),
    ("kernel-settings", "container_t", "sysctl_kernel_t", "file", "write"),
    ("kernel-settings", "container_t", "debugfs_t", "file", "append"),
    ("audit-trail", "container_t", "auditd_log_t", "file", "unlink"),
    ("low-port", "httpd_t", "ssh_port_t", "tcp_socket", "name_bind"),
    ("host-control", "container_t", "init_t", "system", "start"),
]
NOT_REFUSED = [
    ("service-control", "high", "container_t", "sshd_unit_t", "service", "stop"),
    ("bpf", "high", "container_t", "self", "capability2", "bpf"),
    ("execheap", "medium", "container_t", "container_t", "process", "execheap"),
    ("execmem", "medium", "container_t", "self", "process", "execmem"),
    ("dac-override", "medium", "container_t", "self", "capability", "dac_override"),
    ("sys-ptrace", "medium", "container_t", "self", "process", "ptrace"),
    ("net-admin", "medium", "container_t", "self", "capability", "net_admin"),
    ("mknod", "medium", "container_t", "self", "capability", "mknod"),
    ("userns-admin", "medium", "container_t", "self", "cap_userns", "sys_admin"),
    ("system-capability", "medium", "container_t", "self", "capability", "sys_time"),
    ("perf-event", "medium", "container_t", "self", "perf_event", "open"),
    ("io-uring", "medium", "container_t", "self", "io_uring", "sqpoll"),
    ("kernel-log", "medium", "container_t", "kernel_t", "system", "syslog_read"),
    ("host-configuration", "medium", "container_t", "etc_t", "file", "write"),
    ("user-data", "medium", "container_t", "user_home_t", "file", "read"),
    ("unlabelled", "medium", "container_t", "default_t", "file", "read"),
    ("virtual-machines", "medium", "container_t", "vhost_device_t", "chr_file", "read"),
    ("signal", "medium", "container_t", "init_t", "process", "sigkill"),
    ("device-node", "low", "container_t", "xserver_misc_device_t", "chr_file", "map"),
    ("generic-port", "low", "container_t", "unreserved_port_t", "tcp_socket", "name_bind"),
    ("setid", "low", "container_t", "self", "capability", "setuid"),
    ("minor-capability", "low", "container_t", "self", "capability", "ipc_lock"),
]


@pytest.mark.parametrize(("entry", "source", "target", "tclass", "perm"), REFUSED)
def test_refused_unless_accepted(real, entry, source, target, tclass, perm):
    risk = assess(source, target, tclass, perm, real)
    assert risk is not None
    assert (risk.id, risk.severity, risk.refuse) == (entry, "high", True)
    assert risk.why
    assert risk.reference


@pytest.mark.parametrize(("entry", "severity", "source", "target", "tclass", "perm"), NOT_REFUSED)
def test_granted_with_a_word(real, entry, severity, source, target, tclass, perm):
    risk = assess(source, target, tclass, perm, real)
    assert risk is not None
    assert (risk.id, risk.severity, risk.refuse) == (entry, severity, False)


def test_every_grave_entry_tells_how_it_is_used():
    risks = [risk_named(one) for one in risk_ids()]
    told = [risk.story for risk in risks if risk.severity != "low"]
    assert all(story.endswith(".") and story.count(". ") in range(3) for story in told)
    assert len(set(told)) == len(told)


def test_every_entry_of_the_catalogue_is_tried_above():
    tried = {row[0] for row in (*REFUSED, *NOT_REFUSED)}
    assert tried == set(risk_ids())
    assert len(risk_ids()) == len(set(risk_ids()))


@pytest.mark.parametrize(
    ("target", "tclass", "perm"),
    [
        ("container_file_t", "file", "read"),
        ("memory_device_t", "chr_file", "getattr"),
        ("container_t", "fifo_file", "write"),
        ("http_port_t", "tcp_socket", "name_connect"),
        ("etc_t", "file", "read"),
        ("container_t", "process", "signal"),
        ("my_own_type_t", "file", "relabelto"),
    ],
)
def test_harmless_accesses_have_no_entry(real, target, tclass, perm):
    assert assess("container_t", target, tclass, perm, real) is None


def test_an_alias_does_not_hide_a_risk(compiled, real):
    policy = load_policy(str(compiled("conditions.conf")))
    assert assess("a_t", "older_d_t", "file", "relabelto", policy).id == "relabel"
