"""How long a bundle takes: modules/vllm-cuda for four targets, against its compilers alone and one build of a policy.

The bar: less than three times what plain checkmodule and semodule_package take for the four, plus one what-if build.
Read the other way, it is three times the compilers and the build together: both are printed.
The index and the baseline of the policy are kept on disk by the run before, as on any machine that packages twice.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from polkit.bundle import package
from polkit.module import PRIORITY, copy_store, fast_place, install_command

PROJECT = Path(__file__).resolve().parent.parent / "modules/vllm-cuda"
TARGETS = ("el8", "el9", "el10", "debian12")


def compilers(bundle: Path, scratch: Path) -> float:
    """Seconds of the plain compilers for all targets, on the very sources that were shipped."""
    began = time.perf_counter()
    for target in TARGETS:
        place = bundle / "targets" / target
        name, module = PROJECT.name, scratch / f"{PROJECT.name}.mod"
        contexts = scratch / "contexts"
        lines = (place / f"{name}.fc").read_text(encoding="utf-8").splitlines(keepends=True)
        contexts.write_text("".join(line for line in lines if not line.startswith("#")), encoding="utf-8")
        subprocess.run(["checkmodule", "-M", "-m", "-c", "19", "-o", module, place / f"{name}.te"], check=True)
        subprocess.run(["semodule_package", "-o", scratch / "pp", "-m", module, "-f", contexts], check=True)
    return time.perf_counter() - began


def what_if(bundle: Path, root: Path, scratch: Path) -> float:
    """Seconds of one build of the policy with the module, copy of the store included."""
    (modules,) = (root / "var/lib/selinux").glob("*/active/modules")
    store = modules.parent.parent
    shutil.copy(bundle / f"targets/{TARGETS[0]}/{PROJECT.name}.pp", scratch / f"{PROJECT.name}.pp")
    began = time.perf_counter()
    copy_store(store, scratch / "root", root)
    command = install_command(scratch / "root", store.name, f"{PROJECT.name}.pp")
    subprocess.run(command, cwd=scratch, check=True, capture_output=True)
    assert (scratch / f"root/var/lib/selinux/{store.name}/active/modules/{PRIORITY}/{PROJECT.name}").is_dir()
    return time.perf_counter() - began


def main() -> None:
    """Print the times and the ratio to the bar, with the proof and without."""
    root = Path(os.environ["POLKIT_POLICY_ROOT"])
    targets = dict.fromkeys(TARGETS, str(root))
    with tempfile.TemporaryDirectory(dir=fast_place()) as place:
        scratch = Path(place)
        bundle = package(PROJECT, scratch / "first", targets).directory  # fills the caches
        plain, build = compilers(bundle, scratch), what_if(bundle, root, scratch)
        bar = 3 * plain + build
        print(f"compilers, four targets  {plain:6.2f} s")
        print(f"one what-if build        {build:6.2f} s")
        print(f"the bar                  {bar:6.2f} s, or {3 * (plain + build):.2f} s for three times both")
        for words, with_proof in (("package", True), ("package --no-proof", False)):
            began = time.perf_counter()
            package(PROJECT, scratch / words.replace(" ", ""), targets, with_proof=with_proof)
            took = time.perf_counter() - began
            print(
                f"{words:<24} {took:6.2f} s  {took / bar:.2f} of the bar, {took / 3 / (plain + build):.2f} of the other"
            )


if __name__ == "__main__":
    main()
