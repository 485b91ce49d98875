"""A proof as text: what was compared, the four statements, the figures, then everything that speaks against them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Optional

from rich.console import Console
from rich.text import Text

from polkit.cli.output import output, print_wrapped
from polkit.minimize import Extra, Figures, InheritedFigures, Proof
from polkit.policy import XpermChange

_SHOWN = 8
_LABEL = 26
_KINDS = {
    "unasked": "newly allowed, and no evidence asks for it",
    "commands": "commands that no evidence asks for",
    "base": "the policy gives it without the module",
    "repeated": "another rule of the module gives it",
    "silent": "gives nothing and hides or logs accesses",
    "type": "a type that nothing needs",
    "statement": "a statement that no evidence asks for",
    "unexplained": "a change that no rule of the module says",
    "dontaudited": "kept out of the log by the old label, comes along with the new one (counted apart)",
}


def print_proof(proof: Proof, verbose: bool) -> None:
    """Print a proof on stdout; ``verbose``: every line of every list."""
    console = output(soft_wrap=False)
    shown = 1 << 30 if verbose else _SHOWN
    _header(console, proof)
    _statements(console, proof)
    _figures(console, proof)
    _against(console, proof, shown)
    _gained(console, proof, shown)
    _closing(console, proof)


def _header(console: Console, proof: Proof) -> None:
    books = proof.input
    rows = [
        ("module", f"{proof.module} ({proof.source}, SHA-256 {proof.sha256[:16]}...)"),
        ("policy", f"{proof.policy.path} (SHA-256 {proof.policy.sha256[:16]}...)"),
        ("build", "from the module store" if proof.build == "store" else "from the binary policy: an estimate"),
        (
            "evidence",
            f"{_some(books.sources, 3) or 'nothing'}: {_count(books.denials, 'denial')}, {books.distinct} distinct",
        ),
    ]
    rows += [("note", note) for note in (*books.notes, *proof.notes)]
    if books.unparsed:
        rows.append(("note", f"{_count(books.unreadable, 'denial')} not readable: no part of this proof"))
    for word, value in rows:
        print_wrapped(console, f"{word:<9} ", value, "bold")


def _statements(console: Console, proof: Proof) -> None:
    figures = proof.figures
    console.print()
    console.print(Text("Statements", "bold"))
    lacking = figures.needed - figures.allowed
    extra = sum(1 for one in proof.extra if one.kind not in ("dontaudited", "unexplained"))
    beyond = sum(1 for one in proof.extra if one.kind == "unexplained")
    lost = len(proof.lost) + len(proof.lost_xperms) + len(proof.removed)
    broken = len(proof.violations) + len(proof.gates)
    rows: tuple[tuple[str, Optional[bool], str], ...] = (
        (
            "covered",
            proof.covered,
            f"all {_count(figures.needed, 'access', 'accesses')} that rules must give are allowed"
            if proof.covered
            else f"{lacking} of {_count(figures.needed, 'access', 'accesses')} that rules must give are refused",
        ),
        (
            "minimal",
            proof.minimal,
            "nothing could be left out" if proof.minimal else f"{_count(extra, 'thing')} nobody asks for",
        ),
        (
            "contained",
            proof.contained,
            "not known from a binary policy"
            if proof.contained is None
            else f"the policies differ by {_explained(figures)} alone"
            if proof.contained
            else f"{beyond} unexplained, {lost} lost",
        ),
        (
            "safe",
            proof.safe,
            "neverallow rules: not known from a binary policy"
            if proof.safe is None
            else "breaks no neverallow rule, type bounds or gate that held before"
            if proof.safe
            else f"{broken} broken",
        ),
    )
    for word, value, text in rows:
        verdict, style = {True: ("yes", "green"), False: ("NO", "red"), None: ("?", "yellow")}[value]
        print_wrapped(console, f"  {word:<10}{verdict:<5}", text, style)


def _explained(figures: Figures) -> str:
    if figures.inherited is None:
        return "the module's rules and its types' labels"
    return "the module's rules, what its domain inherits and its types' labels"


def _figures(console: Console, proof: Proof) -> None:
    figures = proof.figures
    elsewhere = ", ".join(f"{kind} {count}" for kind, count in figures.remedied_elsewhere.items())
    rows = [
        ("completeness", _percent(figures.completeness, f"{figures.allowed} of {figures.needed}")),
        (
            "over-permission rate",
            _percent(figures.over_permission_rate, f"{figures.over} of {figures.granted} newly allowed"),
        ),
        ("dontaudited", f"{_count(figures.dontaudited, 'access', 'accesses')} taken along with a label"),
        ("inherited", _inherited(figures.inherited)),
        ("structural", f"{_count(figures.structural, 'access', 'accesses')} on new types, by the attributes they join"),
        ("boolean grants", _count(figures.boolean_grants, "access", "accesses")),
        ("remedied elsewhere", elsewhere or "nothing"),
    ]
    if figures.held_out is not None:
        refused, whole = figures.held_out
        rows.append(
            ("held-out under-permission", _percent(figures.held_out_under_permission, f"{refused} of {whole} refused"))
        )
    console.print()
    console.print(Text("Figures", "bold"))
    for word, value in rows:
        print_wrapped(console, f"  {word:<{_LABEL}}", value)


def _inherited(inherited: Optional[InheritedFigures]) -> str:
    if inherited is None:
        return "0"
    whose = f"others on {inherited.domain}" if inherited.base is None else f"{inherited.base} and on it"
    text = f"{_count(inherited.accesses, 'access', 'accesses')} of {whose}, recomputed from the policy"
    return f"{text}; {inherited.missing} are missing" if inherited.missing else text


def _against(console: Console, proof: Proof, shown: int) -> None:
    """Everything that makes a statement false."""
    _list(
        console,
        "Refused all the same",
        (
            f"{one.decision}: {one.statement}  {one.reason}"
            if one.statement
            else f"{one.decision}: {one.source} -> {one.target}:{one.tclass} {one.perm}"
            f"{f' ({one.xperm})' if one.xperm else ''}: {one.reason}"
            for one in proof.uncovered
        ),
        shown,
        "red",
    )
    for kind, title in _KINDS.items():
        found = [one for one in proof.extra if one.kind == kind]
        style = "dim" if kind == "dontaudited" else "red"
        _list(console, f"Extra: {title}", (_extra(one) for one in found), shown, style)
    lost = [f"{one.source} -> {one.target}:{one.tclass} {{ {' '.join(one.perms)} }}" for one in proof.lost]
    lost += [_commands(one) for one in proof.lost_xperms]
    _list(console, "Lost: allowed before, and not any more", (*lost, *proof.removed), shown, "red")
    broken = (
        f"HIGH {one.kind}: {one.text}"
        + (f"  ({' -> '.join(filter(None, (one.source, one.target)))}" if one.source or one.target else "")
        + (f":{one.tclass} {{ {' '.join(one.perms)} }})" if one.tclass else ")" if one.source or one.target else "")
        for one in proof.violations
    )
    _list(console, "Broken", (*broken, *(f"gate: {gate}" for gate in proof.gates)), shown, "red")


def _extra(one: Extra) -> str:
    parts = [f"{one.source} -> {one.target}:{one.tclass}"] if one.source else ([one.text] if one.text else [])
    if one.perms:
        parts.append(f"{{ {' '.join(one.perms)} }}")
    if one.xperms:
        parts.append(f"({_ranges(one.xperms)})")
    if one.source and one.text:
        parts.append(one.text)
    return " ".join(parts)


def _commands(one: XpermChange) -> str:
    return f"{one.source} -> {one.target}:{one.tclass} {one.operation} ({_ranges(one.numbers)})"


def _ranges(numbers: tuple[tuple[int, int], ...]) -> str:
    texts = [f"0x{first:04x}" if first == last else f"0x{first:04x}-0x{last:04x}" for first, last in numbers]
    return _some(texts, _SHOWN)


def _gained(console: Console, proof: Proof, shown: int) -> None:
    by_rules = [one for one in proof.gained_domains if one.accesses or not (one.structural or one.inherited)]
    others = [one for one in proof.gained_domains if one not in by_rules]
    lines = [f"{one.domain}: {_count(one.accesses, 'access', 'accesses')} by rules of the module" for one in by_rules]
    if others:
        on = "its domain and new types" if proof.figures.inherited is not None else "its new types"
        lines.append(f"{_count(len(others), 'domain')} more on {on}, by rules of the policy (inherited, structural)")
    _list(console, "Who may do more than before", lines, max(shown, len(lines) if len(lines) <= _SHOWN + 1 else 0), "")


def _closing(console: Console, proof: Proof) -> None:
    console.print()
    if proof.exit_code:
        console.print(Text("Not proven.", "red"))
    elif None in (proof.contained, proof.safe):
        console.print(Text("True as far as a binary policy can tell.", "yellow"))
    else:
        console.print(Text("Proven.", "green"))


def _list(console: Console, title: str, lines: Iterable[str], shown: int, style: str) -> None:
    found = list(lines)
    if not found:
        return
    console.print()
    print_wrapped(console, "", title, "", "bold")
    for line, same in groupby(found[:shown]):
        times = len(list(same))
        print_wrapped(console, "  ", line if times == 1 else f"{line} (x{times})", "", style)
    if len(found) > shown:
        print_wrapped(console, "  ", f"and {len(found) - shown} more (-v or the JSON has all)")


def _percent(share: Optional[float], text: str) -> str:
    return f"{share * 100:.4g}% ({text})" if share is not None else f"none ({text})"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _some(values: Iterable[str], shown: int) -> str:
    found = list(values)
    return ", ".join(found[:shown]) + (f" and {len(found) - shown} more" if len(found) > shown else "")
