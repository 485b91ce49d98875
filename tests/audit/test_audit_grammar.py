"""The grammar and the regular expressions read the same; no input, however damaged, raises or breaks the books."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from polkit.audit import heads
from polkit.audit.blocks import as_utf8, decompressed
from polkit.audit.lines import numbered_lines
from polkit.audit.reading import Reading, Unreadable, read_by_grammar, read_fast
from polkit.audit.scan import Found, scan
from tests.audit.reading import LOGS, read_bytes


def records(log) -> list[Found]:
    with log.open("rb") as stream:
        return list(scan(numbered_lines(as_utf8(decompressed(stream, str)))))


ALL = [found for log in LOGS for found in records(log) if found.claim.verdict == heads.DENIED]


def both_ways(prefix: str, text: str, claim: heads.Claim) -> tuple[Reading | None, Reading | None]:
    readings: list[Reading | None] = []
    for read in (lambda: read_fast(text, claim), lambda: read_by_grammar(prefix + text)):
        try:
            readings.append(read())
        except Unreadable:
            readings.append(None)
    return readings[0], readings[1]


def test_both_read_every_recorded_denial_alike():
    assert len(ALL) > 900
    for found in ALL:
        fast, by_grammar = both_ways(found.prefix, found.text, found.claim)
        assert fast == by_grammar, found
    assert sum(both_ways("", found.text, found.claim)[0] is not None for found in ALL[:100]) > 80


PIECES = [
    *(
        '"',
        "'",
        " ",
        "  ",
        "=",
        "{",
        "}",
        "(",
        ")",
        ":",
        ": ",
        "\x1d",
        "\t",
        "\n",
        "\0",
        "\xff",
        "\x1c",
        "\xa0",
        "é",
        ",",
        ">",
        "\\",
    ),
    *(
        "avc:",
        "avc:  denied",
        "avc:  denied  { read } for ",
        "type=AVC msg=audit(1.1:1): ",
        "msg='",
        "msg='avc:  denied { x }",
    ),
    *(
        "tclass=dir",
        " tclass=dir ",
        "scontext=u:r:evil_t:s0 ",
        "permissive=1",
        " permissive=0 ",
        'comm="',
        " for ",
        "user ",
    ),
    *(
        "op=security_compute_sid ",
        "invalid context ",
        "node=x ",
        "audit[1]: AVC ",
        "granted",
        "denied",
        "ioctlcmd=zz ",
        "src=9 ",
    ),
]

shortest: dict[str, Found] = {}
for found in ALL:
    shape = re.sub(r'"[^"]*"|=[^\s"]*', "=", found.text[found.claim.body :])
    if shape not in shortest:
        shortest[shape] = found
EXEMPLARS = list(shortest.values())


@st.composite
def mutated(draw):
    found = draw(st.sampled_from(EXEMPLARS))
    text = found.text
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        way = draw(st.sampled_from(["insert", "delete", "cut", "double"]))
        if way == "insert":
            text = text[:at] + draw(st.sampled_from(PIECES)) + text[at:]
        elif way == "delete":
            text = text[:at] + text[at + draw(st.integers(1, 12)) :]
        elif way == "double":
            text = text[:at] + text[max(0, at - draw(st.integers(1, 60))) :]
        else:
            text = text[:at]
    return text


@given(mutated())
def test_nothing_is_read_that_the_grammar_reads_otherwise_or_refuses(text):
    claim = heads.claim(text)
    if claim.verdict != heads.DENIED:
        return
    fast, by_grammar = both_ways("", text, claim)
    assert fast is None or fast == by_grammar


@given(st.lists(mutated(), min_size=1, max_size=6), st.sampled_from(["\n", "\n\n", " ", "\r\n", ""]))
@example(["avc:  denied  {"], "\n")
def test_the_books_of_damaged_records_balance(texts, separator):
    summary = read_bytes(separator.join(texts).encode("latin-1")).summary
    assert summary.denials == summary.parsed + len(summary.unparsed)
    assert summary.denials == sum(number for kind, number in summary.records.items() if kind != "other")


@given(st.lists(mutated(), min_size=1, max_size=4))
def test_damage_reaches_no_other_record(texts):
    good = EXEMPLARS[0].text
    alone = read_bytes(good).counted
    content = good + "\n\n" + "".join(f"{text}\n\n" for text in texts) + good
    both = read_bytes(content.encode("latin-1"))
    (mine,) = [counted for counted in both.counted if counted.key == alone[0].key]
    assert mine.evidence.records >= 2


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(content):
    read_bytes(content)
    read_bytes(b"avc:  denied  { " + content)
    read_bytes(b'{"log":"type=AVC msg=audit(1.1:1): avc:  denied' + content)


@pytest.mark.heavy
def test_ten_thousand_damaged_records():
    draw = random.Random(1)
    for _ in range(10_000):
        text = draw.choice(EXEMPLARS).text
        for _ in range(draw.randrange(6)):
            at = draw.randrange(len(text) + 1)
            text = text[:at] + draw.choice(PIECES) + text[at + draw.randrange(5) :]
        summary = read_bytes(text.encode("latin-1")).summary
        assert summary.denials == summary.parsed + len(summary.unparsed)
        claim = heads.claim(text)
        if claim.verdict == heads.DENIED:
            fast, by_grammar = both_ways("", text, claim)
            assert fast is None or fast == by_grammar, text
