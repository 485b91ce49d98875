"""A source after m4: what we understand of it is what the compiler made of it, and nothing of it is run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from compiled_facts import facts
from debian_sources import sources

from polkit.errors import CompileError, PolkitError, SourceError
from polkit.module import Headers, build_package, find_headers, read_headers, run_tool
from polkit.module.source import expand_te, locate_cil, locate_te, read_te

SAMPLE = ("kernel/domain", "services/postgrey", "services/docker", "system/clock")
NOT_ALONE = ("genfscon", "portcon", "netifcon", "fs_use_", "sid ")
"""What only the base module may say: checkmodule -m refuses it."""

BY_HAND = """policy_module(byhand, 1.0)
gen_require(`type bin_t; attribute file_type;')
gen_tunable(byhand_more, false)
attribute byhand_domain; attribute_role byhand_roles; roleattribute system_r byhand_roles;
type byhand_t, byhand_domain; type byhand_exec_t; domain_type(byhand_t) domain_entry_file(byhand_t, byhand_exec_t)
role byhand_r; role byhand_r types byhand_t; role byhand_roles types byhand_t;
allow system_r byhand_r; role_transition system_r byhand_exec_t byhand_r;
type byhand_child_t; typebounds byhand_t byhand_child_t; permissive byhand_child_t;
allow byhand_t { file_type -bin_t }:file { read_file_perms };
allow byhand_t self:process ~{ execmem execstack };
allowxperm byhand_t bin_t:{ file chr_file } ioctl { 0x4600-0x4611 0x5401 };
dontauditxperm byhand_domain bin_t:file ioctl ~{ 0x10 };
neverallow byhand_t *:file entrypoint;
range_transition byhand_t byhand_exec_t:process s0 - s0:c0.c3;
range_transition byhand_t bin_t:file s0:c2;
tunable_policy(`byhand_more',`allow byhand_t bin_t:{ file lnk_file } getattr;',`
	dontaudit byhand_t bin_t:dir write;
')
optional_policy(`gen_require(`type gone_t;') type_transition byhand_t gone_t:file byhand_exec_t "by name";')
"""


@pytest.fixture(scope="module")
def headers(policy_root: Path) -> Headers:
    return read_headers(find_headers(roots=(policy_root,)))


def compared(name: str, text: str, headers: Headers, room: Path) -> int:
    """Hold the source's statements and those of the compiled module together; gives how many facts there are."""
    package = build_package(Path(name).name, expand_te(text, f"{name}.te", headers), "", mls=True, policydb=None)
    (room / "module.pp").write_bytes(package)
    read = facts(locate_te(read_te(text, f"{name}.te"), headers))
    compiled = facts(locate_cil(run_tool(["pp", "module.pp"], room).output, f"{name}.cil"))
    assert (sorted(map(str, read - compiled)), sorted(map(str, compiled - read))) == ([], []), name
    return len(read)


def test_a_source_means_what_the_compiled_module_says(headers: Headers, tmp_path: Path) -> None:
    assert compared("byhand", BY_HAND, headers, tmp_path) > 60


def test_debians_modules_mean_what_they_are_compiled_to(headers: Headers, tmp_path: Path) -> None:
    found = {name[:-3]: text for name, text in sources(".te")}
    if not found:
        pytest.skip("the source of Debian's policy can't be had here")
    for name in SAMPLE:
        assert compared(name, found[name], headers, tmp_path) > 20


@pytest.mark.heavy
def test_all_of_debians_modules_mean_what_they_are_compiled_to(headers: Headers, tmp_path: Path) -> None:
    found = sources(".te")
    if not found:
        pytest.skip("the source of Debian's policy can't be had here")
    alone = [(name[:-3], text) for name, text in found if not any(word in text for word in NOT_ALONE)]
    assert len(alone) > 300
    facts, refused = 0, []
    for name, text in alone[::4]:
        try:
            facts += compared(name, text, headers, tmp_path)
        except CompileError:
            refused.append(name)
    assert facts > 50_000
    assert len(refused) <= 1, "the headers' interfaces are enough for nearly all"


@pytest.mark.parametrize(
    "text",
    [
        "type a;\nsyscmd(`touch stolen')\n",
        "type a;\nesyscmd(`touch stolen')\n",
        "type a;\ninclude(`/etc/hostname')\n",
        "type a;\noptional_policy(`\nsinclude(`/etc/hostname')\n')",
        "type a;\nindir(`syscmd', `touch stolen')\n",
        "define(`twice',`twice(`$1$1')')\ntwice(`xxxxxxxx')\n",
        "type a;\noptional_policy(`\n",
        "ifelse(`a',`a',`type \n",
        "x" * (100 << 20),
        "optional_policy(`" * 50_000,
        "decl_sens(0,999999999)\n",
        "type a; # syscmd(`touch stolen')\ntype b;\nforeach(`syscmd',`a',`builtin(`syscmd',`touch stolen')')\n",
    ],
    ids=[f"hostile{number}" for number in range(12)],
)
def test_a_hostile_source_runs_nothing_and_ends(
    text: str, headers: Headers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    begun = time.monotonic()
    with pytest.raises(SourceError, match=r"^hostile\.te:\d+:"):
        expand_te(text, "hostile.te", headers)
    assert time.monotonic() - begun < 20
    assert list(tmp_path.iterdir()) == []


def test_a_call_made_of_pieces_runs_nothing(headers: Headers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """m4 puts `sys' and `cmd' together after we looked: then it is a word that m4 no longer knows."""
    monkeypatch.chdir(tmp_path)
    for text in ("sys`'cmd(touch stolen)\n", "ifdef(`x',,`sys')cmd(touch stolen)\n", "inc`'lude(/etc/hostname)\n"):
        try:
            said = expand_te(text, "pieces.te", headers)
        except PolkitError:
            said = ""
        assert "(touch stolen)" in said or "(/etc/hostname)" in said
    assert list(tmp_path.iterdir()) == []
