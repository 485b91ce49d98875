"""The version that a module needs: from what it grants on its targets, old against new."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.bundle import Packaged, package, packaged_text
from polkit.errors import PolkitError, SourceError, UsageError
from polkit.module import marked
from tests.bundle.making import make_project, semodule, small_host

HEAD = """module mine {version};
require {{
    type container_t; type init_t; type data_t; type wide_device_t; type narrow_device_t;
    attribute domain; attribute file_type; attribute can_read_shadow_passwords; attribute container_domain;
    role system_r; bool container_use_data;
    class file {{ read write append open getattr create execmod }}; class dir {{ add_name search }};
    class chr_file {{ open ioctl }}; class process {{ fork signal transition }};
}}
type mine_t, domain;
type mine_data_t, file_type;
role system_r types mine_t;
allow mine_t mine_data_t:file {{ read open }};
allow mine_t wide_device_t:chr_file {{ open ioctl }};
"""
FC = "/srv/mine(/.*)?  system_u:object_r:mine_data_t:s0\n"
NAMES = ("patch", "minor", "major")


def write(project: Path, version: str, body: str = "", fc: str = FC) -> Path:
    """A project without evidence: what is written by hand is what is shipped."""
    project.mkdir(exist_ok=True)
    (project / "polkit.toml").write_text(f'[module]\nname = "mine"\nversion = "{version}"  # ours\n', encoding="utf-8")
    (project / "mine.te").write_text(HEAD.format(version=version) + body, encoding="utf-8")
    (project / "mine.fc").write_text(fc, encoding="utf-8")
    return project


class Releases:
    """Versions of one module on the small host, each held against 1.0.0."""

    def __init__(self, place: Path, host: Path) -> None:
        self.place, self.host, self._count = place, host, 0

    def first(self, body: str = "", fc: str = FC) -> Path:
        """The bundle of 1.0.0."""
        self._count += 1
        project = write(self.place / f"first{self._count}", "1.0.0", body, fc)
        return package(project, targets={"host": str(self.host)}).directory

    def after(self, old: Path, body: str = "", fc: str = FC, version: str = "9.0.0") -> Packaged:
        """A later version, allowed whatever it grants unless ``version`` says otherwise."""
        self._count += 1
        project = write(self.place / f"next{self._count}", version, body, fc)
        return package(project, targets={"host": str(self.host)}, against=old)


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory, host: Path) -> Releases:
    """Where to make versions."""
    return Releases(tmp_path_factory.mktemp("versions"), host)


@pytest.fixture(scope="module")
def plain(releases: Releases) -> Path:
    """Version 1.0.0 with nothing but its head."""
    return releases.first()


def step_of(packaged: Packaged) -> tuple[str, tuple[str, ...]]:
    """The step that is needed, and what asks for it."""
    demand = packaged.standing.demand
    assert demand is not None
    return demand.step.word, tuple(one.text for one in demand.witnesses)


RULES = [
    ("# a comment\n", "patch", ""),
    ("allow mine_t mine_data_t:file open;\n", "patch", ""),
    ("dontaudit mine_t data_t:file write;\n", "patch", ""),
    ("allow mine_t self:process fork;\n", "patch", ""),
    ("allow mine_t mine_data_t:file { write append };\n", "minor", "mine_t mine_data_t:file { append write }"),
    ("if (container_use_data) { allow mine_t mine_data_t:file write; }\n", "minor", "while container_use_data"),
    ("type mine_more_t, file_type;\nallow mine_t mine_more_t:file read;\n", "minor", "mine_more_t"),
    ("type_transition mine_t mine_data_t:file mine_t;\n", "minor", "type_transition"),
    ("bool mine_writes false;\nif (mine_writes) { allow mine_t mine_data_t:file write; }\n", "minor", "mine_writes"),
    ("allow mine_t data_t:file read;\n", "major", "allow mine_t data_t:file { read }"),
    ("allow container_t mine_data_t:file read;\n", "major", "allow container_t mine_data_t:file { read }"),
    ("allow container_t data_t:file write;\n", "major", "allow container_t data_t:file { write }"),
    ("if (container_use_data) { allow mine_t data_t:file read; }\n", "major", "while container_use_data"),
    ("allow container_domain mine_data_t:file read;\n", "major", "allow container_t mine_data_t:file { read }"),
    ("typeattribute mine_t container_domain;\n", "minor", "mine_t is in attribute container_domain"),
    ("typeattribute mine_t can_read_shadow_passwords;\n", "major", "which a neverallow rule exempts"),
    ("typeattribute container_t can_read_shadow_passwords;\n", "major", "container_t is in attribute"),
    ("permissive mine_t;\n", "major", "permissive mine_t"),
    ("allow mine_t mine_data_t:file execmod;\n", "major", "high risk"),
    ("type_transition init_t data_t:file mine_data_t;\n", "major", "type_transition init_t"),
    ("allowxperm mine_t wide_device_t:chr_file ioctl 0x4600;\n", "patch", ""),
]


@pytest.mark.parametrize(("body", "step", "witness"), RULES)
def test_a_rule_asks_for_its_step(releases: Releases, plain: Path, body: str, step: str, witness: str) -> None:
    found, because = step_of(releases.after(plain, body))
    assert found == step
    assert bool(because) == (step != "patch")
    assert witness in " ".join(because)


def test_what_goes_asks_for_no_more_than_a_patch_but_a_list_of_commands(releases: Releases) -> None:
    narrow = "allowxperm mine_t wide_device_t:chr_file ioctl 0x4600;\n"
    old = releases.first(narrow + "allow mine_t data_t:file read;\npermissive mine_t;\n")
    fewer = releases.after(old, narrow)
    assert step_of(fewer) == ("patch", ())
    assert fewer.standing.demand is not None
    texts = {one.text for one in fewer.standing.demand.reasons}
    assert texts == {"no longer: allow mine_t data_t:file { read }", "no longer: permissive mine_t;"}
    step, because = step_of(releases.after(old, "allow mine_t data_t:file read;\npermissive mine_t;\n"))
    assert step == "major"
    assert "allowxperm mine_t wide_device_t:chr_file ioctl { 0x0000-0x45ff 0x4601-0xffff }" in because
    both = releases.after(old, narrow + "allow mine_t mine_data_t:file write;\n")
    assert step_of(both)[0] == "minor", "of an incomparable change, the part that is more permissive"


OWN = "system_u:object_r:mine_data_t:s0"


@pytest.mark.parametrize(
    ("fc", "step", "witness"),
    [
        (f"# order\n/srv/mine(/.*)? {OWN}\n", "patch", ""),
        (f"{FC}/srv/mine/deep(/.*)? {OWN}\n", "patch", ""),
        (f"{FC}/srv/other(/.*)? {OWN}\n", "minor", "files at /srv/other are labelled mine_data_t, not var_t"),
        (f"/srv(/.*)? {OWN}\n", "minor", "files at /srv are labelled mine_data_t"),
        (f"{FC}/etc/mine\\.conf -- {OWN}\n", "major", "files at /etc/mine.conf are labelled mine_data_t, not etc_t"),
        ("", "major", "files at /srv/mine go back to var_t, from mine_data_t"),
        (f"{FC}/srv/x(/.*)? system_u:object_r:data_t:s0\n", "major", "labelled data_t, a type of others"),
        (f"{FC}/etc/.*\\.key {OWN}\n", "major", "files that match /etc/.*\\.key"),
    ],
)
def test_a_label_can_grant_more_than_a_rule(releases: Releases, plain: Path, fc: str, step: str, witness: str) -> None:
    found, because = step_of(releases.after(plain, fc=fc))
    assert (found, bool(because)) == (step, step != "patch")
    assert witness in " ".join(because)


@pytest.mark.parametrize(
    ("body", "enough", "too_low"),
    [
        ("# nothing\n", "1.0.1", None),
        ("allow mine_t mine_data_t:file write;\n", "1.1.0", "1.0.7"),
        ("allow mine_t data_t:file read;\n", "2.0.0", "1.9.9"),
    ],
)
def test_a_lower_step_is_refused_and_says_why(
    releases: Releases, plain: Path, body: str, enough: str, too_low: Optional[str]
) -> None:
    if too_low is not None:
        with pytest.raises(
            PolkitError, match=rf"version {too_low} is too low after 1\.0\.0: a .* allow mine_t"
        ) as error:
            releases.after(plain, body, version=too_low)
        assert error.value.exit_code == 1
        assert enough in error.value.hint
        assert not list(releases.place.glob(f"*/dist/mine-{too_low}*"))
    assert releases.after(plain, body, version=enough).version == enough


def test_bump_writes_the_version_where_the_project_has_it(tmp_path: Path, host: Path) -> None:
    project = write(tmp_path / "p", "1.2.3")
    log = project / "CHANGELOG.md"
    log.write_text("# Changelog\n\n## [Unreleased]\n\n- Writes.\n\n## [1.2.3]\n\n- First.\n", encoding="utf-8")
    targets = {"host": str(host)}
    first = package(project, targets=targets, bump=True)
    assert (first.version, first.standing.released) == ("1.2.3", None)
    again = package(project, targets=targets, bump=True)
    assert (again.version, again.standing.unchanged) == ("1.2.3", True)
    write(project, "1.2.3", "allow mine_t mine_data_t:file write;\n")
    raised = package(project, targets=targets, bump=True)
    assert (raised.version, raised.directory.name) == ("1.3.0", "mine-1.3.0")
    assert 'version = "1.3.0"  # ours' in (project / "polkit.toml").read_text(encoding="utf-8")
    assert (project / "mine.te").read_text(encoding="utf-8").startswith("module mine 1.3.0;\n")
    assert log.read_text(encoding="utf-8") == (
        "# Changelog\n\n## [Unreleased]\n\n## [1.3.0]\n\n- A minor step after 1.2.3:\n"
        "  - on host: `allow mine_t mine_data_t:file { write }`\n\n- Writes.\n\n## [1.2.3]\n\n- First.\n"
    )
    assert package(project, targets=targets, bump=True).version == "1.3.0"


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ('[module]\nname = "mine"\n[gates]\n', '[module]\nversion = "1.1.0"\nname = "mine"\n[gates]\n'),
        (
            "# [module]\r\n[ module ]\r\nversion='1.0.0' # v\r\nname='mine'\r\n",
            "version=\"1.1.0\" # v\r\nname='mine'\r\n",
        ),
        (
            '[module]\nname = "mine"\nsummary = "version = \\"1.0.0\\""\nversion = "1.0.0"',
            'summary = "version = \\"1.0.0\\""\nversion = "1.1.0"',
        ),
        ('module = {name = "mine", version = "1.0.0"}\n', None),
    ],
)
def test_everything_around_the_number_stays(tmp_path: Path, host: Path, config: str, found: Optional[str]) -> None:
    project, targets = write(tmp_path / "p", "1.0.0"), {"host": str(host)}
    path = project / "polkit.toml"
    path.write_bytes(config.encode("ascii"))
    package(project, targets=targets)
    write(project, "1.0.0", "allow mine_t mine_data_t:file write;\n")
    path.write_bytes(config.encode("ascii"))
    before = {one: one.read_bytes() for one in project.glob("*.*")}
    if found is None:
        with pytest.raises(UsageError, match="where the version stands"):
            package(project, targets=targets, bump=True)
        assert {one: one.read_bytes() for one in project.glob("*.*")} == before
    else:
        assert package(project, targets=targets, bump=True).version == "1.1.0"
        assert path.read_bytes().decode("ascii").endswith(found)
        assert not list(project.glob(".polkit.toml*"))


def test_a_version_was_released_once(tmp_path: Path, host: Path) -> None:
    project, targets = write(tmp_path / "p", "1.0.0"), {"host": str(host)}
    first = package(project, targets=targets)
    before = {path: path.stat().st_mtime_ns for path in (project / "dist").rglob("*")}
    assert package(project, targets=targets).standing.unchanged
    assert {path: path.stat().st_mtime_ns for path in (project / "dist").rglob("*")} == before
    write(project, "1.0.0", "# another comment\n")
    with pytest.raises(PolkitError, match=r"1\.0\.0 was released with other content: .*mine\.te differs") as error:
        package(project, targets=targets)
    assert error.value.exit_code == 1
    with pytest.raises(PolkitError, match="other content"):
        package(project, targets=targets, against=first.archive, force=True)
    assert package(project, targets=targets, force=True).standing.released is None


def test_what_to_compare_with(tmp_path: Path, host: Path) -> None:
    """The highest version that is not above; a directory or an archive; nothing that is no bundle of this module."""
    project, targets = write(tmp_path / "p", "1.0.0"), {"host": str(host)}
    old = package(project, targets=targets)
    write(project, "3.0.0", "allow mine_t data_t:file read;\n")
    package(project, targets=targets)
    write(project, "1.0.1", "#\n")
    fix = package(project, targets=targets)
    assert fix.standing.released is not None
    assert fix.standing.released.version == "1.0.0"
    shutil.rmtree(old.directory)
    write(project, "1.0.2", "# 2\n")
    assert step_of(package(project, tmp_path / "elsewhere", targets, against=old.archive)) == ("patch", ())
    with pytest.raises(UsageError, match=r"is version 3\.0\.0, above 1\.0\.2"):
        package(project, targets=targets, against=project / "dist/mine-3.0.0")
    damaged = bytearray(old.archive.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    old.archive.write_bytes(bytes(damaged))
    with pytest.raises(SourceError, match="damaged"):
        package(project, targets=targets, against=old.archive)
    with pytest.raises(SourceError, match="no bundle"):
        package(project, targets=targets, against=tmp_path)


ODD = [
    {"contexts": [{"pattern": "/srv x", "kind": "zz", "context": "a"}]},
    {"contexts": [{"pattern": "/srv(", "kind": "", "context": "a:b:c_t:s0"}]},
    {"contexts": [{"pattern": "/srv\n/x", "kind": "", "context": "a:b:c_t:s0"}]},
    {"ports": [{"protocol": "tcp", "port": "x", "type": "a_t"}]},
    {"module": "../../../etc/passwd"},
    {"module": "README.md"},
    {"domain": ["a"]},
    {"base": "container_t\nx"},
    {"booleans": [1]},
]


@pytest.mark.parametrize("odd", ODD)
def test_a_bundle_that_is_none_is_refused(releases: Releases, plain: Path, tmp_path: Path, odd: dict[str, Any]) -> None:
    """Its sums are right; libselinux would end the process over some of these."""
    copy = tmp_path / "copy"
    shutil.copytree(plain, copy)
    manifest = json.loads((copy / "manifest.json").read_bytes())
    manifest["targets"]["host"].update(odd)
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="ascii")
    files = sorted(path for path in copy.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(copy)}\n" for path in files]
    (copy / "SHA256SUMS").write_text("".join(sums), encoding="ascii")
    with pytest.raises(SourceError):
        releases.after(copy)


def test_a_released_module_that_the_policy_no_longer_takes_counts_as_none(tmp_path: Path, host: Path) -> None:
    """The policy has lost a type since: whatever the new module grants was not there before."""
    (tmp_path / "went.cil").write_text("(type went_t)\n", encoding="ascii")
    old_host = small_host(tmp_path / "old")
    semodule(old_host, "-X", "400", "-i", tmp_path / "went.cil")
    body = "require { type went_t; }\nallow mine_t went_t:file read;\n"
    old = package(write(tmp_path / "p", "1.0.0", body), targets={"host": str(old_host)})
    with pytest.raises(PolkitError, match="is too low after"):
        package(write(tmp_path / "p", "1.0.1"), targets={"host": str(host)}, against=old.directory)


def test_what_the_base_has_by_now_is_minor(tmp_path: Path) -> None:
    """The distribution gave the base more; the module, made anew, takes that over and is given nothing of its own."""
    before, now = small_host(tmp_path / "before"), small_host(tmp_path / "now")
    (tmp_path / "more.cil").write_text("(allow container_t data_t (file (write)))\n", encoding="ascii")
    semodule(now, "-X", "100", "-i", tmp_path / "more.cil")
    project = make_project(tmp_path / "p", before)
    package(project, targets={"host": str(before)})
    with pytest.raises(PolkitError, match=r"allow vllm_t data_t:file \{ write \}") as error:
        package(project, targets={"host": str(now)})
    assert "makes it 0.2.0" in error.value.hint
    raised = package(project, targets={"host": str(now)}, bump=True)
    assert (raised.version, raised.failed) == ("0.2.0", ())
    assert step_of(raised)[0] == "minor"
    # The head that generate writes says the version too, so that the next one changes nothing else.
    assert "# vllm 0.2.0: SELinux" in (project / "vllm.te").read_text(encoding="utf-8")


@pytest.mark.heavy
def test_a_real_module_on_a_real_policy(tmp_path: Path, repository: Path, policy_root: Path) -> None:
    """A hundred thousand rules, an own domain that inherits: one more rule is found, and nothing else."""
    project, targets = tmp_path / "vllm-cuda", {"el9": str(policy_root), "debian12": str(policy_root)}
    shutil.copytree(repository / "modules/vllm-cuda", project)
    package(project, targets=targets, with_proof=False)
    by_hand = "require { type vllm_cuda_t; type dri_device_t; class chr_file { open read }; }\n"
    te = project / "vllm-cuda.te"
    rule = "allow vllm_cuda_t dri_device_t:chr_file { open read };\n"
    te.write_text(marked(te.read_text(encoding="utf-8")) + by_hand + rule, encoding="utf-8")
    raised = package(project, targets=targets, with_proof=False, bump=True)
    assert raised.version == "2.0.0"
    text = "allow vllm_cuda_t dri_device_t:chr_file { open read }"
    assert raised.standing.demand is not None
    assert {(one.target, one.text) for one in raised.standing.demand.reasons} == {("el9", text), ("debian12", text)}


def test_without_a_policy_words_are_compared(tmp_path: Path) -> None:
    package(write(tmp_path / "p", "1.0.0"))
    package(write(tmp_path / "p", "1.0.1", "# a comment\n"))
    with pytest.raises(PolkitError, match=r"on source: allow mine_t data_t:file read"):
        package(write(tmp_path / "p", "1.1.0", "allow mine_t data_t:file read;\n"))
    with pytest.raises(PolkitError, match=r"on source: allow mine_t mine_data_t:file write") as error:
        package(write(tmp_path / "p", "1.0.2", "allow mine_t mine_data_t:file write;\n"))
    assert "1.1.0" in error.value.hint


POOL = tuple(body for body, _, _ in RULES if not body.startswith("#") and body.count("\n") == 1)


def monotone(releases: Releases, old: Path, drawn: list[str], more: str) -> None:
    """One rule more never lowers the step; order and comments don't matter."""
    few = step_of(releases.after(old, "".join(drawn)))
    turned = step_of(releases.after(old, "# turned\n" + "".join(reversed(drawn))))
    many = step_of(releases.after(old, "".join((*drawn, more))))
    assert few == turned
    assert NAMES.index(many[0]) >= NAMES.index(few[0])


@given(st.lists(st.sampled_from(POOL), unique=True, max_size=4), st.sampled_from(POOL))
@settings(max_examples=2, deadline=None)
def test_one_rule_more_never_lowers_the_step(releases: Releases, plain: Path, drawn: list[str], more: str) -> None:
    monotone(releases, plain, drawn, more)


@pytest.mark.heavy
@given(st.lists(st.sampled_from(POOL), unique=True, max_size=6), st.sampled_from(POOL))
@settings(max_examples=60, deadline=None)
def test_one_rule_more_never_lowers_the_step_often(
    releases: Releases, plain: Path, drawn: list[str], more: str
) -> None:
    monotone(releases, plain, drawn, more)


@pytest.mark.heavy
@given(st.lists(st.sampled_from(POOL), unique=True, max_size=6))
@settings(max_examples=20, deadline=None)
def test_a_module_after_itself_is_a_patch(releases: Releases, drawn: list[str]) -> None:
    old = releases.first("".join(drawn))
    assert step_of(releases.after(old, "".join(drawn))) == ("patch", ())


def test_the_command_line(tmp_path: Path, host: Path) -> None:
    """Exit codes, what is said where, and nothing of a project's text that a terminal would obey."""
    project = write(tmp_path / "p", "1.0.0")
    words = [sys.executable, "-m", "polkit", "package", str(project), "--target", f"host={host}"]
    subprocess.run([*words, "-q"], check=True)
    write(project, "1.0.1", "allow mine_t data_t:file read;\n")
    refused = subprocess.run([*words, "-q"], check=False, capture_output=True, text=True)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "a major step is needed; on host: allow mine_t data_t:file { read }" in refused.stderr
    assert "polkit package --bump makes it 2.0.0" in refused.stderr
    raised = subprocess.run([*words, "--bump"], check=False, capture_output=True, text=True)
    assert raised.returncode == 0, raised.stderr
    assert "  after 1.0.0: major\n    major, host: allow mine_t data_t:file { read }\n" in raised.stdout
    again = subprocess.run([*words, "--bump"], check=True, capture_output=True, text=True)
    assert "as released: nothing differs from version 2.0.0" in again.stdout
    named = subprocess.run([*words, "--against", str(tmp_path / "none")], check=False, capture_output=True, text=True)
    assert named.returncode == 2


def test_the_answer_as_json(releases: Releases, plain: Path, repository: Path) -> None:
    said = json.loads(packaged_text(releases.after(plain, "allow mine_t data_t:file read;\n")))["release"]
    schema = json.loads((repository / "docs/schemas/polkit.release-1.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(said)
    assert said["step"] == "major"
    assert {"step": "major", "target": "host", "text": "allow mine_t data_t:file { read }"} in said["changes"]
