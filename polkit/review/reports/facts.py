"""What a review comes to: a headline, some sentences for who decides, and figures. Every report begins with these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional

from polkit.review.catalogue import KINDS
from polkit.review.differences.diff import DOMAIN, EXISTING, GROUPS, TYPE, Difference
from polkit.review.findings import SEVERITIES, Finding
from polkit.review.reports.grants import Grant, own_types
from polkit.review.reviewing import Review

_BUILDS = {
    "store": "built with it from its module store",
    "binary": "built with it from the binary policy alone",
    "none": "not built with it",
}
VERDICTS = {
    "equivalent": "allows the same as {}",
    "less-permissive": "allows less than {}",
    "more-permissive": "allows more than {}",
    "incomparable": "allows, or handles, some things that {} does not, and lacks others that it has",
}
"""What a module does, by the verdict of ``diff`` beside its older form."""
GROUP_TITLES = {
    EXISTING: "between types that existed before",
    DOMAIN: "from a new domain",
    TYPE: "onto a new type",
    "": "as the module says it",
}
"""What a grant is between, by ``diff``'s groups."""


class Headline(NamedTuple):
    """``tone`` is good, warn or bad; ``word`` is short; ``text`` is one sentence."""

    tone: str
    word: str
    text: str


class Figure(NamedTuple):
    """A number, what it counts, a note, which may be empty, and the severity, where it counts findings of one."""

    value: str
    label: str
    note: str = ""
    severity: str = ""


class Change(NamedTuple):
    """A change that is no allow rule. ``sign`` is + for what allows more, - for less, \u00b1 for what is handled
    otherwise."""

    sign: str
    text: str


def other_changes(found: Optional[Difference]) -> tuple[Change, ...]:
    """What differs beside allow rules: statements, commands, memberships, labels, defaults."""
    if found is None:
        return ()
    more, less = dict.fromkeys(found.relation.more), dict.fromkeys(found.relation.less)
    return (
        *(Change("+", one) for one in more if one not in less),
        *(Change("-", one) for one in less if one not in more),
        *(Change("\u00b1", one) for one in more if one in less),
    )


def headline(review: Review) -> Headline:
    """The review in one word and one sentence."""
    counts = by_severity(review.findings)
    broken = [gate for gate in review.gates if gate.ok is False]
    parts = _grave(counts)
    if broken:
        parts.append(_counted(len(broken), "broken gate"))
    if not review.materials.modules:
        return Headline(
            "bad",
            "does not compile",
            f"There is no module to install: {_listed(parts)}." if parts else "There is no module to install.",
        )
    if parts:
        bad = bool(counts["high"] or broken)
        return Headline(
            "bad" if bad else "warn", "objections" if bad else "questions", f"{_listed(parts).capitalize()}."
        )
    if review.policy is None:
        return Headline(
            "good", "no objection", "Nothing of medium severity or more in the sources; no policy was asked."
        )
    return Headline("good", "no objection", "No finding of medium severity or more, and no broken gate.")


def by_severity(findings: Iterable[Finding]) -> Counter[str]:
    """How many findings there are of each severity."""
    return Counter(one.severity for one in findings)


def subject(review: Review) -> str:
    """What the review is about: the module's name, else what was named."""
    return review.name or review.materials.shown


def summary(review: Review, grants: Iterable[Grant]) -> tuple[str, ...]:
    """Three to five sentences for somebody who decides and reads no policy."""
    return tuple(
        one
        for one in (
            *_grant_sentences(review, tuple(grants)),
            _finding_sentence(review),
            _gate_sentence(review),
            _against_sentence(review),
        )
        if one
    )


def figures(review: Review, grants: Iterable[Grant]) -> tuple[Figure, ...]:
    """The numbers of a review."""
    rows = tuple(grants)
    counts = by_severity(review.findings)
    found = [Figure(f"{counts[one]:,}", f"{one} severity", "", one) for one in reversed(SEVERITIES)]
    found.append(Figure(f"{len(review.ignored):,}", "ignored", "by a comment in the source, with its reason"))
    if review.change is not None:
        accesses = {
            group: sum(row.accesses for row in rows if row.group == group) for group in (EXISTING, DOMAIN, TYPE)
        }
        if review.shares is not None:
            own = sum(len(entry.perms) for entry in review.shares.own)
            found.append(
                Figure(f"{own:,}", "accesses of its own", f"beside {rest}" if (rest := not_own(review)) else "")
            )
        found += [Figure(f"{number:,}", "accesses " + GROUP_TITLES[group]) for group, number in accesses.items()]
    else:
        found.append(Figure(f"{len(rows):,}", "allow rules", "as the module says them; what they come to is not known"))
    found.append(Figure(f"{len(own_types(review)):,}", "new types"))
    found.append(Figure(f"{len(review.labels):,}", "entries of file contexts"))
    if review.gates:
        held = sum(1 for gate in review.gates if gate.ok)
        found.append(Figure(f"{held} of {len(review.gates)}", "gates kept"))
    return tuple(found)


def not_own(review: Review) -> str:
    """What of the accesses is not the module's own, in a few words; empty for nothing."""
    shares = review.shares
    if shares is None:
        return ""
    bases = _listed(sorted(set(shares.bases.values())))
    parts = [f"{shares.like_base:,} that {bases} has in its place"] if shares.like_base else []
    return _listed([*parts, *([f"{shares.by_policy:,} by the policy's own rules"] if shares.by_policy else [])])


def policy_line(review: Review) -> str:
    """Which policy the module was held against, and how."""
    if review.policy is None:
        return "none: the sources alone"
    return f"{review.policy.path} (SHA-256 {review.policy.sha256[:16]}...), {_BUILDS[review.build]}"


def what_next(review: Review) -> str:
    """What is to be done, one line."""
    failing = sum(1 for one in review.findings if one.severity in ("medium", "high"))
    broken = sum(1 for gate in review.gates if gate.ok is False)
    todo = []
    if failing:
        many = failing > 1
        what = f"the {failing} findings of severity medium or more" if many else "the finding"
        todo.append(f"mend {what}, or settle {'each' if many else 'it'} by an ignore comment with the reason")
    if broken:
        gates, them = ("gates", "them") if broken > 1 else ("gate", "it")
        todo.append(f"keep to the broken {gates} of polkit.toml, or change {them}")
    return f"Next: {'; '.join(todo)}." if todo else "Nothing has to be done."


def _grant_sentences(review: Review, rows: tuple[Grant, ...]) -> Iterator[str]:
    name = subject(review)
    if not review.materials.modules:
        yield f"{name} does not compile, so there is nothing to install and nothing that it would allow."
        return
    if review.change is None:
        yield f"{name} holds {_counted(len(rows), 'allow rule')}; what they come to on a policy was not worked out."
        return
    own = own_types(review)
    total = sum(row.accesses for row in rows)
    brings = f"brings {_counted(len(own), 'type')} and " if own else ""
    yield f"Installed on this policy, {name} {brings}newly allows {_counted(total, 'access', 'accesses')}."
    before, domain, onto = (sum(row.accesses for row in rows if row.group == group) for group in GROUPS)
    lost = sum(len(entry.perms) for entry in review.change.removed)
    yield from _share_sentences(review, domain + onto)
    if before == total and before:
        yield f"All of it is {GROUP_TITLES[EXISTING]}: what runs on the host today may do more."
    elif before:
        yield f"{before:,} are {GROUP_TITLES[EXISTING]}: what runs on the host today may do more."
    elif total:
        yield f"Nothing is {GROUP_TITLES[EXISTING]}: what runs on the host today may do no more there."
    if lost:
        yield f"It takes {_counted(lost, 'access', 'accesses')} away."


def _share_sentences(review: Review, brought: int) -> Iterator[str]:
    """By whose doing it is, of accesses that a new domain or type has a part in."""
    shares = review.shares
    if shares is None or not brought:
        return
    parts = []
    if shares.like_base:
        bases, heirs = _listed(sorted(set(shares.bases.values()))), _listed(sorted(shares.bases))
        parts.append(f"{shares.like_base:,} are what {bases} has in the place of {heirs}")
    if shares.by_policy:
        parts.append(f"{shares.by_policy:,} come of the policy's own rules for types of their kind")
    own = sum(len(entry.perms) for entry in shares.own)
    parts.append(f"{own:,} {'is' if own == 1 else 'are'} the module's own")
    yield f"Of these, {_listed(parts)}."


def _finding_sentence(review: Review) -> str:
    failing = [one for one in review.findings if one.severity in ("medium", "high")]
    rest = len(review.findings) - len(failing)
    more = len(review.ignored)
    ignored = f"; {_counted(more, 'more is', 'more are')} ignored in the source" if more else ""
    if not failing:
        mild = f", and {rest} of low severity or for information" if rest else ""
        return f"The review has no finding of medium severity or more{mild}{ignored}."
    listed = _listed(_grave(by_severity(failing)))
    first = min(failing, key=lambda one: (-SEVERITIES.index(one.severity), -SEVERITIES.index(KINDS[one.id].severity)))
    return f"The review has {listed}{ignored}; first among them, in {first.place.text}: {first.title.rstrip('.')}."


def _gate_sentence(review: Review) -> str:
    if not review.gates:
        return ""
    gates = _counted(len(review.gates), "gate")
    broken = [gate.name for gate in review.gates if gate.ok is False]
    unknown = sum(1 for gate in review.gates if gate.ok is None)
    if broken:
        are = "is" if len(broken) == 1 else "are"
        return f"Of the project's {gates}, {len(broken)} {are} broken: {_listed(broken[:4])}."
    if unknown:
        return f"Of the project's {gates}, none is known to be broken and {unknown} could not be told."
    return f"It keeps to {'the one gate' if len(review.gates) == 1 else f'all {gates}'} of the project."


def _against_sentence(review: Review) -> Optional[str]:
    found = review.against
    if found is None:
        return None
    witness = f": {found.witness.text}" if found.witness is not None else ""
    return f"It {VERDICTS[found.verdict].format(found.a.path)}{witness}."


def _grave(counts: Counter[str]) -> list[str]:
    found = [(one, counts[one]) for one in ("high", "medium") if counts[one]]
    return [_counted(number, f"finding of {one} severity", f"findings of {one} severity") for one, number in found]


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
