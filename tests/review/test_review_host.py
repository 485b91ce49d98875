"""Years of ``audit2allow -M mypol`` on a real store: what each module still does, and what could go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from polkit.errors import MissingDependency, SourceError, UsageError
from polkit.policy import locate
from polkit.review import HostModule, HostReview, host_review_object, host_review_text, review_host
from tests.bundle.making import semodule, snapshot


def te(name: str, *rules: str) -> str:
    """A module as audit2allow -M writes it: what the rules name is required."""
    types = sorted({word.split(":")[0] for rule in rules for word in rule.split()[1:3]} - {"self"})
    classes: dict[str, set[str]] = {}
    for rule in rules:
        head, _, perms = rule.rstrip(";").partition(" {") if "{" in rule else rule.rstrip(";").rpartition(" ")
        classes.setdefault(head.rpartition(":")[2].split()[0], set()).update(perms.strip(" }").split())
    required = [f"\ttype {name};" for name in types]
    required += [f"\tclass {tclass} {{ {' '.join(sorted(perms))} }};" for tclass, perms in sorted(classes.items())]
    body = "\n".join(rules)
    return (
        f"module {name} 1.0;\n\nrequire {{\n"
        + "\n".join(required)
        + f"\n}}\n\n#============= x ==============\n{body}\n"
    )


READS = "allow container_t container_file_t:file { getattr open read };"
APPENDS = "allow container_t data_t:file append;"
WRITES = "allow container_t var_t:file { open write };"
SHADOW = "allow container_t shadow_t:file { open read };"
YEARS = {
    "mypol": (400, (READS,)),
    "mypol2": (400, (APPENDS,)),
    "mypol3": (400, (READS, WRITES)),
    "mypol4": (400, (WRITES,)),
    "mypol5": (400, (SHADOW,)),
    "mypol6": (400, ("allow container_t dri_device_t:chr_file { open read };",)),
    "setroubleshoot": (300, ("allow container_t etc_t:file read;",)),
}


def install(root: Path, place: Path, name: str, text: str, priority: int) -> None:
    """As audit2allow tells to: compiled, packed and put into the store."""
    source, module, package = (place / f"{name}{suffix}" for suffix in (".te", ".mod", ".pp"))
    source.write_text(text)
    subprocess.run(["checkmodule", "-M", "-m", "-o", module, source], check=True, capture_output=True)
    subprocess.run(["semodule_package", "-o", package, "-m", module], check=True, capture_output=True)
    semodule(root, "-X", str(priority), "-i", package)


@pytest.fixture(scope="module")
def old_host(host: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small host with years of local modules."""
    place = tmp_path_factory.mktemp("years")
    root = place / "root"
    shutil.copytree(host, root)
    for name, (priority, rules) in YEARS.items():
        install(root, place, name, te(name, *rules), priority)
    install(root, place, "setroubleshoot", te("setroubleshoot", "allow container_t etc_t:file getattr;"), 400)
    install(root, place, "nothing", "module nothing 1.0;\nrequire { type data_t; }\n", 400)
    install(root, place, "off", te("off", "allow sandbox_t var_t:file read;"), 400)
    semodule(root, "-d", "off")
    (place / "own.cil").write_text(
        '(type own_t)(roletype object_r own_t)(filecon "/own" file (system_u object_r own_t ((s0) (s0))))'
    )
    semodule(root, "-X", "200", "-i", place / "own.cil")
    return root


@pytest.fixture(scope="module")
def found(old_host: Path) -> HostReview:
    return review_host(str(old_host))


def named(found: HostReview, name: str, priority: int = 400) -> HostModule:
    return next(one for one in found.modules if (one.name, one.module.priority) == (name, priority))


@pytest.mark.parametrize(
    ("name", "priority", "verdict", "command"),
    [
        ("mypol", 400, "unneeded", "semodule -X 400 -r mypol"),
        ("nothing", 400, "empty", "semodule -X 400 -r nothing"),
        ("off", 400, "disabled", "semodule -X 400 -r off"),
        ("setroubleshoot", 300, "hidden", "semodule -X 300 -r setroubleshoot"),
        ("setroubleshoot", 400, "needed", ""),
        ("mypol4", 400, "repeated", "semodule -X 400 -r mypol4"),
        ("mypol2", 400, "boolean", "setsebool -P container_use_data=on"),
        ("mypol3", 400, "partly", ""),
        ("mypol5", 400, "needed", ""),
        ("mypol6", 400, "needed", ""),
        ("own", 200, "needed", ""),
    ],
)
def test_each_module_has_its_verdict(found: HostReview, name: str, priority: int, verdict: str, command: str) -> None:
    module = named(found, name, priority)
    assert (module.verdict, "".join(module.commands[:1])) == (verdict, command)


def test_each_rule_is_told_for_itself(found: HostReview) -> None:
    kinds = {rule.text.split()[2]: (rule.kind, rule.by) for rule in named(found, "mypol3").rules}
    assert kinds == {"container_file_t:file": ("unneeded", ""), "var_t:file": ("needed", "")}
    assert [(rule.kind, rule.by) for rule in named(found, "mypol4").rules] == [("repeated", "mypol3 (400)")]
    assert named(found, "mypol2").commands[1] == "semodule -X 400 -r mypol2"
    assert named(found, "own", 200).other[0] == "type own_t;"


def test_what_is_dangerous_is_told_beside(found: HostReview) -> None:
    assert named(found, "mypol5").dangerous
    assert not named(found, "mypol2").dangerous
    assert found.exit_code == 1


def test_what_nobody_needs_comes_first(found: HostReview) -> None:
    verdicts = [one.verdict for one in found.modules]
    assert verdicts[0] == "unneeded"
    assert verdicts.index("needed") > verdicts.index("repeated")


def test_the_commands_take_out_nothing_that_counts(found: HostReview, old_host: Path, tmp_path: Path) -> None:
    assert found.lost == ()
    root = tmp_path / "cleaned"
    shutil.copytree(old_host, root)
    for module in found.modules:
        for command in module.commands:
            words = command.split()
            if words[0] == "semodule":
                semodule(root, *words[1:])
    again = review_host(str(root))
    assert {one.name for one in again.modules} == {"mypol3", "mypol5", "mypol6", "setroubleshoot", "own"}
    assert {one.verdict for one in again.modules} == {"partly", "needed"}


def test_nothing_is_changed(old_host: Path) -> None:
    before = snapshot(old_host)
    review_host(str(old_host))
    assert snapshot(old_host) == before


def test_it_holds_to_its_schema(found: HostReview, repository: Path) -> None:
    schema = json.loads((repository / "docs/schemas/polkit.host-review-1.schema.json").read_text())
    made = json.loads(host_review_text(found))
    jsonschema.Draft202012Validator(schema).validate(made)
    assert made == host_review_object(found)
    assert made["commands"][0] == "semodule -X 400 -r mypol"


def test_a_host_without_local_modules_is_clean(host: Path) -> None:
    found = review_host(str(host))
    assert (found.modules, found.lost, found.exit_code) == ((), (), 0)


def test_without_a_store_it_is_said_how_to_name_one(host: Path, tmp_path: Path) -> None:
    policy = next(host.glob("etc/selinux/*/policy/policy.*"))
    lone = tmp_path / "policy"
    shutil.copy(policy, lone)
    with pytest.raises(MissingDependency, match="no module store belongs to it"):
        review_host(str(lone))
    root = tmp_path / "root"
    shutil.copytree(host / "etc", root / "etc")
    with pytest.raises(MissingDependency, match="there is no module store") as caught:
        review_host(str(root))
    assert "--store" in str(caught.value.hint)
    with pytest.raises(UsageError, match="a host's module store"):
        review_host("none")


@pytest.mark.parametrize("place", ["var/lib/selinux/*", "etc/selinux/*/policy", "etc/selinux"])
def test_without_rights_it_is_said_who_has_them(old_host: Path, tmp_path: Path, place: str) -> None:
    root = tmp_path / "closed"
    shutil.copytree(old_host, root)
    was = os.geteuid()
    for path in (*(root / "etc").rglob("*"), root, tmp_path, tmp_path.parent, tmp_path.parent.parent):
        path.chmod(0o755)
    closed = next(root.glob(place))
    closed.chmod(0o700 if was == 0 else 0)
    if was == 0:
        os.seteuid(65534)
    try:
        with pytest.raises((SourceError, MissingDependency)) as caught:
            review_host(str(root))
    finally:
        os.seteuid(was)
    assert "run as root" in str(caught.value.hint)


def test_a_module_that_is_damaged_is_told_and_the_others_reviewed(old_host: Path, tmp_path: Path) -> None:
    root = tmp_path / "damaged"
    shutil.copytree(old_host, root)
    cil = next(root.glob("var/lib/selinux/*/active/modules/400/mypol6/cil"))
    cil.write_bytes(b"BZh9 no such thing")
    found = review_host(str(root))
    assert named(found, "mypol6").verdict == "unreadable"
    assert named(found, "mypol").verdict == "unneeded"
    assert found.lost is None
    assert any("mypol6" in note for note in found.notes)


def test_a_strangers_store_is_data(old_host: Path, tmp_path: Path) -> None:
    """Names that a shell or a terminal would take for more, links that lead out, pipes, text that is no CIL."""
    root = tmp_path / "hostile"
    shutil.copytree(old_host, root)
    modules = next(root.glob("var/lib/selinux/*/active/modules/400"))
    name = "x;touch\x1b[31m$(id)"
    for made, text in ((name, ""), ("garbage", "(((("), ("deep", "(" * 100_000)):
        (modules / made).mkdir()
        (modules / made / "cil").write_text(text)
        (modules / made / "lang_ext").write_text("cil")
    (modules / "leads out").symlink_to("/etc")
    (modules / "peeks").mkdir()
    (modules / "peeks/cil").symlink_to("/etc/passwd")
    found = review_host(str(root))
    assert named(found, name).commands == (f"semodule -X 400 -r '{name}'",)
    assert {one.name for one in found.modules if one.verdict == "unreadable"} == {"garbage", "deep", "peeks"}
    assert "root:" not in host_review_text(found)
    assert named(found, "mypol").verdict == "unneeded"


def test_a_pipe_is_not_waited_for(old_host: Path, tmp_path: Path) -> None:
    root = tmp_path / "pipe"
    shutil.copytree(old_host, root)
    place = next(root.glob("var/lib/selinux/*/active/modules/400")) / "pipe"
    place.mkdir()
    os.mkfifo(place / "hll")
    with pytest.raises(SourceError, match="can't be read"):
        review_host(str(root))


def test_a_module_without_its_cil_is_converted(old_host: Path, tmp_path: Path) -> None:
    root = tmp_path / "unconverted"
    shutil.copytree(old_host, root)
    next(root.glob("var/lib/selinux/*/active/modules/400/mypol/cil")).unlink()
    assert named(review_host(str(root)), "mypol").verdict == "unneeded"


def test_modules_that_stand_on_each_other_are_needed(old_host: Path, tmp_path: Path) -> None:
    root = tmp_path / "standing"
    shutil.copytree(old_host, root)
    install(root, tmp_path, "onto", te("onto", "allow container_t own_t:file read;"), 400)
    found = review_host(str(root))
    assert named(found, "onto").verdict == "needed"
    assert [rule.kind for rule in named(found, "onto").rules] == ["needed"]


class TestCli:
    """The verb."""

    def test_text_and_json(self, old_host: Path, repository: Path) -> None:
        def polkit(*words: str) -> subprocess.CompletedProcess[str]:
            command = [
                sys.executable,
                "-m",
                "polkit",
                "review",
                "--host",
                "--policy",
                str(old_host),
            ]
            return subprocess.run([*command, *words], capture_output=True, text=True, check=False, cwd=repository)

        text = polkit()
        assert text.returncode == 1, text.stderr
        assert text.stdout.index("NOBODY NEEDS IT ANY MORE") < text.stdout.index("PARTLY NEEDED")
        assert "  semodule -X 400 -r mypol\n" in text.stdout
        assert "the policy allows the same" in text.stdout
        made = json.loads(polkit("--format", "json").stdout)
        assert made["schema"] == "polkit.host-review/1"


@pytest.mark.heavy
def test_on_a_distributions_store(policy_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "host"
    shutil.copytree(policy_root, root, symlinks=True)
    name = locate(str(root)).name
    assert name is not None
    place = tmp_path / "modules"
    place.mkdir()
    rules = {
        "mypol": "allow container_t container_file_t:file { getattr open read };",
        "gpu": "allow container_t xserver_misc_device_t:chr_file { open read write };",
        "keys": "allow container_t shadow_t:file { open read };",
        # authlogin_nsswitch_use_ldap would give it, to everything that looks up names
        "certs": "allow container_t cert_t:file { open read };",
    }
    for module, rule in rules.items():
        (place / f"{module}.te").write_text(te(module, rule))
        subprocess.run(["checkmodule", "-M", "-m", "-o", f"{module}.mod", f"{module}.te"], check=True, cwd=place)
        subprocess.run(["semodule_package", "-o", f"{module}.pp", "-m", f"{module}.mod"], check=True, cwd=place)
        semodule(root, "-X", "400", "-i", place / f"{module}.pp", store=name)
    found = review_host(str(root))
    assert {one.name: one.verdict for one in found.modules if one.name in rules} == {
        "mypol": "unneeded",
        "gpu": "needed",
        "keys": "needed",
        "certs": "needed",
    }
    assert named(found, "keys").dangerous
    assert found.lost == ()
