"""Chains of domain transitions that a policy allows and an older one did not, up to a domain that nothing holds.

A process of one domain gets into another when ``transition`` is allowed between them, a file may be executed by the one
and is an entry point of the other, and either a type_transition says so or the first may ask for it (``setexec``); or
by ``dyntransition`` together with ``setcurrent``. Source: setools' ``dta.py``; kernel ``selinux_bprm_creds_for_exec``
and ``selinux_lsm_setattr``. Constraints, and so roles and levels, are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Callable, NamedTuple, Optional

from polkit.policy.between import Between
from polkit.policy.power import privileged_because
from polkit.policy.rules import Rules
from polkit.policy.target import rules_of

_STATEMENT = re.compile(r"type_transition (\S+) (\S+):process ([^\s;]+);")
_TRIED = 25
"""Chains are looked for from so many domains, those of the module first, then by name."""

_MOST = 50_000
"""Steps that are looked at one by one, some 50 microseconds each: a module that lets everything into everything makes
half a million, and the first of them say enough."""

Pair = tuple[str, str]
Extra = dict[tuple[str, str], dict[str, frozenset[str]]]


class DomainStep(NamedTuple):
    """One change of domain. ``entry`` is the type of the executed file, empty where none is executed; ``how``:
    type_transition, setexec or setcurrent. ``is_new``: the old policy does not allow the step."""

    source: str
    target: str
    entry: str
    how: str
    is_new: bool

    @property
    def text(self) -> str:
        """What happens in this step, in one line."""
        way = {
            "type_transition": f"executes {self.entry} (type_transition)",
            "setexec": f"executes {self.entry} after asking for it (setexec)",
            "setcurrent": "changes itself (dyntransition, setcurrent)",
        }[self.how]
        return f"{self.source} -> {self.target}: {way}{' (new)' if self.is_new else ''}"


@dataclass(frozen=True)
class DomainPath:
    """A chain that ends in a domain nothing holds, and ``because``: why that is so."""

    steps: tuple[DomainStep, ...]
    because: str


def new_domain_paths(found: Between) -> tuple[DomainPath, ...]:
    """For each domain that a new step starts from, and each privileged domain that it can newly come to, or in fewer
    steps than before, the shortest chain.

    The old policy's rules count as the booleans stand, new ones whatever they are. Nothing is followed behind a
    privileged domain. Where a rule between large attributes makes very many new steps, a part of the chains.
    """
    before, after, fresh = _compared(found, _fewer)
    return tuple(_Search(before, after, frozenset(fresh)).paths()) if fresh else ()


def domain_steps(found: Between) -> tuple[DomainStep, ...]:
    """Every change of domain that the new policy allows in one step and the old one does not, counted as in
    ``new_domain_paths``."""
    _, after, fresh = _compared(found, lambda candidates, rules: candidates)
    steps = (after.step(*pair) for pair in fresh)
    return tuple(step for step in steps if step is not None)


def _compared(found: Between, of_many: Callable[[set[Pair], Rules], set[Pair]]) -> tuple[Ways, Ways, list[Pair]]:
    """What the two policies allow, and the pairs that the new one alone does, in their order; ``of_many`` says which of
    those that may be new are looked at."""
    before = Ways(rules_of(found.old), found.process_transitions[0], {})
    after = Ways(rules_of(found.new), found.process_transitions[1], _extra(found))
    candidates = of_many(set(_candidates(found, after)), after.rules)
    return before, after, sorted(pair for pair in candidates if after.step(*pair) and not before.step(*pair))


def _fewer(candidates: set[Pair], rules: Rules) -> set[Pair]:
    """Of so many that a rule between large attributes makes, those that end a chain at once, and of these a part."""
    if len(candidates) <= _MOST:
        return candidates
    privileged = {name for name in {other for _, other in candidates} if privileged_because(rules, name)}
    return set(sorted(pair for pair in candidates if pair[1] in privileged)[:_MOST])


def _extra(found: Between) -> Extra:
    """What is new and stands under a boolean: (source, class) -> target -> permissions."""
    extra: Extra = {}
    for change in found.rules.gained:
        if change.condition and change.tclass in ("process", "file"):
            row = extra.setdefault((change.source, change.tclass), {})
            row[change.target] = row.get(change.target, frozenset()) | frozenset(change.perms)
    return extra


def _candidates(found: Between, after: Ways) -> Iterator[Pair]:
    """Every step that may be new: a part of it is."""
    entered: set[str] = set()
    start: set[str] = set()
    for change in found.rules.gained:
        perms = set(change.perms)
        if change.tclass == "process":
            if perms & {"transition", "dyntransition"} and change.source != change.target:
                yield change.source, change.target
            if perms & {"setexec", "setcurrent"}:
                start.add(change.source)
        elif change.tclass == "file":
            if "execute" in perms:
                start.add(change.source)
            if "entrypoint" in perms:
                entered.add(change.source)
    for source, _, target in _parsed(found.process_transitions[1] - found.process_transitions[0], after.rules):
        yield source, target
    for one in sorted(start):
        for other in after.targets(one):
            yield one, other
    for other in sorted(entered):
        for one in after.sources(other):
            yield one, other


def _parsed(statements: Iterable[str], rules: Rules) -> Iterator[tuple[str, str, str]]:
    for text in sorted(statements):
        match = _STATEMENT.match(text)
        if match is not None:
            for source in sorted(rules.facts.members(match[1])):
                for target in sorted(rules.facts.members(match[2])):
                    yield source, target, match[3]


class Ways:
    """The changes of domain that one policy allows; ``extra`` is allowed besides the rules in force."""

    def __init__(self, rules: Rules, transitions: frozenset[str], extra: Extra) -> None:
        self.rules = rules
        self._extra = extra
        self._statements = transitions
        self._made: Optional[dict[Pair, set[str]]] = None
        self._files: dict[tuple[str, str], frozenset[str]] = {}
        self._targets: dict[str, tuple[str, ...]] = {}

    def targets(self, domain: str) -> tuple[str, ...]:
        """The domains that one may change into as far as the process alone is concerned."""
        if domain not in self._targets:
            found = self._given(domain, "process", ("transition", "dyntransition"))
            self._targets[domain] = tuple(sorted(found - {domain}))
        return self._targets[domain]

    def sources(self, domain: str) -> list[str]:
        """The domains that may change into one as far as the process alone is concerned."""
        wanted = self.rules.facts.sides.get(domain, frozenset((domain,)))
        names = {row for row, targets in self.rules.index.allow.get("process", {}).items() if wanted & targets.keys()}
        names |= {
            row for row, targets in self.rules.index.allow_if.get("process", {}).items() if wanted & targets.keys()
        }
        found = {member for name in names for member in self.rules.facts.members(name)}
        found |= {source for (source, tclass), row in self._extra.items() if tclass == "process" and domain in row}
        return sorted(one for one in found if domain in self.targets(one))

    def step(self, one: str, other: str) -> Optional[DomainStep]:
        """How a process of ``one`` domain gets into the ``other``; None where it can't."""
        allowed = self._perms(one, other, "process")
        if "transition" in allowed:
            entries = self._file_types(one, "execute") & self._file_types(other, "entrypoint")
            by_rule = self._by_rule(one, other) & entries
            if by_rule:
                return DomainStep(one, other, min(by_rule), "type_transition", False)
            if entries and "setexec" in self._perms(one, one, "process"):
                return DomainStep(one, other, min(entries), "setexec", False)
        if "dyntransition" in allowed and "setcurrent" in self._perms(one, one, "process"):
            return DomainStep(one, other, "", "setcurrent", False)
        return None

    def _by_rule(self, one: str, other: str) -> set[str]:
        if self._made is None:
            self._made = {}
            for source, entry, target in _parsed(self._statements, self.rules):
                self._made.setdefault((source, target), set()).add(entry)
        return self._made.get((one, other), set())

    def _file_types(self, domain: str, perm: str) -> frozenset[str]:
        if (domain, perm) not in self._files:
            self._files[domain, perm] = self._given(domain, "file", (perm,))
        return self._files[domain, perm]

    def _given(self, domain: str, tclass: str, perms: tuple[str, ...]) -> frozenset[str]:
        wanted = sum(self.rules.bit(tclass, perm) for perm in perms)
        rows = self.rules.given_to(domain, tclass).items()
        found = {member for name, mask in rows if mask & wanted for member in self.rules.facts.members(name)}
        extra = self._extra.get((domain, tclass), {})
        return frozenset(found.union(name for name, given in extra.items() if given.intersection(perms)))

    def _perms(self, one: str, other: str, tclass: str) -> frozenset[str]:
        given = self.rules.index.perms(tclass, self.rules.allowed(one, other, tclass))
        return given | self._extra.get((one, tclass), {}).get(other, frozenset())


class _Search:
    """Looks for the chains that begin with a new step, or with steps that lead to one."""

    def __init__(self, before: Ways, after: Ways, fresh: frozenset[Pair]) -> None:
        self._before = before
        self._after = after
        self._fresh = fresh
        self._because: dict[str, str] = {}
        self._on: dict[str, bool] = {}
        self._looked_at = 0

    def paths(self) -> Iterator[DomainPath]:
        starts = {one for one, other in sorted(self._fresh) if not self._why(one) and self._leads_on(other)}
        known = self._before.rules.facts.attributes
        for start in sorted(starts, key=lambda one: (one in known, one))[:_TRIED]:
            was = self._reached(self._before, start) if start in known else {}
            now = self._reached(self._after, start)
            for end in now:
                chain = _chain(now, end)
                if self._why(end) and (end not in was or len(chain) < len(_chain(was, end))):
                    yield DomainPath(tuple(self._steps(chain)), self._why(end))

    def _leads_on(self, domain: str) -> bool:
        """It is privileged, or leads to one that is."""
        if domain not in self._on:
            self._on[domain] = bool(self._why(domain)) or any(map(self._why, self._reached(self._after, domain)))
        return self._on[domain]

    def _why(self, domain: str) -> str:
        if domain not in self._because:
            self._because[domain] = privileged_because(self._after.rules, domain)
        return self._because[domain]

    def _reached(self, ways: Ways, start: str) -> Mapping[str, Optional[str]]:
        """The domains that one can come to, each with the one before it; nothing leads on from a privileged one."""
        found: dict[str, Optional[str]] = {start: None}
        pending = [start]
        for one in pending:
            if self._looked_at > _MOST:
                break
            for other in ways.targets(one):
                self._looked_at += other not in found
                if other not in found and ways.step(one, other) is not None:
                    found[other] = one
                    if not self._why(other):
                        pending.append(other)
        del found[start]
        return found

    def _steps(self, chain: list[str]) -> Iterator[DomainStep]:
        for one, other in zip(chain, chain[1:]):
            step = self._after.step(one, other)
            if step is not None:
                yield step._replace(is_new=(one, other) in self._fresh)


def _chain(reached: Mapping[str, Optional[str]], end: str) -> list[str]:
    """The domains on the way to the last."""
    chain = [end]
    while (one := reached.get(chain[-1])) is not None:
        chain.append(one)
    chain.reverse()
    return chain
