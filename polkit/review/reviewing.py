"""``polkit review``: what a module really grants on a policy, what is wrong or risky with it, and whether it keeps to
the project's gates. Nothing is installed, and nothing of the module is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, NamedTuple, Optional

from polkit.config import Config, load_config
from polkit.errors import UsageError
from polkit.model import PolicyInfo
from polkit.module import Headers
from polkit.module.source import Located
from polkit.policy import Beside, TargetPolicy, built_beside, load_policy, locate
from polkit.review.case import Case, Labelled, known_headers
from polkit.review.checks import every_finding
from polkit.review.differences.diff import Difference, concluded, diff
from polkit.review.findings import SEVERITIES, Finding, Ignored, gravest_first
from polkit.review.gating.gates import GateResult, hold
from polkit.review.grants.shares import Shares, shares_of
from polkit.review.ignores import split
from polkit.review.materials.inputs import compared, read_policy
from polkit.review.materials.reading import Materials, read_materials

_FAILING = SEVERITIES[SEVERITIES.index("medium") :]
_PROJECT = "polkit.toml"
Phase = Callable[[str], None]


class ReviewRequest(NamedTuple):
    """What is to be reviewed and held against what.

    ``policy`` as ``--policy`` (``none``: the sources alone); ``against``: an older form of the module; ``target``: as
    which of its targets a bundle counts; ``config``: instead of ./polkit.toml; ``headers``: a directory of interfaces;
    ``build``: build the policy with the module; ``heed_ignores``: comments in the source may silence findings.
    """

    module: str
    policy: str = "auto"
    store: Optional[str] = None
    against: Optional[str] = None
    target: Optional[str] = None
    config: Optional[Path] = None
    headers: Optional[Path] = None
    build: bool = True
    heed_ignores: bool = True


@dataclass(frozen=True)
class Review:
    """``change`` is what the module changes on the policy, and ``shares`` by whose doing; None where that wasn't built.
    ``against``: the difference from the older form, where one was named. ``build``: store, binary or none.
    ``statements`` and ``labels`` are the module's own, with their places. ``unknown`` says what could not be told, and
    why, a sentence each."""

    materials: Materials
    name: str
    policy: Optional[PolicyInfo]
    build: str
    findings: tuple[Finding, ...]
    ignored: tuple[Ignored, ...]
    gates: tuple[GateResult, ...]
    change: Optional[Difference]
    shares: Optional[Shares]
    against: Optional[Difference]
    statements: tuple[Located, ...]
    labels: tuple[Labelled, ...]
    unknown: tuple[str, ...]
    config: Config

    @property
    def verdict(self) -> Optional[str]:
        """The word of ``diff`` for the module against its older form; None where none was named."""
        return None if self.against is None else self.against.verdict

    @property
    def exit_code(self) -> int:
        """1 for a finding of severity medium or more and for a broken gate, else 0."""
        failing = any(one.severity in _FAILING for one in self.findings)
        return int(failing or any(gate.ok is False for gate in self.gates))


def review(request: ReviewRequest, phase: Optional[Phase] = None) -> Review:
    """Review one module; seconds, most of them for building the policy with it. ``phase`` is told what is under way.

    Raises UsageError for what is no module and for a wrong configuration, SourceError for what can't be read,
    MissingDependency without a policy where ``auto`` was asked, or without the tools.
    """
    say = phase or (lambda text: None)
    config = load_config(request.config)
    with _case(request, config, say) as case:
        say("looking at the sources")
        found = [_as_settled(one, config) for one in every_finding(case)]
        kept, ignored = split(found, case) if request.heed_ignores else (found, [])
        gates = hold(case)
        change = _change(case, request)
        shares = None if change is None else shares_of(case, change)
    against = None
    if request.against is not None:
        say("comparing with the older form")
        named = _named_policy(request)
        against = diff(request.against, request.module, named, request.store, request.target, headers=request.headers)
    policy = case.policy
    return Review(
        materials=case.materials,
        name=case.name,
        policy=None if policy is None else policy.info,
        build="none" if change is None else change.build,
        findings=tuple(sorted(kept, key=gravest_first)),
        ignored=tuple(sorted(ignored, key=lambda one: gravest_first(one.finding))),
        gates=gates,
        change=change,
        shares=shares,
        against=against,
        statements=case.statements,
        labels=case.labels,
        unknown=tuple(_unknown(case, request)),
        config=config,
    )


@contextmanager
def _case(request: ReviewRequest, config: Config, say: Phase) -> Iterator[Case]:
    """The case of a request; the build runs beside whatever is done in the block, and is gone after it."""
    if request.policy == "none":
        headers = partial(known_headers, request.headers)
        materials = read_materials(request.module, True, request.target, headers=request.headers)
        yield Case(materials, config, headers, lambda: None, lambda: None)
        return
    files = locate(request.policy, request.store)
    say("reading the policy")
    loaded = load_policy(request.policy, request.store)
    assert loaded.info is not None  # there is a policy
    roots = () if files.root is None else (files.root,)
    materials = read_materials(request.module, loaded.info.mls, request.target, (*roots, Path("/")), request.headers)
    headers = partial(known_headers, request.headers, roots)
    with ExitStack() as running:
        build: Callable[[], Optional[Beside]] = lambda: None  # noqa: E731 - replaced where something is built
        if request.build and materials.modules:
            build = running.enter_context(built_beside(files, loaded, materials.modules))
        yield _with_policy(materials, config, headers, loaded, build)


def _with_policy(
    materials: Materials,
    config: Config,
    headers: Callable[[], Optional[Headers]],
    loaded: TargetPolicy,
    build: Callable[[], Optional[Beside]],
) -> Case:
    """A policy that has the module already is not the one to hold it against: that is the one built without it."""

    def target() -> TargetPolicy:
        if any(loaded.module_priorities(one.name) for one in materials.modules):
            built = case.built
            return loaded if built is None else built.old
        return loaded

    case = Case(materials, config, headers, target, build)
    return case


def _as_settled(finding: Finding, config: Config) -> Finding:
    severity = config.severities.get(finding.id)
    return finding if severity is None else finding.with_severity(severity)


def _change(case: Case, request: ReviewRequest) -> Optional[Difference]:
    """What the module changes on the policy, in the words of ``diff``."""
    built = case.built
    if built is None:
        return None
    files = locate(request.policy, request.store)
    return concluded(
        read_policy(str(files.policy)), compared(case.materials), str(files.policy), built.kind, built.between
    )


def _unknown(case: Case, request: ReviewRequest) -> Iterator[str]:
    if case.policy is None:
        yield "No policy was named: nothing is known of what the names mean, or of what is allowed already."
    elif not case.modules:
        yield "The module does not compile: what it would change on the policy is not known."
    elif not request.build:
        yield "The policy with the module was not built: what it breaks is judged by its statements alone."
    elif case.incomparable is not None:
        yield f"What the module changes on the policy is judged by its statements alone: {case.incomparable}."
    elif case.built is None:
        yield "The policy does not take the module: what it would change there is not known."
    elif case.built.violations is None:
        yield "There is no module store beside the policy: which neverallow rules the module breaks is not known."
    if case.read.unresolved:
        first, count = case.read.unresolved[0].text, len(case.read.unresolved)
        yield f"Only the build knows {count} calls or inherited blocks of others, the first at {first}."
    project = Path(request.module) / _PROJECT
    if request.config is None and case.config.path != _PROJECT and project.is_file():
        yield f"{project} was not heeded: it is the module's own. --config {project} does."


def _named_policy(request: ReviewRequest) -> str:
    if request.policy == "none":
        raise UsageError("--against needs a policy to compare on", "name it with --policy")
    return request.policy
