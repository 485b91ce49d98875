"""What a review says of sources: what does not compile, what is missing, unknown, unused or open-ended."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from polkit.errors import PolkitError
from polkit.module import run_tool
from polkit.review import Finding, Review, ReviewRequest, review

Reviewer = Callable[..., Review]


@pytest.fixture
def reviewed(host: Path, tmp_path: Path) -> Reviewer:
    """``reviewed(te, fc=..., policy="none")``: of texts by suffix, on the small host without a build."""

    def run(te: str = "", policy: str = "", build: bool = False, heed: bool = True, **texts: str) -> Review:
        for suffix, text in {"te": te, **texts}.items():
            if text:
                (tmp_path / f"mine.{suffix}").write_text(text)
        named = next(tmp_path / f"mine.{suffix}" for suffix in ("te", "cil") if (tmp_path / f"mine.{suffix}").exists())
        request = ReviewRequest(str(named), policy or str(host), build=build, heed_ignores=heed)
        return review(request)

    return run


def of(found: Review, *ids: str) -> list[tuple[str, int, str]]:
    """Id, line and title of the findings with these ids, by line."""
    kept = [(one.id, one.place.line, one.title) for one in found.findings if one.id in ids]
    return sorted(kept, key=lambda one: (one[1], one))


def one(found: Review, id_: str) -> Finding:
    (finding,) = [finding for finding in found.findings if finding.id == id_]
    return finding


def patched(finding: Finding, place: Path) -> str:
    """The source of ``place`` as the finding's patch leaves it, by patch(1)."""
    run = ["patch", "-p1", "--output=-", "--quiet"]
    done = subprocess.run(run, cwd=place, input=finding.fix.patch, capture_output=True, text=True, check=True)
    return done.stdout


def compiles(text: str, room: Path) -> bool:
    (room / "tried.te").write_text(text)
    return run_tool(["checkmodule", "-M", "-m", "-o", "mine.mod", "tried.te"], room).status == 0


SOURCE = ("PK001", "PK002", "PK003", "PK004", "PK005", "PK006")


@pytest.mark.parametrize(
    ("body", "line", "says"),
    [
        ("type a_t\ntype b_t;", 4, "does not end before 'type'"),
        ("type a_t;\ntype a_t;", 4, "declares a type twice: type a_t;"),
        ("allow container_t data_t file read;", 3, "does not end before 'file'"),
        ("allow container_t data_t:file read", 4, "the text ends"),
        ("optional { require { type shadow_t; } allow container_t shadow_t:file read; }\n"
         "allow container_t shadow_t:file read;", 4, "required in an optional block only"),
        ("optional { allow container_t data_t:file read; }", 3, "An optional block requires nothing"),
    ],
)  # fmt: skip
def test_what_does_not_compile_is_told_in_words(reviewed: Reviewer, body: str, line: int, says: str) -> None:
    found = reviewed(f"module mine 1.0;\nrequire {{ type container_t; type data_t; class file read; }}\n{body}\n")

    assert [(id_, at) for id_, at, _ in of(found, *SOURCE)] == [("PK001", line)]
    assert says in one(found, "PK001").title
    assert found.exit_code == 1


def test_after_a_mistake_the_others_are_told_too(reviewed: Reviewer) -> None:
    found = reviewed("""module mine 1.0;
require { type container_t; type datta_t; class file read; }
allow container_t datta_t:file read
allow container_t data_t file read;
allow container_t shadow_t:dir search;
type spare_t;
optional {
    require { type data_t; }
    allow container_t data_t::file read;
}
""")

    assert [(id_, line) for id_, line, _ in of(found, *SOURCE, "PK008")] == [
        ("PK003", 3),
        ("PK001", 4),  # the semicolon that is missing before it
        ("PK001", 4),
        ("PK002", 5),
        ("PK008", 6),
        ("PK001", 9),
    ]


def test_all_that_is_not_required_is_told_at_once(reviewed: Reviewer, tmp_path: Path) -> None:
    text = """module mine 1.0;
require {
    type container_t;
    class file { read };
}
allow container_t data_t:file { read write };
allow container_t shadow_t:dir search;
typeattribute container_t container_domain;
"""
    found = reviewed(text)

    assert of(found, *SOURCE) == [
        ("PK002", 6, "Not required: type data_t, file write, type shadow_t, class dir and 1 more")
    ]
    finding = one(found, "PK002")
    assert finding.evidence[0] == "type data_t: line 6"
    mended = patched(finding, tmp_path)
    assert "    attribute container_domain;\n" in mended
    assert not compiles(text, tmp_path)
    assert compiles(mended, tmp_path)


def test_a_source_without_require_gets_one(reviewed: Reviewer, tmp_path: Path) -> None:
    text = "module mine 1.0;\n\nallow container_t data_t:file read;\n"
    finding = one(reviewed(text), "PK002")

    assert compiles(patched(finding, tmp_path), tmp_path)


def test_each_unknown_name_is_told_with_what_is_near(reviewed: Reviewer) -> None:
    found = reviewed("""module mine 1.0;
require {
    type container_t;
    type datta_t;
    role nosuch_r;
    attribute container_domainn;
    class file { read reaad };
    class fiile { read };
}
allow container_t datta_t:file { read reaad };
role nosuch_r types container_t;
optional {
    require { type later_t; }
    allow container_t later_t:file read;
}
""")

    assert [(line, title.split(";")[0]) for _, line, title in of(found, "PK003")] == [
        (6, "The policy has no type container_domainn"),
        (8, "The policy has no class fiile"),
        (10, "The policy has no permission reaad of class file"),
        (10, "The policy has no type datta_t"),
        (11, "The policy has no role nosuch_r"),
        (14, "The policy has no type later_t"),
    ]
    by_name = {finding.title.split()[5].rstrip(";"): finding for finding in found.findings if finding.id == "PK003"}
    assert by_name["later_t"].severity == "info"
    assert by_name["datta_t"].severity == "high"
    assert "nearest: data_t" in by_name["datta_t"].title
    assert "read" in by_name["reaad"].title.split("nearest: ")[1].split(", ")


def test_without_a_policy_no_name_is_unknown(reviewed: Reviewer) -> None:
    text = "module mine 1.0;\nrequire { type nosuch_t; class file read; }\nallow nosuch_t nosuch_t:file read;\n"

    assert of(reviewed(text, policy="none"), *SOURCE) == []


def test_a_device_is_looked_up_by_its_node(policy_root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.te").write_text(
        "module mine 1.0;\n"
        "require { type container_t, nvidia_device_t, nvme_device_t; class chr_file read; class dir search; }\n"
        "allow container_t nvidia_device_t:chr_file read;\nallow container_t nvme_device_t:dir search;\n"
    )
    found = review(ReviewRequest(str(tmp_path / "mine.te"), str(policy_root), build=False))
    by_line = {finding.place.line: finding for finding in found.findings if finding.id == "PK003"}

    assert "nearest: xserver_misc_device_t" in by_line[3].title
    assert by_line[3].fix.commands == ("matchpathcon /dev/nvidia0",)
    assert by_line[4].fix.commands == (), "no rule on a node says that it is one"


def test_policy_module_alone_is_replaced(reviewed: Reviewer, tmp_path: Path) -> None:
    text = (
        "policy_module(mine, 1.0) # ours\nrequire { type container_t; }\nallow container_t self:file { read write };\n"
    )
    found = reviewed(text)
    finding = one(found, "PK004")

    assert (finding.severity, finding.place.line) == ("high", 1)
    assert of(found, *SOURCE) == [("PK004", 1, finding.title)]
    assert "selinux-policy-dev" in finding.fix.text
    mended = patched(finding, tmp_path)
    assert mended.startswith("module mine 1.0;# ours\n")
    assert compiles(mended, tmp_path)


def test_macros_that_are_needed_are_no_mistake(reviewed: Reviewer) -> None:
    text = """policy_module(mine, 1.0)
optional_policy(`
	gen_require(`type container_t;')
	allow container_t self:file read_file_perms;
')
"""
    found = reviewed(text)

    assert one(found, "PK004").severity == "info"
    assert of(found, *SOURCE) == [("PK004", 1, one(found, "PK004").title)]
    own = "interface(`mine_read',`\n\tgen_require(`type container_t;')\n\tallow $1 container_t:file read;\n')\n"
    calling = "policy_module(mine, 1.0)\ngen_require(`type container_t;')\nmine_read(container_t)\n"
    ((id_, line, title),) = of(reviewed(calling, **{"if": own}), *SOURCE)
    assert (id_, line) == ("PK004", 1)
    assert "mine_read" not in title, "the module's own .if defines it"


def test_an_interface_of_no_one_is_told_with_what_is_near(reviewed: Reviewer) -> None:
    text = "policy_module(mine, 1.0)\ngen_require(`type container_t;')\n\nfiles_read_etc_fils(container_t)\n"
    found = reviewed(text)

    (_, line, title), *others = of(found, *SOURCE)
    assert (line, others) == (4, [])
    assert "define no files_read_etc_fils; nearest: files_read_etc_files" in title


@pytest.mark.parametrize(
    "text",
    [
        "policy_module(mine, 1.0)\n# a comment\nsyscmd(`touch stolen')\n",
        "policy_module(mine, 1.0)\n\ninclude(`/etc/hostname')\n",
        "policy_module(mine, 1.0)\n\ndefine(`allow',`dontaudit')\n",
    ],
)
def test_a_source_that_reaches_out_is_a_finding(
    text: str, reviewed: Reviewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = reviewed(text)

    assert [(id_, line) for id_, line, _ in of(found, *SOURCE)] == [("PK006", 3)]
    assert {path.name for path in tmp_path.iterdir()} == {"mine.te"}


def test_an_interface_file_that_reaches_out_is_a_finding_too(reviewed: Reviewer) -> None:
    found = reviewed("policy_module(mine, 1.0)\ntype mine_t;\n", **{"if": "interface(`x',`\nsyscmd(`id')\n')\n"})

    assert [(finding.place.line, finding.place.file[-3:]) for finding in found.findings if finding.id == "PK006"] == [
        (2, ".if")
    ]


def test_what_nothing_uses_is_taken_out(reviewed: Reviewer, tmp_path: Path) -> None:
    text = """module mine 1.0;
require {
    type container_t, data_t;
    type shadow_t; # for later
    class file { getattr read };
    class dir search;
}
type used_t;
type labelled_t;
type spare_t;
bool asked true;
bool spare_bool true;
if (asked) { allow container_t used_t:file read; }
"""
    found = reviewed(text, fc="/srv/x\tsystem_u:object_r:labelled_t:s0\n")

    assert of(found, "PK007", "PK008") == [
        ("PK007", 3, "Required and not used: data_t, shadow_t, file getattr, class dir"),
        ("PK008", 10, "The type spare_t is declared and used nowhere"),
        ("PK008", 12, "The boolean spare_bool is declared and used nowhere"),
    ]
    mended = patched(one(found, "PK007"), tmp_path)
    assert mended.split("}")[0] == "module mine 1.0;\nrequire {\n    type container_t;\n    class file read;\n"
    assert compiles(mended, tmp_path)
    assert of(reviewed(mended), "PK007") == []


def test_what_a_branch_uses_that_m4_does_not_take_is_used(reviewed: Reviewer) -> None:
    text = """policy_module(mine, 1.0)
gen_require(`
	type container_t, data_t;
')
ifdef(`distro_of_no_one',`
	allow container_t data_t:file read;
')
"""
    assert of(reviewed(text), "PK007") == []


def test_a_wildcard_is_what_the_source_requires(reviewed: Reviewer) -> None:
    head = "module mine 1.0;\nrequire { type container_t; type data_t; class file { read write }; }\n"
    found = reviewed(
        f"{head}allow container_t data_t:file *;\nallow container_t ~data_t:file read;\n"
        "dontaudit container_t data_t:file *;\nneverallow container_t *:file write;\n"
        "allow container_t data_t:file read;\n"
    )

    assert [(line, title) for _, line, title in of(found, "PK009")] == [
        (3, "The rule is open-ended: *"),
        (4, "The rule is open-ended: ~{ data_t }"),
    ]
    first, second = (finding for finding in found.findings if finding.id == "PK009")
    assert first.evidence == ("permissions *: 2 permissions of file: read write",)
    assert second.evidence[0].startswith("target ~{ data_t }: ")
    assert {finding.severity for finding in (first, second)} == {"medium"}


def test_a_very_large_attribute_is_worth_a_word(policy_root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.te").write_text(
        "module mine 1.0;\nrequire { type init_t; attribute file_type; class file read; attribute port_type; }\n"
        "allow init_t file_type:file read;\nallow init_t port_type:file read;\n"
    )
    found = review(ReviewRequest(str(tmp_path / "mine.te"), str(policy_root), build=False))

    (finding,) = [finding for finding in found.findings if finding.id == "PK009"]
    assert (finding.severity, finding.place.line) == ("low", 3)


@pytest.mark.parametrize(
    ("body", "line", "says"),
    [
        ("type data_t;\ntype mine_t;\nallow mine_t data_t:file read;", 2, "has data_t already"),
        ("typebounds data_t container_t;\ntypebounds container_t data_t;", 2, "is bounded by itself"),
    ],
)
def test_what_the_policy_refuses_is_told_at_its_statement(reviewed: Reviewer, body: str, line: int, says: str) -> None:
    needed = "".join(f"type {name}; " for name in ("data_t", "container_t") if f"type {name};" not in body)
    found = reviewed(f"module mine 1.0;\nrequire {{ {needed}class file read; }} {body}\n", build=True)

    ((_, at, title),) = of(found, *SOURCE)
    assert at == line
    assert says in title


def test_a_line_of_cil_is_named(reviewed: Reviewer) -> None:
    found = reviewed(cil="(type mine_t)\n(roletype object_r mine_t)\n(call nosuch (mine_t))\n", build=True)

    assert [(id_, line) for id_, line, _ in of(found, *SOURCE)] == [("PK005", 3)]


COMMENTED = """module mine 1.0;
require {{ type container_t; type data_t; class file {{ read write }}; }}
{above}
allow container_t data_t:file *;{behind}
"""


@pytest.mark.parametrize(
    ("above", "behind"),
    [
        ("# polkit: ignore[PK009] it is ours", ""),
        ("", " # polkit: ignore[PK012, PK009] it is ours"),
        ("# polkit: ignore[PK009] it is ours\n# and more", ""),
    ],
)
def test_a_comment_silences_a_finding_with_its_reason(reviewed: Reviewer, above: str, behind: str) -> None:
    text = COMMENTED.format(above=above, behind=behind)
    found = reviewed(text)

    assert of(found, "PK009", "PK042") == []
    assert [(gone.finding.id, gone.reason) for gone in found.ignored] == [("PK009", "it is ours")]
    heedless = reviewed(text, heed=False)
    assert [id_ for id_, _, _ in of(heedless, "PK009", "PK042")] == ["PK009"]
    assert heedless.ignored == ()


@pytest.mark.parametrize(
    ("above", "behind", "kept", "says"),
    [
        ("# polkit: ignore[PK010] for later", "", True, "silences no PK010"),
        ("# polkit: ignore[PK009] too far off\n", "", True, "silences no PK009"),
        ("", " # polkit: ignore[PK009]", False, "gives no reason"),
        ("", " # polkit: ignore all of it", True, "names no finding"),
        ("", " # polkit: ignore[PK009,PK999] it is ours", False, "There is no finding PK999"),
    ],
)
def test_a_comment_of_no_use_is_a_finding(reviewed: Reviewer, above: str, behind: str, kept: bool, says: str) -> None:
    found = reviewed(COMMENTED.format(above=above, behind=behind), build=True)

    assert bool(of(found, "PK009")) == kept
    finding = one(found, "PK042")
    assert says in finding.title
    assert finding.severity == "low"


def test_whether_a_comment_is_idle_is_known_after_the_build_alone(reviewed: Reviewer, tmp_path: Path) -> None:
    text = COMMENTED.format(above="", behind=" # polkit: ignore[PK010] for later")
    assert of(reviewed(text), "PK042") == []
    finding = one(reviewed(text, build=True), "PK042")

    assert patched(finding, tmp_path) == COMMENTED.format(above="", behind="")


def test_labels_and_cil_have_comments_too(reviewed: Reviewer) -> None:
    cil = (
        "(type mine_t)\n(roletype object_r mine_t)\n; polkit: ignore[PK009] ours\n(allow mine_t data_t (file (all)))\n"
    )

    assert [gone.finding.id for gone in reviewed(cil=cil).ignored] == ["PK009"]


@pytest.mark.parametrize(
    "text", ["(call)\n(allow)\n", "(typeattributeset)\n", "(booleanif a (true (allow a b)))\n", "(type a"]
)
def test_cil_of_no_form_is_told_and_does_not_end_the_review(text: str, reviewed: Reviewer) -> None:
    try:
        found = reviewed(cil=text, build=True)
    except PolkitError as error:
        assert "mine.cil" in str(error)
    else:
        assert [id_ for id_, _, _ in of(found, *SOURCE)] == ["PK005"]
