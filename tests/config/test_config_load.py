"""polkit.toml: what is read, and how everything else is refused."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polkit.config import (
    SECTIONS,
    Config,
    Denied,
    EvidenceShown,
    Forbid,
    Gates,
    Minimize,
    Module,
    Review,
    Target,
    Zone,
    check_module_name,
    load_config,
)
from polkit.errors import PolkitError, SourceError, UsageError

WHOLE = """
[module]
name = "vllm-cuda"
version = "1.2.0"
summary = "vLLM with GPUs"
vendor = "Example GmbH"
license = "Apache-2.0"
contact = "Ann <ann@example.com>"

[minimize]
bases = ["container_t", "container_kvm_t"]
shared_domains = ["spc_t"]
accept = ["ptrace"]
booleans = "getsebool.txt"
mounts = ["/srv/models:/models"]
include_dontaudited = true

[targets.rhel9]
policydb = 19
policy = "rhel9/policy.33"
store = "rhel9"
rewrite = ["/run:/var/run"]
release = "el9"
policy_package = "38.1.35-2.el9"

[targets.debian12]

[gates]
max_over_permission = 0
max_risk = "medium"
forbid_rules_on = ["shadow_t"]
no_new_grants_to_shared = true

[[gates.forbid]]
name = "the GPU"
source = ["container_domain"]
target = ["xserver_misc_device_t"]
class = ["chr_file"]
perms = ["read", "write"]
except = ["vllm_t"]

[[gates.forbid]]
perms = ["execmod"]

[[gates.denied]]
source = ["vllm_t"]
target = ["shadow_t"]
class = "file"
perms = ["read"]

[[gates.denied]]
name = "weights stay"
source = ["vllm_t"]
path = "/srv/models/w"
class = "file"
perms = ["write"]
except = ["spc_t"]

[evidence]
redact = true

[review]
flow_weight = 5
flow_exclude = ["syslogd_t"]

[review.zones.secret]
level = 2
types = ["shadow_t", "cert_type"]

[review.zones.world]
types = ["tmp_t"]

[review.severity]
PK010 = "info"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "polkit.toml"


RHEL9 = Target(19, "rhel9/policy.33", "rhel9", ("/run:/var/run",), "el9", "38.1.35-2.el9")


def test_everything_is_read(place: Path) -> None:
    place.write_text(WHOLE)
    assert load_config(place) == Config(
        module=Module("vllm-cuda", "1.2.0", "vLLM with GPUs", "Example GmbH", "Apache-2.0", "Ann <ann@example.com>"),
        minimize=Minimize(
            bases=("container_t", "container_kvm_t"),
            shared_domains=("spc_t",),
            accept=("ptrace",),
            booleans="getsebool.txt",
            mounts=("/srv/models:/models",),
            include_dontaudited=True,
        ),
        targets={"debian12": Target(), "rhel9": RHEL9},
        gates=Gates(
            0,
            "medium",
            ("shadow_t",),
            True,
            (
                Forbid(
                    "the GPU",
                    ("container_domain",),
                    ("xserver_misc_device_t",),
                    ("chr_file",),
                    ("read", "write"),
                    ("vllm_t",),
                ),
                Forbid(perms=("execmod",)),
            ),
            (
                Denied("", ("vllm_t",), ("shadow_t",), "", "file", ("read",)),
                Denied("weights stay", ("vllm_t",), (), "/srv/models/w", "file", ("write",), ("spc_t",)),
            ),
        ),
        evidence=EvidenceShown(redact=True),
        review=Review(flow_weight=5, flow_exclude=("syslogd_t",)),
        zones={"secret": Zone(2, ("shadow_t", "cert_type")), "world": Zone(0, ("tmp_t",))},
        severities={"PK010": "info"},
        path=str(place),
    )


def test_the_example_sets_every_key(place: Path) -> None:
    place.write_text(WHOLE)
    config = load_config(place)
    for name, kind in SECTIONS.items():
        section = config.targets["rhel9"] if name == "targets" else getattr(config, name)
        assert all(getattr(section, key.name) != key.default for key in fields(kind))


def test_without_a_file_all_is_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config() == Config()
    assert "container_t" in load_config().minimize.bases
    assert load_config().path is None
    with pytest.raises(FrozenInstanceError):
        load_config().module.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        load_config().targets["x"] = Target()  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[review.zones]\nsecret = 2\n", "holds sections only"),
        ("[review]\nzones = 2\n", "is a section, not a value"),
        ("[review.zones.secret]\nlevels = 2\n", "unknown key 'levels'; did you mean 'level'"),
        ('[review.zones.secret]\ntypes = ["a b"]\n', "can't be a type"),
        ('[review.severity]\nPK1 = "low"\n', "'PK1' is no finding"),
        ('[review.severity]\nPK010 = "none"\n', "PK010: expected one of info, low, medium, high"),
        ("[review.severity]\nPK010 = [1]\n", "PK010: expected one of info"),
        ("[review]\nflow_weight = 0\n", "0 is less than 1"),
        ("[review]\nflow_weight = 11\n", "11 is more than 10"),
    ],
)
def test_what_is_wrong_with_a_review_section_is_said(place: Path, text: str, said: str) -> None:
    place.write_text(text)
    with pytest.raises(UsageError, match=re.escape(said)):
        load_config(place)


def test_the_file_of_the_current_directory_is_found(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write_text('[module]\nname = "here"\n')
    monkeypatch.chdir(place.parent)
    assert load_config().module.name == "here"
    assert load_config().path == "polkit.toml"


def test_paths_are_relative_to_the_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write_text(WHOLE)
    config = load_config(place)
    assert config.beside("getsebool.txt") == place.parent / "getsebool.txt"
    assert config.beside("/etc/x") == Path("/etc/x")
    assert Config().beside("getsebool.txt") == Path("getsebool.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[minimize]\nbase = []", "[minimize] unknown key 'base'; did you mean 'bases'?"),
        ("[module]\ncontact = 'Ann'", "[module] contact: 'Ann' names nobody"),
        ("[module]\ncontact = 'Ann <a@b> <c@d>'", "[module] contact: 'Ann <a@b> <c@d>' names nobody"),
        ("[targets.x]\nrelease = 'slackware'", "[targets.x] release: 'slackware' is no release"),
        ("[targets.x]\npolicy_package = '1 2'", "[targets.x] policy_package: '1 2' is no version of a package"),
        ("[modul]", "unknown section [modul]; did you mean 'module'?"),
        ("[zzz]", "unknown section [zzz]"),
        ("name = 'x'", "unknown section [name]"),
        ("[gates]\nmax_risks = 'low'", "[gates] unknown key 'max_risks'; did you mean 'max_risk'?"),
        ("[targets.rhel9]\npolicy_db = 1", "[targets.rhel9] unknown key 'policy_db'; did you mean 'policydb'?"),
        ("[module]\nname = 3", "[module] name: expected text on one line, got a whole number"),
        ("[module]\nname = 1979-05-27", "[module] name: expected text on one line, got a date or time"),
        (
            "[module]\nsummary = 'a\\nb'\nvendor = \"a\\nb\"",
            "[module] vendor: expected text on one line, got text with",
        ),
        ("[minimize]\nbases = 'container_t'", "[minimize] bases: expected a list of texts, got text"),
        ("[minimize]\nbases = ['a_t', 1]", "[minimize] bases: expected a list of texts, got a list"),
        ("[minimize]\nbases = ['a_t;']", "[minimize] bases: 'a_t;' can't be a type"),
        ("[minimize]\nmounts = ['srv:/x']", "[minimize] mounts: 'srv:/x' is not HOST:CTR"),
        ("[minimize]\nmounts = ['/a:/b:/c']", "[minimize] mounts: '/a:/b:/c' is not HOST:CTR"),
        ("[minimize]\ninclude_dontaudited = 1", "[minimize] include_dontaudited: expected true or false"),
        ("[targets.a]\npolicydb = true", "[targets.a] policydb: expected a whole number, got true/false"),
        ("[targets.a]\npolicydb = 3", "[targets.a] policydb: 3 is less than 4"),
        ("[targets.a]\npolicydb = 19.0", "[targets.a] policydb: expected a whole number, got a number"),
        ("[gates]\nmax_over_permission = -1", "[gates] max_over_permission: -1 is less than 0"),
        ("[gates]\nmax_over_permission = nan", "[gates] max_over_permission: nan is less than 0"),
        ("[gates]\nmax_risk = 'mid'", "[gates] max_risk: 'mid' is none of none, low, medium, high"),
        ("[gates.forbid]\nperms = ['read']", "[gates.forbid] is a section, not a value"),
        ("[gates]\nforbid = ['x_t']", "[gates.forbid] is a section, not a value"),
        ("[[gates.forbid]]\nexcept = ['x_t']", "[gates.forbid] 1: one of source, target, class, perms says what"),
        ("[[gates.forbid]]\nperms = []", "[gates.forbid] 1: perms is empty"),
        ("[[gates.forbid]]\nsource = ['x y']", "[gates.forbid] 1: source: 'x y' can't be a name of a policy"),
        ("[[gates.forbid]]\nclasses = ['file']", "[gates.forbid] 1: one of source, target, class, perms says what"),
        (
            "[[gates.forbid]]\nperms = ['a']\nexcep = ['x']",
            "[gates.forbid] 1: unknown key 'excep'; did you mean 'except'?",
        ),
        ("[[gates.denied]]\nsource = ['x_t']", "[gates.denied] 1: class is missing"),
        (
            "[[gates.denied]]\nsource = ['x_t']\nclass = 'file'\nperms = ['read']",
            "[gates.denied] 1: either target or path says what it is on",
        ),
        (
            "[[gates.denied]]\nsource = ['x_t']\nclass = 'file'\nperms = ['read']\npath = '/a/../b'",
            "[gates.denied] 1: path: '/a/../b' is no absolute path",
        ),
        ("[module]\nname = 'Vllm'", "[module] name: 'Vllm' can't name a module"),
        ("[module]\nname = '../x'", "[module] name: '../x' can't name a module"),
        ("[module]\nversion = '1.0-1'", "[module] version: '1.0-1' is no module version"),
        ("module = 3", "[module] is a section, not a value"),
        ("[[module]]", "[module] is a section, not a value"),
        ("targets = 3", "[targets] holds sections only"),
        ("[targets]\na = 3", "[targets] holds sections only"),
        ("[targets.'a/b']", "'a/b' can't name a target"),
        ("[module]\nname = ", "not TOML: "),
        ("[module]\n[module]", "not TOML: "),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str, place: Path) -> None:
    place.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_config(place)
    assert str(caught.value).startswith(f"{place}: {message}")


@pytest.mark.parametrize("text", ["[module]\nname = ", "[module]\nname = @\n", "\n[module\n"])
def test_bad_toml_is_told_with_its_line(text: str, place: Path) -> None:
    place.write_text(text)
    with pytest.raises(UsageError, match=r"line 2"):
        load_config(place)


def test_bytes_that_are_not_utf8(place: Path) -> None:
    place.write_bytes(b"[module]\n\nname = '\xff'\n")
    with pytest.raises(UsageError, match="line 3: not UTF-8"):
        load_config(place)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        load_config(tmp_path / "absent.toml")
    with pytest.raises(SourceError, match="Is a directory"):
        load_config(tmp_path)


def test_a_file_that_is_no_configuration(place: Path) -> None:
    place.write_bytes(b"#" * (2 << 20))
    with pytest.raises(UsageError, match="1 MiB"):
        load_config(place)
    place.write_text("[minimize]\naccept = " + "[" * 100_000)
    with pytest.raises(UsageError):
        load_config(place)


@given(
    content=st.binary(max_size=200)
    | st.lists(st.sampled_from(WHOLE.split("\n")) | st.text(max_size=20)).map(
        lambda lines: "\n".join(lines).encode("utf-8", "replace")
    )
)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_content_ends_in_a_traceback(content: bytes, place: Path) -> None:
    place.write_bytes(content)
    try:
        assert isinstance(load_config(place), Config)
    except PolkitError as error:
        assert error.exit_code == 2
        assert str(error).startswith(str(place))


@given(st.from_regex(r"[a-z][a-z0-9_-]{0,63}", fullmatch=True))
def test_module_names_that_are_fine(name: str) -> None:
    assert check_module_name(name) == name


@given(st.text(max_size=80))
def test_other_module_names_are_refused(name: str) -> None:
    if re.fullmatch(r"[a-z][a-z0-9_-]{0,63}", name) and name.isascii():
        return
    with pytest.raises(UsageError, match="can't name a module"):
        check_module_name(name)
