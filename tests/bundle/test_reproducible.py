"""The same bundle from another user, in another place and time zone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from polkit.bundle.exporters import EXPORTERS
from tests.bundle.making import make_project

FORMS = ",".join(EXPORTERS)
OTHER_UID = 12345
"""Of nobody on any host, so that nothing but what the project holds is readable as one's own."""


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A directory that another user may look into, which pytest's own are not."""
    place = Path(tempfile.mkdtemp(prefix="polkit of another (user)-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def may_run(repository: Path) -> bool:
    """The other user can start this Python with this checkout."""
    words = [*becoming(), sys.executable, "-c", "import polkit.cli.app, setools"]
    found = subprocess.run(words, cwd="/", env={"PYTHONPATH": str(repository)}, capture_output=True, check=False)
    return found.returncode == 0


def becoming() -> list[str]:
    """Words that start a command as the other user, without any capability."""
    ids = [f"--{what}={OTHER_UID}" for what in ("reuid", "regid")]
    return ["setpriv", *ids, "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]


def test_another_user_builds_the_same_bytes(tmp_path: Path, elsewhere: Path, host: Path, repository: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    if shutil.which("setpriv") is None or not may_run(repository):
        pytest.skip("no setpriv, or this checkout is closed to other users")
    project = make_project(tmp_path / "p", host)
    shutil.copytree(host, project / "policies/old")
    copy = elsewhere / "somewhere/else"
    shutil.copytree(project, copy)
    for path in (copy, *copy.rglob("*")):
        os.chown(path, OTHER_UID, OTHER_UID, follow_symlinks=False)
    built = {}
    for place, prefix, zone, mask in ((project, [], "UTC", "022"), (copy, becoming(), "Pacific/Chatham", "077")):
        words = f'umask {mask}; exec "$@" -m polkit package . --target old=policies/old --for {FORMS} -q'
        home = place.parent if prefix else tmp_path
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(repository), "TZ": zone, "HOME": str(home)}
        env.update({"LANG": "C.UTF-8", "TMPDIR": str(copy)} if prefix else {"LANG": "C"})
        subprocess.run(["sh", "-c", words, "sh", *prefix, sys.executable], cwd=place, env=env, check=True)
        dist = place / "dist"
        files = {path.relative_to(dist).as_posix(): path for path in dist.rglob("*") if path.is_file()}
        built[place] = {
            name: (path.read_bytes(), int(path.stat().st_mtime) if "/" in name else 0) for name, path in files.items()
        }
        owners = {path.stat().st_uid for path in files.values()}
        assert owners == ({OTHER_UID} if prefix else {0})
    assert built[copy] == built[project]
    assert {"vllm-0.1.0.tar.zst", "vllm-selinux-0.1.0-1.old.noarch.rpm"} <= set(built[project])
    together = b"".join(content for content, _ in built[copy].values())
    assert str(elsewhere).encode() not in together
