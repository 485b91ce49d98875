"""A small module store to prove modules on: built in a tenth of a second."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from polkit.minimize import Proof, Request, prove
from tests.records import avc

SOURCE = Path(__file__).parent / "sources" / "proof_base.cil"
NAME = "small"
LEVELS = ("s0:c0", "s0")

Prover = Callable[..., Proof]


def build_root(root: Path) -> Path:
    """A policy root with the small store in it."""
    (root / "etc/selinux" / NAME).mkdir(parents=True)
    (root / "var/lib/selinux" / NAME / "active/modules/100").mkdir(parents=True)
    (root / "etc/selinux/semanage.conf").write_text("module-store = direct\nexpand-check=0\n")
    (root / "etc/selinux/config").write_text(f"SELINUXTYPE={NAME}\n")
    shutil.copy(SOURCE, root / "base.cil")
    command = ["semodule", "-p", root, "-s", NAME, "-N", "-n", "-X", "100", "-i", root / "base.cil"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root


def read(target: str = "data_t", perms: str = "read", tclass: str = "file", **fields: Any) -> str:
    """A denial of ``container_t``."""
    return avc(perms, target, tclass, levels=LEVELS, **fields)


def ioctl(target: str, command: int) -> str:
    """A denied ioctl of ``container_t`` on a device."""
    return avc("ioctl", target, "chr_file", levels=LEVELS, fields=f'comm="x" ioctlcmd=0x{command:x}')


def te(body: str, name: str = "mine", **classes: str) -> str:
    """The text of a module with ``container_t`` and what ``body`` needs of the small policy."""
    types = [word for word in ("container_t", "data_t", "shadow_t", "secret_t", "sandbox_t") if word in body]
    types += [word for word in ("wide_device_t", "narrow_device_t", "child_t", "default_t") if word in body]
    required = "".join(f"    type {type_};\n" for type_ in types)
    required += "".join(f"    class {tclass} {{ {perms} }};\n" for tclass, perms in classes.items())
    return f"module {name} 1.0;\n\nrequire {{\n{required}}}\n\n{body}\n"


def prover(root: Path, scratch: Path) -> Prover:
    """``prove(text, log, suffix=".te", **request)`` on the small policy."""

    def run(text: str, log: str, suffix: str = ".te", policy: Path = root, held_out: str = "", **asked: Any) -> Proof:
        module, evidence, other = scratch / f"mine{suffix}", scratch / "log", scratch / "held"
        module.write_text(text)
        evidence.write_text(log)
        other.write_text(held_out)
        request = Request(logs=(str(evidence),), policy=str(policy), **asked)
        return prove(module, request, (str(other),) if held_out else ())

    return run
