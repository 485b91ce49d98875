"""Every form of record gives the access it tells of: tables of one record and what is read of it."""

from __future__ import annotations

import pytest

from polkit.model import Failure, Party, Port, Xperm
from tests.audit.reading import avc

TAIL = "scontext=system_u:system_r:container_t:s0:c1,c2 tcontext=system_u:object_r:shadow_t:s0 tclass=file"
BODY = f'avc:  denied  {{ read }} for  pid=42 comm="python3" name="shadow" dev="dm-0" ino=7 {TAIL} permissive=0'
MS = 1_700_000_000_123

HEADS = {
    "audit.log": (f"type=AVC msg=audit(1700000000.123:24): {BODY}", MS, ()),
    "node": (f"node=gpu01.example type=AVC msg=audit(1700000000.123:24): {BODY}", MS, ("gpu01.example",)),
    "ausearch -i US": (f"type=AVC msg=audit(11/14/2023 22:13:20.123:24) : {BODY}", MS, ()),
    "ausearch -i US short year": (f"type=AVC msg=audit(11/14/23 22:13:20.123:24) : {BODY}", MS, ()),
    "ausearch -i ISO": (f"type=AVC msg=audit(2023-11-14 22:13:20.123:24) : {BODY}", MS, ()),
    "ausearch -i German": (f"type=AVC msg=audit(14.11.2023 22:13:20.123:24) : {BODY}", MS, ()),
    "ausearch -i British": (f"type=AVC msg=audit(14/11/2023 22:13:20.123:24) : {BODY}", MS, ()),
    "kernel": (f"audit: type=1400 audit(1700000000.123:24): {BODY}", MS, ()),
    "kernel bare": (f"type=1400 audit(1700000000.123:24): {BODY}", MS, ()),
    "dmesg": (f"[   12.345678] audit: type=1400 audit(1700000000.123:24): {BODY}", MS, ()),
    "syslog": (f"Nov 14 22:13:20 gpu01 kernel: audit: type=1400 audit(1700000000.123:24): {BODY}", MS, ("gpu01",)),
    "syslog with time": (
        f"Nov 14 22:13:20 gpu01 kernel: [   12.3] audit: type=1400 audit(1700000000.123:24): {BODY}",
        MS,
        ("gpu01",),
    ),
    "rfc5424": (
        f"<6>1 2023-11-14T22:13:20.123456+00:00 gpu01 kernel - - - audit: type=1400 audit(1700000000.123:24): {BODY}",
        MS,
        ("gpu01",),
    ),
    "journal short": (f"Nov 14 22:13:20 gpu01 audit[42]: AVC {BODY}", None, ("gpu01",)),
    "journal short-iso": (f"2023-11-14T23:13:20+0100 gpu01 audit[42]: AVC {BODY}", MS - 123, ("gpu01",)),
    "journal without pid": (f"Nov 14 22:13:20 gpu01 audit: AVC {BODY}", None, ("gpu01",)),
    "bare": (BODY, None, ()),
    "old kernel": (f"kernel: audit(1700000000.123:24): {BODY}", MS, ()),
    "grep": (f"/var/log/audit/audit.log.2:type=AVC msg=audit(1700000000.123:24): {BODY}", MS, ()),
    "quoted": (f"> > type=AVC msg=audit(1700000000.123:24): {BODY}", MS, ()),
    "NULs before": (f"\0\0\0type=AVC msg=audit(1700000000.123:24): {BODY}", MS, ()),
    "byte order mark": (f"\ufefftype=AVC msg=audit(1700000000.123:24): {BODY}", MS, ()),
    "carriage return": (f"type=AVC msg=audit(1700000000.123:24): {BODY}\r\n", MS, ()),
    "enriched": (f'type=AVC msg=audit(1700000000.123:24): {BODY}\x1dAUID="unset" tclass', MS, ()),
    "key": (f'type=AVC msg=audit(1700000000.123:24): {BODY} key="gpu"', MS, ()),
    "markup behind it": (f"type=AVC msg=audit(1700000000.123:24): {BODY}</code></pre>", MS, ()),
    "stamp blanked out": (f"type=AVC msg=audit(N): {BODY}", None, ()),
}


@pytest.mark.parametrize("form", HEADS)
def test_forms_of_the_header(form, read):
    record, time, hosts = HEADS[form]
    denials = read(record)
    assert denials.summary.unparsed == ()
    (counted,) = denials.counted
    key, evidence = counted.key, counted.evidence
    assert (key.source, key.target) == (
        Party("system_u", "system_r", "container_t"),
        Party("system_u", "object_r", "shadow_t"),
    )
    assert (key.tclass, key.perms, key.origin, key.levels.l1_l2) == ("file", ("read",), "kernel", "dominates")
    assert (evidence.first, evidence.last, evidence.hosts) == (time, time, hosts)
    assert (evidence.comms, evidence.names, evidence.devices) == (("python3",), ("shadow",), ("dm-0",))
    assert denials.summary.undated == (time is None)


XPERMS = [
    ("ioctlcmd=0x46d6", "ioctl", "chr_file", Xperm("ioctl", 0x46D6)),
    ("ioctlcmd=5401", "ioctl", "chr_file", Xperm("ioctl", 0x5401)),
    ("ioctlcmd=ae01", "ioctl", "chr_file", Xperm("ioctl", 0xAE01)),
    ("ioctlcmd=0x0", "ioctl", "chr_file", Xperm("ioctl", 0)),
    ("ioctlcmd=TCGETS", "ioctl", "chr_file", Xperm("ioctl", 0x5401)),
    ("ioctlcmd=0xae01", "read ioctl", "chr_file", Xperm("ioctl", 0xAE01)),
    ("ioctlcmd=0xae01", "read", "chr_file", None),
    ("", "ioctl", "chr_file", None),
    ("nl-msgtype=24", "nlmsg", "netlink_route_socket", Xperm("nlmsg", 24)),
]


@pytest.mark.parametrize(("field", "perms", "tclass", "expected"), XPERMS)
def test_extended_permissions(field, perms, tclass, expected, read):
    (counted,) = read(avc(field, perms, tclass)).counted
    assert counted.key.xperm == expected
    assert counted.key.perms == tuple(sorted(perms.split()))


PORTS = [
    ("src=8000", "name_bind", "tcp_socket", Port("tcp", 8000), (8000,)),
    ("dest=443", "name_connect", "tcp_socket", Port("tcp", 443), (443,)),
    ("src=5353", "name_bind", "udp_socket", Port("udp", 5353), (5353,)),
    ("src=1", "name_bind", "sctp_socket", Port("sctp", 1), (1,)),
    ("src=1", "name_bind", "dccp_socket", Port("dccp", 1), (1,)),
    ("saddr=127.0.0.1 src=5353", "node_bind", "udp_socket", None, (5353,)),
    ("lport=8000", "listen", "tcp_socket", None, ()),
    ("src=7", "name_bind", "rawip_socket", None, (7,)),
]


@pytest.mark.parametrize(("field", "perms", "tclass", "port", "seen"), PORTS)
def test_ports(field, perms, tclass, port, seen, read):
    (counted,) = read(avc(field, perms, tclass)).counted
    assert (counted.key.port, counted.evidence.ports) == (port, seen)


VALUES = [
    ("comm=56594C4C4D3A3A576F726B657220", "comms", "VYLLM::Worker "),
    ('comm="56594C"', "comms", "56594C"),
    ("path=2F6D656D66643A78202864656C6574656429", "paths", "/memfd:x (deleted)"),
    ("path=2F00FF", "paths", "/ \\xff"),
    ('comm="{"', "comms", "{"),
    ('path="/x tclass=dir"', "paths", "/x tclass=dir"),
    ('path="/x avc:  denied  { write } for"', "paths", "/x avc:  denied  { write } for"),
    ('path="/x type=AVC msg=audit(1.1:1): avc:  denied  { write } for"', "paths", None),
    ('name="a=b"', "names", "a=b"),
    ("name=(null)", "names", ()),
    ("anonclass=[io_uring]", "names", "[io_uring]"),
    ('comm="käse"', "comms", "käse"),
    ('comm="it\'s"', "comms", "it's"),
]


@pytest.mark.parametrize(("field", "sample", "expected"), VALUES)
def test_values_are_decoded_and_never_taken_for_fields(field, sample, expected, read):
    denials = read(avc(field))
    (counted,) = denials.counted
    wanted = (expected,) if isinstance(expected, str) else expected
    assert getattr(counted.evidence, sample) == (wanted if wanted is not None else (field[6:-1],))
    assert (counted.key.perms, counted.key.tclass, denials.summary.denials) == (("read",), "file", 1)


def test_values_of_interpreted_records_may_hold_blanks_and_are_not_hexadecimal(read):
    record = avc("comm=my prog path=/dev/zero (deleted)").replace("1700000000.123", "11/14/2023 22:13:20.123")
    (counted,) = read(record).counted
    assert (counted.evidence.comms, counted.evidence.paths) == (("my prog",), ("/dev/zero (deleted)",))
    (counted,) = read(avc("comm=DEAD").replace("1700000000.123", "11/14/2023 22:13:20.123")).counted
    assert counted.evidence.comms == ("DEAD",)


def user_avc(message: str, tail: str = "") -> str:
    return (
        "type=USER_AVC msg=audit(1700000000.123:15): pid=800 uid=81 auid=4294967295 ses=4294967295 "
        f"subj=system_u:system_r:system_dbusd_t:s0-s0:c0.c1023 msg='avc:  denied  {{ send_msg }} for {message}"
        f' exe="/usr/bin/dbus-daemon" sauid=81 hostname=? addr=? terminal=?\'{tail}'
    )


DBUS = "scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0 tclass=dbus"


@pytest.mark.parametrize(
    "record",
    [
        user_avc(f"msgtype=method_call dest=org.freedesktop.login1 spid=1 tpid=2 {DBUS} permissive=1 "),
        user_avc(f"msgtype=method_call dest=org.freedesktop.login1 {DBUS} permissive=1", '\x1dUID="dbus" AUID="x"'),
        user_avc(f"msgtype=error {DBUS}").replace(" permissive=1", ""),
        user_avc(f"msgtype=error {DBUS} :").replace("sauid=81 hostname=? ", "(sauid=81, hostname=?, "),
        user_avc(f"msgtype=x {DBUS} permissive=0").replace("type=USER_AVC msg=", "[ 1.2] audit: type=1107 "),
        user_avc(f"x=y {DBUS}").replace(
            "type=USER_AVC msg=audit(1700000000.123:15):", "Nov 1 1:1:1 h audit[8]: USER_AVC"
        ),
        user_avc(f'cmdline="systemctl start x" function="f" {DBUS} permissive=0'),
        f"Nov 14 22:13:20 gpu01 dbus-daemon[800]: avc:  denied  {{ send_msg }} for msgtype=x {DBUS} permissive=0",
    ],
)
def test_user_space_object_managers(record, read):
    denials = read(record)
    (counted,) = denials.counted
    key = counted.key
    assert (key.source.type, key.target.type, key.tclass, key.perms) == ("a_t", "b_t", "dbus", ("send_msg",))
    assert (key.origin, denials.summary.records["USER_AVC"]) == ("user", 1)
    assert counted.evidence.permissive == ("permissive=1" in record)


SID = "scontext=u:r:a_t:s0:c1 tcontext=u:object_r:exec_t:s0 tclass="
REFUSALS = [
    (
        f'op=security_compute_sid invalid_context="u:r:b_t:s0" {SID}process',
        ("a_t", "b_t", "process", "transition", Failure("compute_sid", Party("u", "object_r", "exec_t"))),
    ),
    (
        f"op=security_compute_sid invalid_context=753A723A625F743A7330 {SID}file",
        ("a_t", "b_t", "file", "create", Failure("compute_sid", Party("u", "object_r", "exec_t"))),
    ),
    (
        f"security_compute_sid:  invalid context u:r:b_t:s0 for {SID}process",
        ("a_t", "b_t", "process", "transition", Failure("compute_sid", Party("u", "object_r", "exec_t"))),
    ),
    (
        "op=security_bounded_transition seresult=denied oldcontext=u:r:a_t:s0 newcontext=u:r:b_t:s0",
        ("a_t", "b_t", "process", "transition", Failure("bounded_transition", None)),
    ),
    (
        "op=security_validate_transition seresult=denied oldcontext=u:object_r:o_t:s0 newcontext=u:object_r:n_t:s0"
        " taskcontext=u:r:a_t:s0 tclass=file",
        ("a_t", "n_t", "file", "relabelto", Failure("validate_transition", Party("u", "object_r", "o_t"))),
    ),
    (
        "security_validate_transition:  denied for oldcontext=u:object_r:o_t:s0 newcontext=u:object_r:n_t:s0"
        " taskcontext=u:r:a_t:s0 tclass=file",
        ("a_t", "n_t", "file", "relabelto", Failure("validate_transition", Party("u", "object_r", "o_t"))),
    ),
]


@pytest.mark.parametrize("header", ["type=SELINUX_ERR msg=audit(1.1:1): ", "[ 1.2] audit: type=1401 audit(1.1:1): "])
@pytest.mark.parametrize(("body", "expected"), REFUSALS)
def test_refusals_of_the_security_server(header, body, expected, read):
    denials = read(header + body)
    (counted,) = denials.counted
    key = counted.key
    assert (key.source.type, key.target.type, key.tclass, *key.perms, key.failure) == expected
    assert (key.origin, denials.summary.records["SELINUX_ERR"], denials.summary.accesses) == ("kernel", 1, 1)


NO_DENIALS = {
    "granted": (avc().replace("denied", "granted"), "granted"),
    "granted by an object manager": (user_avc(DBUS).replace("denied", "granted"), "granted"),
    "AppArmor": ('audit: type=1400 audit(1.1:1): apparmor="DENIED" operation="open" comm="avc:  denied"', "other"),
    "AppArmor by auditd": ('type=AVC msg=audit(1.1:1): apparmor="DENIED" operation="open" name="/x"', "other"),
    "policy load": ("type=MAC_POLICY_LOAD msg=audit(1.1:1): auid=0 ses=1 lsm=selinux res=1", "other"),
    "notice": ("type=USER_AVC msg=audit(1.1:1): pid=1 msg='avc:  received policyload notice (seqno=2)'", "other"),
    "uavc": ("type=USER_AVC msg=audit(1.1:1): pid=1 msg='uavc:  op=load_policy lsm=selinux seqno=2 res=1'", "other"),
    "masked by bounds": (
        f"type=SELINUX_ERR msg=audit(1.1:1): op=security_compute_av reason=bounds {SID}file perms=write",
        "other",
    ),
    "quoted in a command line": (
        'type=EXECVE msg=audit(1.1:1): argc=2 a0="grep" a1="avc:  denied  { x } for"',
        "other",
    ),
    "in an interpreted title": (
        "type=PROCTITLE msg=audit(11/14/2023 22:13:20.1:1) : proctitle=grep avc:  denied  { read } for",
        "other",
    ),
    "plain text": ("hello world", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize("name", NO_DENIALS)
def test_what_is_no_denial(name, read):
    record, counted_as = NO_DENIALS[name]
    summary = read(record).summary
    assert (summary.denials, summary.granted, summary.records["other"]) == (
        0,
        counted_as == "granted",
        counted_as == "other",
    )


def test_levels_that_cannot_be_compared_are_unknown(read):
    record = avc().replace("u:r:a_t:s0", "u:r:a_t:SystemHigh")
    (counted,) = read(record).counted
    assert set(counted.key.levels) == {"unknown"}
    (counted,) = read(avc().replace(":s0", "")).counted
    assert set(counted.key.levels) == {"unknown"}
    assert counted.evidence.levels == ()


def test_levels_are_no_part_of_the_key(read):
    records = [avc().replace("u:r:a_t:s0", f"u:r:a_t:s0:c{n},c{n + 1}") for n in range(200)]
    (counted,) = read("\n".join(records)).counted
    assert (counted.evidence.records, counted.key.levels.l1_l2) == (200, "dominates")
    assert len(counted.evidence.levels) == 64
