"""A small host, projects to make bundles of, and what a root holds before and after."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Union

from polkit.bundle import Described, new_project
from polkit.minimize import Request, generate
from tests.minimize.proof_worlds import NAME, build_root
from tests.records import avc

SOURCE = Path(__file__).parent / "sources" / "host.cil"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def evidence(levels: str = "s0:c0") -> str:
    """A model server that lacks its models and a GPU."""
    both = (levels, "s0")
    return avc("open read", "var_t", levels=both, fields='comm="serve" path="/models/w"') + avc(
        "map open read write",
        "xserver_misc_device_t",
        "chr_file",
        levels=both,
        fields='comm="serve" path="/dev/nvidia0"',
        serial=2,
    )


def small_host(root: Path) -> Path:
    """A policy root whose store builds in a tenth of a second."""
    build_root(root)
    semodule(root, "-X", "100", "-i", SOURCE)
    return root


def semodule(root: Path, *words: object, store: str = NAME) -> str:
    """What semodule says of, or does to, the store of a root."""
    command = ["semodule", "-p", root, "-s", store, "-N", *words]
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


def make_project(place: Path, policy: Union[Path, str], log: str = "", name: str = "vllm") -> Path:
    """A project with evidence, and its module made on a policy."""
    new_project(name, place, Described("A model server", "ACME", "MIT"))
    config = place / "polkit.toml"
    text = config.read_text(encoding="utf-8").replace("mounts = []", 'mounts = ["/srv/models:/models"]')
    config.write_text(text, encoding="utf-8")
    (place / "evidence/recorded.log").write_text(log or evidence(), encoding="utf-8")
    generate(Request((str(place / "evidence/recorded.log"),), str(policy)), place)
    return place


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file of a root but the counter of commits."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name != "commit_num"
    }


def with_lists(bundle: Path, place: Path, ports: str = "", booleans: str = "") -> Path:
    """A copy of a bundle whose module also wants ports and booleans."""
    shutil.copytree(bundle, place)
    for name, text in (("ports", ports), ("booleans", booleans)):
        (place / "targets/host" / name).write_text(text, encoding="ascii")
    files = sorted(path for path in place.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    named = [path.relative_to(place).as_posix() for path in files]
    sums = subprocess.run(["sha256sum", *named], cwd=place, check=True, capture_output=True).stdout
    (place / "SHA256SUMS").write_bytes(sums)
    return place
