"""PK007 and PK008: names that are required, or declared, and used nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Optional

from polkit.errors import SourceError
from polkit.module import NameSet
from polkit.module.source import (
    Block,
    Call,
    Declaration,
    ExtendedRule,
    Located,
    Requirement,
    Rule,
    Source,
    Statement,
    everything,
    read_around,
    render_source,
)
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix, Place
from polkit.review.materials.reading import SourceText
from polkit.review.patches import unified, without

_WORD = re.compile(r"[\w.$-]+", re.ASCII)
_DECLARED_BY_MACRO = ("gen_tunable", "gen_bool")
_DECLARED = ("type", "attribute", "role", "attribute_role", "bool", "tunable")
_KINDS = {"bool": "boolean", "tunable": "tunable", "attribute_role": "role attribute"}


def find(case: Case) -> Iterator[Finding]:
    """One finding for the spare require lines of a source, and one for each spare declaration."""
    mentioned = _mentioned_elsewhere(case)
    for text in case.sources:
        source = _read(text) if text.kind == "te" else None
        if source is not None:
            words = mentioned | _mentioned(source)
            yield from _requires(case, text, source, words)
            yield from _declarations(case, text, words)


def _read(text: SourceText) -> Optional[Source]:
    try:
        return read_around(text.text, text.name)[0]
    except SourceError:
        return None


def _mentioned_elsewhere(case: Case) -> frozenset[str]:
    """The words of the sources that are no ``.te``: of labels, interfaces, and modules beside it."""
    return frozenset(word for text in case.sources if text.kind != "te" for word in _WORD.findall(text.text))


def _mentioned(source: Source) -> frozenset[str]:
    """The words of a source that stand in no ``require`` and are not what a declaration declares; in the branches, too,
    that m4 does not take."""
    words: set[str] = set()
    for one in everything(source):
        if isinstance(one, Block):
            words.update(_WORD.findall(" ".join(one.arguments)))
        elif isinstance(one, Call) and one.name in _DECLARED_BY_MACRO:
            words.update(_WORD.findall(" ".join(one.arguments[1:])))
        elif not isinstance(one, Requirement):
            words.update(_words(one))
    return frozenset(words)


@lru_cache(maxsize=1 << 14)
def _words(one: Statement) -> frozenset[str]:
    found = frozenset(_WORD.findall(render_source((one,))))
    return found - set(one.names.names) if isinstance(one, Declaration) and one.kind in _DECLARED else found


# -- required ---------------------------------------------------------------------------------------------------------


def _requires(case: Case, text: SourceText, source: Source, words: frozenset[str]) -> Iterator[Finding]:
    perms = _permissions(case.statements)
    lines = [one for one in everything(source) if isinstance(one, Requirement)]
    kept = {id(one): _kept(one, words, perms) for one in lines}
    spare = [one for one in lines if kept[id(one)] != one]
    if not spare:
        return
    names = [name for one in spare for name in _left_out(one, kept[id(one)])]
    first = spare[0]
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    yield Finding(
        id="PK007",
        severity="low",
        confidence="high",
        place=Place(text.name, first.line, first.column),
        title=f"Required and not used: {shown}",
        why=(
            "A policy that lacks a required name refuses the whole module, so each that nothing uses makes it install "
            "on fewer hosts. A reader takes it for something that the module is about."
        ),
        fix=Fix(f"Take them out of the require block: {shown}.", (), _patch(text, source, kept)),
        evidence=tuple(f"line {one.line}: {' '.join(_left_out(one, kept[id(one)]))}" for one in spare[:16]),
    )


def _permissions(statements: Iterable[Located]) -> dict[str, Optional[set[str]]]:
    """The permissions that rules use of each class; None for a class of which a rule takes all, or all others."""
    found: dict[str, Optional[set[str]]] = {}
    for one in statements:
        rule = one.statement
        if isinstance(rule, (Rule, ExtendedRule)):
            for tclass in rule.classes.names:
                said = rule.perms if isinstance(rule, Rule) else NameSet((rule.operation,))
                known = found.setdefault(tclass, set())
                if said.others or known is None:
                    found[tclass] = None
                else:
                    known.update(said.names, said.without)
    return found


def _kept(one: Requirement, words: frozenset[str], perms: dict[str, Optional[set[str]]]) -> Optional[Requirement]:
    """What is left of a require line; None for nothing."""
    if one.kind != "class":
        names = tuple(name for name in one.names.names if name in words)
        return Requirement(one.kind, NameSet(names)) if names else None
    (tclass,) = one.names.names
    if tclass not in perms:
        return one if tclass in words else None  # of a transition, a call, or a branch that m4 does not take
    used = perms[tclass]
    if used is None or one.perms.others:
        return one
    left = tuple(perm for perm in one.perms.names if perm in used or perm in words)
    return Requirement("class", one.names, NameSet(left)) if left else None


def _left_out(one: Requirement, kept: Optional[Requirement]) -> list[str]:
    if one.kind != "class":
        return [name for name in one.names.names if kept is None or name not in kept.names.names]
    if kept is None:
        return [f"class {one.names.names[0]}"]
    return [f"{one.names.names[0]} {perm}" for perm in one.perms.names if perm not in kept.perms.names]


def _patch(text: SourceText, source: Source, kept: dict[int, Optional[Requirement]]) -> str:
    """Where each spare line stands alone on its line, and something stays in every block."""
    blocks = [one for one in everything(source) if isinstance(one, Block) and one.kind in ("require", "gen_require")]
    if any(all(kept.get(id(inner), inner) is None for inner in block.branches[0]) for block in blocks):
        return ""
    written: list[Optional[str]] = list(text.text.split("\n"))
    for one in everything(source):
        if isinstance(one, Requirement) and kept[id(one)] != one:
            line = written[one.line - 1] or ""
            indent = line[: one.column - 1]
            statement, hash_, comment = line.partition("#")
            if indent.strip() or _spaced(statement) not in (_spaced(render_source((one,))), _braced(one)):
                return ""
            left = kept[id(one)]
            behind = f"  {hash_}{comment}" if hash_ else ""
            written[one.line - 1] = None if left is None else indent + render_source((left,)).strip() + behind
    return unified(text, "\n".join(line for line in written if line is not None))


def _spaced(text: str) -> str:
    return " ".join(re.sub(r"[{};,]", r" \g<0> ", text).split())


def _braced(one: Requirement) -> str:
    """A set of one permission as it is often written, in braces."""
    return f"class {' '.join(one.names.names)} {{ {' '.join(one.perms.names)} }} ;"


# -- declared ---------------------------------------------------------------------------------------------------------


def _declarations(case: Case, text: SourceText, words: frozenset[str]) -> Iterator[Finding]:
    told: set[tuple[str, str]] = set()
    for one in case.statements:
        said = one.statement
        if one.file != text.name or not isinstance(said, Declaration) or said.kind not in _DECLARED:
            continue
        (name,) = said.names.names
        used = {name, *said.aliases.names} & words
        if not used and (said.kind, name) not in told and (not one.via or one.via in _DECLARED_BY_MACRO):
            told.add((said.kind, name))
            yield _declaration(case, one, _KINDS.get(said.kind, said.kind), name)


def _declaration(case: Case, one: Located, kind: str, name: str) -> Finding:
    return Finding(
        id="PK008",
        severity="low",
        confidence="medium",
        place=place_of(one),
        title=f"The {kind} {name} is declared and used nowhere",
        why=(
            f"No rule, label or interface of the module names {name}, so it does nothing but take the name. "
            "Often it is left over, or a label or rule that was meant is missing."
        ),
        fix=Fix(f"Take the declaration out, or use {name}.", (), without(case.sources, one)),
    )
