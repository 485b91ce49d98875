"""Literal paths as patterns, judged by libselinux itself, by m4 and by the converter to CIL."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from module_worlds import module

from polkit.errors import CompileError
from polkit.model import AccessSet, FileContext
from polkit.module import quote_path, render_fc, tree_pattern

# By hand: the Python binding takes no path that isn't UTF-8.
LIBSELINUX = ctypes.CDLL("libselinux.so.1")
COMPONENT = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=12)
PATHS = (
    st.lists(COMPONENT.filter(lambda part: part not in (".", "..")), min_size=1, max_size=4)
    .map(lambda parts: "/" + "/".join(parts))
    .filter(lambda path: not os.path.lexists(path))
)
"""Of files that exist, matchpathcon(3) looks up what a link leads to."""


class FileContexts:
    """file_contexts lines in a file, and what libselinux says of a path."""

    def __init__(self, place: Path) -> None:
        self.place = place / "file_contexts"

    def label(self, pattern: str, path: str) -> str:
        text = render_fc(module(AccessSet(contexts=(FileContext(pattern, "", "found_t"),))))
        self.place.write_text(text, encoding="ascii")
        context = ctypes.c_char_p()
        assert LIBSELINUX.matchpathcon_init(str(self.place).encode()) == 0
        try:
            status = LIBSELINUX.matchpathcon(path.encode("utf-8", "surrogateescape"), 0, ctypes.byref(context))
            return (context.value or b"").decode() if status == 0 else ""
        finally:
            LIBSELINUX.matchpathcon_fini()


@pytest.fixture(scope="module")
def file_contexts(tmp_path_factory: pytest.TempPathFactory) -> FileContexts:
    return FileContexts(tmp_path_factory.mktemp("contexts"))


FOUND = "system_u:object_r:found_t:s0"


@given(path=PATHS)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(path="/srv/a b\tc\nd")
@example(path="/srv/.^$?*+|[](){}\\")
@example(path="/srv/USERS/ROLE/include")
@example(path="/my models/#/x")
@example(path="/]/x")
@example(path="/\\/x")
@example(path="/srv/a\"b'c`d#e,f")
@example(path="/srv/é\u2028\x01\x7f")
@example(path="/srv/\\x41\\s")
def test_a_quoted_path_matches_itself_and_nothing_near(path: str, file_contexts: FileContexts) -> None:
    pattern = quote_path(path)
    assert file_contexts.label(pattern, path) == FOUND
    assert file_contexts.label(pattern, path + "x") == ""
    assert file_contexts.label(pattern, path[:-1] + ("y" if path[-1] != "y" else "z")) == ""
    assert file_contexts.label(pattern, path + "/below") == ""


@given(path=PATHS, below=COMPONENT)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(path="/srv/models", below="a\nb")
def test_a_tree_pattern_matches_the_tree_only(path: str, below: str, file_contexts: FileContexts) -> None:
    pattern = tree_pattern(path)
    assert file_contexts.label(pattern, path) == FOUND
    assert file_contexts.label(pattern, f"{path}/{below}") == FOUND
    assert file_contexts.label(pattern, f"{path}-other") == ""


def test_undecodable_bytes_of_a_path(file_contexts: FileContexts) -> None:
    path = b"/srv/\xff\xfe".decode("utf-8", "surrogateescape")
    assert quote_path(path) == r"/srv/\xff\xfe"
    assert file_contexts.label(quote_path(path), path) == FOUND


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/srv/models", "/srv/models(/.*)?"),
        ("/srv//models/", "/srv/models(/.*)?"),
        ("/srv/llama-3.1", r"/srv/llama-3\.1(/.*)?"),
        ("/srv/my models", r"/srv/my\x20models(/.*)?"),
        ("/srv/USERS", "/srv/USE[R]S(/.*)?"),
        ("/srv/include", "/srv/includ[e](/.*)?"),
        ("/my models/v 1", r"/my[\x20]models/v\x201(/.*)?"),
    ],
)
def test_tree_patterns_as_a_person_reads_them(path: str, pattern: str) -> None:
    assert tree_pattern(path) == pattern


@pytest.mark.parametrize("path", ["", "models", "/srv/../etc", "/srv/./x", "/srv/\0", "/srv/\ud800"])
def test_what_is_no_absolute_path_is_refused(path: str) -> None:
    with pytest.raises(CompileError):
        quote_path(path)


def test_the_root_is_no_tree_of_a_module() -> None:
    with pytest.raises(CompileError, match="root"):
        tree_pattern("//")


@given(PATHS)
@settings(max_examples=200)
@example("/srv/USER")
@example("/srv/xROLEx/HOME_DIR")
@example('/srv/"(x)')
def test_nothing_of_a_path_means_anything_to_libsemanage_or_cil(path: str) -> None:
    """libsemanage moves a line with USER or ROLE in it to the home directory templates; CIL can't escape a quote."""
    pattern = tree_pattern(path)
    assert pattern.isascii() and pattern.isprintable()
    assert not any(word in pattern for word in ("USER", "ROLE", '"', " "))


@pytest.mark.parametrize("word", ["include", "syscmd", "esyscmd", "dnl", "shift", "undivert", "len", "eval", "m4exit"])
@pytest.mark.parametrize("place", ["/srv/{}", "/{}/x", "/srv/a.{}", "/srv/{}-v1", "/srv/{}(touch ran)", "/srv/`{}'"])
def test_m4_takes_no_part_of_a_path_for_a_macro(word: str, place: str, tmp_path: Path) -> None:
    pattern = tree_pattern(place.format(word))
    text = render_fc(module(AccessSet(contexts=(FileContext(pattern, "", "found_t"),))))
    run = subprocess.run(["m4"], input=text, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True)
    assert run.stdout == text
    assert not list(tmp_path.iterdir())
