"""Records made to be slow: what a writer of the log can do to the time that reading takes."""

from __future__ import annotations

import time

import pytest

from tests.audit.reading import avc, read_bytes

HEAD = "type=AVC msg=audit(1700000000.123:4): avc:  denied  { read } for "
SECONDS = 2.0
"""Each of these took 4 seconds or more before its bound was set, and takes a few hundredths now."""

SLOW = {
    "levels with every category, written four hundred times": "".join(
        avc().replace("b_t:s0", f"b_t:s0:{','.join(['c0.c65535'] * 400)},c{number}") + "\n" for number in range(20)
    ),
    "a line with thousands of wide gaps": HEAD + "   a" * 5_000,
    "cut records, each with lines that may belong to it": (HEAD + "pid=1\n" + "ab\n" * 24) * 1_500,
}


@pytest.mark.parametrize("name", SLOW)
def test_it_takes_no_time(name: str) -> None:
    began = time.monotonic()
    denials = read_bytes(SLOW[name])
    assert time.monotonic() - began < SECONDS
    assert denials.summary.denials == denials.summary.parsed + denials.summary.unreadable > 0
