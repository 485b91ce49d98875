"""Two modules on a small host: which allows more, what shows it, and what else differs."""

from __future__ import annotations

import bz2
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polkit.cli.diff_text import diff_lines
from polkit.errors import CompileError, SourceError, UsageError
from polkit.module import build_package
from polkit.policy import ModuleFile, both_built, load_policy, locate
from polkit.review import Difference, diff, grouped
from tests.minimize.proof_worlds import te
from tests.review.conftest import Differ

READ = "(allow container_t shadow_t (file (read)))"
OPEN = "(allow container_t shadow_t (file (open)))"
IOCTL = "(allowx container_t wide_device_t (ioctl chr_file (0x1)))"
STATEMENTS = (
    READ,
    OPEN,
    "(type mine_t) (roletype object_r mine_t) (typeattributeset file_type (mine_t))",
    "(allow container_domain data_t (file (read write)))",
    "(dontaudit container_t shadow_t (file (write)))",
    "(typeattribute own) (typeattributeset own (and (domain) (not (init_t)))) (dontaudit own etc_t (dir (search)))",
    '(filecon "/opt/x" any (system_u object_r data_t ((s0) (s0))))',
    "(typetransition container_t data_t file shadow_t)",
)


def accesses(entries: object) -> set[tuple[str, ...]]:
    return {(one.source, one.target, one.tclass, perm, one.condition) for one in entries for perm in one.perms}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("a", "b", "verdict", "witness", "counter"),
    [
        (READ, READ + OPEN, "more-permissive", "allow container_t shadow_t:file open", None),
        (READ + OPEN, READ, "less-permissive", "allow container_t shadow_t:file open", None),
        (READ, OPEN, "incomparable", "allow container_t shadow_t:file open", "allow container_t shadow_t:file read"),
        # init_t may already, so that this rule is none
        (READ, READ + "(allow init_t shadow_t (file (read)))", "equivalent", None, None),
        (READ, READ + "(dontaudit container_t shadow_t (file (write)))", "equivalent", None, None),
        (READ, READ + "(typepermissive sandbox_t)", "more-permissive", "permissive sandbox_t;", None),
        (READ + IOCTL, READ, "more-permissive", None, None),  # the rule took the other commands away
        (READ, READ + "(mlsconstrain (file (read)) (eq t1 init_t))", "less-permissive", None, None),
        (
            READ,
            READ + "(typetransition container_t data_t file shadow_t)",
            "incomparable",
            "type_transition container_t data_t:file shadow_t;",
            "type_transition container_t data_t:file shadow_t;",
        ),
        (
            READ,
            READ + '(filecon "/opt/x" any (system_u object_r data_t ((s0) (s0))))',
            "more-permissive",
            "label /opt/x: default_t -> data_t; 1 domain more may write it",
            None,
        ),
        (
            "(boolean b false) (booleanif b (true (allow container_t shadow_t (file (read)))))",
            "(boolean b true) (booleanif b (true (allow container_t shadow_t (file (read)))))",
            "more-permissive",
            "boolean b is on from the start",
            None,
        ),
    ],
)
def test_verdict_and_witness(
    differ: Differ, a: str, b: str, verdict: str, witness: str | None, counter: str | None
) -> None:
    found = differ(a, b)
    assert found.verdict == verdict
    if witness is not None:
        assert found.witness is not None
        assert found.witness.text == witness
    assert (found.witness is None) == (verdict == "equivalent")
    assert (None if found.counter is None else found.counter.text) == counter


def test_a_witness_is_the_gravest_and_tells_its_story(differ: Differ) -> None:
    found = differ(READ, READ + OPEN + "(allow container_t data_t (file (write)))")
    assert found.witness is not None
    assert found.witness.entry is not None
    assert found.witness.entry.risk is not None
    assert (found.witness.perm, found.witness.entry.risk.id) == ("open", "shadow")
    text = " ".join(" ".join(diff_lines(found, False)).split())
    assert f"high risk (shadow): password hashes; {found.witness.entry.risk.why}" in text
    assert "An intruder reads /etc/shadow" in text


def test_what_an_attribute_brings_is_shown_once(differ: Differ) -> None:
    found = differ(READ, READ + "(allow container_domain file_type (file (write)))")
    (group,) = grouped(found.added, "existing-types")
    assert (group.source, group.target, group.perms) == ("container_domain", "file_type", ("write",))
    assert {"shadow_t", "var_t", "dri_device_t"} <= {entry.target for entry in found.added}
    assert (group.accesses, group.sources, group.targets) == (len(accesses(found.added)), 2, 11)
    assert group.sensitive[0] == "shadow_t"
    assert group.expanded


def test_changes_are_grouped_by_what_was_there(differ: Differ) -> None:
    own = (
        "(type own_t) (roletype system_r own_t) (typeattributeset domain (own_t))"
        "(type own_file_t) (roletype object_r own_file_t) (typeattributeset file_type (own_file_t))"
        "(allow own_t data_t (file (read))) (allow own_t own_file_t (file (write)))"
    )
    found = differ(READ, OPEN + own)
    existing, domain, onto = (
        {one[:3] for one in grouped(found.added, group)} for group in ("existing-types", "new-domain", "new-type")
    )
    assert existing == {("container_t", "shadow_t", "file")}
    assert {("own_t", "data_t", "file"), ("own_t", "own_file_t", "file")} <= domain
    assert ("init_t", "file_type", "file") in onto
    assert all(source != "own_t" for source, _, _ in onto)
    assert found.found.types_added == ("own_file_t", "own_t")
    back = differ(OPEN + own, READ)
    assert back.found.types_removed == ("own_file_t", "own_t")


def test_a_type_that_joins_is_named_with_what_it_is_exempt_from(differ: Differ) -> None:
    constrained = "(mlsconstrain (file (read)) (or (eq l1 l2) (eq t1 can_read_shadow_passwords)))"
    found = differ(
        constrained + READ, constrained + READ + "(typeattributeset can_read_shadow_passwords (container_t))"
    )
    assert found.verdict == "more-permissive"
    assert found.found.joined == (("container_t", "can_read_shadow_passwords"),)
    assert [type_ for type_, _ in found.found.weaker] == ["container_t"]


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(STATEMENTS), comments=st.lists(st.sampled_from(["; x", ";;allow", ""]), max_size=4))
def test_order_and_comments_are_no_difference(differ: Differ, order: list[str], comments: list[str]) -> None:
    found = differ("\n".join(STATEMENTS), "\n".join([*comments, *order, *comments]))
    assert found.verdict == "equivalent"
    assert not (found.added or found.removed or found.found.added or found.found.removed or found.relation.silent)


def test_names_of_the_compiler_are_no_difference(differ: Differ) -> None:
    """It numbers the attributes that it makes of expressions in the order in which they stand."""
    rules = [
        "dontaudit { domain -init_t } data_t:file read;",
        "dontaudit { domain -container_t } shadow_t:file read;",
        "type_transition { domain -sandbox_t } data_t:file shadow_t;",
        "allow { file_type -data_t } data_t:filesystem associate;",
    ]
    head = "attribute domain; attribute file_type; type init_t, container_t, sandbox_t, data_t, shadow_t;"
    texts = [
        f"module mine 1.0;\nrequire {{ {head} class file read; class filesystem associate; }}\n" + "\n".join(order)
        for order in (rules, rules[::-1])
    ]
    found = differ(*texts, suffix=".te")
    assert (found.verdict, found.found.added, found.found.removed) == ("equivalent", (), ())
    changed = differ(texts[0], texts[1].replace("domain -sandbox_t", "domain -init_t"), suffix=".te")
    assert changed.verdict == "incomparable"
    assert [text.split()[0] for text in changed.found.added] == ["type_transition"]


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(a=st.sets(st.sampled_from(STATEMENTS), min_size=1), b=st.sets(st.sampled_from(STATEMENTS), min_size=1))
def test_both_ways_round_say_the_same(differ: Differ, a: set[str], b: set[str]) -> None:
    forth, back = differ("\n".join(sorted(a)), "\n".join(sorted(b))), differ("\n".join(sorted(b)), "\n".join(sorted(a)))
    mirrored = {"more-permissive": "less-permissive", "less-permissive": "more-permissive"}
    assert back.verdict == mirrored.get(forth.verdict, forth.verdict)
    assert accesses(forth.added) == accesses(back.removed)
    assert accesses(forth.removed) == accesses(back.added)
    assert (a == b) <= (forth.verdict == "equivalent")


def source(perms: str = "read", more: str = "") -> str:
    return te(f"allow container_t data_t:file {{ {perms} }};\n{more}", file="read open")


def test_every_form_of_a_module_is_read(host: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.te").write_text(source())
    (tmp_path / "mine.fc").write_text("# models\n/opt/x\tsystem_u:object_r:data_t:s0\n")
    package = build_package("mine", source(), "/opt/x system_u:object_r:data_t:s0\n", True, None)
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed/mine.pp").write_bytes(package)
    (tmp_path / "mine.pp.bz2").write_bytes(bz2.compress(package))
    (tmp_path / "mine.cil").write_text(
        '(allow container_t data_t (file (read)))(filecon "/opt/x" any (system_u object_r data_t ((s0) (s0))))'
    )
    policy = str(host)
    for other in ("packed", "packed/mine.pp", "mine.pp.bz2", "mine.cil"):
        assert diff(tmp_path / "mine.te", tmp_path / other, policy).verdict == "equivalent", other
    found = diff(host, tmp_path / "mine.te", policy)
    assert [entry[1:5] for entry in found.added] == [("container_t", "data_t", "file", ("read",))]
    assert found.found.labels_added == ("/opt/x system_u:object_r:data_t:s0",)


def test_labels_of_home_directories_count(differ: Differ, host: Path, tmp_path: Path) -> None:
    home = '(filecon "HOME_DIR/models(/.*)?" any (system_u object_r data_t ((s0) (s0))))'
    found = differ(READ, READ + home)
    line = "HOME_DIR/models(/.*)? system_u:object_r:data_t:s0"
    assert (found.verdict, found.found.labels_added) == ("incomparable", (line,))
    assert diff(host, tmp_path / "b/mine.cil", str(host)).found.labels_added == (line,)


def test_whole_policies_and_a_binary_one_without_its_store(host: Path, tmp_path: Path, differ: Differ) -> None:
    assert diff(host, host).verdict == "equivalent"
    (binary,) = host.glob("etc/selinux/*/policy/policy.*")
    shutil.copy(binary, tmp_path / "alone")
    (tmp_path / "mine.te").write_text(source())
    (tmp_path / "mine.fc").write_text("/opt/x(/.*)?\tsystem_u:object_r:data_t:s0\n")
    found = diff(tmp_path / "alone", tmp_path / "mine.te", str(tmp_path / "alone"))
    assert (found.build, found.verdict) == ("binary", "incomparable")
    assert [entry[1:5] for entry in found.added] == [("container_t", "data_t", "file", ("read",))]
    assert found.found.labels_added == ("/opt/x(/.*)? system_u:object_r:data_t:s0",)
    both = diff(tmp_path / "alone", tmp_path / "alone")
    assert (both.build, both.verdict, both.found.labels_added) == ("whole", "equivalent", None)


@pytest.mark.parametrize(
    ("name", "content", "error", "says"),
    [
        ("m.te", b"syscmd(`touch ran')\npolicy_module(m, 1.0)\n", SourceError, "makes m4 run"),
        ("m.te", b"allow a b:c d;\n", CompileError, "no `module NAME VERSION;`"),
        ("m.te", b"module m 1.0;\nallow a b:c d;\n", CompileError, "checkmodule refuses"),
        ("m.cil", b"(allow no_such_t container_t (file (read)))", CompileError, "can't be built into"),
        ("m.pp", b"\x8f\xff\x7c\xf9 no package", CompileError, "no module package"),
        ("m.pp.bz2", b"BZh9 nothing", SourceError, "not packed by bzip2"),
        ("m.pp.bz2", bz2.compress(b"\0" * (65 << 20)), SourceError, "larger than"),
        ("m.tar.gz", b"\x1f\x8b nothing", SourceError, "m.tar.gz"),
        ("m.txt", b"hello", UsageError, "is no module"),
    ],
)
def test_what_is_no_module_is_refused(
    host: Path, tmp_path: Path, name: str, content: bytes, error: type[Exception], says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=says):
        diff(host, tmp_path / name, str(host))
    assert not (tmp_path / "ran").exists()


def test_modules_need_a_policy_and_paths_something_there(tmp_path: Path, host: Path) -> None:
    (tmp_path / "m.te").write_text(source())
    with pytest.raises(UsageError, match="on a policy"):
        diff(tmp_path / "m.te", tmp_path / "m.te")
    with pytest.raises(SourceError, match="No such file"):
        diff(tmp_path / "m.te", tmp_path / "gone", str(host))
    os.mkfifo(tmp_path / "pipe.te")
    with pytest.raises(UsageError, match="neither a file nor a directory"):
        diff(tmp_path / "m.te", tmp_path / "pipe.te", str(host))


@pytest.mark.heavy
def test_a_module_on_the_container_host_is_what_sediff_says(policy_root: Path, tmp_path: Path) -> None:
    """Its added and removed allow rules, expanded, are ours."""
    if shutil.which("sediff") is None:
        pytest.skip("sediff is not installed")
    cil = (
        "(type own_t) (roletype system_r own_t) (typeattributeset domain (own_t)) (typeattributeset file_type (cert_t))"
        "(allow container_domain cert_t (file (read open))) (allow own_t etc_t (file (read)))"
    )
    info = load_policy(str(policy_root)).info
    assert info is not None
    with both_built(locate(str(policy_root)), info, (), (ModuleFile("mine", ".cil", cil.encode(), cil),)) as built:
        found = diff(built[0].policy, built[1].policy)
        command = ["sediff", "--allow", str(built[0].policy), str(built[1].policy)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for sign, entries, other in (("+", found.added, found.found.old), ("-", found.removed, found.found.new)):
        theirs = by_sediff(told, sign)
        # sediff also lists rules of booleans that come to nothing, since the other policy gives the same always.
        idle = {one for one in theirs if one[4] and one[3] in other.always_allowed(*one[:3])}
        assert theirs - idle == accesses(entries), sign
    assert len(found.added) > 50


def by_sediff(told: str, sign: str) -> set[tuple[str, ...]]:
    """The accesses that sediff says were added (+) or removed (-): of whole rules, and of those that were modified."""
    found: set[tuple[str, ...]] = set()
    for line in told.splitlines():
        rule, _, condition = line.partition("[")
        words = rule.replace("{", " ").replace("}", " ").replace(";", " ").split()
        if len(words) < 4 or words[1] != "allow" or words[0] not in (sign, "*"):
            continue
        expression, _, block = condition.partition("]")
        named = expression.strip() if "False" not in block else f"!{expression.strip()}"
        target, tclass = words[3].split(":")
        perms = words[4:] if words[0] == sign else [one[1:] for one in words[4:] if one[0] == sign]
        found.update((words[2], target, tclass, perm, named) for perm in perms)
    return found


def test_the_difference_names_what_it_compared(differ: Differ) -> None:
    found: Difference = differ(READ, OPEN)
    assert (found.a.kind, found.b.kind, found.build) == ("module", "module", "store")
    assert [one.name for one in (*found.a.modules, *found.b.modules)] == ["mine", "mine"]
