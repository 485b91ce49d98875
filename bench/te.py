"""How fast every policy source of Debian becomes statements, by the quick way and by the grammar alone.

``script/bench te``. The sources are those of the package selinux-policy-src, fetched once. Every time is the least of
the rounds, the first of which also builds the grammar's parser. Exits with 1 where the bar is missed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/module/source"))

from debian_sources import sources

from polkit.module.source import read_by_grammar, read_fc, read_te

BAR = 30_000
ROUNDS = 5


def seconds(read: Callable[[str, str], object], texts: list[tuple[str, str]]) -> list[float]:
    """What each round of reading all texts took."""
    found = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for name, text in texts:
            read(text, name)
        found.append(time.perf_counter() - begun)
    return found


def main() -> None:
    """Print lines a second for each kind of source, then the bar."""
    texts = {suffix: sources(suffix) for suffix in (".te", ".if", ".fc")}
    if not texts[".te"]:
        sys.exit("the package selinux-policy-src can't be fetched here")
    ways: dict[str, tuple[str, Callable[[str, str], object]]] = {
        ".te": (".te", read_te),
        ".te by the grammar alone": (".te", read_by_grammar),
        ".if": (".if", read_te),
        ".fc": (".fc", read_fc),
    }
    rates = {}
    for name, (suffix, read) in ways.items():
        lines = [line.strip() for _, text in texts[suffix] for line in text.splitlines()]
        saying = sum(bool(line) and not line.startswith("#") for line in lines)
        first, *rest = seconds(read, texts[suffix])
        rates[name] = len(lines) / min(rest)
        size = f"{name:26} {len(texts[suffix]):4} files {len(lines):7,} lines {min(rest):6.2f} s"
        bare = f"{saying / min(rest):9,.0f} without blank lines and comments; first round {len(lines) / first:9,.0f}"
        print(f"{size}: {rates[name]:9,.0f} lines/s, {bare}")
    passed = rates[".te"] >= BAR
    print(f"\n{'ok    ' if passed else 'MISSED'} lines of .te a second: {rates['.te']:,.0f} ({BAR:,} or more)")
    sys.exit(not passed)


if __name__ == "__main__":
    main()
