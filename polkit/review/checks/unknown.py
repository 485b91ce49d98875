"""PK003: the policy has no such type, attribute, role, boolean, class, permission or user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from polkit.module.source import ExtendedRule, Located, Rule
from polkit.policy import TargetPolicy
from polkit.review.case import Case
from polkit.review.checks.missing import has
from polkit.review.findings import Finding, Fix, Place
from polkit.review.grants.nodes import NODE_CLASSES, nodes_meant
from polkit.review.grants.uses import BOOLEAN, CLASS, PERMISSION, ROLE, TYPE, Name, declared_by, required_by, used_by

_MOST = 3


class _Mentions(NamedTuple):
    """Where a name stands: statements that use it, and lines that require it."""

    uses: list[Located]
    requires: list[Located]


def find(case: Case) -> Iterator[Finding]:
    """Each name that neither the module declares nor the policy has, at the first statement that uses it."""
    policy = case.policy
    if policy is None or policy.info is None:
        return
    for name, mentions in _lacking(case, policy).items():
        if not (name.kind == PERMISSION and not policy.has_class(name.tclass)):
            yield _finding(name, mentions, policy)


def unknown(case: Case) -> frozenset[Name]:
    """The names that keep the policy from taking the module: what optional blocks alone name does not."""
    policy = case.policy
    if policy is None or policy.info is None:
        return frozenset()
    return frozenset(
        name
        for name, (uses, requires) in _lacking(case, policy).items()
        if _is_needed(name, uses) and not all(one.optional for one in (*uses, *requires))
    )


def _lacking(case: Case, policy: TargetPolicy) -> dict[Name, _Mentions]:
    """The foreign names that the policy does not have. Left out are classes that a macro alone requires, as
    ``policy_module`` does with all of the kernel's."""
    return {
        name: mentions
        for name, mentions in _foreign(case).items()
        if not has(policy, name) and (_is_needed(name, mentions.uses) or not all(one.via for one in mentions.requires))
    }


def _is_needed(name: Name, uses: list[Located]) -> bool:
    """Whether a policy that lacks the name refuses the module. Of classes it is asked for those that rules use: the
    converter of module packages writes no requirement of others."""
    return bool(uses) or name.kind not in (CLASS, PERMISSION)


def _foreign(case: Case) -> dict[Name, _Mentions]:
    """The names that the module does not declare, in the order of their first mention."""
    own = {name for one in case.statements for name in declared_by(one.statement)}
    found: dict[Name, _Mentions] = {}
    for one in case.statements:
        for name in dict.fromkeys(used_by(one)):
            if name not in own:
                found.setdefault(name, _Mentions([], [])).uses.append(one)
        for name in dict.fromkeys(required_by(one.statement)):
            if name not in own:
                found.setdefault(name, _Mentions([], [])).requires.append(one)
    return found


def _finding(name: Name, mentions: _Mentions, policy: TargetPolicy) -> Finding:
    every = [*mentions.uses, *mentions.requires]
    optional = all(one.optional for one in every)
    first = (mentions.uses or mentions.requires)[0]
    labels = _labels(name, mentions.uses, policy)
    nearest = tuple(dict.fromkeys((*(label for _, label in labels), *_nearest(name, policy))))[:_MOST]
    asked = tuple(f"file contexts put {path} at {label}" for path, label in labels)
    return Finding(
        id="PK003",
        severity="info" if optional else "high" if _is_needed(name, mentions.uses) else "low",
        confidence="high",
        place=Place(first.file, first.line, first.column),
        title=_title(name, nearest),
        why=_why(name, optional),
        fix=Fix(_remedy(name, nearest, labels), _commands(labels)),
        evidence=(*asked, *(f"line {one.line}: {one.written}" for one in every[:12])),
    )


def _title(name: Name, nearest: tuple[str, ...]) -> str:
    like = f"; nearest: {', '.join(nearest)}" if nearest else ""
    return f"The policy has no {name.text}{like}"


def _why(name: Name, optional: bool) -> str:
    if optional:
        return (
            f"The optional blocks that name {name.name} are left out on this policy, and everything else in them too. "
            "The module installs without them."
        )
    return (
        f"A module that names {name.name} is refused as a whole where the policy does not have it, so none of its "
        "rules is in force. A rule on a name that nothing has would change nothing either."
    )


def _remedy(name: Name, nearest: tuple[str, ...], labels: tuple[tuple[str, str], ...]) -> str:
    if labels:
        path, label = labels[0]
        return f"Name {label}: that is the type of {path} on this policy."
    if nearest:
        return f"Name what is meant: {' or '.join(nearest)}; or declare {name.name} in the module, or take it out."
    return f"Declare {name.name} in the module, install the module that declares it first, or take it out."


def _commands(labels: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    return (f"matchpathcon {labels[0][0]}",) if labels else ()


def _nearest(name: Name, policy: TargetPolicy) -> tuple[str, ...]:
    if name.kind in (TYPE, CLASS, BOOLEAN, ROLE):
        found = policy.nearest(name.kind, name.name)
        return found or (policy.nearest("attribute", name.name) if name.kind == TYPE else ())
    return policy.nearest("permission", name.name, name.tclass) if name.kind == PERMISSION else ()


def _labels(name: Name, uses: list[Located], policy: TargetPolicy) -> tuple[tuple[str, str], ...]:
    """Where a type of a device's name stands in rules on device nodes: the nodes of that name, with their types."""
    classes = {
        tclass
        for one in uses
        if isinstance(one.statement, (Rule, ExtendedRule))
        for tclass in one.statement.classes.names
        if tclass in NODE_CLASSES
    }
    if name.kind != TYPE:
        return ()
    return tuple(found for tclass in sorted(classes, reverse=True) for found in nodes_meant(policy, name.name, tclass))
