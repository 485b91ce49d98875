"""Where one label ends and the next begins, held against what libselinux makes of the module's file contexts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Optional

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from polkit.minimize import assemble
from polkit.model import AvRule, FileContext, Plan
from polkit.policy import TargetPolicy, load_policy
from tests.minimize.choosing import Picking, plan_by
from tests.minimize.conftest import Planner
from tests.records import avc

WRITING = {"write", "append", "create", "unlink", "add_name", "remove_name", "rename", "setattr"}


def seen(path: str, perms: str = "read open", target: str = "default_t", tclass: str = "file", serial: int = 1) -> str:
    """A record with its path as the kernel writes one with odd bytes in it."""
    encoded = path.encode("utf-8").hex().upper()
    return avc(perms, target, tclass, fields=f'comm="p" path={encoded} dev="dm-0"', serial=serial)


def log(*objects: tuple[str, str, str], target: str = "default_t") -> str:
    """Records of (path, class, permissions)."""
    return "".join(seen(path, perms, target, tclass, number) for number, (path, tclass, perms) in enumerate(objects, 1))


def contexts_of(plan: Plan) -> tuple[FileContext, ...]:
    return tuple(sorted({one for decision in plan.decisions for one in decision.remedy.contexts}))


def entries(plan: Plan) -> dict[str, str]:
    """From pattern (and kind) to type, without the module's name."""
    return {
        f"{one.pattern} {one.kind}".strip(): one.type.removeprefix("vllm_").removesuffix("_t")
        for one in contexts_of(plan)
    }


READ, WRITE = "read open", "write open"
WHOLE = [
    ("all read", [("a", "file", READ), ("b/c", "file", READ)], {"(/.*)?": "model"}),
    ("all written", [("a", "file", WRITE), ("b/c", "file", WRITE)], {"(/.*)?": "cache"}),
    ("a traversed directory says nothing", [("", "dir", "search"), ("b/c", "file", WRITE)], {"(/.*)?": "cache"}),
    (
        "a file that was renamed is read under its new name",
        [("w.bin", "file", READ), ("k/x.tmp", "file", "create write rename"), ("k/x.bin", "file", "read open map")],
        {"(/.*)?": "model", "/k(/.*)?": "cache"},
    ),
    (
        "a cache below what is read",
        [("w.bin", "file", READ), (".cache", "dir", "add_name"), (".cache/x/y", "file", "create write")],
        {"(/.*)?": "model", r"/\.cache(/.*)?": "cache"},
    ),
    (
        "the directory itself is written, for a directory to be made in it",
        [("w.bin", "file", READ), ("", "dir", "add_name write"), ("tmp", "dir", "create")],
        {"(/.*)?": "model", " -d": "cache", "/tmp(/.*)?": "cache"},
    ),
    (
        "one file is written among those that are read",
        [("w.bin", "file", READ), ("state.db", "file", WRITE)],
        {"(/.*)?": "model", r"/state\.db --": "cache"},
    ),
    (
        "writing deep inside is named where it happens",
        [("w.bin", "file", READ), ("a/b/c/x", "file", WRITE), ("a/b/c/y", "file", WRITE)],
        {"(/.*)?": "model", "/a/b/c(/.*)?": "cache"},
    ),
    (
        "two written directories are one from where they part",
        [("w.bin", "file", READ), ("a/b/x", "file", WRITE), ("a/c/y", "file", WRITE)],
        {"(/.*)?": "model", "/a(/.*)?": "cache"},
    ),
    (
        "digests, numbers and temporary names stand in no label",
        [
            ("models--m/snapshots/0123456789abcdef0123/w.bin", "file", READ),
            (".locks/0123456789abcdef0123.lock", "file", "create write"),
            ("17/out", "file", READ),
        ],
        {"(/.*)?": "model", r"/\.locks(/.*)?": "cache"},
    ),
    (
        "what comes and goes beside a file that is read takes that along",
        [("c.json", "file", READ), ("tmpab12cd34", "file", "create write"), ("m/w.bin", "file", READ)],
        {"(/.*)?": "cache", "/m(/.*)?": "model"},
    ),
    (
        "too much mixed to be told apart",
        [("w.bin", "file", READ), *((f"d{chr(number)}/x", "file", WRITE) for number in range(256, 296))],
        {"(/.*)?": "cache"},
    ),
]


@pytest.mark.parametrize(("objects", "expected"), [row[1:] for row in WHOLE], ids=[row[0] for row in WHOLE])
def test_below_a_mount(plan_of: Planner, objects: list[tuple[str, str, str]], expected: dict[str, str]) -> None:
    records = log(*((f"/data/{path}".rstrip("/"), tclass, perms) for path, tclass, perms in objects))
    plan = plan_of(records, mounts={"/srv/data": "/data"})
    assert entries(plan) == {f"/srv/data{rest}": kind for rest, kind in expected.items()}


BESIDE = [
    ("siblings", ["/srv/models/a/x", "/srv/models/b/y"], {"/srv/models(/.*)?"}),
    ("cousins", ["/srv/models/a/p/x", "/srv/models/b/q/y"], {"/srv/models(/.*)?"}),
    ("one inside the other", ["/srv/models/a/x", "/srv/models/a/b/c/y"], {"/srv/models/a(/.*)?"}),
    ("one alone", ["/srv/models/a/x"], {"/srv/models/a(/.*)?"}),
    ("beside each other in a system directory", ["/srv/m/x", "/srv/n/y"], {"/srv/m(/.*)?", "/srv/n(/.*)?"}),
    ("right below the root", ["/data/m/x", "/data/n/y"], {"/data/m(/.*)?", "/data/n(/.*)?"}),
    ("a file in a system directory", ["/srv/x"], {"/srv/x --"}),
    ("a digest", ["/srv/models/0123456789abcdef0123/x"], {"/srv/models(/.*)?"}),
    ("a version", ["/srv/models/1.2.3/x"], {"/srv/models(/.*)?"}),
    ("a version right below a system directory", ["/srv/1.2.3/x"], {r"/srv/1\.2\.3(/.*)?"}),
]


@pytest.mark.parametrize(("paths", "expected"), [row[1:] for row in BESIDE], ids=[row[0] for row in BESIDE])
def test_where_no_mount_says_how_far(plan_of: Planner, paths: list[str], expected: set[str]) -> None:
    """The whole file system is mounted, so the observed paths alone tell; never ``/srv`` or what lies right below /."""
    plan = plan_of(log(*((f"/host{path}", "file", READ) for path in paths)), mounts={"/": "/host"})
    assert set(entries(plan)) == expected


def test_what_is_written_is_not_taken_together_with_what_is_read(plan_of: Planner) -> None:
    objects = [(f"/host/srv/ai/models/{name}/w", "file", READ) for name in "ab"]
    objects += [("/host/srv/ai/cache/x/y", "file", WRITE)]
    assert entries(plan_of(log(*objects), mounts={"/": "/host"})) == {
        "/srv/ai/models(/.*)?": "model",
        "/srv/ai/cache/x(/.*)?": "cache",
    }


def test_the_inner_mount_decides(plan_of: Planner) -> None:
    """Seen through the outer mount, the path still lies in the inner mount's source."""
    objects = [("/data/keep/a", "file", READ), ("/data/scratch/b", "file", WRITE), ("/scratch/c", "file", WRITE)]
    plan = plan_of(log(*objects), mounts={"/srv/data": "/data", "/srv/data/scratch": "/scratch"})
    assert entries(plan) == {"/srv/data(/.*)?": "model", "/srv/data/scratch(/.*)?": "cache"}


def test_a_mounted_file_is_labelled_alone(plan_of: Planner) -> None:
    plan = plan_of(log(("/etc/vllm.yaml", "file", READ)), mounts={"/srv/conf/vllm.yaml": "/etc/vllm.yaml"})
    assert entries(plan) == {r"/srv/conf/vllm\.yaml --": "model"}
    assert plan.decisions[0].remedy.commands == ("restorecon -Fv /srv/conf/vllm.yaml",)


def test_device_nodes_are_named_one_by_one(plan_of: Planner) -> None:
    records = "".join(
        avc("read", "device_t", "chr_file", fields=f'path="/dev/accel{number}" dev="devtmpfs"', serial=number)
        for number in (0, 1)
    )
    assert set(entries(plan_of(records))) == {"/dev/accel0 -c", "/dev/accel1 -c"}


def test_z_is_offered_only_for_a_volume_that_is_written_as_a_whole(policy: TargetPolicy) -> None:
    written = [("/data/a", "file", WRITE)]
    whole, mixed = (
        plan_by(Picking(), policy, log(*objects), {"/srv/data": "/data"})
        for objects in (written, [*written, ("/data/b", "file", READ), ("/data", "dir", "add_name write")])
    )
    (decision,) = whole.decisions
    assert ":Z" in decision.remedy.text
    assert {"volume:Z", "volume:z"} <= {one.id for one in decision.alternatives}
    for decision in mixed.decisions:
        assert ":z" not in decision.remedy.text.lower()
        assert not [one.id for one in decision.alternatives if one.id.startswith("volume:")]


def test_what_the_old_label_allowed_is_not_lost(plan_of: Planner, policy: TargetPolicy) -> None:
    """A container may list a directory labelled var_t; with a type of the module's own it still may."""
    listed = policy.allowed("container_t", "var_t", "dir")
    assert "read" in listed
    plan = plan_of(log(("/models/w", "file", READ), target="var_t"), mounts={"/srv/models": "/models"})
    source = assemble(plan, "vllm", "1.0.0")
    assert source is not None
    given = {perm for rule in source.access.rules for perm in rule.perms if rule.tclass == "dir"}
    anyway = policy.allowed("container_t", "file_type", "dir")
    assert given == listed - anyway - {"ioctl"}
    bare = plan_of(log(("/models/w", "file", READ), target="var_t"), mounts={"/srv/models": "/models"}, base="none")
    rules = [rule for rule in bare.decisions[0].remedy.rules if isinstance(rule, AvRule) and rule.tclass == "dir"]
    assert {perm for rule in rules for perm in rule.perms} == {"getattr", "open", "search"}, "as every domain may"


NAME = st.text(st.sampled_from("abXY09 .+*?[](){}|\\^$-_~%\"'#é"), min_size=1, max_size=5)
WORDS = st.sampled_from(("include", "USER", "ROLE", "HOME_DIR", "models", ".cache", "shift", "etc", "v1.0"))
DIRECTORY = st.lists((NAME | WORDS).map(lambda name: f"d{name}"), max_size=4)
OBJECTS = st.lists(st.tuples(DIRECTORY, NAME, st.booleans(), st.booleans()), min_size=1, max_size=6)


Objects = Iterable[tuple[str, str]]
Types = Callable[[tuple[FileContext, ...], Objects], list[Optional[str]]]


@pytest.fixture
def types_with(policy: TargetPolicy) -> Types:
    """The types of objects with further file contexts. A function, because hypothesis prints its arguments whole."""

    def types(contexts: tuple[FileContext, ...], objects: Objects) -> list[Optional[str]]:
        changed = policy.with_contexts(contexts)
        return [getattr(changed.file_label(path, tclass), "type", None) for path, tclass in objects]

    return types


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OBJECTS)
@example([([], "w", False, False), (["d.cache"], "x", False, True)])
@example([(["da"], "x", False, True), (["da", "db"], "y", False, False), (["da", "db", "dc"], "z", True, True)])
def test_every_observed_path_gets_the_type_that_was_meant(
    plan_of: Planner, types_with: Types, objects: list[tuple[list[str], str, bool, bool]]
) -> None:
    """What was written is read-write, a file that was only read is read-only, and everything beside it stays."""
    kinds: dict[str, tuple[str, bool]] = {}
    for directory, name, is_directory, written in objects:
        # Names of files and of directories differ, so that nothing is both.
        path = "/".join(("/data", *directory, f"d{name}" if is_directory else f"f{name}"))
        assume(not path.endswith(("/.", "/..")))
        kinds[path] = ("dir" if is_directory else "file", written or kinds.get(path, ("", False))[1])
    perms = {("file", True): WRITE, ("file", False): READ, ("dir", True): "add_name write", ("dir", False): "read"}
    records = log(*((path, tclass, perms[tclass, written]) for path, (tclass, written) in kinds.items()))
    plan = plan_of(records, mounts={"/srv/(data) v1": "/data"})
    contexts = contexts_of(plan)
    host_paths = [("/srv/(data) v1" + path[len("/data") :], tclass) for path, (tclass, _) in kinds.items()]
    for (path, (tclass, written)), found in zip(kinds.items(), types_with(contexts, host_paths)):
        # A directory that was only read may lie in one that is written; a file may not.
        expected = {"vllm_cache_t"} if written else {"vllm_model_t", *(["vllm_cache_t"] if tclass == "dir" else [])}
        assert found in expected, (path, contexts)
    beside = ("/srv", "/srv/(data) v", "/srv/(data) v10", "/srv/(data) v1.old/x", "/srv/data v1/x", "/")
    assert types_with(contexts, ((path, "dir") for path in beside)) == types_with(
        (), ((path, "dir") for path in beside)
    )
    assert not WRITING & set(perms_on(plan, "vllm_model_t"))


def perms_on(plan: Plan, type_: str) -> Iterable[str]:
    source = assemble(plan, "vllm", "1.0.0")
    assert source is not None
    return (perm for rule in source.access.rules if rule.target == type_ for perm in rule.perms)


@pytest.fixture
def administered(policy_root: Path, tmp_path: Path) -> TargetPolicy:
    """The container host's policy on a host whose administrator has entries of their own."""
    (real,) = policy_root.glob("etc/selinux/*/policy")
    home = tmp_path / "etc/selinux" / real.parent.name
    home.mkdir(parents=True)
    (home / "policy").symlink_to(real)
    shutil.copytree(real.parent / "contexts", home / "contexts")
    files = home / "contexts/files"
    (files / "file_contexts.local").write_text(
        "/srv/shared(/.*)? system_u:object_r:var_t:s0\n/srv/data/fixed -- system_u:object_r:var_t:s0\n"
    )
    (files / "file_contexts.subs").write_text("/opt/models /srv/models\n")
    return load_policy(str(tmp_path))


def test_an_administrators_entry_needs_a_local_one(plan_of: Planner, administered: TargetPolicy) -> None:
    objects = [("/data/w", "file", READ), ("/data/tmp/x", "file", WRITE)]
    plan = plan_of(log(*objects, target="var_t"), mounts={"/srv/shared/data": "/data"}, on=administered)
    assert contexts_of(plan) == ()
    commands = {decision.remedy.pattern: decision.remedy.commands for decision in plan.decisions}
    outer = "semanage fcontext -a -t vllm_model_t '/srv/shared/data(/.*)?'"
    inner = "semanage fcontext -a -t vllm_cache_t '/srv/shared/data/tmp(/.*)?'"
    assert commands["/srv/shared/data(/.*)?"] == (outer, "restorecon -RFv /srv/shared/data")
    # The last entry added decides, so the outer one comes first.
    assert commands["/srv/shared/data/tmp(/.*)?"] == (outer, inner, "restorecon -RFv /srv/shared/data/tmp")
    assert "/srv/shared(/.*)? in file_contexts.local" in plan.decisions[0].remedy.text


def test_entries_for_home_directories_need_a_local_one(plan_of: Planner, policy: TargetPolicy) -> None:
    plan = plan_of(log(("/m/w", "file", READ), target="user_home_t"), mounts={"/home/bob/models": "/m"})
    (decision,) = plan.decisions
    assert contexts_of(plan) == ()
    assert decision.remedy.commands[0] == "semanage fcontext -a -t vllm_model_t '/home/bob/models(/.*)?'"
    plan = plan_by(Picking(), policy, log(("/m/w", "file", READ), target="user_home_t"), {"/home/bob/models": "/m"})
    (other,) = [one.remedy for one in plan.decisions[0].alternatives if one.remedy.type == "container_ro_file_t"]
    assert other.commands[0] == "semanage fcontext -a -t container_ro_file_t '/home/bob/models(/.*)?'"
    entry = FileContext(str(decision.remedy.pattern), "", "vllm_model_t")
    for local, found in (((), "user_home_t"), ((entry,), "vllm_model_t")):
        label = policy.with_contexts((entry,), local).file_label("/home/bob/models/w", "file")
        assert label is not None
        assert label.type == found


def test_a_path_with_odd_bytes_is_labelled_all_the_same(plan_of: Planner) -> None:
    encoded = b"/m/a\xff/w".hex().upper()
    record = avc("read", "mnt_t", fields=f'comm="p" path={encoded} dev="dm-0"')
    (decision,) = plan_of(record, mounts={"/mnt/models": "/m"}).decisions
    assert (decision.remedy.kind, decision.remedy.pattern) == ("fcontext", "/mnt/models(/.*)?")


def test_an_entry_that_nothing_overrides_is_named(plan_of: Planner, administered: TargetPolicy) -> None:
    """A local entry without special characters comes after every other: the administrator must take it out."""
    plan = plan_of(log(("/data/fixed", "file", READ), target="var_t"), mounts={"/srv/data": "/data"}, on=administered)
    (decision,) = plan.decisions
    assert decision.remedy.kind == "refuse"
    assert "/srv/data/fixed in file_contexts.local" in decision.remedy.text
    both = log(("/data/fixed", "file", READ), ("/data/w", "file", READ), target="var_t")
    plan = plan_of(both, mounts={"/srv/data": "/data"}, on=administered)
    assert any("/srv/data/fixed keeps its label" in decision.remedy.text for decision in plan.decisions)


def test_a_substituted_path_is_labelled_by_the_name_that_entries_go_by(
    plan_of: Planner, administered: TargetPolicy
) -> None:
    plan = plan_of(log(("/m/w", "file", READ), target="var_t"), mounts={"/opt/models": "/m"}, on=administered)
    assert entries(plan) == {"/srv/models(/.*)?": "model"}
    label = administered.with_contexts(contexts_of(plan)).file_label("/opt/models/w", "file")
    assert label is not None
    assert label.type == "vllm_model_t"


@pytest.mark.parametrize(
    ("perms", "type_"),
    [
        ("getattr open read", "app_data_t"),  # and neither app_known_t, which others have too, nor app_wide_t
        ("open read", "vllm_model_t"),
        ("getattr open read ioctl", "vllm_model_t"),
        ("getattr open read write", "vllm_cache_t"),
    ],
)
def test_an_existing_type_is_taken_only_where_it_fits_exactly(
    plan_of: Planner, exact_types: TargetPolicy, perms: str, type_: str
) -> None:
    records = "".join(
        avc(given, "default_t", tclass, "app_t", ("s0", "s0"), f'path="/data/app{path}" dev="dm-0"', serial)
        for serial, (tclass, given, path) in enumerate((("file", perms, "/x"), ("dir", "search", "")), 1)
    )
    plan = plan_of(records, on=exact_types)
    assert {decision.remedy.type for decision in plan.decisions} == {type_}
    own = type_ != "app_data_t"
    assert all(bool(decision.remedy.types) is bool(decision.remedy.rules) is own for decision in plan.decisions)
    assert {context.type for context in contexts_of(plan)} == {type_}
