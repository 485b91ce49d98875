"""Ways that write a rule, or that turn on a boolean in place of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Optional

from polkit.minimize.alternatives.costs import boolean_cost, rules_cost, shared_cost, silent_cost
from polkit.minimize.alternatives.ways import (
    EXACT,
    POLICY,
    RISKY,
    SHARED,
    SILENT,
    Case,
    Change,
    Way,
    left,
    main_changed,
    main_of,
)
from polkit.minimize.causes.boolean import boolean_remedy
from polkit.minimize.grouping import Diagnosed
from polkit.minimize.ladder import with_risk
from polkit.minimize.own_domain import on_own_domain, why_shared
from polkit.minimize.question import Question
from polkit.minimize.rules_for import rules_for, tells_no_command
from polkit.model import SELF, AvRule, BooleanOption, Decision, Remedy, Rule, XpermRule
from polkit.policy import assess

_BOOLEANS = 4
"""So many choices of booleans are offered, the cheapest ones."""
_BY_RULE = frozenset({"missing-rule", "boolean", "xperm"})
"""Causes that an exact rule on the source itself can remedy."""
_HIDEABLE = frozenset({"missing-rule", "boolean"})


def accepting(case: Case) -> Iterator[Way]:
    """What the tool would do if the decision's risks were accepted."""
    risky = any(risk is not None and risk.refuse for risk in (case.draft.risk, *case.draft.also_risks))
    if risky and _some_refused(case.decision):
        risk_id = case.draft.decision.risk_id
        yield Way(f"accept:{risk_id}", EXACT, lambda part: part, rules_cost(case), widens=True, accepts=True)


def _some_refused(decision: Decision) -> bool:
    return any(remedy.kind == "refuse" for remedy in (decision.remedy, *decision.also_remedies))


def exact_rule(case: Case) -> Iterator[Way]:
    """The rule for exactly what was observed, where the tool has something else: a boolean, or a dontaudit rule that
    says the access is harmless to refuse."""
    cause, kind = case.decision.cause, case.decision.remedy.kind
    silenced = cause == "dontaudited" and kind == "none"
    if not (silenced or (cause == "boolean" and kind == "boolean")):
        return
    shared = why_shared(case.policy, case.settings, case.first.source)
    if case.policy.info is None or (shared is not None and not case.moved and not case.settings.extend):
        return
    risk = assess_all(case)
    to = case.domain.name if case.moved and case.domain is not None else case.first.source

    def change(part: Diagnosed) -> Optional[Diagnosed]:
        return _with_rules(part, _placed(exact_rules(part.question), part, case))

    if _forbidden(case):
        return
    name = f"accept:{risk}" if risk else f"rule:{to}"
    yield Way(name, EXACT, change, rules_cost(case), widens=silenced or bool(risk), accepts=bool(risk))


def shared_rule(case: Case) -> Iterator[Way]:
    """The rule on the shared domain itself, so that every workload in it has it."""
    cause, kind = case.decision.cause, case.decision.remedy.kind
    reason = why_shared(case.policy, case.settings, case.first.source)
    if reason is None or case.policy.info is None or cause not in _BY_RULE or assess_all(case) or _forbidden(case):
        return
    instead_of_own = case.moved and kind == "allow"
    if not instead_of_own and not (kind in ("domain", "boolean") and not case.moved and not case.settings.extend):
        return

    def change(part: Diagnosed) -> Optional[Diagnosed]:
        source = part.question.source
        text = f"Allow exactly what was observed, to {source}: {reason}, and all of them get it."
        rules = exact_rules(part.question, only_command=cause == "xperm")
        return _with_rules(part, rules, text)

    yield Way(f"rule:{case.first.source}", SHARED, change, shared_cost(case, reason), widens=True, shared=True)


def booleans(case: Case) -> Iterator[Way]:
    """Each choice of booleans that would give all of it; beside an exact rule, or instead of a dearer choice."""
    main = main_of(case.parts[0])
    if case.decision.cause != "boolean" or case.decision.remedy.kind not in ("allow", "boolean"):
        return
    everywhere = set.intersection(*({one.settings for one in main_of(part).remedy.options} for part in case.parts))
    offered = [option for option in main.remedy.options if option.settings in everywhere and _gives(option, case)]
    for option in offered[:_BOOLEANS]:
        tier = RISKY if option.grants.refused else POLICY
        yield Way(boolean_id(option), tier, _turning(option), boolean_cost(option))


def _turning(option: BooleanOption) -> Change:
    def change(part: Diagnosed) -> Optional[Diagnosed]:
        options = main_of(part).remedy.options
        chosen = next(one for one in options if one.settings == option.settings)
        remedy = boolean_remedy((chosen, *(one for one in options if one is not chosen)))
        return _assessed(main_changed(part, remedy, risk=None))

    return change


def _gives(option: BooleanOption, case: Case) -> bool:
    """The booleans give it to the domain that the workload will run in: its base has the rule under them."""
    turned = case.policy.with_booleans({**case.policy.booleans, **dict(option.settings)})
    for part in case.parts:
        question = case.asks_as(part.question)
        if question is None or not turned.decide(question.access).rule:
            return False
    return True


def boolean_id(option: BooleanOption) -> str:
    """``boolean:container_use_devices=on``."""
    return "boolean:" + ",".join(f"{name}={'on' if value else 'off'}" for name, value in option.settings)


def silencing(case: Case) -> Iterator[Way]:
    """A dontaudit rule: it grants nothing, and no log tells of the refusal any more."""
    shared = why_shared(case.policy, case.settings, case.first.source)
    if case.decision.cause not in _HIDEABLE or case.first.verdict is None or case.policy.info is None:
        return
    if shared is not None and not case.moved and not case.settings.extend:
        return  # it would hide what other workloads are refused
    to = case.domain.name if case.moved and case.domain is not None else case.first.source

    def change(part: Diagnosed) -> Optional[Diagnosed]:
        question = part.question
        object_ = SELF if question.source == question.target else question.target
        rule = AvRule("dontaudit", question.source, object_, question.key.tclass, (question.access.perm,))
        text = (
            f"Hide it: a dontaudit rule keeps these denials of {to} out of the log. The access stays refused, and when "
            "the workload fails by it, no log says so (semodule -DB shows hidden denials)."
        )
        return left(part, Remedy("none", text, rules=_placed((rule,), part, case)))

    yield Way("silence", SILENT, change, silent_cost(case), widens=True)


def exact_rules(question: Question, only_command: bool = False) -> tuple[Rule, ...]:
    """The rules for exactly the access; ``only_command``: it is allowed already, all but this command."""
    rules = rules_for(question.access)
    return tuple(rule for rule in rules if isinstance(rule, XpermRule)) if only_command else rules


def _placed(rules: tuple[Rule, ...], part: Diagnosed, case: Case) -> tuple[Rule, ...]:
    """The rules on the module's own domain, where one stands in for the source."""
    if not case.moved or case.domain is None:
        return rules
    return tuple(on_own_domain(rule, part.question, case.domain) for rule in rules)


def _with_rules(
    part: Diagnosed, rules: tuple[Rule, ...], text: str = "Allow exactly what was observed."
) -> Optional[Diagnosed]:
    if not rules:
        return None
    any_command = tells_no_command(part.question.access)
    return _assessed(main_changed(part, Remedy("allow", text, rules=rules, any_command=any_command), risk=None))


def _assessed(part: Diagnosed) -> Diagnosed:
    """With what the risk catalogue says of the new remedy."""
    diagnosis = part.diagnosis
    return replace(part, diagnosis=replace(diagnosis, main=with_risk(diagnosis.main, part.question)))


def assess_all(case: Case) -> str:
    """The id of a risk for which a rule on the source would be refused; empty where there is none."""
    for part in case.parts:
        access = part.question.access
        risk = assess(access.source.type, access.target.type, access.tclass, access.perm, case.policy)
        if risk is not None and risk.refuse:
            return risk.id
    return ""


def _forbidden(case: Case) -> bool:
    """A rule would break a neverallow statement of the policy."""
    return any(
        case.policy.neverallowed(
            part.question.source, part.question.target, part.question.key.tclass, part.question.access.perm
        )
        is not None
        for part in case.parts
    )
