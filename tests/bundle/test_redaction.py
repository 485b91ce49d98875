"""Evidence under other names: nothing of a vendor's hosts goes out, and the module stays the same."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.bundle import Packaged, package
from tests.bundle.making import evidence, make_project
from tests.records import avc

SECRETS = ("buildbox7", "skunkworks", "project-x", "secretserver", "hunter2", "10.9.8.7", "weights-v9")
LOG = (
    evidence() + "node=buildbox7.acme.internal type=AVC msg=audit(1700000000.300:3): avc:  denied  { read } for  pid=9 "
    'comm="secretserver" path="/home/skunkworks/project-x/a.txt" scontext=system_u:system_r:container_t:s0:c0 '
    "tcontext=system_u:object_r:dri_device_t:s0 tclass=chr_file permissive=0\n"
    + avc("read", "var_t", levels=("s0:c0", "s0"), fields='comm="secretserver" path="/models/weights-v9/x"', serial=4)
    + avc("name_connect", "http_port_t", "tcp_socket", levels=("s0:c0", "s0"), fields='comm="c" dest=8000', serial=6)
    + "type=SOCKADDR msg=audit(1700000000.123:6): saddr=02001F400A0908070000000000000000\n"
    + 'type=PROCTITLE msg=audit(1700000000.123:4): proctitle="secretserver --mode=hunter2"\n'
    + "type=AVC msg=audit(1700000000.500:5): avc:  denied  { read } for  comm=hunter2 scontext=broken\n"
)


def everything(packaged: Packaged) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(packaged.directory.rglob("*")) if path.is_file())


def installed(packaged: Packaged) -> dict[str, bytes]:
    """What ends on a host."""
    names = ("vllm.pp", "places", "ports", "booleans", "types", "needs")
    return {name: (packaged.directory / "targets/host" / name).read_bytes() for name in names}


def test_nothing_of_the_vendors_hosts_goes_out(tmp_path: Path, host: Path) -> None:
    project, targets = make_project(tmp_path / "p", host, LOG), {"host": str(host)}
    plain = package(project, tmp_path / "plain", targets)
    assert all(secret.encode() in everything(plain) for secret in SECRETS)
    hidden = package(project, tmp_path / "hidden", targets, redact=True)
    shown = everything(hidden)
    assert [secret for secret in SECRETS if secret.encode() in shown] == []
    assert installed(hidden) == installed(plain)
    ledger = (hidden.directory / "evidence/vllm.ledger").read_text(encoding="utf-8")
    for word in ("program1", "host1", "command1", "/models/part", "/dev/nvidia0", "/home/part"):
        assert word in ledger
    for old, new in zip(decisions(plain), decisions(hidden)):
        assert {key: old[key] for key in ("cause", "source", "target", "class", "perms")} == {
            key: new[key] for key in ("cause", "source", "target", "class", "perms")
        }
    proofs = [one.manifest["targets"]["host"]["proof"] for one in (plain, hidden)]
    assert proofs[0] == proofs[1]


def decisions(packaged: Packaged) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((packaged.directory / "targets/host/plan.json").read_bytes())["decisions"]
    return sorted(found, key=lambda one: (one["source"], one["target"], one["class"], one["perms"], one["cause"]))


def test_polkit_toml_can_ask_for_it(tmp_path: Path, host: Path) -> None:
    project = make_project(tmp_path / "p", host, LOG)
    with (project / "polkit.toml").open("a", encoding="utf-8") as file:
        file.write("\n[evidence]\nredact = true\n")
    first = package(project, targets={"host": str(host)})
    assert b"secretserver" not in everything(first)
    again = package(project, tmp_path / "again", {"host": str(host)})
    assert everything(again) == everything(first)


NAMES = st.sampled_from(["a", "b", "etc", "models", "nvidia0", "x y", "..", "deep", "\u00e9"])


def logs(seed: int, paths: list[list[str]]) -> str:
    """Denials on many paths, in containers and out of them."""
    chosen = random.Random(seed)
    tops = ["/models", "/srv/models", "/etc", "/dev", "/home", "/weird", ""]
    lines = []
    for serial, parts in enumerate(paths, 1):
        path = "/".join((chosen.choice(tops), *parts)).encode("utf-8").hex().upper()
        target, tclass = chosen.choice([("var_t", "file"), ("default_t", "file"), ("etc_t", "file"), ("var_t", "dir")])
        perms = "open read" if tclass == "file" else "search"
        lines.append(avc(perms, target, tclass, levels=("s0:c0", "s0"), fields=f'comm="c" path={path}', serial=serial))
    return "".join(lines)


def law(tmp_path_factory: pytest.TempPathFactory, host: Path, seed: int, paths: list[list[str]]) -> None:
    """Whatever the paths are, what is installed stays the same."""
    place = tmp_path_factory.mktemp("law")
    project, targets = make_project(place / "p", host, logs(seed, paths)), {"host": str(host)}
    plain = package(project, place / "plain", targets, with_proof=False)
    hidden = package(project, place / "hidden", targets, with_proof=False, redact=True)
    if (plain.directory / "targets/host/vllm.pp").exists():
        assert installed(hidden) == installed(plain)
    assert hidden.manifest["targets"]["host"]["contexts"] == plain.manifest["targets"]["host"]["contexts"]


PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=4), min_size=1, max_size=8)


@given(st.integers(0, 1 << 16), PATHS)
@settings(max_examples=2, deadline=None)
def test_any_paths_give_the_same_module(
    tmp_path_factory: pytest.TempPathFactory, host: Path, seed: int, paths: list[list[str]]
) -> None:
    law(tmp_path_factory, host, seed, paths)


@pytest.mark.heavy
@given(st.integers(0, 1 << 16), PATHS)
@settings(max_examples=60, deadline=None)
def test_any_paths_give_the_same_module_often(
    tmp_path_factory: pytest.TempPathFactory, host: Path, seed: int, paths: list[list[str]]
) -> None:
    law(tmp_path_factory, host, seed, paths)
