"""One run of ``prove``: from a module and its evidence to a proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Optional

from polkit.config import Config, load_config
from polkit.errors import UsageError
from polkit.minimize.assembling import boolean_grants
from polkit.minimize.choices import Claimed, read_choices
from polkit.minimize.job import Progress, Request, boolean_state, read_denials, settings_of
from polkit.minimize.own_domain import chosen_domain, like, why_no_base, why_shared
from polkit.minimize.planning import decide_all
from polkit.minimize.proving.contained import gained_domains, joined_by_name, nothing_lost, unexplained
from polkit.minimize.proving.covered import allowed_already, uncovered
from polkit.minimize.proving.minimal import Asked, asked_for, superfluous, vectors
from polkit.minimize.proving.needs import EvidenceAccess, evidence_accesses
from polkit.minimize.proving.proof import Extra, Figures, InheritedFigures, Proof, Uncovered
from polkit.minimize.proving.safe import broken_gates
from polkit.minimize.proving.subject import Claims, Subject, claims, declares, read_subject, rule_sources
from polkit.minimize.question import NOTHING, Settings, domain_name
from polkit.model import Decision, Denials, OwnDomain, Plan
from polkit.policy import (
    Comparison,
    Heir,
    Oracle,
    TargetPolicy,
    Violation,
    WhatIf,
    compare_with_module,
    load_policy,
    locate,
    what_if,
)

_HARMLESS = "dontaudited"
"""The kind of extra permissions that leaves ``minimal`` true."""


@dataclass(frozen=True)
class _Evidence:
    """An input, diagnosed on the policy without the module."""

    denials: Denials
    decisions: tuple[Decision, ...]
    accesses: tuple[EvidenceAccess, ...]


@dataclass(frozen=True)
class _Answers:
    """What libsepol and our evaluator said: of the evidence, what the module lacks and what the policy gives anyway;
    of another run's accesses, how many are still refused, and all."""

    refused: list[tuple[EvidenceAccess, tuple[Uncovered, ...]]]
    held_out: Optional[tuple[int, int]]
    given: tuple[Extra, ...]


def prove(
    module: Path,
    request: Request,
    held_out: tuple[str, ...] = (),
    stdin: Optional[BinaryIO] = None,
    progress: Optional[Progress] = None,
    choices: Optional[Path] = None,
) -> Proof:
    """Prove a module against the evidence and the target policy that a request names; writes nothing.

    ``held_out``: logs of another run, for the share of its accesses that the module would still refuse. ``choices``: a
    file of what was chosen, to be trusted; else what the plan of a ``generate`` directory says was chosen counts as far
    as it goes no further than the tool would. Types of the module's own are named as asked, as in that plan, or after
    the module. Raises UsageError without a policy, CompileError for a module that does not compile or link,
    SourceError, MissingDependency.
    """
    config = load_config(request.config)
    target = load_policy(request.policy, request.store)
    if target.info is None:
        raise UsageError("a proof needs the target policy", "Name it with --policy")
    with read_subject(module, target.info.mls) as subject:
        claimed = claims(module)
        chosen = _chosen(claimed, choices)
        request = replace(
            request,
            name=request.name or claimed.name or config.module.name or subject.name,
            base=request.base or claimed.base,
        )
        settings, state = settings_of(request, config), boolean_state(request, config)
        denials = read_denials(request, stdin, progress)
        others = read_denials(replace(request, logs=held_out), stdin, progress) if held_out else None
        settings, domain = _own_domain(subject, denials, target, settings)
        heir = _heir(domain, target, settings)
        _tell(progress, "building the policy with the module")
        with what_if(locate(request.policy, request.store), target.info, subject.file, subject.cil) as built:
            _tell(progress, "comparing the two policies")
            comparison = compare_with_module(built, subject.cil, heir)
            # A store's own build is the policy without an earlier version of the module; a binary's is an estimate.
            base = (comparison.baseline if built.kind == "store" else target).with_booleans(state)
            evidence = _diagnose(denials, base, settings, domain, chosen)
            other = None if others is None else _diagnose(others, base, settings, domain, chosen.anew())
            answers = _ask(built, comparison, state, evidence, other)
            case = _Case(subject, config, target, base, built, comparison, evidence, answers, settings, domain, chosen)
            return _conclude(case)


def _own_domain(
    subject: Subject, denials: Denials, target: TargetPolicy, settings: Settings
) -> tuple[Settings, Optional[OwnDomain]]:
    """The domain of the module's own that evidence of a shared one is asked for. A module that has none, and rules
    for a shared domain in the log, is held against the domains in the log.

    Whether its base may be inherited is part of the proof."""
    name = domain_name(settings)
    own = declares(subject, name)
    if settings.extend or (not own and _extends(subject, denials, target, settings)):
        return replace(settings, extend=True, base=None), None
    found = chosen_domain(denials.counted, target, settings)
    if found is not None or not own:
        return settings, found
    known = [base for base in settings.bases if target.type_name(base) is not None]
    base = None if settings.base == NOTHING else settings.base or (known[0] if known else None)
    return settings, OwnDomain(name, base, ())


def _extends(subject: Subject, denials: Denials, target: TargetPolicy, settings: Settings) -> bool:
    """The module has a rule for a shared domain of the evidence, by name or by an attribute."""
    named = rule_sources(subject)
    sources = {target.type_name(one.key.source.type) for one in denials.counted} - {None}
    return any(
        not named.isdisjoint({source, *target.attributes(source)})
        for source in sources
        if source is not None and why_shared(target, settings, source) is not None
    )


def _heir(domain: Optional[OwnDomain], target: TargetPolicy, settings: Settings) -> Optional[Heir]:
    if domain is None:
        return None
    base = domain.base or like(domain, target, settings)
    return None if base is None else Heir(domain.name, target.type_name(base) or base, domain.base is not None)


def _tell(progress: Optional[Progress], text: str) -> None:
    if progress is not None:
        progress.phase(text)


def _chosen(claimed: Claims, choices: Optional[Path]) -> Claimed:
    """What a person chose: by a file that was named to us, or by the word of the plan beside the module."""
    if choices is None:
        return Claimed(claimed.choices)
    entries = read_choices(choices).entries
    return Claimed({one.key: one.chosen for one in entries if one.chosen is not None}, trusted=True)


def _diagnose(
    denials: Denials, policy: TargetPolicy, settings: Settings, domain: Optional[OwnDomain], chosen: Claimed
) -> _Evidence:
    decided = decide_all(denials, policy, settings, domain, chosen if chosen.claims else None)
    return _Evidence(denials, tuple(one.decision for one in decided), tuple(evidence_accesses(decided)))


def _ask(
    built: WhatIf, comparison: Comparison, state: dict[str, bool], evidence: _Evidence, other: Optional[_Evidence]
) -> _Answers:
    """Everything that is asked of libsepol, which holds one policy at a time."""
    changed = comparison.changed.with_booleans(state)
    with Oracle(built.changed.policy) as oracle:
        refused = uncovered(evidence.accesses, changed, comparison.statements, oracle)
        held_out = None
        if other is not None:
            others = uncovered(other.accesses, changed, comparison.statements, oracle)
            still = sum(one.records for one, lacking in others if lacking)
            held_out = (still, sum(one.records for one, _ in others))
    with Oracle(built.baseline.policy) as oracle:
        given = allowed_already(evidence.accesses, comparison.baseline.with_booleans(state), oracle)
    return _Answers(refused, held_out, given)


@dataclass(frozen=True)
class _Case:
    """Everything that the statements rest on. ``target`` is the policy that was named, ``base`` the one without the
    module that the evidence was diagnosed on."""

    subject: Subject
    config: Config
    target: TargetPolicy
    base: TargetPolicy
    built: WhatIf
    comparison: Comparison
    evidence: _Evidence
    answers: _Answers
    settings: Settings
    domain: Optional[OwnDomain]
    chosen: Claimed


def _conclude(case: _Case) -> Proof:
    subject, target, comparison, evidence = case.subject, case.target, case.comparison, case.evidence
    built, answers = case.built, case.answers
    assert target.info is not None
    asked = asked_for(evidence.accesses)
    extra = (*superfluous(asked, comparison), *answers.given)
    figures = _figures(case, asked)
    plan = Plan(target.info, evidence.denials.summary, evidence.decisions)
    gates = broken_gates(plan, subject.name, figures.over, comparison, case.config)
    store = built.kind == "store"
    beyond = unexplained(comparison)
    known = comparison.violations is not None
    violations = (*(comparison.violations or ()), *comparison.weaker, *_wrong_base(case))
    lacking = tuple(sorted({one for _, found in answers.refused for one in found}))
    domain = case.domain
    unmade = domain if domain is not None and any(one.source == domain.name for one in lacking) else None
    return Proof(
        module=subject.name,
        source=str(subject.source),
        sha256=subject.sha256,
        policy=target.info,
        build=built.kind,
        input=evidence.denials.summary,
        decisions=evidence.decisions,
        covered=not lacking,
        minimal=all(one.kind == _HARMLESS for one in extra),
        contained=not beyond and nothing_lost(comparison) if store else None,
        safe=not (gates or violations) if known else (False if gates or violations else None),
        figures=figures,
        uncovered=lacking,
        extra=tuple(sorted({*extra, *(beyond if store else ())})),
        lost=comparison.rules.lost,
        lost_xperms=tuple(sorted({*comparison.rules.lost_xperms, *comparison.taken})),
        removed=comparison.removed,
        joined=joined_by_name(comparison),
        gained_domains=gained_domains(comparison),
        violations=violations,
        gates=gates,
        notes=(*_notes(target, built, comparison, evidence, extra, unmade), *_choice_notes(case.chosen)),
    )


def _wrong_base(case: _Case) -> tuple[Violation, ...]:
    """A base that may not be inherited, by what it is or by the configuration."""
    if case.domain is None or case.domain.base is None:
        return ()
    refused = why_no_base(case.domain.base, case.base, case.settings)
    return () if refused is None else (Violation("base", refused, "", case.domain.name, "", "", ()),)


def _inherited(case: _Case) -> Optional[InheritedFigures]:
    domain, comparison = case.domain, case.comparison
    if domain is None or comparison.heirlooms is None:
        return None
    accesses = comparison.to_inherit - comparison.not_inherited
    return InheritedFigures(domain.name, domain.base, accesses, comparison.not_inherited)


def _figures(case: _Case, asked: Asked) -> Figures:
    comparison, evidence, answers = case.comparison, case.evidence, case.answers
    granted = vectors(comparison.own)
    elsewhere: Counter[str] = Counter()
    for one in evidence.accesses:
        if not one.holds_rule:
            elsewhere[one.elsewhere] += one.records
    return Figures(
        needed=sum(one.records for one, _ in answers.refused),
        allowed=sum(one.records for one, lacking in answers.refused if not lacking),
        granted=len(granted),
        over=len(granted - asked.vectors - asked.hidden),
        dontaudited=len((granted & asked.hidden) - asked.vectors),
        structural=sum(len(one.perms) for one in comparison.structural),
        boolean_grants=boolean_grants(evidence.decisions, case.base),
        remedied_elsewhere=dict(sorted(elsewhere.items())),
        held_out=answers.held_out,
        inherited=_inherited(case),
    )


def _notes(
    target: TargetPolicy,
    built: WhatIf,
    comparison: Comparison,
    evidence: _Evidence,
    extra: Iterable[Extra],
    domain: Optional[OwnDomain],
) -> Iterable[str]:
    if built.kind == "binary":
        yield (
            "No module store was given, so this is an estimate: a binary policy has lost its neverallow rules. "
            "Whether the module is contained and safe can't be known; --store or a root directory would tell."
        )
    if built.replaced:
        yield "The module store holds an earlier version of this module: it was taken out first."
    elif built.kind == "store" and not _same(comparison, target):
        yield "The module store does not build the policy that was named: the proof is about the store's."
    if any(one.kind == "type" for one in extra):
        yield (
            "The module has types that this evidence doesn't ask for. Were they made with --mount or --inspect? Give "
            "prove the same options."
        )
    if domain is not None and comparison.heirlooms is None:
        yield (
            f"Evidence of {', '.join(domain.sources)} is asked for a domain of the module's own, {domain.name}, and "
            "the module has none. Was it made with --extend, or with another name? Give prove the same options."
        )
    if not evidence.denials.counted:
        yield "There is no evidence: the logs hold no denial that the options let through."


def _choice_notes(chosen: Claimed) -> Iterable[str]:
    """What the proof takes for decided because a person decided it."""
    if chosen.taken:
        listed = ", ".join(f"{decision} {option}" for decision, option in chosen.taken)
        whose = "the choices that were named" if chosen.trusted else "its plan"
        yield f"By {whose} a person chose, and evidence is held against that: {listed}."
    if chosen.refused:
        listed = ", ".join(f"{decision} {option}" for decision, option in chosen.refused)
        yield (
            f"Its plan says that a person chose what goes further than evidence asks for: {listed}. That is not taken "
            "on its word: name the choices to agree (--choices FILE)."
        )
    if chosen.impossible:
        listed = ", ".join(decision for decision, _ in chosen.impossible)
        yield f"What a person is said to have chosen is not possible here, so the tool's choice counts: {listed}."


def _same(comparison: Comparison, target: TargetPolicy) -> bool:
    info = comparison.baseline.info
    return info is not None and target.info is not None and info.sha256 == target.info.sha256
