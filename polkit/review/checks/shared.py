"""PK011: a rule for a domain that unrelated workloads share gives all of them what one of them asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Callable, Optional

from polkit.config import MODULE_NAME
from polkit.minimize import FILE_CLASSES, WRITING
from polkit.module.source import Located
from polkit.policy import assess, sensitive_types
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix
from polkit.review.grants.on_policy import Names, PolicyRule, Vector, by_statement, counted, in_part, taken_for

_BY_CONFIGURATION = "polkit.toml says so (shared_domains)"
_SHOWN = 4


def find(case: Case) -> Iterator[Finding]:
    """Rules that newly give a shared domain something."""
    names = case.names
    if names is None:
        return
    configured = frozenset(case.config.minimize.shared_domains)

    @cache
    def shared_because(domain: str) -> Optional[str]:
        return _BY_CONFIGURATION if domain in configured else names.policy.shared_because(domain)

    for where, parts in by_statement(case.rules):
        new = [one for part in parts for one in part.new]
        of_shared = [one for one in new if _counts(one, names, configured, shared_because)]
        if of_shared:
            yield _finding(case, names, where, parts, new, of_shared, shared_because)


def _counts(
    one: Vector, names: Names, configured: frozenset[str], shared_because: Callable[[str], Optional[str]]
) -> bool:
    """What is given on the module's own types counts for container domains and those of the configuration: the init
    system, logins and unconfined users have to do with what a module brings, as its program is started by them."""
    if shared_because(one.source) is None:
        return False
    return not names.is_own(one.target) or one.source in configured or names.policy.is_container_domain(one.source)


def _finding(
    case: Case,
    names: Names,
    where: Located,
    parts: tuple[PolicyRule, ...],
    new: list[Vector],
    of_shared: list[Vector],
    shared_because: Callable[[str], Optional[str]],
) -> Finding:
    domains = sorted({one.source for one in of_shared})
    everybody = frozenset[str]().union(*(part.access.sources for part in parts))
    reason = shared_because(domains[0])
    accesses = _count(parts, new)
    reach = counted(len(everybody), "domain")
    who = f"{domains[0]}: {reason}" if len(everybody) == 1 else f"{reach}, among them {in_part(domains, _SHOWN)}"
    return Finding(
        id="PK011",
        severity="high" if any(_is_grave(one, names) for one in of_shared) else "medium",
        confidence="high",
        place=place_of(where),
        title=f"The rule is for {who}{taken_for(parts)}",
        why=(
            f"Unrelated workloads share {domains[0]} ({reason}), and all of them get what one of them asked for. "
            f"It newly allows {accesses} to {reach}."
        ),
        fix=_fix(case, names, domains[0], of_shared),
        evidence=tuple(one.text for one in of_shared[:16]),
    )


def _is_grave(one: Vector, names: Names) -> bool:
    """Sensitive, or a change of what lies on the host."""
    if one.target in sensitive_types() or (one.tclass in FILE_CLASSES and not one.perms.isdisjoint(WRITING)):
        return True
    risks = (assess(one.source, one.target, one.tclass, perm, names.policy) for perm in one.perms)
    return any(risk is not None and risk.severity == "high" for risk in risks)


def _count(parts: tuple[PolicyRule, ...], new: list[Vector]) -> str:
    if all(part.is_whole for part in parts):
        return counted(sum(len(one.perms) for one in new), "access", "es")
    return f"up to {counted(sum(part.pairs * len(part.access.perms) for part in parts), 'access', 'es')}"


def _fix(case: Case, names: Names, domain: str, of_shared: list[Vector]) -> Fix:
    own = case.name if MODULE_NAME.match(case.name) else "myapp"
    rules = [one._replace(source=f"{own}_t").text for one in of_shared if one.source == domain]
    if not names.policy.is_container_domain(domain):
        return Fix(
            f"Give the program a domain of its own (a type for its executable, and a transition from {domain}), and "
            f"write the rule for that one: {in_part(rules, _SHOWN)}"
        )
    return Fix(
        f"Give the workload a domain of its own, which has all of {domain} and this besides: "
        f"{in_part(rules, _SHOWN)} Then start it with --security-opt label=type:{own}_t.",
        (f"polkit generate -n {own} -o {own} LOG",),
    )
