"""The expected plans beside the fixtures: one decision a line, to be read by a person.

``python tests/fixture_plans.py --write`` writes ``NAME.plan`` beside every ``NAME.log`` of ``fixtures/avc``; what it
writes is read by hand before it is committed. ``tests/test_fixtures.py`` compares.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from polkit.cli.options import plan_options
from polkit.cli.plan_text import rule_line
from polkit.cli.safe import safe
from polkit.minimize import Outcome, Request, explain
from polkit.model import Decision, Remedy
from polkit.policy import TargetPolicy, load_policy

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "avc"
OPTIONS = "# options:"
REVIEWED_ON = FIXTURES / "POLICY"
"""The packages of the policy that the expected plans were reviewed on, as ``script/policy`` writes them down."""


def logs() -> list[Path]:
    """Every log of the fixtures, in a fixed order."""
    return sorted(FIXTURES.rglob("*.log"))


def plan_file(log: Path) -> Path:
    """Where the expected plan of a log lies."""
    return log.with_suffix(".plan")


def options_of(log: Path) -> list[str]:
    """The further options that the log's expected plan was made with."""
    expected = plan_file(log)
    first = expected.read_text().splitlines()[:1] if expected.exists() else []
    return first[0][len(OPTIONS) :].split() if first and first[0].startswith(OPTIONS) else []


def outcome_of(log: Path, policy: TargetPolicy) -> Outcome:
    """Explain one fixture with its options on the container host policy."""
    import click

    asked: dict[str, object] = {}

    @click.command()
    @plan_options
    def catch(**given: object) -> None:
        asked.update(given)

    catch.main(args=[str(log), *options_of(log)], standalone_mode=False)
    for word in ("format_", "quiet", "verbose", "extend"):
        asked.pop(word)
    return explain(Request(**asked), policy=policy)  # type: ignore[arg-type]


def render(outcome: Outcome, options: list[str]) -> str:
    """The plan in the form of the ``.plan`` files."""
    return "\n".join(_lines(outcome, options)) + "\n"


def _lines(outcome: Outcome, options: list[str]) -> Iterator[str]:
    if options:
        yield f"{OPTIONS} {' '.join(options)}"
    books = outcome.plan.input
    yield (
        f"exit {outcome.exit_code}: {books.denials} denials = {books.parsed} parsed + {len(books.unparsed)} unparsed; "
        f"{books.distinct} distinct, {books.accesses} accesses, {len(outcome.plan.decisions)} decisions"
    )
    for decision in outcome.plan.decisions:
        perms = " ".join((*decision.perms, *decision.xperms))
        yield (
            f"{decision.cause}: {decision.source} -> {decision.target}:{decision.tclass} {{ {perms} }}"
            + (f" risk {decision.risk_id}" if decision.risk_id else "")
            + f" x{decision.evidence.accesses}"
            + _unmeasured(decision)
        )
        yield f"    => {_remedy(decision.remedy)}"
        for cause, remedy in zip(decision.also, decision.also_remedies):
            yield f"    also {cause} => {_remedy(remedy)}"
    for one in books.unparsed:
        yield f"unparsed: line {one.line}: {one.reason}"


def _unmeasured(decision: Decision) -> str:
    numbers = [one.xperm for one in decision.device_commands if not one.measured]
    return f" unmeasured {' '.join(numbers)}" if numbers else ""


def _remedy(remedy: Remedy) -> str:
    parts: list[str] = [remedy.kind]
    parts += [f"nearest {', '.join(remedy.nearest)}"] if remedy.nearest else []
    parts += [rule_line(rule) for rule in remedy.rules]
    parts += [f"[{context.pattern} {context.kind or 'any'} {context.type}]" for context in remedy.contexts]
    parts += [f"# {command}" for command in remedy.commands]
    return safe(" ".join(parts))


def packages(policy_root: Path) -> str:
    """What the policy root was built from; empty for a host's own policy."""
    listed = policy_root / "packages"
    return listed.read_text() if listed.exists() else ""


def _write() -> None:
    root = Path(os.environ.get("POLKIT_POLICY_ROOT") or _built_root())
    REVIEWED_ON.write_text(packages(root))
    policy = load_policy(str(root))
    for log in logs():
        plan_file(log).write_text(render(outcome_of(log, policy), options_of(log)))


def _built_root() -> str:
    script = FIXTURES.parent.parent / "script" / "policy"
    return subprocess.run([script], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1]


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/fixture_plans.py --write")
    _write()
