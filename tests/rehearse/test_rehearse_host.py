"""A host of an administrator's own in the machine: what is refused before anything boots, and a first command."""

from __future__ import annotations

from pathlib import Path
from typing import Union

import pytest

from polkit.errors import PolkitError, SourceError, UsageError
from polkit.rehearse import Command, run_on_host

LIST = (Command("list", ("/usr/sbin/semodule", "-l")),)


@pytest.mark.parametrize(
    ("path", "what", "error"),
    [
        ("relative", "text", UsageError),
        ("/with\nbreak", "text", UsageError),
        ("/there", Path("/nowhere/at/all"), SourceError),
        ("/there", Path("/dev/null"), SourceError),
    ],
)
def test_what_can_not_stand_there(
    policy_root: Path, path: str, what: Union[str, Path], error: type[PolkitError]
) -> None:
    with pytest.raises(error):
        run_on_host(policy_root, LIST, {path: what})


def test_a_policy_without_a_store(policy_root: Path, kernel: Path) -> None:
    binary = next(policy_root.glob("etc/selinux/*/policy/policy.*"))
    with pytest.raises(PolkitError):
        run_on_host(binary.parent, LIST, {}, kernel=kernel)


@pytest.mark.heavy
def test_the_store_is_read_and_loaded_there(policy_root: Path, kernel: Path) -> None:
    commands = (
        *LIST,
        Command("load", ("/usr/sbin/load_policy",)),
        Command("mode", ("/bin/sh", "-c", "cat /proc/self/attr/current /sys/fs/selinux/enforce /root/note")),
        Command("fails", ("/bin/sh", "-c", "exit 7")),
    )
    run = run_on_host(policy_root, commands, {"/root/note": " noted"}, kernel=kernel)
    assert "container\n" in run["list"].output
    assert run["mode"].output.replace("\0", "") == "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c10231 noted"
    assert [one.status for one in run.commands] == [0, 0, 0, 7]
    assert "type=MAC_POLICY_LOAD" in run.audit
