"""A bundle on a host that enforces: put in, run, upgraded, rolled back, taken out, and killed in between."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from polkit.bundle import package
from polkit.rehearse import Command, HostRun, run_on_host
from tests.bundle.host_scripts import KILLED, SNAPSHOT, STOP
from tests.bundle.making import evidence, make_project, semodule, with_lists

KEPT = ("base", "unconfined", "container", "podman", "docker", "xserver", "xdg", "clock", "mta", "getty")
"""What a container host's modules need of a distribution's: a policy that a slow machine builds in seconds."""
STATE = "/var/lib/selinux-bundles/vllm"
WORKLOAD = "system_u:system_r:vllm_t:s0:c1,c2"
ODD = "system_u:object_r:etc_t:s0"


@pytest.fixture(scope="module")
def small_policy(tmp_path_factory: pytest.TempPathFactory, policy_root: Path) -> Path:
    """The container host's policy with a few of its modules."""
    root = tmp_path_factory.mktemp("policy") / "root"
    for part in ("etc", "var"):
        shutil.copytree(policy_root / part, root / part, symlinks=True)
    store = next((root / "var/lib/selinux").glob("*/active")).parent.name
    listed = [line.split()[:2] for line in semodule(root, "-lfull", store=store).splitlines()]
    others = [word for priority, name in listed if name not in KEPT for word in ("-X", priority, "-r", name)]
    semodule(root, *others, store=store)
    return root


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory, small_policy: Path) -> Path:
    """Two versions; the first has a port and a boolean."""
    place = tmp_path_factory.mktemp("bundles")
    for version in ("1", "2"):
        project = make_project(place / f"project{version}" / "vllm", small_policy, evidence("s0:c1,c2"))
        for name in ("polkit.toml", "vllm.te"):
            text = (project / name).read_text(encoding="utf-8").replace("0.1.0", f"0.{version}.0")
            (project / name).write_text(text, encoding="utf-8")
        built = package(project, targets={"host": str(small_policy)}, with_proof=False).directory
        port, boolean = ("tcp 9099 http_port_t\n", "container_use_nfs 1\n") if version == "1" else ("", "")
        with_lists(built, place / f"v{version}", port, boolean)
    return place


def script(name: str, version: int, script_name: str, *words: str) -> Command:
    return Command(name, ("/bin/sh", f"/root/v{version}/{script_name}", *words))


def as_workload(name: str, *words: str) -> Command:
    return Command(name, ("/opt/workload/busybox", *words), WORKLOAD)


def snapshot(name: str) -> Command:
    return Command(name, ("/bin/sh", "/root/snapshot.sh"))


def killed(name: str, version: int, seconds: int, directory: str, script_name: str) -> Command:
    words = ("/bin/sh", "/root/killed.sh", str(seconds), f"{STATE}/{directory}", f"/root/v{version}/{script_name}")
    return Command(name, words)


COMMANDS = (
    Command("build", ("/usr/sbin/semodule", "-B")),
    Command("odd", ("/bin/sh", "-c", f"chcon {ODD} /srv/models/odd")),
    snapshot("before"),
    as_workload("too early", "cat", "/srv/models/w"),
    script("check", 1, "install.sh", "--check"),
    script("install", 1, "install.sh"),
    script("verify", 1, "verify.sh"),
    snapshot("first"),
    as_workload("read", "cat", "/srv/models/w"),
    as_workload("steal", "cat", "/etc/shadow"),
    as_workload(
        "start", "sh", "-c", "busybox=/opt/workload/busybox; $busybox setsid $busybox sleep 3000 & $busybox sleep 1"
    ),
    script("upgrade in use", 2, "install.sh"),
    script("upgrade", 2, "install.sh", "--while-running"),
    script("verify upgrade", 2, "verify.sh"),
    script("roll back", 2, "rollback.sh", "--while-running"),
    script("verify rollback", 1, "verify.sh"),
    snapshot("back"),
    script("remove in use", 1, "uninstall.sh"),
    Command("stop", ("/bin/sh", "/root/stop.sh")),
    killed("kill removal", 1, 3, "removing", "uninstall.sh"),
    script("remove", 1, "uninstall.sh"),
    snapshot("removed"),
    killed("kill installation", 1, 3, "next", "install.sh"),
    script("remove again", 1, "uninstall.sh"),
    snapshot("removed again"),
)


@pytest.fixture(scope="module")
def run(small_policy: Path, bundles: Path, kernel: Path) -> HostRun:
    """The whole cycle in one machine."""
    tree = {
        "/root/v1": bundles / "v1",
        "/root/v2": bundles / "v2",
        "/root/snapshot.sh": SNAPSHOT,
        "/root/killed.sh": KILLED,
        "/root/stop.sh": STOP,
        "/srv/models/w": "weights",
        "/srv/models/odd": "weights",
        "/etc/shadow": "secret",
        "/opt/workload/busybox": Path("/bin/busybox"),
    }
    return run_on_host(small_policy, COMMANDS, tree, {"/opt/workload/busybox": "container_file_t"}, kernel)


def lines(run: HostRun, name: str) -> list[str]:
    """A snapshot, without what the scripts write down."""
    assert run[name].status == 0, run[name].output
    return [line for line in run[name].output.splitlines() if STATE not in line]


@pytest.mark.heavy
def test_the_cycle_on_a_host_that_enforces(run: HostRun) -> None:
    said = {one.name: (one.status, one.output.strip().splitlines()[-1:]) for one in run.commands}
    assert said["check"] == (0, ["vllm 0.1.0 can be installed (target host)."]), run["check"].output
    assert said["install"] == (0, ["vllm 0.1.0 is installed (target host, priority 200)."]), run["install"].output
    assert said["verify"] == (0, ["vllm 0.1.0 is installed as shipped (target host)."]), run["verify"].output
    assert said["upgrade"] == (0, ["vllm 0.2.0 is installed (target host, priority 200)."]), run["upgrade"].output
    assert said["verify upgrade"] == (0, ["vllm 0.2.0 is installed as shipped (target host)."])
    assert said["roll back"] == (0, ["vllm is back at: 0.1.0 host"]), run["roll back"].output
    assert said["verify rollback"] == (0, ["vllm 0.1.0 is installed as shipped (target host)."])
    assert said["remove"] == (0, ["vllm is removed."]), run["remove"].output
    for name in ("kill removal", "kill installation", "remove again", "build", "odd", "stop"):
        assert run[name].status == 0, (name, run[name].output)

    # The workload runs in the module's domain, once that is there, and in no other way than the module allows.
    assert run["too early"].status is None
    assert said["read"] == (0, ["weights"])
    assert run["steal"].status == 1
    assert any('comm="busybox" name="shadow"' in line and "permissive=0" in line for line in run.audit.splitlines())
    assert run["start"].status == 0
    for name in ("upgrade in use", "remove in use"):
        assert run[name].status == 1
        assert "processes run in the module's domain: " in run[name].output

    before, first = lines(run, "before"), lines(run, "first")
    assert before[-1] == first[-1] == "enforcing 1"
    assert "container_use_nfs --> off" in before
    assert "container_use_nfs --> on" in first
    assert any(line.startswith("system_u:object_r:vllm_model_t:s0 ") and "/srv/models/odd" in line for line in first)
    assert any(line.startswith(f"{ODD} ") and "/srv/models/odd" in line for line in before)
    assert before != first
    assert lines(run, "back") == first
    assert lines(run, "removed") == before
    assert lines(run, "removed again") == before

    # What the kernel says of it: each transaction loaded a policy, the boolean was switched, and it always enforced.
    # Five are certain (build, install, upgrade, roll back, remove); whether those that were killed came so far depends
    # on the machine's speed.
    loads = [line for line in run.audit.splitlines() if line.startswith("type=MAC_POLICY_LOAD")]
    assert len(loads) >= 5
    assert "bool=container_use_nfs val=1 old_val=0" in run.audit
    assert "bool=container_use_nfs val=0 old_val=1" in run.audit
    enforcing_changes = [line for line in run.audit.splitlines() if "MAC_STATUS" in line and "auid=1000" in line]
    assert [line for line in enforcing_changes if "enforcing=0 old_enforcing=1" in line] == []
