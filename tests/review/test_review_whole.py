"""Two whole policies: the difference is that of their accesses, as what they were made from expands to them."""

from __future__ import annotations

import subprocess
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.review import GROUPS, Difference, diff, grouped

HEAD = """
(handleunknown allow)(mls false)(sid kernel)(sidorder (kernel))
(class file (read write open))(class dir (read search))(classorder (file dir))
(user u)(role r)(roletype r always)(userrole u r)
(sensitivity s0)(sensitivityorder (s0))(category c0)(categoryorder (c0))(sensitivitycategory s0 (c0))
(userlevel u (s0))(userrange u ((s0) (s0)))(sidcontext kernel (u r always ((s0) (s0))))
(type always)(allow always always (dir (read)))
"""
ATTRIBUTES = ("a0", "a1")
PERMS = {"file": ("read", "write", "open"), "dir": ("read", "search")}
Access = tuple[str, str, str, str]


class Small:
    """A policy of a few types, by its parts."""

    def __init__(self, types: list[str], members: dict[str, list[str]], rules: list[tuple[str, str, str, list[str]]]):
        self.types, self.members, self.rules = types, members, rules

    def cil(self) -> str:
        lines = [HEAD, *(f"(type {name})" for name in self.types)]
        for name, members in self.members.items():
            lines.append(f"(typeattribute {name})(typeattributeset {name} ({' '.join(members)}))")
        lines += [f"(allow {s} {t} ({tclass} ({' '.join(perms)})))" for s, t, tclass, perms in self.rules]
        return "\n".join(lines)

    def reached(self, source: str, target: str) -> set[tuple[str, str]]:
        sources = self.members.get(source, [source])
        if target == "self":
            return {(name, name) for name in sources}
        return set(product(sources, self.members.get(target, [target])))

    def accesses(self) -> set[Access]:
        return {
            (*pair, tclass, perm)
            for source, target, tclass, perms in self.rules
            for pair in self.reached(source, target)
            for perm in perms
        }


@st.composite
def policies(draw: Any) -> Small:
    types = sorted(draw(st.sets(st.sampled_from(["t0", "t1", "t2", "t3"]), min_size=2)))
    one = st.sampled_from(types)
    members = {name: sorted(draw(st.sets(one, min_size=1))) for name in ATTRIBUTES}
    side = st.sampled_from([*types, *ATTRIBUTES])
    rules = []
    for _ in range(draw(st.integers(0, 5))):
        tclass = draw(st.sampled_from(sorted(PERMS)))
        perms = sorted(draw(st.sets(st.sampled_from(PERMS[tclass]), min_size=1)))
        rules.append((draw(side), draw(st.one_of(side, st.just("self"))), tclass, perms))
    return Small(types, members, rules)


def compared(a: Small, b: Small) -> Difference:
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        for name, policy in (("a", a), ("b", b)):
            (place / f"{name}.cil").write_text(policy.cil())
            command = ["secilc", "-N", "-c", "31", "-o", name, "-f", "/dev/null", f"{name}.cil"]
            subprocess.run(command, cwd=place, check=True, capture_output=True)
        return diff(place / "a", place / "b")


@settings(max_examples=60)
@given(a=policies(), b=policies())
def test_added_and_removed_are_the_difference_of_all_accesses(a: Small, b: Small) -> None:
    found = compared(a, b)
    for entries, having, lacking in ((found.added, b, a), (found.removed, a, b)):
        listed = [(entry.source, entry.target, entry.tclass, perm) for entry in entries for perm in entry.perms]
        assert len(listed) == len(set(listed))
        assert set(listed) == having.accesses() - lacking.accesses()
        assert sum(one.accesses for group in GROUPS for one in grouped(entries, group)) == len(listed)
        for entry in entries:
            sides = (having.members.get(name, [name]) for name in (entry.written_source, entry.written_target))
            assert all(name in side for name, side in zip((entry.source, entry.target), sides))
            known = [name in lacking.types for name in (entry.source, entry.target)]
            assert entry.group == GROUPS[0 if all(known) else 2 if known[0] else 1]
    more, less = b.accesses() - a.accesses(), a.accesses() - b.accesses()
    words = {(0, 0): "equivalent", (1, 0): "more-permissive", (0, 1): "less-permissive", (1, 1): "incomparable"}
    assert found.verdict == words[bool(more), bool(less)]
    for witness in (found.witness, found.counter):
        if witness is not None:
            assert witness.entry is not None
            access = (*witness.entry[1:4], witness.perm)
            assert access in (more if witness.way == "more" else less)
