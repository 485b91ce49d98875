"""Every form in which modules come is read; what is hostile or damaged is refused; nothing of it is run."""

from __future__ import annotations

import bz2
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from polkit.errors import CompileError, MissingDependency, PolkitError, SourceError, UsageError
from polkit.module import build_package, find_headers, run_tool
from polkit.review import Materials, diff, read_materials
from tests.minimize.proof_worlds import te

LABEL = "/opt/x system_u:object_r:data_t:s0\n"
MACROS = """policy_module(mine, 1.0)
gen_require(`
    type container_t, data_t;
')
allow container_t data_t:file read_file_perms;
optional_policy(`
    files_read_etc_files(container_t)
')
mine_reads(container_t)
"""
OWN_INTERFACE = "interface(`mine_reads',`\n\tgen_require(`\n\t\ttype var_t;\n\t')\n\tallow $1 var_t:file read;\n')\n"


def source(perms: str = "read", more: str = "") -> str:
    return te(f"allow container_t data_t:file {{ {perms} }};\n{more}", file="read open")


@pytest.fixture(scope="module")
def package() -> bytes:
    return build_package("mine", source(), LABEL, True, None)


def read(path: Path | str, *roots: Path, target: str | None = None) -> Materials:
    return read_materials(str(path), True, target, roots or (Path("/"),))


def test_a_bare_module_takes_the_labels_beside_it(host: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.te").write_text(source())
        (tmp_path / name / "mine.fc").write_text(LABEL)
    assert run_tool(["checkmodule", "-M", "-m", "-o", "mine.mod", "mine.te"], tmp_path / "b").status == 0
    assert read(tmp_path / "b/mine.mod").kind == "mod"
    assert diff(tmp_path / "a/mine.te", tmp_path / "b/mine.mod", str(host)).verdict == "equivalent"
    (tmp_path / "mine.mod").write_bytes(b"\x8d\xff\x7c\xf9 cut")
    with pytest.raises(CompileError, match="no compiled module"):
        read(tmp_path / "mine.mod")


def test_macros_are_expanded_with_the_policys_interfaces_and_the_modules_own(tmp_path: Path, policy_root: Path) -> None:
    (tmp_path / "mine.te").write_text(MACROS)
    (tmp_path / "mine.if").write_text(OWN_INTERFACE)
    (tmp_path / "mine.fc").write_text("/opt/x(/.*)?\t--\tgen_context(system_u:object_r:data_t,s0,c1)\n")
    found = read(tmp_path / "mine.te", policy_root)
    assert found.problem is None
    (module,) = found.modules
    assert (module.name, module.suffix) == ("mine", ".pp")
    assert "(allow container_t etc_t (lnk_file (read getattr)))" in module.cil
    assert "(allow container_t var_t (file (read)))" in module.cil
    assert '(filecon "/opt/x(/.*)?" file (system_u object_r data_t ((s0(c1 )) (s0(c1 )))))' in module.cil
    assert [(one.name, one.kind) for one in found.sources] == [
        (str(tmp_path / f"mine.{kind}"), kind) for kind in ("te", "fc", "if")
    ]


def test_a_source_that_is_no_module_is_there_with_its_problem(tmp_path: Path, policy_root: Path) -> None:
    (tmp_path / "mine.te").write_text("policy_module(mine, 1.0)\nallow container_t nvidia_device_t:chr_file read;\n")
    found = read(tmp_path / "mine.te", policy_root)
    assert (found.modules, [one.kind for one in found.sources]) == ((), ["te"])
    assert isinstance(found.problem, CompileError)
    assert "nvidia_device_t" in found.problem.output or "container_t" in found.problem.output
    (tmp_path / "mine.te").write_text(MACROS)
    path = str(tmp_path / "mine.te")
    assert isinstance(read(path, tmp_path).problem, MissingDependency)
    (tmp_path / "mine.if").write_text(OWN_INTERFACE)
    named = find_headers(roots=(policy_root,))
    assert read_materials(path, True, None, (tmp_path,), named).problem is None
    with pytest.raises(SourceError, match="holds no policy headers"):
        diff(path, path, str(policy_root), headers=tmp_path)


def test_a_mistake_is_told_where_its_author_made_it(tmp_path: Path, policy_root: Path) -> None:
    (tmp_path / "mine.te").write_text(MACROS.replace("data_t:file", "no_such_t:file").split("optional")[0])
    problem = read(tmp_path / "mine.te", policy_root).problem
    assert isinstance(problem, CompileError)
    assert f"refuses {tmp_path}/mine.te:5: unknown type no_such_t" in str(problem)
    called = "policy_module(mine, 1.0)\n\nfiles_read_etc_files(no_such_t)\n"
    (tmp_path / "mine.te").write_text(called)
    assert "mine.te:3: " in str(problem := read(tmp_path / "mine.te", policy_root).problem)
    assert "which files_read_etc_files stands for" in str(problem)


def test_a_plain_source_may_have_words_for_sets_of_permissions(tmp_path: Path, policy_root: Path) -> None:
    text = "module mine 1.0;\nrequire { type container_t, data_t; class file { getattr open read lock ioctl }; }\n"
    (tmp_path / "mine.te").write_text(f"{text}allow container_t data_t:file read_file_perms;\n")
    (module,) = read(tmp_path / "mine.te", policy_root).modules
    assert "(allow container_t data_t (file (getattr open read lock ioctl)))" in module.cil
    (tmp_path / "mine.te").write_text(f"{text}allow container_t gone_t:file read_file_perms;\n")
    assert "mine.te:3: unknown type gone_t" in str(read(tmp_path / "mine.te", policy_root).problem)
    (tmp_path / "mine.te").write_text(f"{text}allow container_t gone_t:file read;\n")
    assert "unknown type gone_t" in str(read(tmp_path / "mine.te", policy_root).problem)


@pytest.mark.parametrize("word", ["syscmd(`touch ran')", "esyscmd(`touch ran')", "include(`/etc/passwd')"])
def test_a_source_that_has_m4_do_something_is_refused(tmp_path: Path, policy_root: Path, word: str) -> None:
    (tmp_path / "mine.te").write_text(f"policy_module(mine, 1.0)\n{word}\n")
    problem = read(tmp_path / "mine.te", policy_root).problem
    assert isinstance(problem, SourceError)
    assert "mine.te:2" in str(problem)
    assert not (tmp_path / "ran").exists()
    (tmp_path / "mine.te").write_text(MACROS)
    (tmp_path / "mine.if").write_text(f"interface(`mine_reads',`{word}')\n")
    assert isinstance(read(tmp_path / "mine.te", policy_root).problem, SourceError)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("head", ["module mine 1.0;", "policy_module(mine, 1.0)"])
def test_a_line_beyond_all_measure_is_refused(tmp_path: Path, policy_root: Path, head: str) -> None:
    (tmp_path / "mine.te").write_bytes(f"{head}\n".encode() + b"x" * (20 << 20))
    assert isinstance(read(tmp_path / "mine.te", policy_root).problem, PolkitError)
    (tmp_path / "mine.te").write_bytes(f"{head}\n".encode() + b"x " * (50 << 20))
    with pytest.raises(SourceError, match="larger than 64 MiB"):
        read(tmp_path / "mine.te", policy_root)


@pytest.mark.heavy
def test_an_interface_without_end_is_ended(tmp_path: Path, policy_root: Path) -> None:
    (tmp_path / "mine.te").write_text("policy_module(mine, 1.0)\nmine_reads(x)\n")
    (tmp_path / "mine.if").write_text("interface(`mine_reads',`mine_reads($1$1) mine_reads($1)')\n")
    problem = read(tmp_path / "mine.te", policy_root).problem
    assert isinstance(problem, SourceError)
    assert "m4 " in str(problem)


def test_a_directory_gives_each_of_its_modules(host: Path, tmp_path: Path, package: bytes) -> None:
    place = tmp_path / "some"
    place.mkdir()
    (place / "mine.te").write_text(source("read open"))
    (place / "mine.pp").write_bytes(package)
    (place / "other.cil").write_text("(allow container_t shadow_t (file (read)))")
    (place / "README").write_text("nothing")
    found = read(place)
    assert (found.kind, [one.name for one in found.modules]) == ("directory", ["mine", "other"])
    gained = {(one.target, one.perms) for one in diff(host, place, str(host)).added}
    assert gained == {("data_t", ("read",)), ("shadow_t", ("read",))}  # of mine the package, which gets installed
    (tmp_path / "none").mkdir()
    with pytest.raises(SourceError, match="holds no module"):
        read(tmp_path / "none")
    (tmp_path / "none/mine.if").write_text(OWN_INTERFACE)
    for path in (tmp_path / "none", tmp_path / "none/mine.if"):
        with pytest.raises(SourceError, match=r"\.if alone"):
            read(path)


def test_a_link_out_of_the_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("root:secret")
    (tmp_path / "some").mkdir()
    (tmp_path / "some/mine.te").symlink_to(tmp_path / "secret")
    with pytest.raises(SourceError, match="leads out"):
        read(tmp_path / "some")


# ---- packages -----------------------------------------------------------------------------------------------

SPEC = """Name: mine
Version: 1
Release: 1
Summary: x
License: MIT
BuildArch: noarch
%define _binary_payload {payload}
%description
x
%post
touch {ran}
%files
/usr
"""


def rpm(tree: Path, place: Path, payload: str = "w3.zstdio") -> Path:
    """What rpmbuild makes of a tree, with a script that would leave a trace."""
    (place / "mine.spec").write_text(SPEC.format(payload=payload, ran=place / "ran"))
    room, root = place / "rpmbuild", place / "root"
    command = ["rpmbuild", "-bb", "--define", f"_topdir {room}", "--buildroot", str(root), str(place / "mine.spec")]
    subprocess.run(["cp", "-a", str(tree), str(root)], check=True)
    subprocess.run(command, check=True, capture_output=True)
    return next(room.rglob("*.rpm"))


def deb(tree: Path, place: Path, *options: str) -> Path:
    control = tree / "DEBIAN"
    control.mkdir(exist_ok=True)
    (control / "control").write_text(
        "Package: mine\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n"
    )
    (control / "postinst").write_text(f"#!/bin/sh\ntouch {place}/ran\n")
    (control / "postinst").chmod(0o755)
    target = place / "mine.deb"
    subprocess.run(["dpkg-deb", *options, "-b", str(tree), str(target)], check=True, capture_output=True)
    return target


@pytest.fixture
def tree(tmp_path: Path, package: bytes) -> Path:
    """The files of a package with a module, a link and a device-like name among them."""
    top = tmp_path / "tree"
    modules = top / "usr/share/selinux/packages/targeted"
    modules.mkdir(parents=True)
    (modules / "mine.pp.bz2").write_bytes(bz2.compress(package))
    (top / "usr/share/doc").mkdir()
    (top / "usr/share/doc/mine.te").write_text(source())
    (top / "usr/share/doc" / f"{'long-' * 30}name").write_text("x" * 3000)
    (top / "usr/share/doc/link.pp").symlink_to("/etc/passwd")
    return top


@pytest.mark.parametrize("payload", ["w3.zstdio", "w2.xzdio", "w9.gzdio", "w9.bzdio"])
def test_an_rpm_is_read_and_its_scripts_are_not_run(tree: Path, tmp_path: Path, package: bytes, payload: str) -> None:
    found = read(rpm(tree, tmp_path, payload))
    assert (found.kind, [one.content for one in found.modules]) == ("rpm", [package])
    assert [one.name for one in found.sources] == ["usr/share/doc/mine.te"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("form", ["xz", "zstd", "gzip", "none"])
def test_a_debian_package_is_read_and_its_scripts_are_not_run(
    tree: Path, tmp_path: Path, package: bytes, host: Path, form: str
) -> None:
    path = deb(tree, tmp_path, f"-Z{form}")
    found = read(path)
    assert (found.kind, [one.content for one in found.modules]) == ("deb", [package])
    assert not (tmp_path / "ran").exists()
    if form == "xz":
        assert [entry[1:5] for entry in diff(host, path, str(host)).added] == [
            ("container_t", "data_t", "file", ("read",))
        ]


def test_a_module_for_each_of_several_policies_has_to_be_chosen(tree: Path, tmp_path: Path, package: bytes) -> None:
    other = tree / "usr/share/selinux/packages/mls/mine.pp.bz2"
    other.parent.mkdir()
    another = build_package("mine", source("open"), "", True, None)
    other.write_bytes(bz2.compress(another))
    path = deb(tree, tmp_path)
    with pytest.raises(UsageError, match="several times"):
        read(path)
    assert read(path, target="mls").modules[0].content == another
    assert read(path, target="targeted").modules[0].content == package


def outer(data: bytes, name: bytes = b"data.tar") -> bytes:
    """A Debian package with these files."""
    header = (
        name.ljust(16) + b"0".ljust(12) + b"0".ljust(6) * 2 + b"100644".ljust(8) + str(len(data)).encode().ljust(10)
    )
    return b"!<arch>\n" + header + b"`\n" + data


def tarred(name: str, content: bytes) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.GNU_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return held.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("m.rpm", b"hello", "no rpm package"),
        ("m.deb", b"", "no deb package"),
        ("m.rpm", b"\xed\xab\xee\xdb" + b"\0" * 200, "header is none of an RPM"),
        ("m.rpm", b"\xed\xab\xee\xdb" + b"\0" * 92 + b"\x8e\xad\xe8\x01" + b"\0" * 4 + b"\xff" * 8, "cut short"),
        ("m.deb", b"!<arch>\n" + b"x" * 60, "none of ar's"),
        ("m.deb", outer(b"", b"control.tar"), "holds no files"),
        ("m.deb", outer(tarred("mine.cil", b"(type x)")[:700]), "cut short"),
        ("m.deb", outer(b"x" * 512), "no tar archive"),
        ("m.deb", outer(bz2.compress(tarred("big", b"\0" * (80 << 20))), b"data.tar.bz2"), "unpacks to more"),
        ("m.deb", outer(b"\xfd7zXZ\0 damaged", b"data.tar.xz"), "damaged"),
        ("m.deb", outer(b"\x28\xb5\x2f\xfd damaged", b"data.tar.zst"), "damaged"),
        ("m.deb", outer(tarred("usr/no-module", b"x")), "holds no module"),
        ("m.deb", outer(tarred("../../x y.pp", b"x")), "can't name a module"),
    ],
    ids=range(13),
)
def test_a_damaged_or_hostile_package_is_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=says):
        read(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


# ---- revisions ----------------------------------------------------------------------------------------------


def git(*words: str, cwd: Path) -> str:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@x", "-c", "init.defaultBranch=main", *words]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository_of_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a module in two versions; its configuration would run something wherever git can be made to."""
    top = tmp_path / "repository"
    (top / "modules").mkdir(parents=True)
    git("init", cwd=top)
    for number, perms in enumerate(("read", "read open")):
        (top / "modules/mine.te").write_text(source(perms))
        (top / "modules/mine.fc").write_text(LABEL)
        git("add", ".", cwd=top)
        git("commit", "-m", f"{number}", cwd=top)
    (top / ".gitattributes").write_text("*.te filter=evil diff=evil\n")
    for key in ("filter.evil.smudge", "diff.evil.textconv", "diff.evil.command", "core.fsmonitor", "core.pager"):
        git("config", key, f"touch {tmp_path}/ran; cat", cwd=top)
    (top / "modules/mine.te").write_text("what is in the work tree does not count")
    monkeypatch.chdir(top)
    return top


def test_two_revisions_are_compared_without_a_checkout(repository_of_two: Path, host: Path, tmp_path: Path) -> None:
    found = diff("git:HEAD~1:modules/mine.te", "git:HEAD:modules", str(host))
    assert found.verdict == "more-permissive"
    assert [entry[1:5] for entry in found.added] == [("container_t", "data_t", "file", ("open",))]
    assert found.a.path == "git:HEAD~1:modules/mine.te"
    assert found.found.labels_added == ()  # both have the .fc beside the .te
    both = [one.name for one in read("git:HEAD:modules/mine.te").sources]
    assert both == ["modules/mine.te", "modules/mine.fc"]
    assert not (tmp_path / "ran").exists()


def test_of_a_project_in_a_revision_its_own_module_counts(repository_of_two: Path) -> None:
    place = repository_of_two / "modules"
    git("checkout", "--", ".", cwd=repository_of_two)
    (place / "polkit.toml").write_text('[module]\nname = "mine"\n')
    (place / "mine-extra.cil").write_text("(allow container_t shadow_t (file (read)))")
    git("add", ".", cwd=repository_of_two)
    git("commit", "-m", "project", cwd=repository_of_two)
    assert [one.name for one in read("git:HEAD:modules").modules] == ["mine"]


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ("git:HEAD", UsageError),
        ("git:--upload-pack=x:modules", UsageError),
        ("git:nope:modules/mine.te", SourceError),
        ("git:HEAD:modules/gone.te", SourceError),
        ("git:HEAD:modules/mine\n.te", UsageError),
    ],
)
def test_a_revision_that_is_not_there_is_refused(repository_of_two: Path, spec: str, error: type[PolkitError]) -> None:
    with pytest.raises(error):
        read(spec)


def test_a_link_in_a_revision_and_a_place_without_repository(
    repository_of_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository_of_two / "modules/link.te").symlink_to("/etc/passwd")
    git("add", "modules/link.te", cwd=repository_of_two)
    git("commit", "-m", "link", cwd=repository_of_two)
    with pytest.raises(SourceError, match="no regular file"):
        read("git:HEAD:modules/link.te")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(SourceError, match="not a git repository"):
        read("git:HEAD:modules/mine.te")


def test_a_label_that_holds_only_where_something_is_defined(tmp_path: Path, policy_root: Path) -> None:
    (tmp_path / "mine.te").write_text(source())
    ifdefs = f"ifdef(`no_such_option',`\n{LABEL}')\nifndef(`no_such_option',`\n{LABEL.replace('/x', '/y')}')\n"
    (tmp_path / "mine.fc").write_text(ifdefs)
    (module,) = read(tmp_path / "mine.te", policy_root).modules
    assert "/opt/y" in module.cil
    assert "/opt/x" not in module.cil
