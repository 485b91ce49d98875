"""A plan as text: the header, the decisions grouped by what to do, rules last, then what was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Optional

from rich.console import Console
from rich.text import Text

from polkit.cli.output import output, print_wrapped
from polkit.cli.safe import safe
from polkit.minimize import NEVERALLOW, Outcome, command_lines, how_to_run, join_rules, without_remedy
from polkit.model import REMEDIES, AvRule, Decision, InterfaceCall, OwnDomain, Plan, Remedy, Rule, XpermRule

_TITLES = {
    "boolean": "Booleans to turn on",
    "relabel": "Labels to restore",
    "fcontext": "Labels to define",
    "equivalence": "Directories to declare equivalent",
    "mount": "Mounts to change",
    "port": "Ports to label",
    "level": "Levels to match",
    "domain": "Processes in the wrong domain",
    "allow": "Rules to add",
    "refuse": "Refused: too much to grant unasked",
    "none": "Nothing to change in policy",
}
_SHOWN = 3
_NARROWEST = 20
_USUAL = 80
_MANY = 6
"""More decisions than this with one remedy are listed without their evidence."""
_INDENT = 8


def print_outcome(verb: str, outcome: Outcome, verbose: bool, quiet: bool) -> None:
    """Print everything about an outcome on stdout; colours only on a terminal."""
    console = output(soft_wrap=False)
    if console.width < _NARROWEST:
        console.width = _USUAL  # COLUMNS=0 means that nobody knows
    plan = outcome.plan
    _header(console, plan)
    for kind in REMEDIES:
        decisions = [decision for decision in plan.decisions if decision.remedy.kind == kind]
        if decisions:
            _section(console, kind, decisions, verbose)
    _predicted(console, plan, verbose)
    _interfaces(console, plan)
    _unparsed(console, plan)
    if verb == "generate":
        _written(console, outcome)
    if not quiet:
        _closing(console, outcome)


def _header(console: Console, plan: Plan) -> None:
    books = plan.input
    rows = [("input", f"{', '.join(books.sources[:3]) or 'nothing'}{_more(books.sources, 3)}")]
    rows.append(
        (
            "denials",
            f"{_count(books.denials, 'denial')}, {books.distinct} distinct, "
            f"{_count(books.accesses, 'access', 'accesses')}, {_count(len(plan.decisions), 'decision')}",
        )
    )
    if plan.policy is not None:
        levels = "MLS/MCS" if plan.policy.mls else "no levels"
        rows.append(("policy", f"{plan.policy.path} (version {plan.policy.version}, {levels})"))
    else:
        rows.append(("policy", "none: types, rules, booleans and labels were not checked"))
    if plan.domain is not None:
        rows.append(("domain", _domain(plan.domain)))
    rows.extend(("note", note) for note in (*books.notes, *plan.notes))
    if books.filtered:
        rows.append(("note", f"{_count(books.filtered, 'denial')} left out by --since, --until or --source"))
    if books.granted:
        rows.append(("note", f"{_count(books.granted, 'granted record')}, no denials"))
    for word, value in rows:
        print_wrapped(console, f"{word:<8}", value, "bold")


def _domain(domain: OwnDomain) -> str:
    instead = ", ".join(source for source in domain.sources if source != domain.name)
    begins = "starts from nothing" if domain.base is None else f"inherits from {domain.base}"
    return f"{domain.name}, of this module alone, in place of {instead or domain.base}; it {begins}"


def _section(console: Console, kind: str, decisions: list[Decision], verbose: bool) -> None:
    """One kind of remedy; decisions with the same remedy share one block, and its words stand once."""
    accesses = sum(decision.evidence.accesses for decision in decisions)
    console.print()
    console.print(Text(_TITLES[kind], "bold"), Text(f"({_count(accesses, 'access', 'accesses')})", "dim"))
    blocks: dict[tuple[object, ...], list[Decision]] = {}
    for decision in decisions:
        texts = tuple(remedy.text for remedy in _to_do(decision))
        key = texts if kind != "allow" else (decision.id,)
        blocks.setdefault(key, []).append(decision)
    for block in blocks.values():
        console.print()
        for decision in block:
            _head(console, decision, brief=len(block) > _MANY)
        for remedies in zip(*map(_to_do, block)):
            _remedy(console, remedies)
        for line in _reasons(block) if verbose else ():
            print_wrapped(console, " " * _INDENT, line, "", "dim")


def _predicted(console: Console, plan: Plan, verbose: bool) -> None:
    """What no record shows, apart from everything else. A label or level is said where it was observed to be wrong."""
    if not plan.predicted:
        return
    console.print()
    console.print(Text("Predicted, not observed", "bold"), Text("(implied by the calls that were refused)", "dim"))
    for decision in plan.predicted:
        console.print()
        _head(console, decision, brief=False)
        for remedy in _to_do(decision):
            for rule in remedy.rules:
                print_wrapped(console, " " * _INDENT, rule_line(rule), "", "green")
            if not remedy.rules:
                _remedy(console, (remedy,))
        for line in _reasons([decision]) if verbose else ():
            print_wrapped(console, " " * _INDENT, line, "", "dim")


def _to_do(decision: Decision) -> tuple[Remedy, ...]:
    """The remedy that decides, and those beside it that are anything to do."""
    return (decision.remedy, *(remedy for remedy in decision.also_remedies if remedy.kind != "none"))


def _reasons(block: list[Decision]) -> Iterator[str]:
    yield from dict.fromkeys(f"why: {decision.why}" for decision in block)
    yield from dict.fromkeys(f"asked: {line}" for decision in block for line in decision.asked)


def _head(console: Console, decision: Decision, brief: bool) -> None:
    access = f"{decision.source} -> {decision.target}:{decision.tclass}"
    perms = " ".join(decision.perms)
    commands = f" ({', '.join(_ranges(decision.xperms))})" if decision.xperms else ""
    count = f" ({_count(decision.evidence.records, 'denial')})" if brief else ""
    print_wrapped(console, f"  {decision.id:<6}", f"{access} {{ {perms} }}{commands}{count}", "cyan")
    if brief:
        return
    flags = [decision.cause, *(f"also {cause}" for cause in decision.also)]
    if decision.risk != "none":
        flags.append(f"risk {decision.risk}: {decision.risk_id}")
    if decision.chosen_by == "person":
        flags.append("chosen by a person")
    print_wrapped(console, " " * _INDENT, f"{'; '.join(flags)} | {_evidence(decision)}", "", "dim")
    for line in command_lines(decision.device_commands):
        print_wrapped(console, " " * _INDENT, line, "", "dim")


def _remedy(console: Console, remedies: Sequence[Remedy]) -> None:
    """The remedies of one block: they have one text, and each its own rules, labels and commands."""
    if remedies[0].kind != "allow" or remedies[0].options:
        print_wrapped(console, " " * _INDENT, remedies[0].text)
    lines = [rule_line(rule) for rule in join_rules(rule for remedy in remedies for rule in remedy.rules)]
    lines += [f"{one.pattern} {one.kind or '(any)'} {one.type}" for remedy in remedies for one in remedy.contexts]
    for line in dict.fromkeys(lines):
        print_wrapped(console, " " * _INDENT, line, "", "green")
    for note in dict.fromkeys(remedy.xperm_note for remedy in remedies if remedy.xperm_note):
        print_wrapped(console, " " * _INDENT, note, "", "dim")
    for command in dict.fromkeys(command for remedy in remedies for command in remedy.commands):
        # A command is to be copied: it is never wrapped.
        console.print(Text(f"{' ' * _INDENT}# {safe(command)}", "yellow"), soft_wrap=True)


def rule_line(rule: Rule) -> str:
    """A rule as it will stand in the ``.te``."""
    if isinstance(rule, AvRule):
        return f"{rule.kind} {rule.source} {rule.target}:{rule.tclass} {{ {' '.join(rule.perms)} }};"
    if isinstance(rule, XpermRule):
        numbers = " ".join(_ranges(f"0x{number:04x}" for number in rule.numbers))
        return f"{rule.kind} {rule.source} {rule.target}:{rule.tclass} {rule.operation} {{ {numbers} }};"
    words = {"RoleAllow": "allow {0} {1};", "RoleTypes": "role {0} types {1};", "TypeBounds": "typebounds {0} {1};"}
    return words[type(rule).__name__].format(*vars(rule).values())


def _ranges(numbers: Iterable[str]) -> Iterator[str]:
    """``0x4600 0x4601 0x4602 0x46d6`` as ``0x4600-0x4602 0x46d6``."""
    values = sorted(int(number, 16) for number in numbers)
    for _, run in groupby(enumerate(values), key=lambda pair: pair[1] - pair[0]):
        members = [value for _, value in run]
        first, last = members[0], members[-1]
        yield f"0x{first:04x}" if first == last else f"0x{first:04x}-0x{last:04x}"


def _evidence(decision: Decision) -> str:
    evidence = decision.evidence
    parts = [_count(evidence.records, "denial")]
    if decision.follows:
        parts = [f"predicted from {', '.join(decision.follows)}", ", ".join(evidence.calls or evidence.syscalls)]
    if evidence.permissive:
        parts.append("permissive" if evidence.permissive == evidence.records else f"{evidence.permissive} permissive")
    for values in (evidence.comms, evidence.paths or evidence.names, tuple(str(port) for port in evidence.ports)):
        if values:
            parts.append(f"{', '.join(values[:_SHOWN])}{_more(values, _SHOWN)}")
    return "; ".join(parts)


def _interfaces(console: Console, plan: Plan) -> None:
    """Calls that may stand for rules, and those that would grant more; nothing where there are none."""
    for used, title, aside in (
        (True, "Interfaces for these rules", "what to write in reference policy; the .te has the rules themselves"),
        (False, "Interfaces that grant more", "not used; --allow-extra N uses them up to N accesses more"),
    ):
        calls = [call for call in plan.interfaces if call.used == used]
        if calls:
            console.print()
            console.print(Text(title, "bold"), Text(f"({aside})", "dim"))
        for call in calls:
            console.print()
            print_wrapped(console, " " * _INDENT, f"{call.text}{_price(call)}", "", "cyan")
            for rule in call.rules:
                print_wrapped(console, " " * _INDENT, rule_line(rule), "", "green")
            for rule in call.extra_rules:
                print_wrapped(console, f"{'more':>{_INDENT + 4}}  ", rule_line(rule), "yellow", "yellow")
            hidden = call.extra - sum(len(rule.perms) for rule in call.extra_rules)
            if hidden:
                print_wrapped(console, " " * (_INDENT + 6), f"and {_count(hidden, 'access', 'accesses')} more")


def _price(call: InterfaceCall) -> str:
    parts = [f"{_count(call.extra, 'access', 'accesses')} more"] if call.extra else []
    parts += [f"{_count(call.given, 'access', 'accesses')} of it given anyway"] if call.given else []
    parts += [f"would need --accept {risk}" for risk in call.refused if risk != NEVERALLOW]
    parts += ["a neverallow rule forbids it"] if NEVERALLOW in call.refused else []
    return f"  ({'; '.join(parts)})" if parts else ""


def _unparsed(console: Console, plan: Plan) -> None:
    if not plan.input.unparsed:
        return
    console.print()
    console.print(Text("Not readable", "bold"), Text("(counted, never guessed)", "dim"))
    for one in plan.input.unparsed[:20]:
        print_wrapped(console, " " * _INDENT, f"{one.source}:{one.line}: {one.reason}")
        print_wrapped(console, " " * _INDENT, one.text[:160], "", "dim")
    if plan.input.unreadable > 20:
        listed = "all" if not plan.input.unlisted else f"{len(plan.input.unparsed)} listed"
        print_wrapped(console, " " * _INDENT, f"and {plan.input.unreadable - 20} more ({listed} in the JSON)")


def _written(console: Console, outcome: Outcome) -> None:
    module = outcome.plan.module
    if module is not None:
        console.print()
        console.print(Text("Module", "bold"))
        print_wrapped(
            console,
            " " * _INDENT,
            f"{module.name} {module.version}: {_count(module.rules, 'rule')}, over-permission "
            f"{module.over_permission}{_of_these(module.predicted)}, dontaudited {module.dontaudited}, inherited "
            f"{module.inherited}, structural {module.structural}, boolean grants {module.boolean_grants}, for "
            f"{_count(module.blast_radius, 'domain')}",
        )
        for domain in module.widened:
            print_wrapped(
                console,
                " " * _INDENT,
                f"warning: {domain} is a shared domain; every workload in it gets these rules",
                "",
                "yellow",
            )
    if outcome.directory is None:
        return
    _written_files(console, outcome)
    package = _package(outcome)
    if package is not None:
        print_wrapped(console, " " * _INDENT, "Install it before the labels and ports above are set:")
        console.print(Text(f"{'':<{_INDENT}}# semodule -X 200 -i {safe(package)}", "yellow"), soft_wrap=True)
    _how_to_run(console, outcome.plan)


def _written_files(console: Console, outcome: Outcome) -> None:
    assert outcome.directory is not None
    console.print()
    console.print(Text("Written", "bold"))
    for name in outcome.written:
        console.print(Text(f"{'':<{_INDENT}}{safe(str(outcome.directory / name))}"), soft_wrap=True)


def print_empty_domain(outcome: Outcome) -> None:
    """What was written, how to record in it, and the command that makes a module of the record."""
    console = output(soft_wrap=False)
    domain, package = outcome.plan.domain, _package(outcome)
    assert domain is not None
    _written_files(console, outcome)
    _how_to_run(console, outcome.plan)
    console.print()
    console.print(Text("Then", "bold"))
    for line in (
        f"semodule -X 200 -i {package} && semodule -DB",
        "... run the workload in it ...",
        f"polkit generate --source {domain.name} --base none -n {domain.name[:-2]} -o DIRECTORY",
        f"semodule -B && semodule -X 200 -r {domain.name[:-2]}",
    ):
        console.print(Text(f"{'':<{_INDENT}}# {safe(line)}", "yellow"), soft_wrap=True)


def _how_to_run(console: Console, plan: Plan) -> None:
    """One line for each engine that takes one; the rest is in the JSON and in the documentation."""
    if plan.domain is None or plan.module is None or plan.module.domain is None:
        return
    console.print()
    console.print(Text("Run it in its domain", "bold"))
    for engine, text in how_to_run(plan.domain).items():
        lines = text.splitlines()
        for line in lines:
            word = engine if line is lines[0] else ""
            console.print(Text(f"{'':<{_INDENT}}{word:<12}") + Text(safe(line), "yellow"), soft_wrap=True)


def _of_these(predicted: int) -> str:
    return f" (predicted {predicted})" if predicted else ""


def _package(outcome: Outcome) -> Optional[str]:
    names = [name for name in outcome.written if name.endswith((".pp", ".cil"))]
    return str(outcome.directory / names[0]) if names and outcome.directory is not None else None


def _closing(console: Console, outcome: Outcome) -> None:
    """One line that says whether anything is left to do by hand, and why the exit code is what it is."""
    plan = outcome.plan
    console.print()
    if plan.input.denials == 0:
        console.print(Text("0 denials: nothing to do."))
        return
    left = without_remedy(plan)
    unparsed = plan.input.unreadable
    for breach in outcome.breaches:
        print_wrapped(console, "", f"gate: {breach}", "", "red")
    if not left and not unparsed and not outcome.breaches and not outcome.stale:
        console.print(Text("Every denial has a remedy.", "green"))
        return
    parts = [f"{_count(len(left), 'decision')} without a remedy ({_ids(left)})"] if left else []
    parts += [f"{_count(unparsed, 'denial')} not readable"] if unparsed else []
    parts += [f"{_count(len(outcome.breaches), 'gate')} broken"] if outcome.breaches else []
    parts += [f"{_count(len(outcome.stale), 'choice')} out of date"] if outcome.stale else []
    print_wrapped(console, "", f"Left: {'; '.join(parts)}.", "", "red")


def _ids(decisions: tuple[Decision, ...]) -> str:
    return f"{', '.join(decision.id for decision in decisions[:8])}{_more(decisions, 8)}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _more(values: tuple[object, ...], shown: int) -> str:
    return f" and {len(values) - shown} more" if len(values) > shown else ""
