"""libsepol as an oracle: one at a time, and silent."""

from __future__ import annotations

import pytest

from polkit.errors import SourceError, UsageError
from polkit.policy import Oracle

CONTAINER = "system_u:system_r:container_t:s0:c1,c2"


def test_answers_and_their_details(binary_policy):
    with Oracle(binary_policy) as oracle:
        other = oracle.ask(CONTAINER, "system_u:object_r:container_file_t:s0:c3,c4", "file", ["read"])
        assert other.kind == "CONSTRAINT"
        assert "h1 dom h2" in other.constraint
        node = oracle.ask(CONTAINER, "system_u:object_r:xserver_misc_device_t:s0", "chr_file", ["read"])
        assert node.kind == "BOOLEAN"
        assert ("container_use_xserver_devices", True) in node.booleans
        assert oracle.ask(CONTAINER, "no:such:context_t:s0", "file", ["read"]).kind == "BADTCON"
        assert oracle.ask("no:such:context_t:s0", CONTAINER, "file", ["read"]).kind == "BADSCON"
        assert oracle.ask(CONTAINER, CONTAINER, "no_class", ["read"]).kind == "BADTCLASS"
        assert oracle.ask(CONTAINER, CONTAINER, "file", ["no_perm"]).kind == "BADPERM"
        assert oracle.ask(CONTAINER, CONTAINER, "process", ["fork", "signal"]).kind == "ALLOW"


def test_nothing_reaches_standard_error(binary_policy, capfd):
    with Oracle(binary_policy) as oracle:
        for _ in range(3):
            oracle.ask("bad", "worse", "file", ["read"])
            oracle.ask(CONTAINER, CONTAINER, "no_class", ["read"])
    assert capfd.readouterr().err == ""


def test_only_one_policy_at_a_time(binary_policy, compiled):
    with Oracle(binary_policy), pytest.raises(UsageError, match="another policy"):
        Oracle(compiled("roles.conf"))
    with Oracle(compiled("roles.conf")) as oracle:
        assert oracle.ask("ua:system_r:init_t", "ua:app_r:app_t", "process", ["transition"]).kind == "ALLOW"
    with pytest.raises(UsageError, match="closed"):
        oracle.ask("ua:system_r:init_t", "ua:app_r:app_t", "process", ["transition"])


def test_closing_twice_does_no_harm_to_the_next(compiled):
    first = Oracle(compiled("roles.conf"))
    first.close()
    with Oracle(compiled("roles.conf")) as second:
        first.close()
        assert second.ask("ua:system_r:init_t", "ua:app_r:app_t", "process", ["transition"]).kind == "ALLOW"


def test_a_file_that_is_no_policy_is_refused_and_leaves_the_place_free(tmp_path, compiled):
    path = tmp_path / "policy"
    path.write_bytes(compiled("roles.conf").read_bytes()[:300])
    with pytest.raises(SourceError):
        Oracle(path)
    with pytest.raises(SourceError):
        Oracle(tmp_path / "none")
    Oracle(compiled("roles.conf")).close()
