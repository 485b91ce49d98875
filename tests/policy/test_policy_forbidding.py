"""What neverallow rules and constraints say of rules and memberships that a module would add."""

from __future__ import annotations

import pytest

from polkit.policy import Rectangle, TargetPolicy, load_policy

READ_SHADOW = "neverallow ~{ can_read_shadow_passwords } shadow_t:file { read };"


def ask(policy: TargetPolicy, sources: set[str], targets: set[str], perms: set[str], **new: tuple[str, ...]):
    return policy.forbidden(Rectangle(frozenset(sources), frozenset(targets), False, "file", frozenset(perms)), new)


def test_a_forbidden_access_is_named_with_its_rule(real):
    (found,) = ask(real, {"httpd_t", "container_t"}, {"cert_t", "shadow_t"}, {"read", "open"})
    assert found == (READ_SHADOW, "container_t", "shadow_t", ("read",))


def test_it_is_what_one_access_after_the_other_says(real):
    sources, targets = {"httpd_t", "sshd_t", "init_t"}, {"shadow_t", "proc_kcore_t", "proc_kmsg_t", "etc_t"}
    perms = {"read", "write", "relabelto", "open"}
    alone = {
        real.neverallowed(source, target, "file", perm)
        for source in sources
        for target in targets
        for perm in perms - real.always_allowed(source, target, "file")
    }
    assert {one.text for one in ask(real, sources, targets, perms)} == alone - {None}
    assert len(alone) > 2


@pytest.mark.parametrize(
    ("joined", "broken"), [(("domain",), 1), ((), 1), (("domain", "can_read_shadow_passwords"), 0)]
)
def test_of_a_type_to_come_its_attributes_tell(real, joined, broken):
    assert len(ask(real, {"my_t"}, {"shadow_t"}, {"read"}, my_t=joined)) == broken


def test_to_itself_is_asked_of_each_source(real):
    asked = Rectangle(frozenset({"httpd_t"}), frozenset(), True, "capability", frozenset({"sys_module"}))
    (found,) = real.forbidden(asked, {})
    assert (found.source, found.target) == ("httpd_t", "httpd_t")
    assert real.forbidden(asked._replace(to_self=False), {}) == ()


def test_an_attribute_exempts_who_was_covered(real):
    joined = frozenset({"domain"})
    assert real.exempted("httpd_t", "can_read_shadow_passwords", frozenset()) == (READ_SHADOW,)
    assert real.exempted("sshd_t", "can_read_shadow_passwords", frozenset()) == ()
    assert real.exempted("my_t", "can_read_shadow_passwords", joined) == (READ_SHADOW,)
    assert real.exempted("my_t", "domain", joined) == ()
    assert real.exempted("httpd_t", "cert_type", frozenset()) == ()


def test_an_attribute_that_the_binary_lost_still_exempts(real):
    assert real.types("mmap_low_domain_type") == frozenset()
    (text,) = real.exempted("httpd_t", "mmap_low_domain_type", frozenset())
    assert text == "neverallow { domain -mmap_low_domain_type } self:memprotect { mmap_zero };"
    assert real.exempted("my_t", "mmap_low_domain_type", frozenset({"domain"})) == (text,)
    assert real.exempted("my_t", "mmap_low_domain_type", frozenset({"file_type"})) == ()


def test_constraints_are_asked_of_the_types_alone(real):
    (level,) = real.constraints_on("container_t", "container_file_t", "file", "read")
    assert (level.kind, level.unknown) == ("mlsconstrain", True)
    assert "level" in level.about
    assert real.constraints_on("httpd_t", "container_file_t", "file", "read") == ()


@pytest.mark.parametrize(
    ("perm", "refusing"),
    [("name_type", [False]), ("eq_type", [False]), ("eq_user", [True]), ("joined", [True]), ("h1_dom_h2", [True])],
)
def test_what_no_level_satisfies_refuses_in_every_case(compiled, perm, refusing):
    policy = load_policy(str(compiled("constraints.conf")))
    assert [one.unknown for one in policy.constraints_on("two_t", "one_t", "file", perm)] == refusing


def test_what_comes_past_a_constraint_is_told_by_the_names_of_the_two(real):
    base = real.attributes("container_t") | {"container_t"}
    free = (base | {"my_t"}) - {"container_t", "mcs_constrained_type"}
    texts = {one.text for one in real.let_through(base, free)}
    assert "(h1 dom h2) or (t1 != mcs_constrained_type)" in texts
    assert real.let_through(free, base) == ()
    assert real.let_through(base, free | {"mcs_constrained_type"}) == ()


def test_a_type_tells_what_bounds_it(real):
    assert real.bounding("child_t") == "polkit_parent_t"
    assert real.bounding("httpd_t") is None
    assert {"httpd_t", "child_t"} <= real.every_type
