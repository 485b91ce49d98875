"""Interfaces expanded by m4: what they say is what the distribution's own build makes of a call, and nothing runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from module_worlds import cil_facts, package_as_cil

from polkit.errors import CompileError, MissingDependency, SourceError
from polkit.module import (
    ARGUMENTS,
    Expansion,
    Required,
    WrittenRule,
    definitions,
    expand,
    find_headers,
    read_body,
    read_headers,
)

PRELUDE = """
define(`gen_require',`require { $1 }')
define(`optional_policy',`optional {`'pushdef(`__inside') $1 }`'popdef(`__inside')')
define(`read_file_perms',`{ getattr open read }')
define(`read_files_pattern',`allow $1 $2:dir search; allow $1 $3:file read_file_perms;')
"""


def headers(folder: Path, text: str, support: str = PRELUDE, build: str = "") -> Path:
    """A directory of headers with one file of interfaces."""
    for name in ("support", "kernel"):
        (folder / name).mkdir(parents=True)
    (folder / "support/macros.spt").write_text(support)
    (folder / "kernel/things.if").write_text(text)
    (folder / "build.conf").write_text(build)
    return folder


def interface(name: str, body: str) -> str:
    return f"## <summary>About it's own thing.</summary>\ninterface(`{name}',`\n\t{body}\n')\n"


def expanded(folder: Path, text: str, support: str = PRELUDE, build: str = "") -> dict[str, Expansion]:
    return {one.name: one for one in expand(read_headers(headers(folder, text, support, build)))}


GOOD = interface("good", "gen_require(`type good_t;') allow $1 good_t:file read_file_perms;")


# Reading definitions.


def test_definitions_are_read_by_the_rules_of_quoting() -> None:
    text = """
# interface(`commented',` it is not one ')
interface(`first',`
	gen_require(`
		type first_t; # of the module
	')
	ifdef(`distro_x',` allow $1 first_t:dir search; ',` allow $2 first_t:dir search; ')
')
  template(`second',` type $1_t; ')
interface ( `no call to m4',` ')
interface(`third', `$*')
interface(`last',` it has no end
"""
    assert [(one.kind, one.name, one.parameters) for one in definitions(text, "kernel/x.if")] == [
        ("interface", "first", 2),
        ("template", "second", 1),
        ("interface", "third", 99),
    ]
    # In a quoted text m4 knows no comments: an apostrophe in one closes the quote.
    (first, *_) = definitions(text.replace("of the module", "the module's own"), "kernel/x.if")
    assert first.body.endswith("the module's own\n\t") and first.parameters == 0


def test_a_name_with_two_meanings_is_left_out(tmp_path: Path) -> None:
    same = interface("same", "allow $1 $2:fd use;")
    folder = headers(tmp_path, GOOD + same + interface("twice", "allow $1 self:fd use;"))
    (folder / "system").mkdir()
    (folder / "system/more.if").write_text(same + interface("twice", "allow $1 self:process signal;"))
    assert [one.name for one in read_headers(folder).definitions] == ["good", "same"]


def test_build_options_reach_the_interfaces(tmp_path: Path) -> None:
    words = "enable_mls distro_debian init_systemd direct_sysadm_daemon enable_ubac hide_it mls_num_cats"
    body = " ".join(f"ifdef(`{word}',`allow $1 self:file on_{word};')" for word in words.split())
    conf = (
        "TYPE ?= mls\nDISTRO = debian\nSYSTEMD ?= y\nUBAC ?= n\noverride MLS_CATS := 9\nCUSTOM_BUILDOPT = hide_it `bad"
    )
    text = interface("all", f"{body} allow $1 self:file number`'mls_num_cats;")
    said = {rule.perms.names[0] for rule in _rules(expanded(tmp_path, text, build=conf)["all"])}
    assert said == {"on_enable_mls", "on_distro_debian", "on_init_systemd", "on_hide_it", "on_mls_num_cats", "number9"}


# Expanding.


def test_what_is_no_allow_rule_keeps_an_interface_out(tmp_path: Path) -> None:
    bodies = {
        "alone": "allow $1 a_t:file read;",
        "pair": "allow $1 $2:file read;",
        "three": "allow $1 $2:file $3;",
        "nobody": "allow a_t b_t:file read;",
        "silent": "dontaudit $1 a_t:file read;",
        "silent_too": "allow $1 a_t:file read; dontaudit $1 a_t:file write;",
        "maybe": "optional_policy(`allow $1 a_t:file read;')",
        "under": "if (one) { allow $1 a_t:file read; }",
        "moves": "allow $1 a_t:file read; type_transition $1 a_t:file b_t;",
        "joins": "typeattribute $1 domain; allow $1 a_t:file read;",
        "commands": "allow $1 a_t:file ioctl; allowxperm $1 a_t:file ioctl 0x1;",
        "roles": "role $2 types a_t; allow $1 a_t:file read;",
        "empty": "gen_require(`type a_t;') # $1",
        "old": "refpolicywarn(`$0($1) has been deprecated') allow $1 a_t:file read;",
        "of_an_old_one": "old($1) allow $1 b_t:file read;",
        "unknown": "no_such_macro($1) allow $1 a_t:file read;",
    }
    text = "".join(interface(name, body) for name, body in bodies.items())
    found = expanded(tmp_path, text + "template(`many',` allow $1 a_t:file read; ')\n")
    readable = {name for name, one in found.items() if _is_readable(one)}
    assert readable == {"alone", "pair", "of_an_old_one"}
    assert found["pair"].parameters == 2
    assert found["pair"].text == f"allow {ARGUMENTS[0]} {ARGUMENTS[1]}:file read;"


def _rules(one: Expansion) -> list[WrittenRule]:
    return [statement for statement in read_body(one.text) if isinstance(statement, WrittenRule)]


def _is_readable(one: Expansion) -> bool:
    try:
        return bool(read_body(one.text))
    except CompileError:
        return False


def test_a_broken_definition_costs_itself_alone(tmp_path: Path) -> None:
    broken = interface("broken", "good($1, read_files_pattern(")
    worse = interface("worse", "ifdef(`a', allow $1 a_t:file read;")
    assert set(expanded(tmp_path, interface("before", "good($1)") + broken + worse + GOOD)) == {"before", "good"}


HOSTILE = {
    "runs": "syscmd(`touch ran')esyscmd(`touch ran')",
    "runs_by_another_name": "define(`x',defn(`syscmd'))x(`touch ran')",
    "runs_by_the_back_door": "builtin(`syscmd',`touch ran')indir(`syscmd',`touch ran')",
    "reads": "include(`/etc/passwd')sinclude(`/etc/passwd')undivert(`/etc/passwd')",
    "writes": "debugfile(`ran')mkstemp(`ran')maketemp(`ranXXXXXX')",
    "leaves": "m4exit(0)",
    "hides": "divert(-1)",
    "mutes": "changequote(`[',`]')changecom(`allow')",
    "shouts": "errprint(`@@0')dumpdef",
    "renames": "define(`good',`allow $1 shadow_t:file read;')pushdef(`good',`')undefine(`good')popdef(`good')",
    "waits": "m4wrap(`allow $1 shadow_t:file read;')",
    "forges": "@@0\n@@end",
    "eats": "dnl",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("place", ["body", "before", "support"])
def test_a_hostile_header_runs_and_changes_nothing(name: str, place: str, tmp_path: Path) -> None:
    """Neither in a body, nor between definitions, nor (as far as it reaches out) in a support macro."""
    evil = HOSTILE[name]
    if place == "body":
        text, support = interface("evil", f"allow $1 a_t:file read; {evil}") + GOOD, PRELUDE
    elif place == "before":
        text, support = f"{evil}\n{GOOD}", PRELUDE
    else:
        text, support = GOOD, f"{PRELUDE}\n{evil}\n"
    found = expanded(tmp_path / "headers", text, support)
    assert "root:" not in "".join(one.text for one in found.values())
    assert not list(Path().glob("ran*")) and not list(tmp_path.rglob("ran*"))
    if place != "support":
        (rule,) = _rules(found["good"])
        assert (rule.targets.names, rule.perms.names) == (("good_t",), ("getattr", "open", "read"))


@pytest.mark.heavy
def test_an_endless_definition_is_given_up(tmp_path: Path) -> None:
    """By its time, or, where m4 gets further in it, by its memory: then it is left out, and costs no other."""
    try:
        found = expanded(tmp_path, interface("endless", "endless($1)") + GOOD)
    except CompileError as error:
        assert "did not end within" in str(error)
    else:
        assert set(found) == {"good"}


def test_a_pipe_among_the_headers_is_not_waited_for(tmp_path: Path) -> None:
    folder = headers(tmp_path, GOOD)
    subprocess.run(["mkfifo", folder / "kernel/pipe.if"], check=True)
    assert [one.name for one in expand(read_headers(folder))] == ["good"]


# Finding.


def test_missing_headers_and_tools_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingDependency) as missing:
        find_headers(roots=(tmp_path,))
    assert missing.value.exit_code == 4
    assert "selinux-policy-dev" in missing.value.hint and "selinux-policy-devel" in missing.value.hint
    with pytest.raises(SourceError, match="holds no policy headers"):
        find_headers(tmp_path)
    folder = headers(tmp_path / "usr/share/selinux/targeted/include", GOOD)
    assert find_headers(roots=(Path("/nowhere"), tmp_path)) == folder
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(MissingDependency, match="m4 is not installed"):
        expand(read_headers(folder))


# The distribution's headers.


@pytest.fixture(scope="module")
def installed(headers_dir: Path) -> tuple[Expansion, ...]:
    return expand(read_headers(headers_dir))


def test_most_interfaces_of_the_distribution_hold_nothing_but_allow_rules(
    installed: tuple[Expansion, ...], headers_dir: Path
) -> None:
    interfaces = [one for one in read_headers(headers_dir).definitions if one.kind == "interface"]
    assert len(interfaces) > 5000
    assert 0.4 * len(interfaces) < len(installed) < len(interfaces)
    by_name = {one.name: one for one in installed}
    said = [(rule.targets.names, rule.perms.names) for rule in _rules(by_name["dev_setattr_xserver_misc_dev"])]
    assert (("xserver_misc_device_t",), ("setattr",)) in said


def test_every_kept_expansion_but_a_few_is_policy_text(installed: tuple[Expansion, ...]) -> None:
    """A few call what their distribution no longer defines; those are read by nobody."""
    some = installed[::25]
    assert sum(map(_is_readable, some)) >= len(some) - 2


@pytest.mark.heavy
def test_the_distributions_build_makes_the_same_of_a_call(
    installed: tuple[Expansion, ...], headers_dir: Path, tmp_path: Path
) -> None:
    """Every fortieth interface, each called for a domain of its own; the development Makefile as the oracle."""
    chosen = [one for one in installed[::40] if _is_readable(one) and one.parameters == 1]
    assert len(chosen) > 100
    required = "".join(f"type called_{number}_t;\n{one.name}(called_{number}_t)\n" for number, one in enumerate(chosen))
    (tmp_path / "drawn.te").write_text(f"policy_module(drawn, 1.0)\n{required}")
    makefile = headers_dir.parent / "Makefile"
    share = headers_dir.parent.parent
    command = ["make", "-f", makefile, "NAME=default", f"SHAREDIR={share}", "drawn.pp"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    built = cil_facts(_only_allow(package_as_cil(tmp_path / "drawn.pp")))
    told = {fact for number, one in enumerate(chosen) for fact in _facts(one, f"called_{number}_t")}
    assert told == built


def _only_allow(cil: str) -> str:
    return "\n".join(line for line in cil.splitlines() if line.startswith("(allow "))


def _facts(one: Expansion, argument: str) -> set[tuple[object, ...]]:
    found = set()
    for rule in read_body(one.text.replace(ARGUMENTS[0], argument)):
        if isinstance(rule, Required):
            continue
        assert isinstance(rule, WrittenRule)
        for source in rule.sources.names:
            for target in rule.targets.names:
                for tclass in rule.classes.names:
                    found.update(("allow", source, target, tclass, perm) for perm in rule.perms.names)
    return found
