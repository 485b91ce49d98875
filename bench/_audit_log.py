"""A mixed audit log of a container host, made for a measurement: four records an event, one of them a denial.

The same arguments give the same bytes. Commands, files, inodes, types and permissions repeat as they do on a host whose
containers run into the same refusals again and again; process ids, times and serials do not. With ``random`` levels
every record has an MCS pair of its own, as in a log of many short-lived containers; with ``files`` a file of its own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

_COMMANDS = (
    *("python3", "vllm", "ray::worker", "nvidia-smi", "node_exporter", "nginx", "java", "sh", "curl", "postgres"),
    *("redis-server", "dcgm-exporter", "tritonserver", "torchrun", "gunicorn", "etcd", "fluent-bit", "runc:[2:INIT]"),
)
_TARGETS = (
    ("container_file_t", "file", ("read", "open", "getattr", "map", "write", "execute", "ioctl", "lock", "unlink")),
    ("container_file_t", "dir", ("read", "search", "getattr", "write", "add_name", "remove_name")),
    ("xserver_misc_device_t", "chr_file", ("read", "write", "open", "getattr", "map", "ioctl")),
    ("default_t", "file", ("read", "open", "getattr", "map")),
    ("user_home_t", "file", ("read", "open", "getattr")),
    ("var_lib_t", "dir", ("read", "search", "open")),
    ("device_t", "chr_file", ("read", "write", "open", "ioctl")),
    ("nfs_t", "file", ("read", "open", "getattr", "write")),
    ("tmpfs_t", "file", ("read", "write", "open", "map")),
    ("sysfs_t", "file", ("read", "open", "write")),
    ("proc_t", "file", ("read", "open", "write")),
    ("cgroup_t", "dir", ("write", "add_name")),
    ("cert_t", "file", ("read", "open")),
)
_SOURCES = ("container_t", "container_t", "container_t", "container_engine_t", "podman_t", "spc_t")
_SHARED = frozenset(("container_file_t",))
_TITLE = "2F7573722F62696E2F707974686F6E33002D6D00766C6C6D"
_FEW = 8
_NAME, _INODE = re.compile(r"\bf\d{3}\.bin\b"), re.compile(r"\bino(?:de)?=\d+")
_SHAPES = 700


def write_log(path: Path, events: int, levels: str, seed: int = 5, denials_alone: bool = False) -> None:
    """Write ``events`` events of four lines, or of each the denial alone; ``levels`` is ``few``, ``random`` or
    ``files``."""
    with path.open("wb") as file:
        for event in _events(events, levels, random.Random(seed)):
            file.write(event[: event.index(b"\n") + 1] if denials_alone else event)


def _events(events: int, levels: str, chance: random.Random) -> Iterator[bytes]:
    shapes = list(_shapes(chance))
    few = [_pair(chance) for _ in range(_FEW)]
    milliseconds = 1_700_000_000_000
    for serial in range(1, events + 1):
        before, file, between, end, shared, call, path = chance.choice(shapes)
        own = _pair(chance) if levels == "random" else chance.choice(few)
        theirs = (
            own if shared and chance.random() < 0.5 else _pair(chance) if levels == "random" else chance.choice(few)
        )
        milliseconds += chance.randrange(60)
        head = f"msg=audit({milliseconds // 1000}.{milliseconds % 1000:03}:{serial}):"
        pid = chance.randrange(1000, 4_000_000)
        target = f"s0:{theirs}" if shared else "s0"
        if levels == "files":
            file, path = _another_file(file, path, serial)
        yield (
            f"type=AVC {head} {before}{pid}{file}s0:{own}{between}{target}{end}\n"
            f"type=SYSCALL {head} {call}{pid} auid=4294967295 uid=1000 gid=1000 euid=1000"
            f" tty=(none) ses=4294967295{path[0]}s0:{own} key=(null)\n"
            f"type=PATH {head} {path[1]}\n"
            f"type=PROCTITLE {head} proctitle={_TITLE}\n"
        ).encode()


def _another_file(file: str, path: tuple[str, str], serial: int) -> tuple[str, tuple[str, str]]:
    """The texts of a record and of its PATH with a name and an inode of their own."""
    inode = 1_000_000 + serial
    record = _INODE.sub(f"ino={inode}", _NAME.sub(f"f{inode:x}.bin", file))
    return record, (path[0], _INODE.sub(f"inode={inode}", _NAME.sub(f"f{inode:x}.bin", path[1])))


def _shapes(chance: random.Random) -> Iterator[tuple[str, str, str, str, bool, str, tuple[str, str]]]:
    """The texts between what differs from record to record: so many combinations of command, file and access."""
    for number in range(_SHAPES):
        source = chance.choice(_SOURCES)
        target, tclass, perms = chance.choice(_TARGETS)
        asked = " ".join(sorted(chance.sample(perms, chance.choice((1, 1, 1, 2)))))
        comm, inode = chance.choice(_COMMANDS), 100_000 + number
        name = f"f{number % 400:03}.bin"
        ioctl = f" ioctlcmd=0x{chance.choice((0x5401, 0x46D6, 0x462A)):04x}" if "ioctl" in asked.split() else ""
        where = f'path="/srv/models/{name}"' if number % 3 == 0 else f'name="{name}"'
        context = "system_u:object_r:" if source != "spc_t" else "unconfined_u:object_r:"
        yield (
            f"avc:  denied  {{ {asked} }} for  pid=",
            f' comm="{comm}" {where} dev="dm-0" ino={inode}{ioctl} scontext=system_u:system_r:{source}:',
            f" tcontext={context}{target}:",
            f" tclass={tclass} permissive={chance.randrange(2)}",
            target in _SHARED,
            f"arch=c000003e syscall={chance.choice((257, 262, 16, 9, 2))} success=no exit=-13 a0=ffffff9c"
            f" a1=7ffd3c0c5{number:03x} a2=80000 a3=0 items=1 ppid=2000 pid=",
            (
                f' comm="{comm}" exe="/usr/bin/{comm}" subj=system_u:system_r:{source}:',
                f'item=0 name="/srv/models/{name}" inode={inode} dev=fd:00 mode=0100644 ouid=0 ogid=0 rdev=00:00'
                f" obj={context}{target}:s0 nametype=NORMAL",
            ),
        )


def _pair(chance: random.Random) -> str:
    low, high = sorted(chance.sample(range(1024), 2))
    return f"c{low},c{high}"
