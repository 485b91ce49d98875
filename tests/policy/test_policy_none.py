"""``--policy none``, and that importing the room is free."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

from polkit.errors import MissingDependency
from polkit.model import EQUAL_LEVELS, Party, Port
from polkit.policy import Access, TargetPolicy, assess, load_policy
from polkit.policy.protocols import import_setools


def test_every_name_is_known_and_nothing_is_allowed():
    policy = load_policy("none")
    assert policy.info is None
    assert policy.type_name("whatever_t") == "whatever_t"
    assert policy.has_class("whatever")
    assert "whatever" in policy.permissions("file")
    party = Party("u", "r", "whatever_t")
    verdict = policy.decide(Access(party, party, "file", "read", EQUAL_LEVELS))
    assert not verdict.allowed
    assert verdict == type(verdict)(False, (), (), None, None, False, False)
    assert not policy.knows_neverallows
    assert not policy.has_file_contexts
    assert policy.port_label(Port("tcp", 80)) is None
    assert policy.nearest("type", "x") == ()


@pytest.mark.parametrize("name", ["self", "all", "any", "not", "range", "_x", "a$b", "a.", "a..b", "-a"])
def test_a_name_that_no_policy_has_is_unknown(name):
    """A log may hold it. As a known one it would take the whole module along, or mean something else (``self``)."""
    policy = load_policy("none")
    assert policy.type_name(name) is None
    assert not policy.has_class(name)
    assert not policy.has_role(name)
    assert name not in policy.permissions("file")


def test_what_holds_in_every_policy_is_still_said():
    policy = load_policy("none")
    assert policy.shared_because("container_t")
    assert policy.shared_because("my_app_t") is None
    assert policy.is_container_domain("container_t")
    assert assess("container_t", "memory_device_t", "chr_file", "read", policy).refuse


def test_booleans_of_a_host_are_kept():
    assert dict(load_policy("none").with_booleans({"a": True}).booleans) == {"a": True}


def test_both_policies_answer_every_question_of_the_interface(real):
    questions = [name for name, _ in inspect.getmembers(TargetPolicy) if not name.startswith("_")]
    assert len(questions) >= 30
    for policy in (real, load_policy("none")):
        for question in questions:
            asked, defined = getattr(TargetPolicy, question), getattr(type(policy), question)
            if callable(asked):
                assert list(inspect.signature(defined).parameters) == list(inspect.signature(asked).parameters), (
                    question
                )


def test_importing_the_room_loads_no_library():
    code = "import sys, polkit.policy; print(sorted({'setools', 'selinux', 'tomllib', 'networkx'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_library_is_named_with_its_package():
    code = (
        "import sys; sys.modules['setools'] = sys.modules['selinux'] = None\n"
        "from polkit.errors import MissingDependency\n"
        "from polkit.policy import protocols\n"
        "for ask in (protocols.import_setools, protocols.import_selinux, protocols.import_audit2why):\n"
        "    try: ask()\n"
        "    except MissingDependency as error: print(error.exit_code, error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["4", "4", "4"]
    assert "python3-setools" in lines[0]
    assert "another project" in lines[0]


@pytest.mark.parametrize(
    ("version", "taken"),
    [("4.3.0", False), ("4.4.0", False), ("4.4.1", True), ("4.4.4", True), ("4.6.0-dev", True), ("4.10.0", True)],
)
def test_a_setools_that_misreads_ioctl_rules_is_refused(version: str, taken: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("setools.__version__", version)
    if taken:
        assert import_setools().SELinuxPolicy
        return
    with pytest.raises(MissingDependency, match=rf"setools {re.escape(version)} misreads") as caught:
        import_setools()
    assert caught.value.exit_code == 4
