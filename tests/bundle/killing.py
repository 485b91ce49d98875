"""Scripts that are killed, and everything that a root holds."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple, Optional

from polkit.bundle import package
from tests.bundle.making import make_project, semodule

# Before each command that changes the host, in the shell that runs the script; bash sources what BASH_ENV names.
HOOK = r"""
set -o functrace
_step=0
_before() {
  [ "$BASH_SUBSHELL" -eq 0 ] || return 0
  case $1 in
    mv\ * | rm\ * | mkdir\ * | rmdir\ * | cp\ * | cat\ * | chcon\ * | setfiles\ * | told=*) ;;
    *) return 0 ;;
  esac
  case $1 in told=* | *state* | *active*) ;; *scratch*) return 0 ;; esac
  _step=$((_step + 1))
  printf '%s\n' "$1" >>"$STEPS"
  [ "$_step" != "$KILL_AT" ] || kill -9 $$
}
trap '_before "$BASH_COMMAND"' DEBUG
"""
ODD = "system_u:object_r:etc_t:s0:c1,c2"
LABEL = "security.selinux"


class Entry(NamedTuple):
    """A path: its mode, what it holds or where it leads, and its label."""

    mode: int
    content: bytes
    label: Optional[bytes]


class Stage:
    """A root, two versions of a bundle, and what the root holds before and with each of them."""

    def __init__(self, place: Path, host: Path, first: Path) -> None:
        self.place, self.first = place, first
        self.second = package(_second(place / "project", host), targets={"host": str(host)}).directory
        self.root = place / "root"
        shutil.copytree(host, self.root)
        (self.root / "srv/models/sub").mkdir(parents=True)
        for name in ("w", "sub/odd"):
            (self.root / "srv/models" / name).write_text("weights", encoding="utf-8")
        for path in [self.root / "srv", *(self.root / "srv").rglob("*")]:
            os.setxattr(path, LABEL, b"system_u:object_r:var_t:s0\0")
        os.setxattr(self.root / "srv/models/sub/odd", LABEL, ODD.encode() + b"\0")
        flags = place / "flags.cil"
        flags.write_text("(boolean first_flag false) (boolean other_flag false)\n", encoding="ascii")
        local = self.root / "var/lib/selinux/small/active/booleans.local"
        local.write_text("# an administrator's\nother_flag=1\nfirst_flag=1\n", encoding="ascii")
        semodule(self.root, "-X", "100", "-i", flags)
        self.hook = place / "hook.sh"
        self.hook.write_text(HOOK, encoding="ascii")
        self.states: list[dict[str, Entry]] = [everything(self.root)]
        self.kept = [self._copy("0")]
        for bundle in (self.first, self.second):
            done = self.run(bundle, "install.sh")
            assert done.returncode == 0, done.stderr
            self.states.append(everything(self.root))
            self.kept.append(self._copy(str(len(self.kept))))

    def _copy(self, name: str) -> Path:
        return copy_root(self.root, self.place / f"kept{name}")

    def go_to(self, number: int) -> None:
        """The root as it is before (0), with the first version (1), with the second on it (2)."""
        shutil.rmtree(self.root)
        copy_root(self.kept[number], self.root)

    def run(self, bundle: Path, script: str, *words: str, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
        """In bash, killed before the step of that number; what the steps were is in ``steps``."""
        self.steps_file.unlink(missing_ok=True)
        environment = {**os.environ, "BASH_ENV": str(self.hook), "STEPS": str(self.steps_file)}
        return subprocess.run(
            ["bash", str(bundle / script), "--root", str(self.root), *words],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={**environment, "KILL_AT": str(kill_at), "TMPDIR": str(self.place)},
        )

    def run_until(self, bundle: Path, script: str, seconds: float) -> None:
        """In any shell, killed with all that it runs after a time."""
        process = subprocess.Popen(
            ["sh", str(bundle / script), "--root", str(self.root)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    @property
    def steps_file(self) -> Path:
        return self.place / "steps"

    @property
    def steps(self) -> list[str]:
        return self.steps_file.read_text(encoding="utf-8").splitlines() if self.steps_file.exists() else []

    def differences(self, number: int) -> list[str]:
        """The paths that are not as in that state."""
        now, then = everything(self.root), self.states[number]
        return sorted(path for path in {*now, *then} if now.get(path) != then.get(path))


def copy_root(source: Path, target: Path) -> Path:
    """A copy of a root with its labels."""
    shutil.copytree(source, target, symlinks=True)
    for path in [source, *source.rglob("*")]:
        label = label_of(path)
        if label is not None:
            os.setxattr(target / path.relative_to(source), LABEL, label, follow_symlinks=False)
    return target


def label_of(path: Path) -> Optional[bytes]:
    try:
        return os.getxattr(path, LABEL, follow_symlinks=False)
    except OSError:
        return None


def everything(root: Path) -> dict[str, Entry]:
    """All that a root holds but what libsemanage keeps of every transaction: the store's counter of commits, its locks,
    and the directory of a priority once it was used."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.name == "commit_num" or path.name.endswith(".LOCK") or path.match("active/modules/200"):
            continue
        content = b""
        if path.is_symlink():
            content = os.fsencode(path.readlink())
        elif path.is_file():
            content = path.read_bytes()
        found[path.relative_to(root).as_posix()] = Entry(path.lstat().st_mode, content, label_of(path))
    return found


def _second(place: Path, host: Path) -> Path:
    make_project(place, host)
    for name in ("polkit.toml", "vllm.te"):
        text = (place / name).read_text(encoding="utf-8").replace("0.1.0", "0.2.0")
        (place / name).write_text(text, encoding="utf-8")
    return place
