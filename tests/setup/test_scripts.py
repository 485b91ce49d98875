"""script/bootstrap and script/policy: what they refuse, what they leave alone, what they repair."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Optional

import pytest

MISSING = 4
USAGE = 2


def run(script: Path, *arguments: str, os_release: Optional[Path] = None) -> subprocess.CompletedProcess[str]:
    """The script, called from a folder that is not the checkout, as a stranger's shell would call it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("POLKIT_")}
    if os_release is not None:
        environment["POLKIT_OS_RELEASE"] = str(os_release)
    return subprocess.run([script, *arguments], capture_output=True, text=True, check=False, cwd="/", env=environment)


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder with the hash of its bytes."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def checkout(repository: Path, tmp_path: Path) -> Path:
    """A fresh copy of what the set-up needs, at a path with blanks in it."""
    copy = tmp_path / "a fresh checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(repository / name, copy)
    for name in ("script", "polkit", "grammar", "fixtures/policy"):
        shutil.copytree(repository / name, copy / name, symlinks=True)
    return copy


@pytest.fixture
def gentoo(tmp_path: Path) -> Path:
    """The os-release of a distribution that is none of ours."""
    file = tmp_path / "os-release"
    file.write_text('ID=gentoo\nPRETTY_NAME="Gentoo Linux"\n', encoding="utf-8")
    return file


@pytest.mark.parametrize("script", ["bootstrap", "policy", "machine"])
def test_an_unknown_distribution_is_refused_untouched(checkout: Path, gentoo: Path, script: str) -> None:
    before = contents(checkout)
    refused = run(checkout / "script" / script, os_release=gentoo)
    assert refused.returncode == MISSING
    assert refused.stdout == ""
    assert "Gentoo Linux" in refused.stderr
    assert "Debian, Ubuntu, Fedora or RHEL" in refused.stderr
    assert contents(checkout) == before


@pytest.mark.parametrize("script", ["bootstrap", "policy"])
def test_a_system_without_os_release_is_refused(checkout: Path, tmp_path: Path, script: str) -> None:
    refused = run(checkout / "script" / script, os_release=tmp_path / "none")
    assert refused.returncode == MISSING
    assert "no os-release" in refused.stderr


@pytest.mark.parametrize("script", ["bootstrap", "lint", "policy", "demo", "machine"])
def test_unknown_arguments_are_wrong_usage(checkout: Path, script: str) -> None:
    refused = run(checkout / "script" / script, "--no-such-option")
    assert refused.returncode == USAGE
    assert f"Usage: script/{script}" in refused.stderr


def test_bench_names_what_there_is(checkout: Path) -> None:
    (checkout / "bench").mkdir()
    for name in ("scan.py", "_shared.py", "index.py"):
        (checkout / "bench" / name).write_text("print('ran')\n", encoding="utf-8")
    assert run(checkout / "script" / "bench").stdout.split() == ["index", "scan"]
    refused = run(checkout / "script" / "bench", "_shared")
    assert refused.returncode == USAGE
    assert "index scan" in refused.stderr


@pytest.mark.heavy
def test_bootstrap_makes_repairs_and_leaves_alone(checkout: Path) -> None:
    script, venv = checkout / "script" / "bootstrap", checkout / ".venv"
    made = run(script)
    assert made.returncode == 0, made.stderr
    python = venv / "bin" / "python"
    asked = "import setools, selinux, polkit; print(setools.SELinuxPolicy.__name__); print(polkit.__file__)"
    answer = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True, cwd="/").stdout
    assert answer.splitlines() == ["SELinuxPolicy", str(checkout / "polkit" / "__init__.py")]
    assert python.resolve() == Path("/usr/bin/python3").resolve()

    stamp = venv / "bootstrap.stamp"
    first = stamp.stat()
    again = run(script)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert (stamp.stat().st_mtime_ns, stamp.stat().st_ino) == (first.st_mtime_ns, first.st_ino)

    # Interrupted half-way: no stamp, a dependency lost in between, and no Python.
    stamp.unlink()
    (lark,) = venv.glob("lib/python*/site-packages/lark")
    shutil.rmtree(lark)
    assert run(script).returncode == 0
    subprocess.run([python, "-c", "import lark"], check=True, cwd="/")
    python.unlink()
    stamp.unlink()
    assert run(script).returncode == 0
    subprocess.run([python, "-c", asked], check=True, cwd="/", stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def debian() -> None:
    """These build Debian's policy; Fedora's hosts bring their own."""
    if shutil.which("apt-get") is None:
        pytest.skip("script/policy builds nothing here")


@pytest.mark.heavy
@pytest.mark.usefixtures("debian")
def test_policy_is_built_once_and_always_the_same(checkout: Path) -> None:
    script = checkout / "script" / "policy"
    both = [subprocess.Popen([script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert sum("building" in errors for _, errors in outputs) == 1
    root = Path(outputs[0][0].splitlines()[-1])
    assert root.parent == checkout / ".cache" / "policy"

    (binary,) = root.glob("etc/selinux/default/policy/policy.[0-9]*")
    built = contents(root)
    again = run(script)
    assert (again.stdout, again.stderr) == (f"{root}\n", "")

    inode = binary.stat().st_ino
    forced = run(script, "--force")
    assert forced.stdout == again.stdout
    assert binary.stat().st_ino != inode
    assert contents(root) == built

    (checkout / "fixtures" / "policy" / "one_more.cil").write_text("(type one_more_t)\n", encoding="utf-8")
    other = Path(run(script).stdout.splitlines()[-1])
    assert other != root
    assert (other / "var/lib/selinux/default/active/modules/400/one_more").is_dir()
    (checkout / "fixtures" / "policy" / "one_more.cil").unlink()
    assert run(script).stdout == again.stdout
    assert sorted(p.name for p in root.parent.glob(".*")) == []


@pytest.mark.heavy
@pytest.mark.usefixtures("debian")
def test_a_policy_that_does_not_build_shows_why_and_leaves_nothing(checkout: Path) -> None:
    (checkout / "fixtures" / "policy" / "broken.cil").write_text(
        "(allow no_such_t self (file (read)))\n", encoding="utf-8"
    )
    broken = run(checkout / "script" / "policy")
    assert broken.returncode == 1
    assert broken.stdout == ""
    assert "modules/400/broken" in broken.stderr
    assert [path.name for path in (checkout / ".cache").rglob("*")] in (["policy.lock"], ["policy", "policy.lock"])


def test_the_policy_holds_what_the_fixtures_stand_on(policy_root: Path) -> None:
    """What the ladder is tested on: container types, booleans of container-selinux' shape, a bounded type."""
    if policy_root == Path("/"):
        pytest.skip("the host's own policy serves here")
    (policy,) = policy_root.glob("etc/selinux/default/policy/policy.[0-9]*")
    asked = (
        "import setools, sys; policy = setools.SELinuxPolicy(sys.argv[1]);"
        "print(*policy.bools()); print(*policy.types())"
    )
    found = subprocess.run([sys.executable, "-c", asked, policy], capture_output=True, text=True, check=True).stdout
    booleans, types = (set(line.split()) for line in found.splitlines())
    assert {"container_use_devices", "container_use_xserver_devices", "polkit_first", "polkit_second"} <= booleans
    assert {"container_t", "container_file_t", "child_t", "polkit_parent_t"} <= types
    for module in ("400/container_booleans", "400/test_shapes", "100/container", "100/podman", "100/docker"):
        assert (policy_root / "var/lib/selinux/default/active/modules" / module).is_dir()
