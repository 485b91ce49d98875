"""What is read of the recorded logs.

The denials of the kernel's logs are what ``grep -c 'avc:  denied'`` and ``grep -c SELINUX_ERR`` count; the small files
were read by eye; distinct accesses of the large ones are only held, not counted another way.
"""

from __future__ import annotations

import pytest

from polkit.audit import read_logs, totals
from tests.audit.reading import FIXTURES, LOGS

COUNTS = {
    # denials, of these unparsed, distinct accesses, accesses
    "kernel/vllm-permissive.audit.log": (300, 0, 174, 414),
    "kernel/vllm-serving.audit.log": (84, 0, 46, 127),
    "kernel/vllm-serving.ausearch-i.log": (84, 0, 46, 127),
    "kernel/vllm-enforcing.enriched.log": (124, 1, 72, 147),
    "kernel/vllm-enforcing.dmesg.log": (124, 1, 72, 147),
    "kernel/vllm-strict.audit.log": (728, 0, 283, 906),
    "kernel/vllm-strict-enforcing.audit.log": (159, 1, 45, 158),
    "threads/boinc-6991-podman-exec.log": (2, 0, 2, 2),
    "threads/selinux-policy-2095-io_uring-anon_inode.log": (3, 0, 3, 4),
    "threads/selinux-policy-737-infiniband-multiline.log": (1, 0, 1, 1),
    "threads/sriov-dp-51-device-plugin-var_lib.log": (3, 0, 3, 3),
    "threads/podmanio-243-rhel7-hexcomm-fusefs.log": (1, 0, 1, 1),
    "threads/pcp-2209-pmdanvidia-normalised.log": (3, 0, 3, 3),
    "threads/vllm-12734-podman-build-bind-mount.log": (8, 0, 4, 8),
    "threads/flatcar-696-systemd-bpf-perfmon.log": (3, 0, 2, 3),
    "crafted/06e_mac_policy_load_only.log": (0, 0, 0, 0),
    "crafted/12_truncated_no_tclass.log": (1, 1, 0, 0),
    "crafted/12b_truncated_perm.log": (1, 1, 0, 0),
    "crafted/27c_nul_in_context.log": (1, 1, 0, 0),
    "crafted/27e_utf16_bom.log": (1, 0, 1, 1),
    "crafted/27g_gzip.log": (1, 0, 1, 1),
    "crafted/28_empty_input.log": (0, 0, 0, 0),
    "crafted/30_bad_context_short.log": (1, 1, 0, 0),
    "crafted/30b_question_ctx.log": (1, 1, 0, 0),
    "crafted/31_apparmor_1400.log": (0, 0, 0, 0),
    "crafted/32_dup_10.log": (10, 0, 1, 10),
    "crafted/33_sid_injection_newline_type.log": (1, 1, 0, 0),
    "crafted/45_inject.log": (1, 1, 0, 0),
    "crafted/47_two_records_one_line.log": (0, 0, 0, 0),
    "crafted/48_json_escaped_newline.log": (1, 0, 1, 1),
    "crafted/52_uavc_load_policy.log": (0, 0, 0, 0),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name):
    summary = totals(read_logs([str(FIXTURES / name)])).summary
    assert (summary.denials, len(summary.unparsed), summary.distinct, summary.accesses) == COUNTS[name]


def test_every_other_recorded_denial_is_parsed():
    for log in LOGS:
        if str(log.relative_to(FIXTURES)) not in COUNTS:
            summary = totals(read_logs([str(log)])).summary
            assert summary.unparsed == (), log
            assert (summary.denials > 0) == (log.name != "28b_no_avc.log"), log


def test_full_paths_come_from_the_records_of_the_event():
    counted = totals(read_logs([str(FIXTURES / "kernel" / "vllm-strict.audit.log")])).counted
    paths = {path for one in counted for path in one.evidence.paths}
    assert {"/dev/nvidiactl", "/dev/shm", "/proc/sys/vm"} <= paths
    assert all(one.evidence.syscalls for one in counted if one.key.tclass == "chr_file")
