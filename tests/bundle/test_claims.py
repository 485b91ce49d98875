"""What a module says, read from its compiled form: nothing that it grants is left out."""

from __future__ import annotations

import pytest

from polkit.bundle.claims import read_claims
from polkit.bundle.targets import cil_of
from polkit.bundle.words import code, plain, sentence
from polkit.errors import CompileError
from polkit.module import build_package

TE = """module x 1.0.0;
require {
    attribute file_type; type a_t; type b_t; role r_r; bool on; bool off;
    class file { read write }; class chr_file ioctl;
}
type x_t, file_type;
role r_r types x_t;
allow x_t a_t:file { read write };
allow x_t self:file read;
dontaudit a_t x_t:file write;
allowxperm x_t a_t:chr_file ioctl { 0x4600 0x4602-0x4604 };
type_transition x_t a_t:file x_t;
optional {
    require { type c_t; }
    allow x_t c_t:file read;
    if (on && !off) { allow x_t c_t:file write; } else { allow x_t b_t:file write; }
}
"""


def test_everything_that_a_module_says_is_found() -> None:
    claims = read_claims(cil_of(build_package("x", TE, "/x system_u:object_r:x_t:s0\n", True, 19), "x"))
    assert (claims.types, claims.joins) == ({"x_t"}, {("file_type", "x_t")})
    assert (claims.required, claims.optional) == ({"a_t", "b_t", "file_type"}, {"c_t"})
    assert (claims.roles, claims.booleans) == ({"r_r"}, {"on", "off"})
    assert claims.perms == {("file", "read"), ("file", "write"), ("chr_file", "ioctl")}
    found = {tuple(one) for one in claims.grants}
    both = "(and (on) (not (off)))"
    assert found == {
        ("allow", "x_t", "a_t", "file", "read", "", False),
        ("allow", "x_t", "a_t", "file", "write", "", False),
        ("allow", "x_t", "self", "file", "read", "", False),
        ("dontaudit", "a_t", "x_t", "file", "write", "", False),
        ("allowx", "x_t", "a_t", "chr_file", "ioctl 0x4600", "", False),
        ("allowx", "x_t", "a_t", "chr_file", "ioctl 0x4602-0x4604", "", False),
        ("allow", "x_t", "c_t", "file", "read", "", True),
        ("allow", "x_t", "c_t", "file", "write", both, True),
        ("allow", "x_t", "b_t", "file", "write", f"(not {both})", True),
    }
    assert any(other.startswith("(typetransition x_t a_t file x_t)") for other in claims.others)


def test_what_is_no_package_is_refused() -> None:
    with pytest.raises(CompileError):
        cil_of(b"no package", "x")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (("allow", "a_t", "b_t", "file", ("open", "read")), "`a_t` may read `b_t` files: `open read`"),
        (("allow", "a_t", "self", "process", ("fork",)), "`a_t` may use its own processes: `fork`"),
        (("allow", "a_t", "p_t", "tcp_socket", ("name_bind",)), "`a_t` may bind to `p_t` TCP sockets: `name_bind`"),
        (
            ("allowx", "a_t", "d_t", "chr_file", ("ioctl 0x4600", "ioctl 0x4602-0x4604")),
            "`a_t` may send only the commands `ioctl 0x4600 0x4602-0x4604` on `d_t` character devices",
        ),
    ],
)
def test_a_rule_in_words(rule: tuple[str, str, str, str, tuple[str, ...]], words: str) -> None:
    assert sentence(*rule) == words


@pytest.mark.parametrize("text", ["`; <b>", "a\nb", "| x |", "[x](y)", "\x1b[2J", "\u202e"])
def test_text_stays_text(text: str) -> None:
    assert code(text).count("`") == 2
    assert all(" " <= character <= "~" for character in code(text) + plain(text))
    assert "<" not in plain(text).replace("\\<", "")
