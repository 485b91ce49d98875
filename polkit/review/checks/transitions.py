"""PK020: a type_transition brings a process into a domain that may do more than the one it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from polkit.module.source import Located, Transition
from polkit.policy import OVER_THE_KERNEL, UNCONFINED, Powers, risk_named
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix
from polkit.review.grants.stated import and_others

_SHOWN = 8
_STARTERS = frozenset(("inetd_t", "crond_t", "system_cronjob_t", "system_dbusd_t", "svc_run_t"))
"""They start services that do more than themselves: it is what they are for."""
_HELPED = 10
"""A domain that so many others enter already is a helper, made to be started by who may do less (chkpwd_t, kmod_t)."""


def find(case: Case) -> Iterator[Finding]:
    """One finding a statement: who starts it, and what the domain may do that he may not."""
    if case.names is None:
        return
    changed = _Strength(case)
    for one in case.statements:
        statement = one.statement
        if not isinstance(statement, Transition) or statement.kind != "type_transition" or statement.classes is None:
            continue
        if "process" in statement.classes.names:
            found = _finding(case, one, statement, changed)
            if found is not None:
                yield found


class _Strength:
    """What domains may do: with the module where it was built, since it may give a domain of its own everything."""

    def __init__(self, case: Case) -> None:
        assert case.names is not None
        self._names = case.names
        self._old = Powers(case.names.policy)
        self._new = self._old if case.built is None else Powers(case.built.new)
        self._is_built = case.built is not None

    def before(self, domain: str) -> tuple[str, ...]:
        """What a domain may do without the module; one of the module's own what it was made for."""
        return self.of(domain) if self._names.is_own(domain) else self._old.of(domain)

    def of(self, domain: str) -> tuple[str, ...]:
        """What a domain may do with the module."""
        if self._is_built or not self._names.is_own(domain):
            return self._new.of(domain)
        joined = self._names.attributes(domain)
        return tuple(dict.fromkeys(one for name in sorted(joined) for one in self._old.brought_by(name)))

    def is_helper(self, domain: str) -> bool:
        """Many domains of the policy enter it without the module."""
        return not self._names.is_own(domain) and len(self._old.enterers(domain)) >= _HELPED

    def why(self, domain: str) -> str:
        """Why a domain is past the policy, empty for one that is not."""
        if self._is_built or not self._names.is_own(domain):
            return self._new.why(domain)
        return "it is an unconfined domain" if UNCONFINED in self.of(domain) else ""


def _finding(case: Case, one: Located, statement: Transition, strength: _Strength) -> Optional[Finding]:
    assert case.names is not None
    result = case.names.aliases.get(statement.result, statement.result)
    powers, why = strength.of(result), strength.why(result)
    weaker = {
        source: more
        for source in sorted(case.names.of(statement.sources) - _STARTERS)
        if (more := _more(powers, strength.before(source)))
        and not strength.why(source)
        and not _is_there(case, source, statement, result)
    }
    if not weaker:
        return None
    who, more = next(iter(weaker.items()))
    others = and_others(len(weaker) - 1)
    level = 2 if why or any(power in OVER_THE_KERNEL for power in more) else 1
    level -= UNCONFINED not in more and strength.is_helper(result)
    return Finding(
        id="PK020",
        severity=("low", "medium", "high")[level],
        confidence="high" if case.built is not None else "medium",
        place=place_of(one),
        title=f"{who}{others} may change into {result}, which may do more",
        why=(
            f"{_what(result, who, why, more)}. Whoever takes over {who} starts the program and tries to misuse it, with"
            " its arguments, its environment and the files it reads."
        ),
        fix=Fix(
            f"Let a domain that is trusted already start {result} (the service manager, an administrator), or split the"
            " program so that the part that is started needs less."
        ),
        evidence=tuple(f"{source} -> {result}: gains {_listed(gains)}" for source, gains in weaker.items())[:_SHOWN],
    )


def _is_there(case: Case, source: str, statement: Transition, result: str) -> bool:
    """The policy has the transition without the module; known where it was built."""
    if case.built is None or case.names is None:
        return False
    there = case.built.between.process_transitions[0]
    targets = case.names.of(statement.targets)
    return bool(targets) and all(f"type_transition {source} {target}:process {result};" in there for target in targets)


def _more(powers: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one for one in powers if one not in others)


def _what(domain: str, who: str, why: str, more: tuple[str, ...]) -> str:
    return f"Nothing holds {domain}: {why}" if why else f"{domain} may do what {who} may not: {_listed(more)}"


def _listed(powers: tuple[str, ...]) -> str:
    words = ["everything" if one == UNCONFINED else risk_named(one).what for one in powers]
    return ", ".join(words[:4]) + (f" and {len(words) - 4} more" if len(words) > 4 else "")
