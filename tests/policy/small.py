"""Small policies written as lists of rules, so that a definition can be worked out from the same lists by hand."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from polkit.policy import Between, between
from polkit.policy.locate import PolicyFiles

_HEAD = """
(handleunknown allow)(mls false)(sid kernel)(sidorder (kernel))
(class file (read write getattr execute entrypoint))
(class process (transition dyntransition setexec setcurrent signal))
(class security (load_policy))(classorder (file process security))
(user u)(role r)(roletype r always)(userrole u r)
(sensitivity s0)(sensitivityorder (s0))(category c0)(categoryorder (c0))(sensitivitycategory s0 (c0))
(userlevel u (s0))(userrange u ((s0) (s0)))(sidcontext kernel (u r always ((s0) (s0))))
(type always)(allow always always (file (read)))
"""

Access = tuple[str, str, str, str]
"""Source, target, class and permission."""


@dataclass(frozen=True)
class Rule:
    """An allow rule between types or attributes; ``boolean`` names the boolean, off, that it stands under."""

    source: str
    target: str
    tclass: str
    perms: tuple[str, ...]
    boolean: str = ""

    @property
    def cil(self) -> str:
        text = f"(allow {self.source} {self.target} ({self.tclass} ({' '.join(self.perms)})))"
        return f"(booleanif {self.boolean} (true {text}))" if self.boolean else text


@dataclass(frozen=True)
class Small:
    """Types, the members of each attribute, rules, and (source, entry, result) of processes' transitions."""

    types: tuple[str, ...]
    members: Mapping[str, frozenset[str]]
    rules: tuple[Rule, ...]
    transitions: tuple[tuple[str, str, str], ...] = ()
    booleans: tuple[str, ...] = field(default=("off",))

    def of(self, name: str) -> frozenset[str]:
        """The types behind a name."""
        return self.members.get(name, frozenset((name,)))

    def attributes(self, type_: str) -> frozenset[str]:
        return frozenset(name for name, members in self.members.items() if type_ in members)

    def accesses(self, with_off: bool = False) -> frozenset[Access]:
        """All that is allowed, as the booleans stand or whatever they are."""
        return frozenset(
            (source, target, rule.tclass, perm)
            for rule in self.rules
            if with_off or not rule.boolean
            for source in self.of(rule.source)
            for target in ((source,) if rule.target == "self" else self.of(rule.target))
            for perm in rule.perms
        )

    @property
    def cil(self) -> str:
        lines = [_HEAD, *(f"(boolean {name} false)" for name in self.booleans)]
        lines += [f"(type {name})" for name in self.types]
        for name, members in self.members.items():
            lines.append(f"(typeattribute {name})")
            if members:
                lines.append(f"(typeattributeset {name} ({' '.join(sorted(members))}))")
            # the compiler drops an attribute that no rule names
            lines.append(f"(allow {name} always (file (getattr)))")
        lines += [rule.cil for rule in self.rules]
        lines += [f"(typetransition {one} {entry} process {other})" for one, entry, other in self.transitions]
        return "\n".join(lines) + "\n"


def difference(old: Small, new: Small, place: Path) -> Between:
    """Both compiled and compared."""
    return between(_compiled(old, place / "old"), _compiled(new, place / "new"), (True, True))


def _compiled(policy: Small, path: Path) -> PolicyFiles:
    source = path.with_suffix(".cil")
    source.write_text(policy.cil)
    command = ["secilc", "-N", "-c", "31", "-o", str(path), "-f", "/dev/null", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr + policy.cil
    return PolicyFiles(path, None, None, None, None)


def shortest(edges: Iterable[tuple[str, str]], start: str, closed: frozenset[str]) -> dict[str, int]:
    """How many steps each type is from another, where nothing leads on from ``closed`` types but the first."""
    found = {start: 0}
    pending = [start]
    known = list(edges)
    for one in pending:
        if one == start or one not in closed:
            for source, target in known:
                if source == one and target not in found:
                    found[target] = found[one] + 1
                    pending.append(target)
    return found
