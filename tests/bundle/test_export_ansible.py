"""Ansible: the plays' values are the bundle's, and the real Ansible runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from tests.bundle.exporting import WEIRD, Exports, exported, read
from tests.bundle.making import semodule
from tests.conftest import validator

ROLE = Path(__file__).parent / "sources" / "ansible_role"
SEMODULE = shutil.which("semodule")
PLAYS = ("install.yml", "remove.yml")


def tasks(plays: Any) -> Iterator[dict[str, Any]]:
    for one in plays:
        yield from one.get("tasks", [one])


def test_the_values_are_the_bundles(exports: Exports) -> None:
    bundle = exports.bundle
    values = read(exported(bundle, "ansible") / "vars.yml")
    assert {key: values[f"selinux_bundle_{key}"] for key in ("name", "version", "priority")} == {
        key: str(bundle.manifest[key]) for key in ("name", "version", "priority")
    }
    targets = values["selinux_bundle_targets"]
    assert {name: one["release"] for name, one in targets.items()} == {"el9": "rhel9", "debian12": "debian12"}
    for name, one in targets.items():
        manifest = bundle.manifest["targets"][name]
        assert (one["module"], one["types"]) == (manifest["module"], manifest["types"])
        assert (
            [(port["proto"], int(port["ports"]), port["setype"]) for port in one["ports"]]
            == [(port["protocol"], port["port"], port["type"]) for port in manifest["ports"]]
            == [("tcp", 8443, "vllm_port_t")]
        )
        assert one["restore_dirs"] == ["/srv/models"]
    (shared,) = read(exported(exports.shared, "ansible") / "vars.yml")["selinux_bundle_targets"].values()
    assert shared["booleans"] == [{"name": "container_use_data", "state": True, "persistent": True}]


def test_the_role_gets_nothing_that_it_does_not_take(exports: Exports) -> None:
    taken = read(ROLE / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    place, asked = exported(exports.bundle, "ansible"), 0
    for play in PLAYS:
        for task in tasks(read(place / play)):
            if "ansible.builtin.include_role" in task:
                asked += 1
                assert set(task["vars"]) <= set(taken)
                # Where a role reads a variable that a caller left out, another's value of that name would count.
                assert "selinux_modules" in task["vars"]
    assert asked == 3
    (target, *_) = read(place / "vars.yml")["selinux_bundle_targets"].values()
    for kind in ("ports", "booleans"):
        assert all(set(one) <= set(taken[f"selinux_{kind}"]["options"]) for one in target[kind])


def test_plays_are_the_same_in_every_bundle_and_hold_no_values(exports: Exports) -> None:
    for name in (*PLAYS, "host.yml", "requirements.yml"):
        (text,) = {(exported(bundle, "ansible") / name).read_bytes() for bundle in exports.all}
        assert b"vllm" not in text
        assert b"setenforce" not in text
        assert b"selinux_state" not in text


def test_a_weird_path_is_no_template(exports: Exports) -> None:
    text = (exported(exports.weird, "ansible") / "vars.yml").read_text(encoding="ascii")
    (line,) = [line for line in text.splitlines() if "{{" in line]
    assert line.lstrip(" -").startswith('!unsafe "')


# ---- with the real Ansible -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ansible() -> Path:
    """The directory of ansible-playbook and ansible-lint."""
    return validator("ansible")


Play = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def play(exports: Exports, ansible: Path, tmp_path: Path) -> Play:
    """``play("install.yml")``: run a play on a scratch root, with a stand-in for the role and the host's commands."""
    shutil.copytree(exports.host, tmp_path / "root")
    shutil.copytree(ROLE, tmp_path / "c/ansible_collections/fedora/linux_system_roles/roles/selinux")
    commands = tmp_path / "bin"
    commands.mkdir()
    ports = "http_port_t  tcp  80, 443\nunreserved_port_t  tcp  1024-32767\n"
    (tmp_path / "ports").write_text(ports, encoding="ascii")
    (tmp_path / "boolean").write_text("off", encoding="ascii")
    for name, script in {
        "semodule": f'[ "$*" != -lfull ] || set -- -p {tmp_path}/root -s small -lfull\nexec {SEMODULE} "$@"',
        "semanage": f'[ "$*" = "port -l -n" ] && exec cat {tmp_path}/ports',
        "getsebool": f'echo "$1 --> $(cat {tmp_path}/boolean)"',
        "ps": f"cat {tmp_path}/processes",
    }.items():
        (commands / name).write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
        (commands / name).chmod(0o755)
    (tmp_path / "processes").write_text("system_u:system_r:init_t:s0 1 init\n", encoding="ascii")
    extra = {
        "ansible_become": False,
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        "selinux_bundle_facts_directory": str(tmp_path / "facts"),
        "selinux_bundle_fact": str(tmp_path / "facts/one.fact"),
        "stand_in_record": str(tmp_path / "record"),
        "stand_in_root": str(tmp_path / "root"),
    }
    path = f"{commands}:{ansible}:{os.environ['PATH']}"
    home = {"HOME": str(tmp_path), "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "c"), "PATH": path, "LC_ALL": "C.UTF-8"}

    def run(name: str, bundle: Any = exports.bundle, **more: Any) -> subprocess.CompletedProcess[str]:
        (tmp_path / "record").write_text("", encoding="ascii")
        return subprocess.run(
            ["ansible-playbook", "-i", "node,", "-e", json.dumps({**extra, **more}), name],
            cwd=exported(bundle, "ansible"),
            env={**os.environ, **home},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def asked(place: Path) -> list[dict[str, Any]]:
    """What the role was asked, call by call."""
    found, decoder = [], json.JSONDecoder()
    text = (place / "record").read_text(encoding="utf-8").strip()
    while text:
        one, end = decoder.raw_decode(text)
        found.append(one)
        text = text[end:].strip()
    return found


@pytest.mark.heavy
def test_ansible_takes_the_plays_and_its_linter_has_nothing_to_say(
    exports: Exports, ansible: Path, tmp_path: Path
) -> None:
    env = {**os.environ, "HOME": str(tmp_path), "PATH": f"{ansible}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    for bundle in exports.all:
        place = tmp_path / bundle.name
        shutil.copytree(exported(bundle, "ansible"), place)
        subprocess.run(["ansible-playbook", "--syntax-check", *PLAYS], cwd=place, env=env, check=True)
        subprocess.run(["ansible-lint", "--offline", "--profile", "production", "."], cwd=place, env=env, check=True)


@pytest.mark.heavy
def test_the_plays_install_and_remove(play: Play, tmp_path: Path) -> None:
    done = play("install.yml", selinux_bundle_target="el9")
    assert done.returncode == 0, done.stdout + done.stderr
    first, _, second, split = asked(tmp_path)
    (module,) = first["modules"]
    assert (Path(module["path"]).name, module["priority"], module["state"]) == ("vllm.pp", "200", "enabled")
    port = {"ports": "8443", "proto": "tcp", "setype": "vllm_port_t", "state": "present", "local": True}
    assert (first["ports"], second["modules"], second["ports"]) == ([], [], [port])
    assert split["relabelled"] == ["/srv/models"]
    assert ["200", "vllm"] in [line.split()[:2] for line in semodule(tmp_path / "root", "-lfull").splitlines()]

    # Again: what is ours stays ours, now that the port has our label.
    (tmp_path / "ports").write_text("vllm_port_t  tcp  8443\n", encoding="ascii")
    assert play("install.yml", selinux_bundle_target="el9").returncode == 0
    assert asked(tmp_path)[2]["ports"] == [port]

    (tmp_path / "processes").write_text("system_u:system_r:vllm_t:s0:c1,c2 42 serve\n", encoding="ascii")
    refused = play("remove.yml", selinux_bundle_target="el9")
    assert refused.returncode != 0
    assert "Stop these first: system_u:system_r:vllm_t:s0:c1,c2 42 serve" in refused.stdout
    (tmp_path / "processes").write_text("", encoding="ascii")
    assert play("remove.yml", selinux_bundle_target="el9").returncode == 0
    removed, _ = asked(tmp_path)
    assert removed["modules"] == [{"name": "vllm", "priority": "200", "state": "absent"}]
    assert removed["ports"] == [{**port, "state": "absent"}]
    assert "vllm" not in semodule(tmp_path / "root", "-l").split()
    assert list((tmp_path / "facts").iterdir()) == []


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("system", "number", "target"), [("Rocky", "9.4", "el9"), ("Debian", "12.11", "debian12"), ("RedHat", "10.0", "")]
)
def test_the_target_is_chosen_by_facts(play: Play, tmp_path: Path, system: str, number: str, target: str) -> None:
    facts = {
        "distribution": system,
        "distribution_version": number,
        "distribution_major_version": number.split(".", maxsplit=1)[0],
    }
    done = play("install.yml", ansible_facts=facts)
    assert (done.returncode == 0) == bool(target)
    assert [Path(one["path"]).parent.name for one in (asked(tmp_path) or [{"modules": []}])[0]["modules"]] == (
        [target] if target else []
    )


@pytest.mark.heavy
def test_a_port_of_the_administrators_stays(play: Play, tmp_path: Path) -> None:
    (tmp_path / "ports").write_text("http_port_t  tcp  8443, 80, 443\n", encoding="ascii")
    assert play("install.yml", selinux_bundle_target="el9").returncode == 0
    assert asked(tmp_path)[2]["ports"] == []
    assert play("remove.yml", selinux_bundle_target="el9").returncode == 0
    assert asked(tmp_path)[0]["ports"] == []


@pytest.mark.heavy
@pytest.mark.parametrize("before", ["on", "off"])
def test_a_boolean_is_put_back_where_it_was_changed(play: Play, exports: Exports, tmp_path: Path, before: str) -> None:
    (tmp_path / "boolean").write_text(before, encoding="ascii")
    assert play("install.yml", exports.shared).returncode == 0
    (boolean,) = asked(tmp_path)[2]["booleans"]
    assert boolean == {"name": "container_use_data", "state": True, "persistent": True}
    (tmp_path / "boolean").write_text("on", encoding="ascii")
    assert play("remove.yml", exports.shared).returncode == 0
    assert asked(tmp_path)[0]["booleans"] == ([] if before == "on" else [{**boolean, "state": False}])


@pytest.mark.heavy
def test_a_host_that_no_target_is_and_another_priority_are_refused(
    play: Play, exports: Exports, tmp_path: Path
) -> None:
    refused = play("install.yml", selinux_bundle_target="el7")
    assert refused.returncode != 0
    assert "Name one with -e selinux_bundle_target=NAME" in refused.stdout
    semodule(tmp_path / "root", "-X", "400", "-i", exports.bundle.directory / "targets/el9/vllm.pp")
    refused = play("install.yml", selinux_bundle_target="el9")
    assert refused.returncode != 0
    assert "One of the two would hide the other" in refused.stdout
    assert asked(tmp_path) == []


@pytest.mark.heavy
def test_a_weird_path_reaches_the_command_whole(play: Play, exports: Exports, tmp_path: Path) -> None:
    done = play("install.yml", exports.weird)
    assert done.returncode == 0, done.stdout + done.stderr
    assert asked(tmp_path)[-1]["relabelled"] == [WEIRD]
