"""`polkit diff` of the container host's policy with and without modules/vllm-cuda, against sediff.

The bars: the same added and removed allow rules as sediff, at least ten times faster, with a fifth of its memory.
Both compare two binary policies, each in a process of its own: sediff everything, as polkit does, and allow rules
alone; polkit with nothing cached, and then with its cache.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from _sediff import Run, measured, unlike

from polkit.bundle import cil_of
from polkit.module import build_package, fast_place
from polkit.policy import ModuleFile, both_built, load_policy, locate

__all__ = ["Run", "measured", "unlike"]
PROJECT = Path(__file__).resolve().parent.parent / "modules/vllm-cuda"


def main() -> None:
    """Print both times, both peaks, their ratios, and what the two disagree on."""
    root, name = os.environ["POLKIT_POLICY_ROOT"], PROJECT.name
    info = load_policy(root).info
    assert info is not None
    te, fc = ((PROJECT / f"{name}.{suffix}").read_text(encoding="ascii") for suffix in ("te", "fc"))
    package = build_package(name, te, fc, info.mls, None)
    module = ModuleFile(name, ".pp", package, cil_of(package, name))
    with ExitStack() as stack:
        built = stack.enter_context(both_built(locate(root), info, (), (module,)))
        cache = stack.enter_context(tempfile.TemporaryDirectory(dir=fast_place()))
        policies = [str(one.policy) for one in built]
        ours = [sys.executable, "-m", "polkit", "diff", *policies, "--format", "json"]
        cold = measured(ours, POLKIT_CACHE="off")
        measured(ours, XDG_CACHE_HOME=cache)
        warm = measured(ours, XDG_CACHE_HOME=cache)
        theirs, allow = measured(["sediff", *policies]), measured(["sediff", "--allow", *policies])
        apart = unlike(allow, json.loads(cold.printed), *(load_policy(one) for one in policies))
    for words, run in (("sediff", theirs), ("sediff --allow", allow)):
        print(f"{words:<24} {run.seconds:7.2f} s  {run.mebibytes:7.0f} MiB")
    for words, run in (("polkit diff, no cache", cold), ("polkit diff", warm)):
        faster = " and ".join(f"{other.seconds / run.seconds:.1f}" for other in (theirs, allow))
        ratios = f"{faster} times faster, {run.mebibytes / theirs.mebibytes:.2f} of the memory"
        print(f"{words:<24} {run.seconds:7.2f} s  {run.mebibytes:7.0f} MiB  {ratios}")
    print(f"accesses that one of the two alone lists: {len(apart)}")
    for access in apart[:5]:
        print(f"  {' '.join(access)}")


if __name__ == "__main__":
    main()
