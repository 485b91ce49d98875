"""One decision as a person sees it: what was refused, why, and what could be done with what each costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Optional

from rich.console import Console
from rich.text import Text

from polkit.cli.plan_text import rule_line
from polkit.cli.safe import safe
from polkit.minimize import Step, Walk, join_rules
from polkit.model import Alternative, Decision, Evidence, Rule, iso_time

_NARROWEST = 20
_USUAL = 80
_SHOWN = 3
_RULES = 4
_NUMBERS = "1-9"
_KEYS = (
    (_NUMBERS, "choose"),
    ("Enter", "take 1"),
    ("b", "back"),
    ("s", "skip"),
    ("v", "more"),
    ("d", "done"),
    ("q", "finish later"),
    ("?", "help"),
)
_HELP = (
    (_NUMBERS, "take that remedy and go on"),
    ("Enter", "take the first, which is the tool's choice, and go on"),
    ("b", "back to the one before; what was chosen there stays until you choose again"),
    ("s", "skip: leave it as it stands, which is the tool's choice where you chose nothing"),
    ("v", "all evidence, rules and commands, and what was asked of the policy; again for less"),
    ("d", "done: write the module now; what you did not choose is the tool's choice"),
    ("q", "finish later: nothing is written but your choices; the same command goes on from there"),
    ("Ctrl-C", "as q"),
)


class Screen:
    """Prints on stderr, below what is there already; colours and width are the terminal's."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)

    def line(self, text: str, style: str = "", head: str = "") -> None:
        """``head`` and then ``text``, wrapped so that further lines begin below the text. Log text is escaped here."""
        width = self._console.width if self._console.width >= _NARROWEST else _USUAL
        for index, line in enumerate(Text(safe(text), style).wrap(self._console, max(width - len(head), 10))):
            line.rstrip()
            start = head if index == 0 else " " * len(head)
            self._console.print(Text.assemble((start, "bold"), line), soft_wrap=True)

    def step(self, step: Step, walk: Walk) -> None:
        """The step that the walk is at."""
        chosen = walk.choices[walk.index]
        self.line("")
        together = ", ".join(one.id for one in step.decisions)
        several = ": decided together, they share a label or a port" if len(step.decisions) > 1 else ""
        self.line(f"Decision {walk.index + 1} of {len(walk.sizes)} ({together}{several})", "bold")
        for decision in step.decisions:
            self._decision(decision, walk.more)
        for why in dict.fromkeys(decision.why for decision in step.decisions):
            self.line(why, "", "  ")
        for number, option in enumerate(step.options, 1):
            self._option(number, option, chosen == number - 1, walk.more)
        self.line("")
        self._keys(walk)

    def end(self, walk: Walk) -> None:
        """Everything lies behind."""
        self.line("")
        self.line(f"{_answered(walk)}.", "bold")
        self.line("Enter writes the module, b goes back, q finishes later.", "dim")

    def prompt(self) -> None:
        """It waits for a key."""
        self._console.print(Text("> "), end="")

    def pressed(self, key: str) -> None:
        """Which key it was, for whoever scrolls back."""
        self._console.print(Text(key))

    def _decision(self, decision: Decision, more: bool) -> None:
        perms = " ".join((*decision.perms, *decision.xperms))
        self.line(f"{decision.source} -> {decision.target}:{decision.tclass} {{ {perms} }}", "cyan", "  ")
        causes = "; ".join((decision.cause, *(f"also {cause}" for cause in decision.also)))
        risk = f"; risk {decision.risk}: {decision.risk_id}" if decision.risk_id else ""
        self.line(f"{causes}{risk}", "dim", "    ")
        for line in _evidence(decision.evidence, more):
            self.line(line, "dim", "    ")
        for line in decision.asked if more else ():
            self.line(f"asked: {line}", "dim", "    ")

    def _option(self, number: int, option: Alternative, chosen: bool, more: bool) -> None:
        self.line("")
        mark = "*" if chosen else " "
        whose = " (the tool's choice)" if number == 1 else ""
        self.line(f"{option.remedy.text}{whose}", "bold" if chosen else "", f"{mark} {number}  ")
        for remedy in option.also_remedies:
            if remedy.kind != "none":
                self.line(f"And: {remedy.text}", "", "     ")
        self.line(cost_line(option), "yellow" if option.widens or option.risk == "high" else "dim", "     ")
        lines = [rule_line(rule) for rule in join_rules((*option.remedy.rules, *_also_rules(option)))]
        lines += [f"{one.pattern} {one.kind or '(any)'} {one.type}" for one in option.remedy.contexts]
        for line in lines if more else lines[:_RULES]:
            self.line(line, "green", "       ")
        for command in option.remedy.commands if more else option.remedy.commands[:1]:
            # A command is to be copied: it is never wrapped.
            self._console.print(Text(f"       # {safe(command)}", "yellow"), soft_wrap=True)
        unseen = 0 if more else max(len(lines) - _RULES, 0) + max(len(option.remedy.commands) - 1, 0)
        if unseen:
            self.line(f"and {unseen} more (v)", "dim", "       ")

    def _keys(self, walk: Walk) -> None:
        if walk.help:
            for key, text in _HELP:
                self.line(text, "", f"{key:>7}  ")
        if walk.unknown:
            self.line("That key means nothing here.", "yellow")
        many = walk.sizes[walk.index]
        numbers = f"1-{many}" if many > 1 else "1"
        keys = (f"{numbers if key == _NUMBERS else key} {text}" for key, text in _KEYS)
        self.line(", ".join(keys), "dim")


def summary(walk: Walk) -> str:
    """How many decisions were made by whom."""
    person = sum(choice is not None for choice in walk.choices)
    return f"{_count(len(walk.sizes), 'decision')}: {person} chosen by you, {len(walk.sizes) - person} by the tool"


def _answered(walk: Walk) -> str:
    return f"All answered. {summary(walk)}"


def cost_line(option: Alternative) -> str:
    """What an alternative opens, in numbers and words."""
    cost = option.cost
    if cost.accesses:
        text = f"Newly allows {_count(cost.accesses, 'access', 'accesses')} to {_count(cost.domains, 'domain')}."
    elif cost.domains:
        text = f"Opens it to {_count(cost.domains, 'domain')}."
    else:
        text = "Newly allows nothing."
    risk = f" Risk {option.risk}: {option.risk_id}." if option.risk_id else ""
    return f"{text} {cost.text}{risk}"


def _also_rules(option: Alternative) -> Iterator[Rule]:
    for remedy in option.also_remedies:
        yield from remedy.rules


def _evidence(evidence: Evidence, more: bool) -> Iterator[str]:
    """Counts and times in one line, then what the records tell of who did what, where."""
    parts = [_count(evidence.records, "denial")]
    if evidence.permissive:
        parts.append("permissive" if evidence.permissive == evidence.records else f"{evidence.permissive} permissive")
    if evidence.first is not None and evidence.last is not None:
        first, last = iso_time(evidence.first), iso_time(evidence.last)
        parts.append(first if first == last else f"{first} to {last}")
    yield "; ".join(parts)
    for word, values, always in _samples(evidence):
        if values and (always or more):
            shown = values if more else values[:_SHOWN]
            rest = f" and {len(values) - len(shown)} more" if len(values) > len(shown) else ""
            yield f"{word} {', '.join(shown)}{rest}"


def _samples(evidence: Evidence) -> Iterable[tuple[str, tuple[str, ...], bool]]:
    return (
        ("comm", evidence.comms, True),
        ("path", evidence.paths or evidence.names, True),
        ("port", tuple(str(port) for port in evidence.ports), True),
        ("exe", evidence.exes, False),
        ("syscall", evidence.calls or evidence.syscalls, False),
        ("dev", evidence.devices, False),
        ("levels", evidence.levels, False),
        ("host", evidence.hosts, False),
    )


def _count(number: int, one: str, many: Optional[str] = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
