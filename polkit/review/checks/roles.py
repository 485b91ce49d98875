"""PK028: statements that give a role another role, or a domain that nothing holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from polkit.module.source import Declaration, Located, RoleAllow, Transition
from polkit.policy import Powers
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix
from polkit.review.patches import without

_SHOWN = 8


def find(case: Case) -> Iterator[Finding]:
    """Role allows and role transitions always; domains of a role where the policy says what they may do."""
    powers = None if case.names is None else Powers(case.names.policy)
    for one in case.statements:
        statement = one.statement
        if isinstance(statement, RoleAllow):
            yield _allowed(case, one, statement)
        elif isinstance(statement, Transition) and statement.kind == "role_transition":
            yield _changed(case, one, statement)
        elif isinstance(statement, Declaration) and statement.kind == "role_types" and powers is not None:
            found = _given(case, one, statement, powers)
            if found is not None:
                yield found


def _allowed(case: Case, one: Located, statement: RoleAllow) -> Finding:
    sources, targets = " ".join(statement.sources.names), " ".join(statement.targets.names)
    return _finding(
        case,
        one,
        title=f"Role {sources} may become role {targets}",
        why=(
            f"Whoever is logged in as {sources} may run processes as {targets}, with every domain that it has. Who may"
            " be what is the administrator's to say, for all applications at once, and not a module's."
        ),
        fix="Take it out, and let the administrator give the user the role (semanage user).",
    )


def _changed(case: Case, one: Located, statement: Transition) -> Finding:
    sources, targets = " ".join(statement.sources.names), " ".join(statement.targets.names)
    return _finding(
        case,
        one,
        title=f"Role {sources} becomes {statement.result} by executing {targets}",
        why=(
            f"Who executes a file of {targets} leaves his role behind without being asked, and with it what it may not"
            " do. A service that is started by the service manager has its role without such a statement."
        ),
        fix="Let the service manager start the program, or have the user change roles by newrole.",
    )


def _given(case: Case, one: Located, statement: Declaration, powers: Powers) -> Optional[Finding]:
    names = case.names
    assert names is not None
    role = " ".join(statement.names.names)
    found = {
        type_: powers.why(type_)
        for type_ in sorted(names.of(statement.values))
        if names.is_domain(type_) and powers.why(type_) and not names.policy.role_has_type(role, type_)
    }
    if not found:
        return None
    type_, reason = next(iter(found.items()))
    return _finding(
        case,
        one,
        title=f"Role {role} gets {type_}",
        why=(
            f"Nothing holds {type_}: {reason}. That {role} could not have it was what kept its users out of it,"
            " whatever transitions there are."
        ),
        fix=f"Give {role} a domain of the module's own, which starts what it needs.",
        evidence=tuple(f"role {role} types {name}: {why}" for name, why in found.items())[:_SHOWN],
    )


def _finding(case: Case, one: Located, title: str, why: str, fix: str, evidence: tuple[str, ...] = ()) -> Finding:
    return Finding(
        id="PK028",
        severity="medium",
        confidence="high",
        place=place_of(one),
        title=title,
        why=why,
        fix=Fix(fix, (), without(case.sources, one)),
        evidence=evidence,
    )
