"""bounds: the type is bounded by another that lacks the permission, so the kernel takes it away (typebounds)."""

from __future__ import annotations

from typing import Optional

from polkit.minimize.question import Finding, Question
from polkit.model import AvRule, Remedy, TypeBounds


def examine(question: Question) -> Optional[Finding]:
    """A permission masked by a typebounds statement, or a transition to a type that its old one does not bound."""
    failure = question.key.failure
    if failure is not None:
        return _bounded_transition(question) if failure.operation == "bounded_transition" else None
    if question.verdict is None or question.verdict.bounds is None:
        return None
    parent = question.verdict.bounds
    rule = AvRule("allow", parent, question.target, question.key.tclass, (question.access.perm,))
    text = f"Give the bounding type {parent} the permission too, or take {question.source} out of its bounds."
    why = (
        f"{question.source} has the rule, but it is bounded by {parent}, which lacks it: a bounded type never gets "
        "more than its bounding type (typebounds)."
    )
    asked = (f"typebounds {parent} {question.source}? {parent} lacks {question.access.perm}",)
    return Finding("bounds", Remedy("allow", text, rules=(rule,)), why, "bounds", asked=asked)


def _bounded_transition(question: Question) -> Finding:
    rule = TypeBounds(question.source, question.target)
    text = (
        f"A process with several threads, or with no_new_privs, may only change to a type bounded by its own: "
        f"typebounds {question.source} {question.target}."
    )
    why = (
        f"{question.target} is not bounded by {question.source}, and the transition was asked for by a thread of a "
        "multi-threaded process or under no_new_privs."
    )
    return Finding("bounds", Remedy("allow", text, rules=(rule,)), why, reason="final")
