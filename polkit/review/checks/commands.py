"""PK029: an allowxperm lists commands where the policy gives all of them, and so takes the others away."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product

from polkit.module.source import ExtendedRule, Located
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix
from polkit.review.grants.on_policy import MOST_PAIRS, Names
from polkit.review.patches import without

_SHOWN = 8
Place = tuple[str, str, str]


def find(case: Case) -> Iterator[Finding]:
    """One finding a statement, with the places where it narrows what is there without the module: nobody loses anything
    in a domain of the module's own."""
    names = case.names
    if names is None:
        return
    for one in case.statements:
        statement = one.statement
        if isinstance(statement, ExtendedRule) and statement.kind == "allowxperm":
            found = {place: given for place, given in _narrowed(names, statement) if place[0] not in case.own}
            if found:
                yield _finding(case, one, statement.operation, found)


def _narrowed(names: Names, statement: ExtendedRule) -> Iterator[tuple[Place, str]]:
    """Where every command was allowed, and the booleans under which it was (empty: always)."""
    sources, targets = sorted(names.of(statement.sources)), sorted(names.of(statement.targets))
    pairs = list(islice(product(sources, targets), MOST_PAIRS))
    if "self" in statement.targets.names:
        pairs += [(source, source) for source in sources[:MOST_PAIRS]]
    for source, target in pairs:
        for tclass in statement.classes.names:
            given = names.policy.unlimited(source, target, tclass, statement.operation, names.new)
            if given is not None:
                yield (source, target, tclass), given.condition


def _finding(case: Case, one: Located, operation: str, found: dict[Place, str]) -> Finding:
    always = any(not condition for condition in found.values())
    source, target, tclass = next(place for place, condition in found.items() if not always or not condition)
    when = "which were allowed" if always else f"which {found[source, target, tclass]} would have allowed"
    others = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return Finding(
        id="PK029",
        severity="medium" if always else "low",
        confidence="high",
        place=place_of(one),
        title=f"Other {operation} commands of {source} on {target}:{tclass}{others} are refused, {when}",
        why=(
            f"The policy gives {source} every {operation} command there, and the first allowxperm for the three refuses"
            " all that none lists. What worked without the module stops working, in programs that it is not about."
        ),
        fix=Fix(
            f"Take the allowxperm out: it allows nothing that was not allowed. To narrow {operation} for one program,"
            " give it a domain of its own that does not have the rule.",
            (),
            without(case.sources, one),
        ),
        evidence=tuple(
            f"every {operation} command of {' '.join(place[:2])}:{place[2]}{f' if {condition}' if condition else ''}"
            for place, condition in list(found.items())[:_SHOWN]
        ),
    )
