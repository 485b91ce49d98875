"""Device nodes and their numbers, and how ioctls ended: what tells a driver from something that stands in for one."""

from __future__ import annotations

import pytest

from polkit.audit import read_logs, totals
from tests.audit.reading import FIXTURES, avc, read_bytes

PATH = "/dev/nvidia0"


def event(ended: str, perms: str = "ioctl", syscall: str = "16", serial: int = 1) -> str:
    """A refused access to a device node, with its SYSCALL record."""
    fields = f'comm="x" path="{PATH}" dev="devtmpfs" ino=96' + (" ioctlcmd=0x46d6" if "ioctl" in perms else "")
    return (
        avc(fields, perms=perms, tclass="chr_file", serial=serial)
        + f"\ntype=SYSCALL msg=audit(1700000000.123:{serial}): arch=c000003e syscall={syscall} {ended} a0=3 items=0"
        + ' comm="x" exe="/bin/x"\n'
    )


def item(rdev: str, inode: int = 96, serial: int = 1) -> str:
    """The PATH record of an event."""
    return (
        f'type=PATH msg=audit(1700000000.123:{serial}): item=0 name="{PATH}" inode={inode} dev=00:05 mode=020666 '
        f"rdev={rdev} nametype=NORMAL\n"
    )


@pytest.mark.parametrize(
    ("ended", "answer"),
    [
        ("success=yes exit=0", "success"),
        ("success=yes exit=12", "success"),
        ("success=no exit=-25", "ENOTTY"),
        ("success=no exit=-13", "EACCES"),
        ("success=no exit=-22", "EINVAL"),
        ("success=no exit=ENOTTY(Inappropriate ioctl for device)", "ENOTTY"),
        ("success=no exit=EINVAL", "EINVAL"),
        ("success=no exit=-9999", None),
        ("success=no exit=(null)", None),
        ("success=no exit=-25x", None),
        ("success=no", None),
    ],
)
def test_how_an_ioctl_ended(ended: str, answer: str) -> None:
    (count,) = read_bytes(event(ended)).counted
    assert count.evidence.answers == ((answer,) if answer else ())


def test_only_ioctl_has_an_answer() -> None:
    assert read_bytes(event("success=yes exit=3", perms="read", syscall="257")).counted[0].evidence.answers == ()
    assert read_bytes(event("success=yes exit=3", syscall="257")).counted[0].evidence.answers == ()


@pytest.mark.parametrize(
    ("rdev", "node"),
    [("c3:00", "/dev/nvidia0 195:0"), ("01:05", "/dev/nvidia0 1:5"), ("e2:80", "/dev/nvidia0 226:128")],
)
def test_a_node_and_its_numbers(rdev: str, node: str) -> None:
    (count,) = read_bytes(event("success=yes exit=3", "open", "257") + item(rdev)).counted
    assert count.evidence.nodes == (node,)


@pytest.mark.parametrize("further", [item("c3:00", inode=97), item("00:00"), item("x:y"), item("c3:00", serial=2)])
def test_another_node_tells_nothing(further: str) -> None:
    (count,) = read_bytes(event("success=yes exit=3", "open", "257") + further).counted
    assert count.evidence.nodes == ()


@pytest.mark.parametrize("name", ["kernel/vllm-serving.audit.log", "kernel/vllm-serving.ausearch-i.log"])
def test_the_recorded_nodes_stand_on_zero(name: str) -> None:
    """So the README says: the denials are real, the driver is not."""
    counted = totals(read_logs([str(FIXTURES / name)])).counted
    nodes = {node for one in counted for node in one.evidence.nodes}
    assert {f"{path} 1:5" for path in ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm")} <= nodes
    assert {node.split()[1] for node in nodes} == {"1:5"}
    answers = {answer for one in counted if one.key.xperm for answer in one.evidence.answers}
    assert answers == {"ENOTTY"}
