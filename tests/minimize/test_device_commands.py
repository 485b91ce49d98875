"""ioctl commands on GPU nodes: by name, and marked where no real driver was there when they were recorded."""

from __future__ import annotations

import io
import json
import re
import sys
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, Optional

import jsonschema
import pytest

from polkit.audit import read_logs, totals
from polkit.minimize import Request, Settings, command_lines, generate, make_plan, plan_object
from polkit.model import DeviceCommand, Plan
from polkit.policy import TargetPolicy, load_policy
from tests.records import avc

GPU = "xserver_misc_device_t"


def refused(
    path: Optional[str],
    command: int,
    ended: str = "success=no exit=-13",
    rdev: str = "",
    target: str = GPU,
    serial: int = 1,
) -> str:
    """A refused ioctl on a node; with ``rdev`` also a refused getattr, whose PATH record shows the node's numbers."""
    where = f'path="{path}" dev="devtmpfs" ino=96' if path else "ino=96"
    fields = f'comm="x" {where}'
    stamp = f"msg=audit(1700000000.123:{serial})"
    syscall = f'type=SYSCALL {stamp}: arch=c000003e syscall=%s {ended} a0=3 items=0 comm="x" exe="/bin/x"\n'
    text = avc("ioctl", target, "chr_file", fields=f"{fields} ioctlcmd=0x{command:x}", serial=serial) + syscall % 16
    if rdev:
        after = f"msg=audit(1700000000.123:{serial + 1})"
        text += avc("getattr", target, "chr_file", fields=fields, serial=serial + 1)
        text += f'type=PATH {after}: item=0 name="{path}" inode=96 dev=00:05 mode=020666 rdev={rdev} nametype=NORMAL\n'
    return text


@pytest.fixture
def plan(policy: TargetPolicy) -> Any:
    def make(log: str, on: Optional[TargetPolicy] = None) -> Plan:
        denials = totals(read_logs(["-"], stdin=io.BytesIO(log.encode())))
        return make_plan(denials, on or policy, Settings(module="vllm", extend=True))

    return make


def commands(plan: Plan) -> list[DeviceCommand]:
    return [one for decision in plan.decisions for one in decision.device_commands]


@pytest.mark.parametrize(
    ("path", "command", "names", "drivers"),
    [
        ("/dev/nvidiactl", 0x46D6, ("NV_ESC_SYS_PARAMS",), ("nvidia",)),
        ("/dev/nvidia0", 0x462A, ("NV_ESC_RM_CONTROL",), ("nvidia",)),
        ("/dev/nvidia-uvm", 0x0001, ("UVM_INITIALIZE", "UVM_RESERVE_VA"), ("nvidia-uvm",)),
        ("/dev/nvidia-modeset", 0x6D00, ("NVKMS_IOCTL_IOWR",), ("nvidia-modeset",)),
        ("/dev/dri/renderD128", 0x6400, ("DRM_IOCTL_VERSION",), ("drm",)),
        (
            "/dev/dri/card0",
            0x6446,
            ("DRM_IOCTL_AMDGPU_GEM_METADATA", "DRM_IOCTL_I915_GETPARAM", "DRM_IOCTL_XE_EXEC_QUEUE_CREATE"),
            ("amdgpu", "i915", "xe"),
        ),
        ("/dev/kfd", 0x4B01, ("AMDKFD_IOC_GET_VERSION",), ("kfd",)),
        ("/dev/infiniband/uverbs0", 0x1B01, ("RDMA_VERBS_IOCTL",), ("uverbs",)),
        ("/dev/nvidia0", 0x4600, (), ("nvidia",)),
        ("/dev/accel/accel0", 0x6440, (), ("accel",)),
    ],
)
def test_a_command_has_its_drivers_name(
    plan: Any, path: str, command: int, names: tuple[str, ...], drivers: tuple[str, ...]
) -> None:
    (one,) = commands(plan(refused(path, command)))
    assert (one.xperm, one.names, one.drivers) == (f"0x{command:04x}", names, drivers)
    assert bool(one.sources) == bool(names) or path == "/dev/nvidia0"
    assert not one.measured


@pytest.mark.parametrize("path", ["/dev/kvm", "/dev/nvidia0/x", "/srv/dev/nvidia0", "/dev/nvidiax", "/dev/vga_arbiter"])
def test_other_nodes_are_no_gpu(plan: Any, path: str) -> None:
    assert commands(plan(refused(path, 0x46D6))) == []


def test_a_record_without_a_path_goes_by_the_type_of_the_nodes(plan: Any) -> None:
    (one,) = commands(plan(refused(None, 0x46D6)))
    assert (one.names, one.drivers, one.measured) == (("NV_ESC_SYS_PARAMS",), ("nvidia",), False)
    assert commands(plan(refused(None, 0x46D6, target="kvm_device_t"))) == []
    assert commands(plan(refused(None, 0x46D6), on=load_policy("none"))) == []


@pytest.mark.parametrize(
    ("path", "ended", "rdev", "measured", "why"),
    [
        ("/dev/nvidia0", "success=no exit=-13", "", False, "no record shows that a driver stood behind its node"),
        ("/dev/nvidia0", "success=no exit=-25", "", False, "what stood behind its node did not know it (ENOTTY)"),
        ("/dev/nvidia0", "success=no exit=-25", "01:05", False, "no driver stood behind its node: 1:5 is /dev/zero"),
        ("/dev/nvidia0", "success=yes exit=0", "01:03", False, "no driver stood behind its node: 1:3 is another"),
        ("/dev/nvidia0", "success=yes exit=0", "", True, "a driver answered it (success)"),
        ("/dev/nvidia0", "success=no exit=-22", "", True, "a driver answered it (EINVAL)"),
        ("/dev/nvidia0", "success=no exit=-13", "c3:00", True, "its node has the driver's numbers (195:0)"),
        ("/dev/nvidia0", "success=no exit=-13", "1ff:00", False, "no record shows"),
        ("/dev/nvidia-uvm", "success=no exit=-13", "1ff:00", False, "no record shows"),
        ("/dev/nvidia-uvm", "success=no exit=-13", "c3:00", False, "no driver stood behind its node: 195:0 is another"),
        ("/dev/nvidia-uvm", "success=yes exit=0", "1ff:00", True, "a driver answered it (success)"),
        ("/dev/dri/renderD128", "success=no exit=-1", "e2:80", True, "its node has the driver's numbers (226:128)"),
    ],
)
def test_what_shows_that_a_driver_was_there(
    plan: Any, path: str, ended: str, rdev: str, measured: bool, why: str
) -> None:
    (one,) = commands(plan(refused(path, 0x6400, ended, rdev)))
    assert (one.measured, one.why.startswith(why)) == (measured, True), one.why


def test_each_command_is_judged_by_its_own_records(plan: Any) -> None:
    log = refused("/dev/nvidia0", 0x4629, "success=yes exit=0") + refused("/dev/nvidia0", 0x462A, serial=5)
    found = plan(log)
    assert [(one.xperm, one.measured) for one in commands(found)] == [("0x4629", True), ("0x462a", False)]
    assert any(note.startswith("1 ioctl command on GPU nodes is unmeasured") for note in found.notes)
    lines = list(command_lines(commands(found)))
    assert lines == [
        "0x4629 NV_ESC_RM_FREE (nvidia)",
        "unmeasured: 0x462a NV_ESC_RM_CONTROL (nvidia); no record shows that a driver stood behind its node",
    ]


def test_measured_commands_need_no_word(plan: Any) -> None:
    found = plan(refused("/dev/nvidia0", 0x4629, "success=yes exit=0"))
    assert not any("unmeasured" in note for note in found.notes)


def test_many_commands_are_told_in_lines_that_fit(plan: Any) -> None:
    log = "".join(refused("/dev/nvidia0", 0x4620 + number, serial=10 * number + 1) for number in range(32))
    lines = list(command_lines(commands(plan(log))))
    assert len(lines) == 4
    assert all(len(line) <= 240 for line in lines), "as long as a comment of a module may be"
    assert sum(line.count("0x46") for line in lines) == 32


def test_the_plan_the_module_and_the_json_say_it(policy_root: Path, fixtures_dir: Path, tmp_path: Path) -> None:
    """What the recorded logs hold was measured on /dev/zero."""
    log = fixtures_dir / "avc/kernel/vllm-serving.audit.log"
    outcome = generate(Request(logs=(str(log),), policy=str(policy_root), name="vllm"), tmp_path / "out")
    found = commands(outcome.plan)
    assert [(one.xperm, one.measured, one.why) for one in found] == [
        (number, False, "no driver stood behind its node: 1:5 is /dev/zero")
        for number in ("0x0001", "0x462a", "0x46d6")
    ]
    text = (tmp_path / "out/vllm.te").read_text()
    above, _, _ = text.partition("\nallowxperm vllm_t xserver_misc_device_t:chr_file ioctl")
    assert above.splitlines()[-1].startswith("# unmeasured: 0x462a NV_ESC_RM_CONTROL, 0x46d6 NV_ESC_SYS_PARAMS")
    assert above.splitlines()[-2].startswith("# unmeasured: 0x0001 UVM_INITIALIZE or UVM_RESERVE_VA")
    written = json.loads((tmp_path / "out/plan.json").read_text())
    schema = json.loads((Path(__file__).parents[2] / "docs/schemas/polkit.plan-1.schema.json").read_text())
    jsonschema.validate(written, schema)
    listed = [one for decision in written["decisions"] for one in decision["device_commands"]]
    assert [one["measured"] for one in listed] == [False, False, False]
    assert listed == [one for decision in plan_object(outcome.plan)["decisions"] for one in decision["device_commands"]]


def test_the_catalogue_is_sound() -> None:
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    document = toml.loads(files("polkit.minimize").joinpath("device_commands.toml").read_text("utf-8"))
    names: dict[str, set[str]] = {}
    for driver in document["driver"]:
        assert all(re.compile(pattern) and pattern.startswith("/dev/") for pattern in driver["nodes"])
        assert not driver.get("node") or any(re.fullmatch(one, driver["node"]) for one in driver["nodes"])
        assert all(0 < major < 4096 for major in driver["majors"])
        assert bool(driver["source"]) == bool(driver.get("commands"))
        for number, found in driver.get("commands", {}).items():
            assert re.fullmatch(r"0x[0-9a-f]{4}", number)
            assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", name) for name in found)
            names.setdefault(driver["id"], set()).update(found)
    assert sum(map(len, names.values())) == len(set().union(*names.values())), "a name stands for two commands"
    assert {"nvidia", "nvidia-uvm", "drm", "amdgpu", "i915", "xe", "kfd"} <= names.keys()
