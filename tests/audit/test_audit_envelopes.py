"""The same events in every form a log comes in give the same accesses; what each form can tell of them comes along."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.audit import read_logs, totals
from polkit.minimize import Request, explain
from polkit.model import AccessKey, Denials, Evidence
from polkit.policy import TargetPolicy
from tests.audit.reading import FIXTURES, avc, read_bytes

FORMS = FIXTURES / "forms"
NAMES = sorted(path.name for path in FORMS.iterdir() if path.suffix in (".txt", ".log"))

WITHOUT_COMPANIONS = {"paste-one-line.txt", "paste-quoted.txt", "paste-wrapped-80.txt", "sealert.txt"}
WITHOUT_SERIALS = {"journal-short.txt", "journal-short-iso.txt", "journal-json-pretty.txt"}
"""Forms that hold other records, but nothing that says which belong together."""
UNDATED = {"journal-short.txt", "journal-json-pretty.txt"}
WITH_HOST = re.compile(r"node|oc-|journal-(?!json-pretty)|syslog|fluent|vector|openshift")


def denials(*names: str) -> Denials:
    return totals(read_logs([str(FORMS / name) for name in names]))


def keys(found: Denials) -> dict[AccessKey, int]:
    return {one.key: one.evidence.records for one in found.counted}


RAW = denials("raw.log")


def test_there_is_something_to_compare() -> None:
    assert (RAW.summary.denials, RAW.summary.unreadable, len(RAW.counted)) == (13, 0, 13)
    assert len(NAMES) > 30


@pytest.mark.parametrize("name", NAMES)
def test_every_form_tells_the_same(name: str) -> None:
    found = denials(name)
    assert found.summary.unparsed == ()
    assert keys(found) == keys(RAW)
    assert found.summary.undated == (found.summary.denials if name in UNDATED else 0)
    for one, raw in zip(found.counted, RAW.counted):
        about, wanted = one.evidence, raw.evidence
        assert (about.comms, about.devices, about.levels, about.permissive) == (
            wanted.comms,
            wanted.devices,
            wanted.levels,
            wanted.permissive,
        )
        if name not in WITHOUT_COMPANIONS | WITHOUT_SERIALS:
            assert (about.paths, about.exes, about.calls, about.addresses) == (
                wanted.paths,
                wanted.exes,
                wanted.calls,
                wanted.addresses,
            )
            assert [text.split() for text in about.commands] == [text.split() for text in wanted.commands]
        if name not in UNDATED:
            first, exact = about.first, wanted.first
            assert first is not None
            assert exact is not None
            assert first // 1000 == exact // 1000
        assert about.hosts == (("gpu01",) if WITH_HOST.search(name) else ())


def test_what_the_events_tell_of_the_denials() -> None:
    (connect,) = (one.evidence for one in RAW.counted if one.key.tclass == "sock_file")
    assert connect.paths == connect.addresses == ("/run/nvidia-persistenced/socket",)
    assert connect.exes == ("/opt/ctr/python3",)
    assert any("auditd -s nochange" in text for one in RAW.counted for text in one.evidence.commands)


def test_forms_mixed_in_one_file() -> None:
    plain = [name for name in NAMES if not name.startswith("utf-16")]
    mixed = b"\n".join((FORMS / name).read_bytes() for name in plain)
    found = read_bytes(mixed)
    assert found.summary.unparsed == ()
    assert keys(found) == {key: number * len(plain) for key, number in keys(RAW).items()}


def sockaddr(saddr: str, tclass: str = "tcp_socket") -> Denials:
    head = "msg=audit(1700000000.123:1):"
    return read_bytes(
        f"type=AVC {head} avc:  denied  {{ node_bind }} for  pid=1 scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0"
        f" tclass={tclass} permissive=0\ntype=SOCKADDR {head} saddr={saddr}\n"
    )


ADDRESSES = {
    "02001F400A0000050000000000000000": ("10.0.0.5:8000", (8000,)),
    "0A001F4000000000000000000000000000000000000000010000000000": ("[::1]:8000", (8000,)),
    "01002F72756E2F782E736F636B00": ("/run/x.sock", ()),
    "01000061627300": ("@abs", ()),
    "100000000000000000000000": (None, ()),
    "0200": (None, ()),
    "zz": (None, ()),
    "{ saddr_fam=inet laddr=10.0.0.5 lport=8000 }": ("10.0.0.5:8000", (8000,)),
    "{ fam=inet6 laddr=::1 lport=8000 }": ("[::1]:8000", (8000,)),
    "{ saddr_fam=inet laddr=10.0.0.500 lport=8000 }": (None, ()),
    "{ saddr_fam=inet laddr=10.0.0.5 lport=80000 }": (None, ()),
    "{ saddr_fam=local path=/run/x.sock }": ("/run/x.sock", ()),
}


@pytest.mark.parametrize("saddr", ADDRESSES)
def test_socket_addresses(saddr: str) -> None:
    (counted,) = sockaddr(saddr).counted
    text, ports = ADDRESSES[saddr]
    assert (counted.evidence.addresses, counted.evidence.ports) == ((text,) if text else (), ports)


def test_an_address_is_no_matter_of_a_denial_to_a_file() -> None:
    (counted,) = sockaddr("02001F400A0000050000000000000000", "file").counted
    assert (counted.evidence.addresses, counted.evidence.ports) == ((), ())


COMMANDS = {
    'PROCTITLE {}: proctitle="nginx"': "nginx",
    "PROCTITLE {}: proctitle=6375726C002D730061": "curl -s a",
    'EXECVE {}: argc=3 a0="vllm" a1="serve" a2=612062': "vllm serve a b",
    'EXECVE {}: argc=2 a0="--api-key" a1="sk12"': "--api-key ***",
    'EXECVE {}: argc=1 a0="HF_TOKEN=abc"': "HF_TOKEN=***",
    'EXECVE {}: argc=2 a0="x" a1="hf_abcdefghijk"': "x hf_***",
    'EXECVE {}: argc=1 a0="http://me:pw@host/x"': "http://***@host/x",
    'EXECVE {}: argc=4 a0="--max-tokens" a1="9" a2="--tokenizer" a3="t5"': "--max-tokens 9 --tokenizer t5",
}


@pytest.mark.parametrize("record", COMMANDS)
def test_command_lines_come_without_their_secrets(record: str) -> None:
    text = f"{avc()}\ntype={record.format('msg=audit(1700000000.123:1)')}\n"
    (counted,) = read_bytes(text).counted
    assert counted.evidence.commands == (COMMANDS[record],)


def entry(message: object, **fields: object) -> str:
    return json.dumps(
        {
            "__CURSOR": "s=1",
            "_TRANSPORT": "audit",
            "_HOSTNAME": "gpu01",
            "_SOURCE_REALTIME_TIMESTAMP": "1700000000123000",
            "_AUDIT_TYPE_NAME": "AVC",
            "_AUDIT_ID": "24",
            "MESSAGE": message,
            **fields,
        }
    )


TEXT = "AVC " + avc('comm="x"').partition(": ")[2]


def test_an_entry_of_the_journal_says_what_the_header_would() -> None:
    (counted,) = read_bytes(entry(TEXT)).counted
    about = counted.evidence
    assert (about.first, about.hosts, about.comms) == (1_700_000_000_123, ("gpu01",), ("x",))


ODD = {
    "no host": ({"_HOSTNAME": 'a" type=AVC msg=audit('}, 1),
    "no serial": ({"_AUDIT_ID": "x): tclass="}, 1),
    "no type": ({"_AUDIT_TYPE_NAME": "avc\n"}, 1),
    "no time": ({"_SOURCE_REALTIME_TIMESTAMP": "soon"}, 1),
    "a message of bytes": ({"MESSAGE": list(TEXT.encode())}, 1),
    "a message of other numbers": ({"MESSAGE": [1, 999, -1]}, 0),
    "no message": ({"MESSAGE": None}, 0),
    "fields of its own": ({"AUDIT_FIELD_APPARMOR": "x", "AUDIT_FIELD_TEXT": TEXT}, 1),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_entries_of_the_journal(name: str) -> None:
    fields, number = ODD[name]
    found = read_bytes(entry(TEXT, **fields))
    assert (found.summary.parsed, found.summary.unreadable) == (number, 0)


def export(message: bytes, binary: bool) -> bytes:
    head = b"__CURSOR=s=1\n_HOSTNAME=gpu01\n_SOURCE_REALTIME_TIMESTAMP=1700000000123000\n"
    head += b"_AUDIT_TYPE_NAME=AVC\n_AUDIT_ID=24\n"
    value = b"MESSAGE\n" + len(message).to_bytes(8, "little") + message if binary else b"MESSAGE=" + message
    return head + value + b"\n_PID=1\n\n"


@given(st.integers(0, 400), st.booleans())
def test_export_with_a_message_of_any_length(size: int, cut: bool) -> None:
    """A length of 10 is a line end among the bytes of the length."""
    message = TEXT.encode().replace(b'comm="x"', b'comm="' + b"y" * size + b'"')
    data = export(message, True) + export(message, False)
    (counted,) = read_bytes(data).counted
    assert (counted.evidence.records, counted.evidence.first) == (2, 1_700_000_000_123)
    found = read_bytes(data[: len(data) // 2 - 8] if cut else data[:-60])
    assert found.summary.denials == found.summary.parsed + found.summary.unreadable


@given(st.binary(max_size=300))
def test_an_export_of_anything_loses_nothing(junk: bytes) -> None:
    found = read_bytes(b"__CURSOR=s=1\n" + junk + b"\n\n" + avc().encode() + b"\n")
    assert found.summary.denials == found.summary.parsed + found.summary.unreadable >= 1


@pytest.mark.parametrize("name", ["enriched.txt", "ausearch-i.txt", "journal-export.txt", "json-fluent.txt"])
def test_the_plan_is_the_same(name: str, policy: TargetPolicy) -> None:
    """Decisions with all their evidence, but for times of day and hosts, which not every form has."""
    plans = [explain(Request(logs=(str(FORMS / one),)), policy=policy).plan for one in ("raw.log", name)]
    raw, other = ([replace(one, evidence=bare(one.evidence)) for one in plan.decisions] for plan in plans)
    assert raw == other


def bare(evidence: Evidence) -> Evidence:
    commands = tuple(sorted(" ".join(text.split()) for text in evidence.commands))
    return replace(evidence, first=None, last=None, hosts=(), commands=commands)
