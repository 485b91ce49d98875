"""The flags of system calls: the same text from numbers (RAW, ENRICHED) and from ausearch's words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.audit import dump, load, read_logs, totals
from polkit.model import SAMPLE
from tests.audit.reading import FIXTURES, avc, read_bytes, read_ledger

X86, ARM = "arch=c000003e", "arch=c00000b7"


def calls(syscall: str, *others: str) -> tuple[str, ...]:
    """What is read of an event with this SYSCALL record."""
    records = [f"type=SYSCALL msg=audit(1700000000.123:1): {syscall} items=1 exe=/x", *others, avc()]
    (counted,) = read_bytes("\n".join(records)).counted
    return counted.evidence.calls


RAW_AND_INTERPRETED = {
    "openat(O_RDONLY)": (
        f"{X86} syscall=257 a0=ffffff9c a1=7f a2=80000 a3=0",
        f"{ARM} syscall=56 a0=ffffff9c a1=7f a2=80000 a3=0",
        "arch=x86_64 syscall=openat a0=AT_FDCWD a1=0x7f a2=O_RDONLY|O_CLOEXEC a3=0x0",
    ),
    "openat(O_RDWR|O_CREAT)": (
        f"{X86} syscall=257 a0=ffffff9c a1=7f a2=80042 a3=1a4",
        "arch=x86_64 syscall=openat a0=AT_FDCWD a1=0x7f a2=O_RDWR|O_CREAT|O_CLOEXEC a3=0644",
    ),
    "openat(O_RDONLY|O_DIRECTORY)": (
        f"{X86} syscall=257 a0=ffffff9c a1=7f a2=90800 a3=0",
        f"{ARM} syscall=56 a0=ffffff9c a1=7f a2=84800 a3=0",
        "arch=x86_64 syscall=openat a0=AT_FDCWD a1=0x7f a2=O_RDONLY|O_NONBLOCK|O_DIRECTORY|O_CLOEXEC a3=0x0",
        # auparse reads aarch64's O_DIRECTORY with x86's table, where the bit is O_DIRECT
        "arch=aarch64 syscall=openat a0=AT_FDCWD a1=0x7f a2=O_RDONLY|O_NONBLOCK|O_DIRECT|O_CLOEXEC a3=0x0",
    ),
    "open(O_WRONLY|O_CREAT|O_TRUNC)": (
        f"{X86} syscall=2 a0=7f a1=241 a2=1b6 a3=0",
        "arch=x86_64 syscall=open a0=0x7f a1=O_WRONLY|O_CREAT|O_TRUNC a2=0666 a3=0x0",
    ),
    "open(O_WRONLY|O_APPEND)": (
        f"{X86} syscall=2 a0=7f a1=401 a2=0 a3=0",
        "arch=x86_64 syscall=open a0=0x7f a1=O_WRONLY|O_APPEND a2=0x0 a3=0x0",
    ),
    "open(O_RDWR)": (
        f"{X86} syscall=2 a0=7f a1=3 a2=0 a3=0",
        "arch=x86_64 syscall=open a0=0x7f a1=O_WRONLY|O_RDWR a2=0x0 a3=0x0",
    ),
    "openat(O_RDONLY|O_PATH)": (
        f"{X86} syscall=257 a0=ffffff9c a1=7f a2=280000 a3=0",
        "arch=x86_64 syscall=openat a0=AT_FDCWD a1=0x7f a2=O_RDONLY|O_CLOEXEC|O_PATH a3=0x0",
    ),
    "openat(O_RDWR|O_TMPFILE|O_DIRECTORY)": (
        f"{X86} syscall=257 a0=ffffff9c a1=7f a2=410002 a3=180",
        "arch=x86_64 syscall=openat a0=AT_FDCWD a1=0x7f a2=O_RDWR|O_DIRECTORY|__O_TMPFILE a3=0600",
    ),
    "creat(O_WRONLY|O_CREAT|O_TRUNC)": (
        f"{X86} syscall=85 a0=7f a1=1b6 a2=0 a3=0",
        "arch=x86_64 syscall=creat a0=0x7f a1=0666 a2=0x0 a3=0x0",
    ),
    "mq_open(O_RDWR|O_CREAT)": (
        f"{X86} syscall=240 a0=7f a1=42 a2=180 a3=0",
        "arch=x86_64 syscall=mq_open a0=0x7f a1=O_RDWR|O_CREAT a2=0600 a3=0x0",
    ),
    "mmap(PROT_READ|PROT_EXEC|MAP_PRIVATE)": (
        f"{X86} syscall=9 a0=0 a1=1000 a2=5 a3=802",
        f"{ARM} syscall=222 a0=0 a1=1000 a2=5 a3=802",
        "arch=x86_64 syscall=mmap a0=0x0 a1=0x1000 a2=PROT_READ|PROT_EXEC a3=MAP_PRIVATE|MAP_DENYWRITE",
    ),
    "mmap(PROT_NONE|MAP_PRIVATE|MAP_ANONYMOUS)": (
        f"{X86} syscall=9 a0=0 a1=1000 a2=0 a3=22",
        "arch=x86_64 syscall=mmap a0=0x0 a1=0x1000 a2=PROT_NONE a3=MAP_PRIVATE|MAP_ANONYMOUS",
    ),
    "mprotect(PROT_READ|PROT_WRITE|PROT_EXEC)": (
        f"{X86} syscall=10 a0=7f a1=1000 a2=7 a3=7f",
        "arch=x86_64 syscall=mprotect a0=0x7f a1=0x1000 a2=PROT_READ|PROT_WRITE|PROT_EXEC a3=0x7f",
    ),
    "faccessat2(R_OK|W_OK)": (
        f"{X86} syscall=439 a0=ffffff9c a1=7f a2=6 a3=0",
        "arch=x86_64 syscall=faccessat2 a0=AT_FDCWD a1=0x7f a2=W_OK|R_OK a3=0x0",
    ),
    "unlinkat(dir)": (
        f"{X86} syscall=263 a0=ffffff9c a1=7f a2=200 a3=0",
        "arch=x86_64 syscall=unlinkat a0=AT_FDCWD a1=0x7f a2=0x200 a3=0x0",
    ),
}


@pytest.mark.parametrize(
    ("text", "record"), [(text, record) for text, records in RAW_AND_INTERPRETED.items() for record in records]
)
def test_a_call_reads_alike_in_every_form(text, record):
    assert calls(record) == (text,)
    if record.startswith((X86, ARM)):
        assert calls(f"{record} key=(null)\x1dARCH=x86_64 SYSCALL={text.partition('(')[0]}") == (text,)


ENTRIES = {
    "unlink(file)": (f"{X86} syscall=87", "0100644", "file,644"),
    "unlink(sock_file)": (f"{X86} syscall=87", "0140755", "socket,755"),
    "rename(dir)": (f"{X86} syscall=82", "040755", "dir,755"),
    "unlinkat(lnk_file)": (f"{X86} syscall=263 a2=0", "0120777", "link,777"),
}


@pytest.mark.parametrize("text", ENTRIES)
def test_what_an_entry_is_comes_from_its_path_record(text):
    syscall, *modes = ENTRIES[text]
    for mode in modes:
        path = "type=PATH msg=audit(1700000000.123:1): item={} name=/srv/{} inode=9 mode={} nametype={}"
        parent = path.format(0, "", "040700", "PARENT")
        entry, other = path.format(1, "x", mode, "DELETE"), path.format(2, "y", "0100600", "DELETE")
        assert calls(syscall, parent, entry, other) == calls(syscall, other, entry, parent) == (text,)


@pytest.mark.parametrize(
    "record",
    [
        f"{X86} syscall=257 a0=ffffff9c a1=7f",
        f"{X86} syscall=257 a0=ffffff9c a1=7f a2=zzzz a3=0",
        f"{X86} syscall=257 a0=ffffff9c a1=7f a2=O_CLOEXEC a3=0",
        f"{X86} syscall=257 a0=ffffff9c a1=7f a2=O_RDWR;allow a3=0",
        f"{X86} syscall=257 a0=ffffff9c a1=7f a2={'f' * 40} a3=0",
        "arch=40000003 syscall=295 a0=ffffff9c a1=7f a2=80000 a3=0",
        f"{X86} syscall=262 a0=ffffff9c a1=7f a2=7f a3=0",
        f"{X86} syscall=87 a0=7f a1=0 a2=0 a3=0",
        "a2=80000",
    ],
)
def test_a_call_without_flags_or_with_unreadable_ones_gives_none(record):
    assert calls(record) == ()


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\n\r\0"), max_size=20))
def test_nothing_but_known_words_ever_comes_of_an_argument(value):
    known = {word for text in RAW_AND_INTERPRETED for word in text.partition("(")[2][:-1].split("|")} | {"O_TMPFILE"}
    for text in calls(f"{X86} syscall=257 a0=ffffff9c a1=7f a2={value}"):
        assert text.startswith("openat(")
        assert set(text[7:-1].split("|")) <= known


def test_raw_enriched_and_interpreted_logs_of_one_workload_give_the_same_calls():
    kernel = FIXTURES / "kernel"
    raw, interpreted, enriched = (
        {one.key: one.evidence.calls for one in totals(read_logs([str(kernel / name)])).counted}
        for name in ("vllm-serving.audit.log", "vllm-serving.ausearch-i.log", "vllm-enforcing.enriched.log")
    )
    common = raw.keys() & interpreted.keys()
    assert len(common) > 30
    assert {key: raw[key] for key in common} == {key: interpreted[key] for key in common}
    refused = {
        (key.tclass, *key.perms): found
        for key, found in enriched.items()
        if found and (key.source.type, key.target.type) == ("container_t", "xdg_cache_t")
    }
    assert refused == {
        ("dir", "read"): ("openat(O_RDONLY|O_DIRECTORY)",),
        ("dir", "write"): ("openat(O_RDWR|O_CREAT)", "openat(O_WRONLY|O_CREAT)", "rename(dir)", "unlink(file)"),
        ("file", "append"): ("openat(O_WRONLY|O_APPEND)",),
        ("file", "read"): ("openat(O_RDONLY)",),
        ("file", "read", "write"): ("openat(O_RDWR)",),
    }


def test_calls_are_a_bounded_sample_and_survive_the_ledger():
    records = []
    for serial in range(1, 1000):
        flags = f"a2={serial % 8:x} a3={serial:x}"
        records += [
            avc(serial=serial),
            f"type=SYSCALL msg=audit(1700000000.123:{serial}): {X86} syscall=9 a0=0 a1=1 {flags}",
        ]
    ledger = read_ledger("\n".join(records))
    (counted,) = totals(ledger).counted
    assert 2 <= len(counted.evidence.calls) <= SAMPLE
    assert totals(load(dump(ledger))).counted == (counted,)
    older = [
        json.dumps({**line, "evidence": {k: v for k, v in line["evidence"].items() if k != "calls"}})
        if "count" in line
        else json.dumps(line)
        for line in map(json.loads, dump(ledger))
    ]
    (without,) = totals(load(older)).counted
    assert (without.evidence.calls, without.evidence.records) == ((), 999)
