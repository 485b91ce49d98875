"""What a module's rules and memberships come to on the target policy: PK010 to PK019."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.config import read_toml
from polkit.policy import assess, load_policy
from polkit.review import Finding, ReviewRequest, review

BAD = sorted((Path(__file__).parents[2] / "fixtures/review/bad").glob("PK01*"))
HERE = tuple(f"PK01{number}" for number in range(10))
Finder = Callable[..., tuple[Finding, ...]]


def te(body: str, attributes: str = "", **classes: str) -> str:
    """A module with all that a body names: words that end with _t, the attributes and classes that are given."""
    words = set(body.replace(";", " ").replace(":", " ").replace(",", " ").split())
    own = {line.split()[1].strip(",;") for line in body.splitlines() if line.startswith("type ")}
    types = sorted(word for word in words if word.endswith("_t") and word not in own)
    required = [f"type {name};" for name in types]
    required += [f"attribute {name};" for name in attributes.split()]
    required += [f"class {name} {{ {perms} }};" for name, perms in classes.items()]
    return f"module mine 1.0;\nrequire {{ {' '.join(required)} role system_r; }}\n{body}\n"


def on(root: Path, place: Path, build: bool) -> Finder:
    def find(text: str, *ids: str, name: str = "mine.te", config: str = "") -> tuple[Finding, ...]:
        (place / name).write_text(text)
        (place / "conf.toml").write_text(config)
        request = ReviewRequest(str(place / name), str(root), build=build, config=place / "conf.toml")
        found = review(request).findings
        return tuple(one for one in found if one.id in (ids or HERE))

    return find


@pytest.fixture
def find(policy_root: Path, tmp_path: Path) -> Finder:
    """``find(text, "PK010")``: the findings of a module on the container host policy, which is not built with it."""
    return on(policy_root, tmp_path, False)


@pytest.fixture
def built(host: Path, tmp_path: Path) -> Finder:
    """The same on a small policy, which is built with the module."""
    return on(host, tmp_path, True)


@pytest.mark.heavy
@pytest.mark.parametrize("directory", BAD, ids=lambda one: one.name)
def test_what_is_wrong_with_a_seeded_module_is_found_where_it_stands(find: Finder, directory: Path) -> None:
    expected = read_toml(directory / "expect.toml", "expect.toml")
    found = find((directory / expected["file"]).read_text(), name=expected["file"])
    assert (expected["id"], expected["line"]) in [(one.id, one.place.line) for one in found]
    assert all(one.place.line for one in found)


@pytest.mark.heavy
@pytest.mark.parametrize("module", ["vllm-cuda", "vllm-rocm", "embedding-cpu", "gpu-device-plugin"])
def test_the_shipped_modules_have_nothing_of_it(repository: Path, policy_root: Path, module: str) -> None:
    found = review(ReviewRequest(str(repository / "modules" / module), str(policy_root), build=False)).findings
    assert [one for one in found if one.id in HERE and one.severity in ("medium", "high")] == []


def test_without_a_policy_nothing_of_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "mine.te").write_text(te("allow container_t shadow_t:file read;", file="read"))
    found = review(ReviewRequest(str(tmp_path / "mine.te"), "none")).findings
    assert [one for one in found if one.id in HERE] == []


def test_names_that_the_policy_lacks_come_to_nothing(find: Finder) -> None:
    rules = "allow httpd_t no_such_t:file read;\nallow no_t shadow_t:file read;\nallow httpd_t shadow_t:file nothing;"
    assert find(te(f"{rules}\nallow httpd_t shadow_t:odd read;", file="read nothing", odd="read")) == ()


def by_rule(find: Finder, id_: str, rules: Iterable[str], **classes: str) -> dict[str, str]:
    """From each rule, all in one module, to the severity of what is found in its line."""
    lines = list(rules)
    found = {one.place.line - 3: one.severity for one in find(te("\n".join(lines), **classes), id_)}
    return {rule: found.get(number, "") for number, rule in enumerate(lines)}


# -- PK010 ------------------------------------------------------------------------------------------------------------


def patched(text: str, patch: str, place: Path) -> str:
    (place / "mine.te").write_text(text)
    subprocess.run(["patch", "-p1", "-s"], input=patch, text=True, cwd=place, check=True)
    return (place / "mine.te").read_text()


def test_a_part_that_is_allowed_is_taken_out_and_the_rest_stays(find: Finder, tmp_path: Path) -> None:
    text = te("allow sshd_t etc_t:file { read watch open }; # why\n", file="read watch open")
    (found,) = find(text, "PK010")
    assert found.severity == "low"
    assert "a part of it" in found.title
    better = patched(text, found.fix.patch, tmp_path)
    assert "allow sshd_t etc_t" in better
    assert "watch" in better.splitlines()[2]
    assert "open" not in better.splitlines()[2]
    assert find(better, "PK010") == ()


def test_the_last_line_of_a_file_can_be_taken_out(find: Finder, tmp_path: Path) -> None:
    text = te("allow sshd_t etc_t:file read;\nallow sshd_t\n\tetc_t:file { # ;\n\topen };", file="read open").rstrip(
        "\n"
    )
    found = find(text, "PK010")
    assert [one.place.line for one in found] == [3, 4]
    assert patched(text, found[1].fix.patch, tmp_path).splitlines() == text.splitlines()[:3]


def test_what_a_boolean_gives_that_is_on_is_not_certain(find: Finder) -> None:
    (found,) = find(te("allow container_t dri_device_t:chr_file read;", chr_file="read"), "PK010")
    assert (found.confidence, "booleans" in found.why) == ("medium", True)


_TYPES = ("httpd_t", "sshd_t", "container_t", "etc_t", "shadow_t", "container_file_t", "cert_t")
_RULES = st.lists(
    st.tuples(
        st.sets(st.sampled_from(_TYPES), min_size=1, max_size=3),
        st.sets(st.sampled_from((*_TYPES, "self")), min_size=1, max_size=3),
        st.sets(st.sampled_from(("read", "open", "write", "execute", "relabelto")), min_size=1),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda one: (tuple(sorted(one[0])), tuple(sorted(one[1])), tuple(sorted(one[2]))),
)


@settings(max_examples=3)
@given(rules=_RULES)
def test_all_of_a_rule_is_allowed_exactly_where_nothing_of_it_is_new(
    policy_root: Path, tmp_path_factory: pytest.TempPathFactory, rules: list[tuple[set[str], set[str], set[str]]]
) -> None:
    policy = load_policy(str(policy_root))
    sets = [tuple(" ".join(sorted(names)) for names in rule) for rule in rules]
    lines = [f"allow {{ {sources} }} {{ {targets} }}:file {{ {perms} }};" for sources, targets, perms in sets]
    text = te("\n".join(lines), file="read open write execute relabelto")
    found = on(policy_root, tmp_path_factory.mktemp("rules"), False)(text, "PK010")
    whole = {one.place.line - 3 for one in found if "all of it" in one.title}

    def has(source: str, target: str, perms: set[str]) -> bool:
        return perms <= policy.allowed(source, source if target == "self" else target, "file")

    assert whole == {
        number
        for number, (sources, targets, perms) in enumerate(rules)
        if all(has(source, target, perms) for source in sources for target in targets)
    }


# -- PK011 ------------------------------------------------------------------------------------------------------------


def test_a_rule_for_every_container_says_what_it_gives_and_another_way(find: Finder) -> None:
    (found,) = find(te("allow container_t var_log_t:file { open read };", file="open read"), "PK011")
    assert (found.severity, found.confidence) == ("medium", "high")
    assert "every container on the host" in found.title
    assert "2 accesses" in found.why
    assert "allow mine_t var_log_t:file { open read };" in found.fix.text
    assert found.fix.commands == ("polkit generate -n mine -o mine LOG",)


def test_a_shared_domain_is_told_by_the_policy(find: Finder) -> None:
    severities = {
        "allow container_t var_log_t:file write;": "high",
        "allow container_t memory_device_t:chr_file read;": "high",
        "allow system_cronjob_t mysqld_db_t:file read;": "medium",
        "allow container_t container_file_t:file read;": "",
        "allow httpd_t var_log_t:file write;": "",
    }
    assert by_rule(find, "PK011", severities, file="read write", chr_file="read") == severities


def test_a_shared_domain_is_told_by_the_project(find: Finder) -> None:
    text = te("allow httpd_t named_zone_t:file read;", file="read")
    assert find(text, "PK011") == ()
    config = '[minimize]\nshared_domains = ["httpd_t"]\n'
    assert [one.id for one in find(text, "PK011", config=config)] == ["PK011"]


def test_of_an_attribute_the_domains_are_counted(find: Finder, policy_root: Path) -> None:
    domains = len(load_policy(str(policy_root)).types("domain"))
    (found,) = find(te("allow domain shadow_t:file read;", "domain", file="read"), "PK011")
    assert f"{domains} domains" in found.title
    assert f"to {domains} domains" in found.why
    assert found.severity == "high"


def test_two_large_attributes_are_counted_and_not_listed(find: Finder) -> None:
    found = find(te("allow domain file_type:file { read write };", "domain file_type", file="read write"))
    (shared,) = (one for one in found if one.id == "PK011")
    assert "up to" in shared.why
    assert "container_t" in shared.title
    shadow = next(one for one in found if "(shadow)" in one.title)
    assert re.search(r"\d{3} types, such as", shadow.title)
    assert shadow.confidence == "medium"
    assert "PK015" in {one.id for one in found}


def test_who_starts_a_service_may_do_so(find: Finder) -> None:
    body = "type own_t, domain;\ntype own_exec_t, file_type;\nallow init_t own_t:process transition;"
    text = te(
        f"{body}\nallow init_t own_exec_t:file {{ read execute }};",
        "domain file_type",
        process="transition",
        file="read execute",
    )
    assert find(text, "PK011") == ()


def test_a_name_that_speaks_of_a_node_is_judged_by_the_nodes_type(find: Finder) -> None:
    text = te(
        "allow httpd_t nvidia_device_t:chr_file read;\nallow httpd_t nvidia_device_t:file read;",
        chr_file="read",
        file="read",
    )
    assert [(one.id, one.place.line) for one in find(text)] == [("PK017", 3)]


# -- PK012, PK013 -----------------------------------------------------------------------------------------------------


def test_the_cheapest_boolean_comes_first_with_its_price(find: Finder) -> None:
    (found,) = find(te("allow container_t cert_t:file { open read };", file="open read"), "PK012")
    assert found.severity == "medium"
    assert "container_read_certs on" in found.title
    assert found.fix.commands == ("setsebool -P container_read_certs=on",)
    assert "-allow container_t cert_t" in found.fix.patch
    assert found.evidence[0].startswith("container_read_certs on: newly allows 10 accesses")
    assert any(one.startswith("authlogin_nsswitch_use_ldap on") for one in found.evidence[1:])


def test_a_boolean_that_is_dear_or_not_enough_is_no_remedy(find: Finder) -> None:
    severities = {
        "allow container_t memory_device_t:chr_file read;": "low",
        "allow container_t cert_t:file { open read map };": "low",
        "allow container_t cert_t:file { open map execute };": "",
        "allow httpd_t shadow_t:file read;": "",
    }
    classes = {"file": "open read map execute", "chr_file": "read"}
    assert by_rule(find, "PK012", severities, **classes) == severities
    dear, partial = find(te("\n".join(severities), **classes), "PK012")
    assert "refuses" in dear.why
    assert "2 of its 3 accesses" in partial.title
    assert not dear.fix.patch
    assert not partial.fix.patch


def test_a_label_that_says_nothing_is_put_right(find: Finder) -> None:
    commands = {
        "allow httpd_t default_t:file read;": "restorecon -RFv /PATH",
        "allow container_t default_t:file read;": "semanage fcontext -a -t container_file_t '/PATH(/.*)?'",
        "allow container_t user_home_t:file read;": "semanage fcontext -a -t container_file_t '/PATH(/.*)?'",
        "allow ntpd_t device_t:chr_file read;": "restorecon -v /dev/NODE",
        "allow httpd_t unreserved_port_t:tcp_socket name_bind;": "semanage port -a -t mine_port_t -p tcp PORT",
        "allow httpd_t port_t:udp_socket name_bind;": "semanage port -a -t mine_port_t -p udp PORT",
        "allow httpd_t port_t:tcp_socket name_connect;": "semanage port -a -t mine_port_t -p tcp PORT",
        "allow httpd_t default_t:dir search;": "",
        "allow httpd_t httpd_log_t:file map;": "",
        "allow container_t unreserved_port_t:tcp_socket name_bind;": "",
    }
    classes = {"file": "read map", "dir": "search", "chr_file": "read", "udp_socket": "name_bind"}
    text = te("\n".join(commands), **classes, tcp_socket="name_bind name_connect")
    found = {one.place.line - 3: one for one in find(text, "PK013")}
    assert {number for number, command in enumerate(commands.values()) if command} == found.keys()
    for number, command in enumerate(commands.values()):
        assert not command or command in found[number].fix.commands
    assert {number for number, one in found.items() if one.severity == "low"} == {6}


CONTAINER = "container_domain container_net_domain container_system_domain container_user_domain domain"
INHERITS = f"{CONTAINER} mcs_constrained_type nsswitch_domain process_user_target"


def own_container(rules: str, attributes: str = INHERITS, **classes: str) -> str:
    joined = ", ".join(attributes.split())
    return te(f"type own_t, {joined};\nrole system_r types own_t;\n{rules}", attributes, **classes)


def test_a_domain_that_stands_in_for_a_containers_is_judged_as_one(find: Finder) -> None:
    text = own_container("allow own_t user_home_t:file read;", file="read")
    assert [one.id for one in find(text)] == ["PK013"]


# -- PK014, PK019 -----------------------------------------------------------------------------------------------------


def test_what_a_base_has_under_booleans_is_no_news_of_its_heir(find: Finder) -> None:
    """The container host's policy gives container_t the hypervisor's nodes where two booleans are on."""
    rule = "if (polkit_first && polkit_second) {\nallow own_t vhost_device_t:blk_file read;\n}"
    bools = "require { bool polkit_first, polkit_second;"
    heir, other = (own_container(rule, joined, blk_file="read") for joined in (INHERITS, "domain"))
    assert find(heir.replace("require {", bools), "PK017") == ()
    (found,) = find(other.replace("require {", bools), "PK017")
    assert found.evidence == ("allow own_t vhost_device_t:blk_file read;",)


def test_what_only_a_level_refused_is_told_from_what_nothing_refuses(find: Finder) -> None:
    told = "#!!!! This avc is a constraint violation.\n\n"
    rule = "allow container_t container_file_t:file { read write };"
    others = "allow container_t cert_t:dir search;\nallow httpd_t httpd_log_t:file append;"
    found = find(te(f"{rule}\n{told}{rule}\n{others}", file="read write append", dir="search"))
    level = {one.place.line: (one.severity, one.confidence) for one in found if one.id == "PK014"}
    assert level == {3: ("medium", "medium"), 6: ("medium", "high")}
    assert sorted(one.place.line for one in found if one.id == "PK010") == [3, 6, 7, 8]


def test_a_constraint_that_no_level_satisfies_makes_a_rule_void(repository: Path, tmp_path: Path) -> None:
    source, policy = repository / "tests/policy/sources/constraints.conf", tmp_path / "policy.31"
    subprocess.run(["checkpolicy", "-M", "-c", "31", "-o", policy, source], check=True, stdout=subprocess.DEVNULL)
    text = te(
        "allow two_t one_t:file { name_type eq_user };\nallow one_t two_t:file { name_type eq_user };",
        file="name_type eq_user",
    )
    (found,) = on(policy, tmp_path, False)(text.replace("role system_r; ", ""), "PK014")
    assert (found.severity, found.confidence, found.place.line) == ("medium", "high", 3)
    assert "two_t in every case" in found.title
    assert "t1 == { free_t one_t }" in found.why


def test_a_container_domain_without_its_categories_is_less_confined(find: Finder) -> None:
    assert find(own_container("")) == ()
    (found,) = find(own_container("", INHERITS.replace("mcs_constrained_type ", "")))
    assert (found.id, found.severity) == ("PK019", "high")
    assert "without mcs_constrained_type" in found.title
    assert "typeattribute own_t mcs_constrained_type;" in found.fix.text


@pytest.mark.parametrize("own", [False, True])
def test_an_attribute_that_a_constraint_leaves_alone_is_told_by_the_constraint(find: Finder, own: bool) -> None:
    passing = ["can_change_object_identity", "can_change_process_role"]
    joined = [*passing, "ubac_constrained_type", "cert_type", "domain"]
    type_ = "own_t" if own else "ntpd_t"
    body = "\n".join(["type own_t;", *(f"typeattribute {type_} {one};" for one in joined)])
    found = find(te(body, " ".join(joined)))
    assert [(one.id, one.severity, one.place.line) for one in found] == [("PK019", "high", 4), ("PK019", "high", 5)]


# -- PK015, PK016, PK018 ----------------------------------------------------------------------------------------------


def vectors(found: tuple[Finding, ...]) -> Iterator[tuple[str, str, int]]:
    return ((one.id, one.confidence, one.place.line) for one in found)


def test_a_broken_neverallow_rule_is_found_with_and_without_a_build(built: Finder, host: Path, tmp_path: Path) -> None:
    text = te("allow container_t shadow_t:file read;\nallow container_t secret_t:file write;", file="read write")
    assert list(vectors(built(text, "PK015"))) == [("PK015", "high", 3), ("PK015", "high", 4)]
    assert list(vectors(on(host, tmp_path, False)(text, "PK015"))) == [("PK015", "medium", 3), ("PK015", "medium", 4)]


def test_what_the_policy_breaks_without_the_module_is_not_the_modules(built: Finder) -> None:
    assert built(te("allow sandbox_t secret_t:file read;", file="read"), "PK015") == ()


def test_a_membership_breaks_a_rule_where_it_stands(built: Finder) -> None:
    text = te(
        "allow own_t secret_t:file write;\ntype own_t, domain;\ntypeattribute own_t container_domain;",
        "domain container_domain",
        file="write",
    )
    assert {one.place.line for one in built(text, "PK015")} == {3}


@pytest.mark.parametrize("build", [False, True])
def test_who_leaves_a_neverallow_rule_is_found(host: Path, tmp_path: Path, build: bool) -> None:
    text = te(
        "typeattribute sandbox_t can_read_shadow_passwords;\nallow sandbox_t shadow_t:file read;",
        "can_read_shadow_passwords",
        file="read",
    )
    found = on(host, tmp_path, build)(text, "PK015", "PK016")
    assert [(one.id, one.severity, one.place.line) for one in found] == [("PK016", "high", 3)]
    assert "shadow_t:file { read }" in found[0].evidence[0]


def test_a_set_of_cil_is_looked_through(built: Finder) -> None:
    text = "(typeattributeset can_read_shadow_passwords (and (container_domain) (not (container_t))))"
    (found,) = built(text, "PK016", name="mine.cil")
    assert found.title.startswith("sandbox_t is no longer under 1 neverallow rule")


@pytest.mark.parametrize("build", [False, True])
def test_bounds_are_held_against_what_bounds(host: Path, tmp_path: Path, build: bool) -> None:
    rules = "allow child_t data_t:file { read open };\nallow parent_t data_t:file open;"
    (found,) = on(host, tmp_path, build)(te(rules, file="read open"), "PK018")
    assert (found.severity, found.place.line, found.evidence) == ("high", 3, ("allow child_t data_t:file read;",))


def test_bounds_of_the_modules_own_count(find: Finder) -> None:
    rules = "allow own_t httpd_sys_content_t:file read;\nallow own_t mysqld_db_t:file read;"
    (found,) = find(te(f"type own_t, domain;\ntypebounds httpd_t own_t;\n{rules}", "domain", file="read"), "PK018")
    assert found.place.line == 6


# -- PK017 ------------------------------------------------------------------------------------------------------------


def test_each_risk_of_the_catalogue_is_a_finding(find: Finder, policy_root: Path) -> None:
    policy = load_policy(str(policy_root))
    asked = [
        ("ntpd_t", "self", "capability", "sys_admin sys_ptrace kill"),
        ("ntpd_t", "httpd_t", "process", "ptrace signal signull"),
        ("httpd_t", "shadow_t", "file", "read open getattr"),
        ("ntpd_t", "etc_t", "file", "write relabelto"),
    ]
    expected = set()
    for line, (source, target, tclass, perms) in enumerate(asked, 3):
        has = policy.allowed(source, source if target == "self" else target, tclass)
        risks = [assess(source, target, tclass, perm, policy) for perm in set(perms.split()) - has]
        expected |= {(line, risk.id, risk.severity) for risk in risks if risk is not None}
    rules = [f"allow {source} {target}:{tclass} {{ {perms} }};" for source, target, tclass, perms in asked]
    classes = {"capability": "sys_admin sys_ptrace kill", "process": "ptrace signal signull"}
    found = find(te("\n".join(rules), **classes, file="read open getattr write relabelto"), "PK017")
    assert {(one.place.line, one.title.split("(")[1].split(")")[0], one.severity) for one in found} == expected
    assert {line for line, _, _ in expected} == {3, 4, 5, 6}


def test_what_its_base_has_is_no_risk_of_an_own_domain(find: Finder, policy_root: Path) -> None:
    assert "sys_admin" in load_policy(str(policy_root)).allowed("container_t", "container_t", "capability")
    rules = "allow own_t self:capability sys_admin;\nallow own_t self:capability sys_module;"
    found = find(own_container(rules, capability="sys_admin sys_module"))
    assert [(one.id, one.place.line) for one in found] == [("PK015", 6), ("PK017", 6)]
    alone = te("type own_t, domain;\nallow own_t self:capability sys_admin;", "domain", capability="sys_admin")
    assert [one.severity for one in find(alone, "PK017")] == ["high"]


def test_a_rule_under_a_boolean_says_so(find: Finder) -> None:
    body = "bool mine_debugs false;\nif (mine_debugs) { allow ntpd_t httpd_t:process ptrace; }"
    (found,) = find(te(body, process="ptrace"), "PK017")
    assert "mine_debugs" in found.why
    assert found.confidence == "medium"
