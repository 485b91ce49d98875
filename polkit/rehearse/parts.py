"""What a machine is made of and this one must have: qemu, a kernel, a Python for the guest, busybox."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Optional

from polkit.errors import MissingDependency, SourceError

_EMULATORS = {"x86_64": "qemu-system-x86_64"}
_BESIDE_PATH = "/usr/libexec"
"""Where Fedora and RHEL keep ``qemu-kvm``."""
_KERNEL_HINT = (
    "install linux-image-cloud-amd64 (Debian) or kernel-core (Fedora, RHEL), or name one with --kernel or in "
    "POLKIT_KERNEL; in a checkout, script/machine prints one"
)
_VERSION = re.compile(r"\d+")
_IMPORTS = (
    "ctypes, encodings.utf_8, encodings.latin_1, encodings.ascii, errno, fcntl, json, mmap, os, resource, select, "
    "signal, socket, struct, sys, termios, time, traceback, typing, zlib, __future__, collections.abc"
)
"""What the files in ``guest/`` import."""
_LIST = f"""
import {_IMPORTS}
import json, sys
print(json.dumps([[name, getattr(module, "__file__", None)] for name, module in sorted(sys.modules.items())]))
"""


def find_emulator() -> str:
    """QEMU for this machine's processor. Raises MissingDependency."""
    name = _EMULATORS.get(platform.machine())
    if name is None:
        raise MissingDependency(f"no rehearsal on {platform.machine()}: it is known how on {', '.join(_EMULATORS)}")
    found = _find(name) or _find("qemu-kvm")
    if found is None:
        raise MissingDependency(
            f"{name} is not installed", "install qemu-system-x86 (Debian, Ubuntu) or qemu-kvm-core (Fedora, RHEL)"
        )
    return found


def find_busybox() -> Path:
    """A static busybox. Raises MissingDependency."""
    found = _find("busybox")
    if found is None:
        raise MissingDependency(
            "busybox is not installed, and the scenario copies it", "install busybox-static (Debian), busybox (Fedora)"
        )
    return Path(found)


def _find(name: str) -> Optional[str]:
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), _BESIDE_PATH)))


def find_kernel(named: Optional[Path] = None) -> Path:
    """The kernel image: the one that is named, POLKIT_KERNEL, else the newest of this host that has SELinux.

    Raises SourceError for one that can't be read, MissingDependency without any.
    """
    given = named or (Path(os.environ["POLKIT_KERNEL"]) if os.environ.get("POLKIT_KERNEL") else None)
    if given is not None:
        if not os.access(given, os.R_OK) or not given.is_file():
            raise SourceError(f"kernel {given} can't be read", _KERNEL_HINT)
        return given
    found = [*Path("/boot").glob("vmlinuz-*"), *Path("/lib/modules").glob("*/vmlinuz")]
    usable = [path for path in found if os.access(path, os.R_OK) and _has_selinux(path)]
    if not usable:
        raise MissingDependency("there is no kernel image with SELinux that can be read", _KERNEL_HINT)
    # Made for virtual machines where there is one: it starts faster.
    return max(usable, key=lambda path: ("cloud" in path.name, [int(part) for part in _VERSION.findall(str(path))]))


def _has_selinux(kernel: Path) -> bool:
    """As the configuration beside it says; where there is none, it is tried."""
    version = kernel.name[len("vmlinuz-") :] if kernel.parent == Path("/boot") else kernel.parent.name
    for config in (Path(f"/boot/config-{version}"), Path(f"/lib/modules/{version}/config")):
        if config.is_file() and os.access(config, os.R_OK):
            return "\nCONFIG_SECURITY_SELINUX=y\n" in config.read_text(encoding="utf-8", errors="replace")
    return True


def guest_python() -> tuple[Path, dict[str, Path]]:
    """The Python that this runs on, as a program, and the modules of its own that the guest imports, by name.

    Raises MissingDependency when it can't say.
    """
    python = Path(sys.executable).resolve()
    done = subprocess.run(
        [python, "-I", "-S", "-c", _LIST], capture_output=True, text=True, timeout=60, check=False, cwd="/"
    )
    if done.returncode != 0:
        raise MissingDependency(f"{python} lacks a module that the guest needs: {done.stderr.strip()[-200:]}")
    modules = {name: Path(file) for name, file in json.loads(done.stdout) if file}
    return python, {name: file for name, file in modules.items() if name not in ("__main__", "site")}
