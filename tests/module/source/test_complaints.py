"""What the compiler has against a source is told at the place where its author wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from polkit.module import Headers, find_headers, read_headers
from polkit.module.source import Complaint, complaints, read_te

PLAIN = "module m 1.0;\nrequire { type a_t; class file read; }\n\nallow a_t b_t:file read;\n"
MACROS = """policy_module(m, 1.0)
gen_require(`type a_t;')
files_read_etc_files(a_t)
optional_policy(`
	corenet_all_recvfrom_unlabeled(a_t)

	{}
')
"""


@pytest.fixture(scope="module")
def headers(policy_root: Path) -> Headers:
    return read_headers(find_headers(roots=(policy_root,)))


def test_a_plain_source_is_complained_about_as_it_is(headers: Headers) -> None:
    for known in (None, headers):
        found = complaints(PLAIN, read_te(PLAIN, "m.te"), known, mls=True)
        assert found == (Complaint(4, 0, "unknown type b_t", ";"),)
    assert complaints(PLAIN.replace("b_t", "a_t"), None, None, mls=True) == ()
    (one,) = complaints("module m 1.0;\nallow a b c;\n", None, None, mls=False)
    assert (one.line, one.message, one.token) == (2, "syntax error", "c")


def test_a_complaint_after_m4_is_one_about_the_line_before(headers: Headers) -> None:
    text = MACROS.replace("{}", "allow a_t b_t:file read_file_perms;")
    assert complaints(text, read_te(text, "m.te"), headers, mls=True) == (Complaint(7, 2, "unknown type b_t", ";"),)

    text = MACROS.replace("{}", "files_read_etc_files(b_t)")
    found = complaints(text, read_te(text, "m.te"), headers, mls=True)
    assert [(one.line, one.message, one.via) for one in found] == [(7, "unknown type b_t", "files_read_etc_files")]

    text = MACROS.replace("{}", "allow a_t self:file getattr;")
    assert complaints(text, read_te(text, "m.te"), headers, mls=True) == ()
