"""New chains of domain transitions up to a privileged domain, against the definition worked out in full."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.policy import DomainPath, new_domain_paths
from tests.policy.small import Access, Rule, Small, difference, shortest

DOMAINS = ("d0", "d1", "free_t")
FILES = ("f0", "f1")
OWN = "own_t"
MEMBERS = {
    "domain": frozenset(DOMAINS),
    "unconfined_domain_type": frozenset(("free_t",)),
    "some": frozenset(("d0", "d1")),
}
NAMES = (*DOMAINS, OWN, "some")
PARTS = (
    ("process", ("transition",)),
    ("process", ("dyntransition",)),
    ("file", ("execute",)),
    ("file", ("entrypoint",)),
)


@st.composite
def rules(draw: Any, names: tuple[str, ...]) -> tuple[Rule, ...]:
    """Often what belongs to a step together, else any part of one."""
    boolean = draw(st.sampled_from(("", "", "", "off")))
    one, other = draw(st.sampled_from(names)), draw(st.sampled_from((*names, "free_t", "free_t")))
    entry = draw(st.sampled_from(FILES))
    kind = draw(st.integers(0, 4))
    if kind < 3:
        parts = [
            Rule(one, other, "process", ("transition",), boolean),
            Rule(one, entry, "file", ("execute",)),
            Rule(other, entry, "file", ("entrypoint",)),
        ]
        parts += draw(st.sampled_from(((), (Rule(one, "self", "process", ("setexec",)),))))
        return tuple(parts)
    if kind == 3:
        ways: tuple[tuple[str, ...], ...] = (("setexec",), ("setcurrent",), ("dyntransition", "setcurrent"))
        return tuple(
            Rule(one, other if perm == "dyntransition" else "self", "process", (perm,))
            for perm in draw(st.sampled_from(ways))
        )
    tclass, perms = draw(st.sampled_from(PARTS))
    return (Rule(one, entry if tclass == "file" else other, tclass, perms, boolean),)


@st.composite
def pairs(draw: Any) -> tuple[Small, Small]:
    old_names = tuple(name for name in NAMES if name != OWN)
    old_rules = sum(draw(st.lists(rules(old_names), max_size=2)), ())
    new_rules = sum(draw(st.lists(rules(NAMES), min_size=2, max_size=4)), ())
    made = st.tuples(st.sampled_from(DOMAINS), st.sampled_from(FILES), st.sampled_from(DOMAINS))
    # two transitions of one domain by one file contradict each other
    stated = {one[:2]: one for one in draw(st.lists(made, max_size=3))}
    transitions = tuple(sorted(stated.values()))
    kept = draw(st.integers(0, len(transitions)))
    members = {**MEMBERS, "domain": MEMBERS["domain"] | {OWN}}
    old = Small((*DOMAINS, *FILES), MEMBERS, old_rules, transitions[:kept])
    return old, Small((*DOMAINS, *FILES, OWN), members, old_rules + new_rules, transitions)


def steps(policy: Small, allowed: frozenset[Access]) -> set[tuple[str, str]]:
    """Every change of domain that some accesses and the transitions of a policy make."""
    domains = [name for name in policy.types if name not in FILES]
    return {
        (one, other)
        for one in domains
        for other in domains
        if one != other and (_by_execution(policy, allowed, one, other) or _by_itself(allowed, one, other))
    }


def _by_execution(policy: Small, allowed: frozenset[Access], one: str, other: str) -> bool:
    return (one, other, "process", "transition") in allowed and any(
        (one, entry, "file", "execute") in allowed
        and (other, entry, "file", "entrypoint") in allowed
        and ((one, one, "process", "setexec") in allowed or (one, entry, other) in policy.transitions)
        for entry in FILES
    )


def _by_itself(allowed: frozenset[Access], one: str, other: str) -> bool:
    return (one, other, "process", "dyntransition") in allowed and (one, one, "process", "setcurrent") in allowed


@settings(max_examples=40, deadline=None)
@given(pairs())
def test_chains_are_those_of_the_definition(both: tuple[Small, Small]) -> None:
    old, new = both
    with tempfile.TemporaryDirectory() as place:
        found = new_domain_paths(difference(old, new, Path(place)))
    gained = new.accesses(with_off=True) - old.accesses(with_off=True)
    before, after = steps(old, old.accesses()), steps(new, new.accesses() | gained)
    closed = frozenset(("free_t",))
    expected = {}
    for start in {one for one, _ in after - before} - closed:
        now = shortest(after, start, closed).get("free_t")
        was = shortest(before, start, closed).get("free_t")
        if now is not None and (was is None or now < was):
            expected[start] = now
    assert {path.steps[0].source: len(path.steps) for path in found} == expected
    assert len(found) == len(expected)
    for path in found:
        check(path, before, after)


def check(path: DomainPath, before: set[tuple[str, str]], after: set[tuple[str, str]]) -> None:
    """Every step is one, and says rightly whether it is new."""
    assert path.because == "it is an unconfined domain"
    assert path.steps[-1].target == "free_t"
    for step, following in zip(path.steps, path.steps[1:]):
        assert step.target == following.source
    for step in path.steps:
        assert (step.source, step.target) in after
        assert step.is_new == ((step.source, step.target) not in before)


def test_a_step_says_how_it_is_taken(tmp_path: Path) -> None:
    old = Small((*DOMAINS, *FILES), MEMBERS, (Rule("free_t", "f0", "file", ("entrypoint",)),))
    members = {**MEMBERS, "domain": MEMBERS["domain"] | {OWN}}
    rules_ = (
        Rule("d0", OWN, "process", ("dyntransition",)),
        Rule("d0", "d0", "process", ("setcurrent",)),
        Rule(OWN, "free_t", "process", ("transition",)),
        Rule(OWN, "f0", "file", ("execute",)),
    )
    made = ((OWN, "f0", "free_t"),)
    new = Small((*DOMAINS, *FILES, OWN), members, old.rules + rules_, made)
    found = new_domain_paths(difference(old, new, tmp_path))
    assert [[step.text for step in path.steps] for path in found] == [
        ["own_t -> free_t: executes f0 (type_transition) (new)"],
        [
            "d0 -> own_t: changes itself (dyntransition, setcurrent) (new)",
            "own_t -> free_t: executes f0 (type_transition) (new)",
        ],
    ]


def test_a_domain_that_loads_policies_is_privileged_whatever_it_is_called(tmp_path: Path) -> None:
    rules_ = (Rule("d1", "always", "security", ("load_policy",)),)
    old = Small((*DOMAINS, *FILES), MEMBERS, rules_)
    into = (Rule("d0", "d1", "process", ("dyntransition",)), Rule("d0", "d0", "process", ("setcurrent",)))
    new = Small((*DOMAINS, *FILES), MEMBERS, rules_ + into)
    (path,) = new_domain_paths(difference(old, new, tmp_path))
    assert (path.steps[-1].target, path.because) == ("d1", "it has the power of loading a policy")
