"""What `polkit review` and `polkit diff` are held to, in one run: ``script/bench review``. Exits with 1 where a bar is
missed.

Of diff: the container host's policy with and without modules/vllm-cuda, each side by side with sediff, rule for rule.
Of review: how long the same module takes, with nothing cached and repeated; every seeded bad module found out at its
line; nothing grave said of the modules that ship. Of the reader: Debian's sources, the least of some rounds.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/module/source"))

from _sediff import Run, measured, unlike
from debian_sources import sources
from te import seconds

from polkit.bundle import cil_of
from polkit.module import build_package, fast_place
from polkit.module.source import read_te
from polkit.policy import ModuleFile, PolicyFiles, both_built, load_policy, locate
from tests.review.seeded import reviewed, seeded

MODULES = Path(__file__).resolve().parent.parent / "modules"
PROJECT = MODULES / "vllm-cuda"
FASTER, OF_MEMORY, REVIEWED_IN, LINES, BAD = 10, 1 / 5, 5, 30_000, 60
GRAVE = ("medium", "high")


class Bars:
    """Prints each bar as it is known, and remembers whether one was missed."""

    def __init__(self) -> None:
        self.missed = 0

    def hold(self, passed: bool, text: str) -> None:
        self.missed += not passed
        print(f"{'PASS' if passed else 'MISS'}  {text}", flush=True)


def polkit(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "polkit", *arguments]


@contextmanager
def both(root: str) -> Iterator[tuple[PolicyFiles, PolicyFiles]]:
    """The policy without and with the module, as binaries."""
    info = load_policy(root).info
    assert info is not None
    te, fc = ((PROJECT / f"{PROJECT.name}.{suffix}").read_text("ascii") for suffix in ("te", "fc"))
    package = build_package(PROJECT.name, te, fc, info.mls, None)
    module = ModuleFile(PROJECT.name, ".pp", package, cil_of(package, PROJECT.name))
    with both_built(locate(root), info, (), (module,)) as sides:
        yield sides


def shown(words: str, run: Run) -> None:
    print(f"      {words:<30} {run.seconds:7.2f} s  {run.mebibytes:7.0f} MiB", flush=True)


def bars_of_diff(bars: Bars, root: str, cache: str) -> None:
    with both(root) as sides:
        policies = [str(one.policy) for one in sides]
        command = polkit("diff", *policies, "--format", "json")
        ours = measured(command, POLKIT_CACHE="off")
        measured(command, XDG_CACHE_HOME=cache)
        repeated = measured(command, XDG_CACHE_HOME=cache)
        theirs, allow = measured(["sediff", *policies]), measured(["sediff", "--allow", *policies])
        apart = unlike(allow, json.loads(ours.printed), *(load_policy(one) for one in policies))
    for words, run in (
        ("sediff", theirs),
        ("sediff --allow", allow),
        ("polkit diff, nothing cached", ours),
        ("polkit diff, repeated", repeated),
    ):
        shown(words, run)
    bars.hold(not apart, f"accesses added or removed that one of the two alone lists: {len(apart)}")
    for access in apart[:5]:
        print(f"      {' '.join(access)}")
    ratio, share = theirs.seconds / ours.seconds, ours.mebibytes / theirs.mebibytes
    bars.hold(ratio >= FASTER, f"diff against sediff: {ratio:.1f} times faster ({FASTER} or more)")
    bars.hold(share <= OF_MEMORY, f"diff against sediff: {share:.3f} of its memory ({OF_MEMORY} or less)")


def bars_of_review(bars: Bars, root: str, cache: str) -> None:
    command = polkit("review", str(PROJECT), "--policy", root, "--format", "json")
    measured(command, XDG_CACHE_HOME=cache)
    for words, run in (
        ("nothing cached", measured(command, POLKIT_CACHE="off")),
        ("repeated", measured(command, XDG_CACHE_HOME=cache)),
    ):
        shown(f"polkit review, {words}", run)
        bars.hold(run.seconds < REVIEWED_IN, f"review of vllm-cuda, {words}: {run.seconds:.2f} s (under {REVIEWED_IN})")


def bar_of_reader(bars: Bars) -> None:
    texts = sources(".te")
    if not texts:
        bars.hold(False, "Debian's sources: the package selinux-policy-src can't be fetched here")
        return
    lines = sum(len(text.splitlines()) for _, text in texts)
    rate = lines / min(seconds(read_te, texts))
    bars.hold(rate >= LINES, f"{len(texts)} sources of Debian: {rate:,.0f} lines a second ({LINES:,} or more)")


def bars_of_findings(bars: Bars, policy: Path) -> None:
    """Without a build where none is needed: what is found then is found with one."""
    every = seeded()
    asked = [one for one in every if one.testable]
    begun = time.perf_counter()
    missed = [one for one in asked if not one.found_in(reviewed(one.path, policy, one.needs == "build").findings)]
    for one in missed:
        print(f"      not found: {one.path.name}")
    untested = f", {len(every) - len(asked)} more need what is not installed" if len(every) > len(asked) else ""
    told = f"{len(asked) - len(missed)} of {len(asked)} seeded modules found by id, file and line"
    took = f"{time.perf_counter() - begun:.0f} s"
    bars.hold(not missed and len(asked) >= BAD, f"{told}, in {took} (all of {BAD} or more){untested}")
    grave = [
        f"{module.name}: {one.id} {one.place.text} {one.title}"
        for module in sorted(MODULES.iterdir())
        if (module / "polkit.toml").is_file()
        for one in reviewed(module, policy, build=True).findings
        if one.severity in GRAVE
    ]
    for text in grave:
        print(f"      {text}")
    bars.hold(not grave, f"findings of severity medium or more on modules/: {len(grave)} (none)")


def main() -> None:
    """Print every measurement, and PASS or MISS for each bar."""
    root = os.environ["POLKIT_POLICY_ROOT"]
    bars = Bars()
    with ExitStack() as stack:
        cache = stack.enter_context(tempfile.TemporaryDirectory(dir=fast_place()))
        bars_of_review(bars, root, cache)
        bars_of_diff(bars, root, cache)
    bar_of_reader(bars)
    bars_of_findings(bars, Path(root))
    print(f"\n{'every bar is met' if not bars.missed else f'{bars.missed} missed'}")
    sys.exit(bool(bars.missed))


if __name__ == "__main__":
    main()
