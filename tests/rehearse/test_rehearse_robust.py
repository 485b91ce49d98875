"""``polkit rehearse`` where things are missing, without room or rights, interrupted, two at once, with steps that never
end."""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from polkit.rehearse import Rehearsal, RehearsalRequest, rehearse
from tests.rehearse.conftest import WriteScenario

Polkit = Callable[..., "subprocess.CompletedProcess[str]"]

THINGS = """
[[thing]]
path = "/etc/shadow"
mode = "0600"
content = "root:*"

[[thing]]
path = "/usr/bin/busybox"
copy = "busybox"
"""
STEPS = """
[[step]]
name = "shadow"
do = "read"
path = "/etc/shadow"
expect = "denied"
why = "the host's password hashes"
"""
ENDLESS = """
[[step]]
name = "yes"
do = "program"
path = "/usr/bin/busybox"
arguments = ["yes", "gigabytes of it"]
expect = "allowed"
why = "never ends"
domain = "unconfined_t"
level = "s0"

[[step]]
name = "child"
do = "program"
path = "/usr/bin/busybox"
arguments = ["sh", "-c", "/usr/bin/busybox yes > /dev/null & exit 0"]
expect = "allowed"
why = "what it leaves behind does not hold up the next"
domain = "unconfined_t"
level = "s0"
"""
BUSYBOX = """
[[step]]
name = "box"
do = "program"
path = "/usr/bin/busybox"
arguments = ["true"]
expect = "allowed"
why = "it is copied"
domain = "unconfined_t"
level = "s0"
"""


@pytest.fixture
def polkit(policy_root: Path, kernel: Path) -> Polkit:
    """The command with the policy root and the kernel, as a process of its own."""

    def run(
        *words: object, before: str = "", env: dict[str, str] | None = None, **options: object
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "polkit", "rehearse", *map(str, words), "--policy-root", str(policy_root)]
        surroundings = {**os.environ, "POLKIT_KERNEL": str(kernel), **(env or {})}
        if before:
            line = f"{before} && exec {shlex.join(command)}"
            command = ["unshare", "--mount", "--map-root-user", "sh", "-c", line]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=surroundings)

    return run


@pytest.fixture(scope="session")
def own_mounts() -> None:
    """Whether a mount namespace may be made here, in which a tool or a disk can be taken away for real."""
    tried = ["unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "none", "/mnt"]
    if subprocess.run(tried, capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace may be made here")


def test_an_output_that_can_hold_nothing_is_told_before_the_machine_starts(
    polkit: Polkit, scenario_file: WriteScenario, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for output, said in (
        (file, "is no directory"),
        (file / "below", "is no directory"),
        (Path("/proc/none"), "can't be written"),
    ):
        done = polkit(scenario_file(), "-o", output)
        assert (done.returncode in (2, 3), said in done.stderr) == (True, True), done.stderr
        assert "Traceback" not in done.stderr
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "exit_code", "said"),
    [
        (b"", 2, "[scenario]"),
        (b"\0\xff\xfe" * 1000, 2, "scenario"),
        (b"[scenario]\nname = 'x'\n" + b"# filler\n" * 2_000_000, 2, "is larger than 1 MiB"),
        (None, 3, "Is a directory"),
    ],
    ids=("empty", "rubbish", "huge", "directory"),
)
def test_what_is_no_scenario(polkit: Polkit, tmp_path: Path, content: bytes | None, exit_code: int, said: str) -> None:
    path = tmp_path / "scenario.toml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    done = polkit(path, "--format", "json")
    error = json.loads(done.stdout)["error"]
    assert done.returncode == exit_code
    assert said in error["message"] + (error["hint"] or "")
    assert (str(path) in error["message"], done.stderr) == (True, "")


def test_a_file_to_copy_that_is_not_there_is_named_first(polkit: Polkit, scenario_file: WriteScenario) -> None:
    done = polkit(scenario_file('\n[[thing]]\npath = "/x"\ncopy = "/no/such/program"\n'))
    assert (done.returncode, "/no/such/program can't be read" in done.stderr) == (3, True)


def test_without_busybox_it_says_how_to_get_it(polkit: Polkit, scenario_file: WriteScenario, tmp_path: Path) -> None:
    qemu = tmp_path / "qemu-system-x86_64"
    qemu.write_text("#!/bin/false\n")
    qemu.chmod(0o755)
    done = polkit(scenario_file(THINGS), env={"PATH": str(tmp_path)})
    assert done.returncode == 4
    assert "busybox is not installed" in done.stderr
    assert "install busybox-static" in done.stderr


def test_what_is_no_kernel_is_told(polkit: Polkit, scenario_file: WriteScenario, tmp_path: Path) -> None:
    rubbish = tmp_path / "vmlinuz"
    rubbish.write_bytes(b"\x7fELF no kernel" * 1000)
    done = polkit(scenario_file(), "--kernel", rubbish, "--timeout", 60)
    assert done.returncode == 1
    assert f"is {rubbish} a Linux kernel with SELinux?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.heavy
@pytest.mark.usefixtures("own_mounts")
@pytest.mark.parametrize(
    ("before", "exit_code", "said"),
    [
        ("mount --bind /dev/null $(command -v semodule)", 4, "install policycoreutils"),
        (
            "for one in /boot /lib/modules; do test ! -d $one || mount -t tmpfs none $one; done; unset POLKIT_KERNEL",
            4,
            "install linux-image-cloud-amd64",
        ),
        ("mount -t tmpfs -o size=20m none /dev/shm && mkdir /dev/shm/t && export TMPDIR=/dev/shm/t", 3, "make room"),
    ],
    ids=("semodule", "kernel", "room"),
)
def test_what_is_missing_is_named_with_how_to_get_it(
    polkit: Polkit, scenario_file: WriteScenario, before: str, exit_code: int, said: str
) -> None:
    done = polkit(scenario_file(), before=before)
    assert (done.returncode, said in done.stderr) == (exit_code, True), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.heavy
def test_two_at_once_say_the_same(policy_root: Path, kernel: Path, scenario_file: WriteScenario) -> None:
    command = [
        sys.executable,
        "-m",
        "polkit",
        "rehearse",
        scenario_file(THINGS, step=STEPS + BUSYBOX),
        "--format",
        "json",
    ]
    asked = [*map(str, command), "--policy-root", str(policy_root), "--kernel", str(kernel)]
    both = [subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [json.loads(process.communicate(timeout=300)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert seen(told[0]) == seen(told[1])
    assert [one["got"] for one in told[0]["steps"]] == ["denied", "allowed"]


def seen(told: dict[str, object]) -> list[object]:
    steps = told["steps"]
    assert isinstance(steps, list)
    different = re.compile(r"audit\([^)]*\)|\b(pid|ino)=\d+")
    return [(one["name"], one["got"], [different.sub("", line) for line in one["avc"]]) for one in steps]


@pytest.fixture
def public_place() -> Iterator[Path]:
    """A directory that every user may read."""
    with tempfile.TemporaryDirectory(prefix="polkit-public-") as place:
        Path(place).chmod(0o755)
        yield Path(place)


@pytest.mark.heavy
@pytest.mark.parametrize("readable", [True, False])
def test_an_ordinary_user_can_rehearse_or_hears_what_may_not_be_read(
    policy_root: Path, kernel: Path, scenario_file: WriteScenario, public_place: Path, readable: bool
) -> None:
    if os.geteuid() != 0:
        pytest.skip("the tests run as an ordinary user already")
    nobody = pwd.getpwnam("nobody")
    root, scenario = public_place / "root", public_place / "small.toml"
    for part in ("etc/selinux", "var/lib/selinux"):
        shutil.copytree(policy_root / part, root / part, symlinks=True)
    (store,) = root.glob("var/lib/selinux/*/active")
    subprocess.run(["chmod", "-R", "a+rX", public_place, root], check=True)
    if not readable:
        store.chmod(0o700)
    scenario.write_text(scenario_file(THINGS, step=STEPS + BUSYBOX).read_text())
    scenario.chmod(0o644)
    ids = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    asked = [sys.executable, "-m", "polkit", "rehearse", scenario, "--policy-root", root, "--kernel", kernel]
    surroundings = {**os.environ, "HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none"}
    done = subprocess.run(
        [*ids, *map(str, asked)], capture_output=True, text=True, check=False, timeout=300, env=surroundings
    )
    if readable:
        assert (done.returncode, "2 as expected, 0 not" in done.stdout) == (0, True), done.stderr
    else:
        assert done.returncode == 3
        assert f"the module store under {store.parent} can't be read: Permission denied" in done.stderr
        assert "a host's module store belongs to root" in done.stderr


@pytest.mark.heavy
def test_a_step_without_end_is_ended_and_the_next_one_runs(
    policy_root: Path, kernel: Path, scenario_file: WriteScenario
) -> None:
    scenario = scenario_file(THINGS, step=ENDLESS + STEPS)
    told: Rehearsal = rehearse(RehearsalRequest(scenario, policy=str(policy_root), kernel=kernel, permissive=False))
    got = {one.step.name: one for one in told.judged}
    assert (got["yes"].got, got["yes"].seconds < 60) == ("error", True)
    assert got["yes"].detail.startswith("it did not end in time: ")
    assert len(got["yes"].detail) < 500
    assert (got["child"].got, got["shadow"].got) == ("allowed", "denied")


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("phase", "sent"),
    [("semodule", signal.SIGINT), ("semodule", signal.SIGTERM), ("qemu", signal.SIGINT), ("qemu", signal.SIGTERM)],
)
def test_interrupted_in_any_phase_it_leaves_nothing(
    policy_root: Path, kernel: Path, scenario_file: WriteScenario, tmp_path: Path, phase: str, sent: signal.Signals
) -> None:
    command = [sys.executable, "-m", "polkit", "rehearse", scenario_file(), "--policy-root", policy_root]
    surroundings = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    process = subprocess.Popen(
        [*map(str, command), "--kernel", str(kernel)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings,
    )
    try:
        child = child_called(process.pid, phase, 200)
        place = next(
            one for one in (Path(f"/proc/{child}/cwd").readlink(),) for one in (one, *one.parents) if is_ours(one)
        )
        process.send_signal(sent)
        said = process.communicate(timeout=60)[1]
        assert (process.returncode, "Traceback" in said) == (128 + sent, False)
        assert sent != signal.SIGINT or "polkit: interrupted" in said
        assert not place.exists()
        assert not Path(f"/proc/{child}").exists() or state(child) == "Z"
    finally:
        process.kill()
        process.wait()


def is_ours(place: Path) -> bool:
    return place.name.startswith("polkit-rehearse-")


def child_called(parent: int, name: str, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text().startswith(name):
                return int(child)
        time.sleep(0.02)
    raise AssertionError(f"{name} never started")


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.heavy
def test_a_reader_that_has_seen_enough_is_no_failure(
    policy_root: Path, kernel: Path, scenario_file: WriteScenario
) -> None:
    asked = [sys.executable, "-m", "polkit", "rehearse", scenario_file(THINGS, step=STEPS), "--explain", "-v"]
    command = shlex.join([*map(str, asked), "--policy-root", str(policy_root), "--kernel", str(kernel)])
    line = f"({command}; echo $? >&2) | true"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=300)
    assert done.stderr.split() == ["0"]
