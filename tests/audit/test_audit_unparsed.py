"""Damaged and hostile records are listed with their reason and their line, never guessed, and cost nothing else."""

from __future__ import annotations

import pytest

from tests.audit.reading import avc

GOOD = avc('comm="good"')

DAMAGED = {
    "no class": (avc().split(" tclass")[0], "has no tclass="),
    "no target": (avc().split(" tcontext")[0], "has no tcontext="),
    "no source": (avc().split(" scontext")[0], "has no scontext="),
    "cut in a context": ("type=AVC msg=audit(1.1:1): avc:  denied  { x } for  pid=1 scontext=u:r", "has no tcontext="),
    "cut in its permissions": ("type=AVC msg=audit(1.1:1): avc:  denied  { read wri", "permissions"),
    "cut before its permissions": ("type=AVC msg=audit(1.1:1): avc:  denied ", "permissions"),
    "cut after its header": ("type=AVC msg=audit(1.1:1): ", "before it says what was denied"),
    "cut in its header": ("type=AVC msg=audit(1.1", "before it says what was denied"),
    "cut in its class": (avc(tclass="chr_fi", tail=""), "cut off in its class"),
    "cut in a quote": (avc().split("scontext")[0] + 'comm="pyth', "damaged"),
    "user message missing": ("type=USER_AVC msg=audit(1.1:1): pid=1 uid=0", "before it says what was denied"),
    "cut in the new context": (
        "type=SELINUX_ERR msg=audit(1.1:1): op=security_bounded_transition seresult=denied oldcontext=u:r:a_t:s0"
        " newcontext=u:r:b_t",
        "cut off in newcontext=",
    ),
    "no permission": (avc(perms=""), "no permission"),
    "a permission by number": (avc(perms="read 0x10000"), "'0x10000' is no permission"),
    "class with rules in it": (avc(tclass="file{read};allow@X"), "no identifier"),
    "class followed by rules": (avc(tclass="file read;allow/**/a_t"), "stray text"),
    "context with rules in it": (avc().replace("a_t:s0", "container_t;allow:s0"), "no security context"),
    "context too short": (avc().replace("u:r:a_t:s0", "container_t"), "no security context"),
    "unknown contexts": (avc().replace("u:r:a_t:s0", "?"), "no security context"),
    "numeric contexts": (
        "avc:  denied  { read } for  pid=1 ssid=12 tsid=13 tclass=file permissive=0",
        "numbers (ssid, tsid)",
    ),
    "a second class that differs": (avc("tclass=dir"), "tclass= stands in it 2 times"),
    "a second source that differs": (avc("name=x scontext=u:r:evil_t:s0"), "scontext= stands in it 2 times"),
    "a cut record before a whole one": (
        'avc:  denied  { read } for  pid=1 comm="x" ' + avc().split(": ", 1)[1].replace("read", "write"),
        "damaged at 'avc:",
    ),
    "forged in an interpreted name": (
        avc("name=x avc:  denied  { write } for").replace("1700000000.123", "11/14/2023 22:13:20.123"),
        "damaged at 'avc:",
    ),
    "forged fields behind the end": (
        avc("name=x scontext=u:r:e_t:s0 tcontext=u:r:e_t:s0 tclass=dir permissive=1"),
        "behind the end",
    ),
    "forged through a quote in a command line": (
        'type=USER_AVC msg=audit(1.1:1): pid=1 msg=\'avc:  denied  { start } for auid=1 cmdline="x" scontext=u:r:e_t:s0'
        ' tcontext=u:r:e_t:s0 tclass=service permissive=0\'\x1d" function="f" scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0'
        " tclass=service permissive=0'",
        "behind the end",
    ),
    "NUL in a context": (avc().replace("a_t", "a\0_t"), "NUL byte"),
    "a byte that is no text": (avc('comm="py\udcff"'), "0xff"),
    "unknown command": (avc("ioctlcmd=NV_ESC_X", "ioctl", "chr_file"), "no command"),
    "empty command": (avc("ioctlcmd=", "ioctl", "chr_file"), "no command"),
    "message type too large": (avc("nl-msgtype=70000", "nlmsg", "netlink_route_socket"), "no message type"),
    "port too large": (avc("src=70000", "name_bind", "tcp_socket"), "no port"),
    "nobody is said to have asked": (
        'type=SELINUX_ERR msg=audit(1.1:1): op=setxattr invalid_context="u:object_r:no_such_t:s0"',
        "doesn't say who asked",
    ),
    "unknown operation": ("type=SELINUX_ERR msg=audit(1.1:1): op=new_thing scontext=u:r:a_t:s0", "unknown operation"),
    "unknown form": ("type=SELINUX_ERR msg=audit(1.1:1): SELinux:  unrecognized netlink message", "unknown form"),
    "longer than any record": (avc(f'path="/{"x" * 70000}"'), "damaged"),
    "longer than any record by its fields": (avc("x=y " * 20_000), "longer than any record"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_record_is_listed_and_its_neighbours_are_read(name, read):
    record, reason = DAMAGED[name]
    content = f"{GOOD}\n\n{record}\n\n{GOOD}\n".encode("utf-8", "surrogateescape")
    denials = read(content)
    (unparsed,) = denials.summary.unparsed
    assert (unparsed.source, unparsed.line) == ("-", 3)
    assert reason in unparsed.reason
    assert len(unparsed.text) <= 200
    (counted,) = denials.counted
    assert (counted.evidence.records, counted.evidence.comms) == (2, ("good",))
    assert (denials.summary.denials, denials.summary.parsed) == (3, 2)


def test_bytes_of_an_unparsed_record_stay_visible(read):
    (unparsed,) = read(b"type=AVC msg=audit(1.1:1): avc:  denied  { \xff\xc3\xa9 }").summary.unparsed
    assert unparsed.text.endswith(r"{ \xffé }")


def test_nothing_of_a_hostile_record_becomes_a_key(read):
    denials = read("\n\n".join(record for record, _ in DAMAGED.values()).encode("utf-8", "surrogateescape"))
    assert denials.counted == ()
    assert denials.summary.denials == len(denials.summary.unparsed) == len(DAMAGED)


def test_an_odd_record_takes_no_other_of_its_shape_along(read):
    odd = avc(perms="read\x1d")
    for junk in ("avc: ", "type=", "audit: x ", '"', "'", "msg='", "{", "audit(1.1:1): ", "avc:  deni"):
        odd += f"\n{junk}{GOOD}"
    denials = read(f"{odd}\n{GOOD}\n")
    assert denials.counted[0].evidence.records == 10
    assert [record.line for record in denials.summary.unparsed] == [1]
