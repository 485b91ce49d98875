"""The README of a bundle: for the customer's security team, who read it before anything is installed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from polkit.bundle.optional_modules import optional_lines
from polkit.bundle.paths import entries
from polkit.bundle.project import Project
from polkit.bundle.sides import (
    BY_HAND,
    EVIDENCE,
    INHERITED,
    booleans_of,
    domain_of,
    host_steps,
    lacking_of,
    left_out,
    ports_of,
    rules_of,
    side_by_side,
)
from polkit.bundle.signing import NAMESPACE
from polkit.bundle.targets import TargetBuild
from polkit.bundle.words import code, plain, sentence
from polkit.minimize import how_to_run
from polkit.model import OwnDomain
from polkit.module import PRIORITY

_PERMISSIVE = "(typepermissive "
_YES = {True: "yes", False: "**no**", None: "not known"}


def readme_text(project: Project, builds: tuple[TargetBuild, ...]) -> str:
    """The whole README, in Markdown and ASCII. Nothing that a log or a project says is markup in it."""
    sections = (
        _head(project, builds),
        _grants(builds),
        _not_granted(builds),
        _sides(builds),
        _proofs(builds),
        _host_steps(builds),
        _running(builds),
        _optional(project, builds),
        _installing(project),
        _checking(project, builds),
    )
    return "\n".join(line for section in sections for line in (*section, "")).rstrip("\n") + "\n"


def _head(project: Project, builds: tuple[TargetBuild, ...]) -> Iterator[str]:
    module = project.config.module
    yield f"# {plain(project.name)} {project.version}: SELinux policy module"
    yield ""
    yield plain(module.summary or "No summary was given.")
    yield ""
    yield f"From {plain(module.vendor or 'no named vendor')}; license {plain(module.license or 'not stated')}."
    yield ""
    yield "| target | what it gets | its policy (SHA-256) |"
    yield "|---|---|---|"
    for build in builds:
        what = plain(build.reason) if build.package is None else code(f"{project.name}{build.suffix}")
        policy = "" if build.info is None else code(build.info.sha256[:16])
        yield f"| {plain(build.name)} | {what} | {policy} |"


def _grants(builds: tuple[TargetBuild, ...]) -> Iterator[str]:
    yield "## What it grants"
    alike: dict[tuple[str, ...], list[str]] = {}
    for build in (one for one in builds if one.package is not None):
        alike.setdefault(tuple(_granted_by(build)), []).append(plain(build.name))
    for lines, names in alike.items():
        yield ""
        yield f"### On {' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))}"
        yield ""
        yield from lines


def _granted_by(build: TargetBuild) -> Iterator[str]:
    domain = domain_of(build)
    rules = [rule for rule in rules_of(build) if rule.origin != INHERITED]
    if domain is not None and domain[1] is not None:
        module = None if build.plan is None else build.plan.module
        count = 0 if module is None else module.inherited
        yield f"- The workload runs in {code(domain[0])}. It may do what {code(domain[1])} may do on this policy"
        yield f"  ({count} accesses, none of which is new to a container), and beyond that:"
    for origin, note in ((EVIDENCE, ""), (BY_HAND, " *(written by hand, not from evidence)*")):
        for rule in rules:
            if rule.origin == origin:
                what = sentence(rule.kind, rule.source, rule.target, rule.tclass, rule.perms)
                condition = f", while {code(rule.condition)}" if rule.condition else ""
                yield f"- {what}{condition}{note}"
    for entry in entries(build.fc):
        yield f"- Files at {code(entry.pattern)} are labelled {code(entry.context)}"
    for port in ports_of(build):
        yield f"- Port {port.number}/{port.protocol} is labelled {code(port.type)}"
    for name, value in booleans_of(build):
        yield f"- Boolean {code(name)} is turned {'on' if value else 'off'}, for the whole host"


def _not_granted(builds: tuple[TargetBuild, ...]) -> Iterator[str]:
    yield "## What it does not"
    yield ""
    widened = sorted({one for build in builds if build.plan and build.plan.module for one in build.plan.module.widened})
    if widened:
        yield f"- **It widens domains that other workloads run in too**: {', '.join(map(code, widened))}."
    else:
        yield "- No rule of it gives anything to a domain that other workloads run in."
    if not any(booleans_of(build) for build in builds):
        yield "- It changes no boolean."
    permissive = sorted({one for build in builds for one in build.claims.others if one.startswith(_PERMISSIVE)})
    if permissive:
        yield f"- **It makes domains permissive: nothing is refused to them**: {', '.join(map(code, permissive))}."
    else:
        yield "- It never turns SELinux off or permissive, and its scripts never do."
    yield "- Whatever is not listed above stays refused, and is logged as before."
    refused = sorted({one for build in builds for one in left_out(build)})
    if refused:
        yield "- Recorded, and not granted:"
        yield from (f"  - {code(one)}" for one in refused)


def _sides(builds: tuple[TargetBuild, ...]) -> Iterator[str]:
    yield "## The targets side by side"
    yield ""
    yield "Each target gets only what its own policy lacks."
    yield ""
    names = [build.name for build in builds]
    yield f"| | {' | '.join(map(plain, names))} |"
    yield f"|---|{'---|' * len(names)}"
    for row in side_by_side(builds):
        cells = " | ".join(_cell(row.cells[name]) for name in names)
        yield f"| {row.what} {_cell(row.text)} | {cells} |"


def _cell(text: str) -> str:
    """A code span in a table: a bar would end the cell, in a span too."""
    return code(text).replace("|", "\\|")


def _proofs(builds: tuple[TargetBuild, ...]) -> Iterator[str]:
    yield "## The proof"
    yield ""
    yield "Made by building each target's policy with the module and asking that, not by reading the module's words."
    yield ""
    yield "| target | all evidence allowed | nothing superfluous | nothing else changed | breaks no rule | build |"
    yield "|---|---|---|---|---|---|"
    for build in builds:
        proof = build.proof
        if proof is None:
            yield f"| {plain(build.name)} | not proven | | | | |"
            continue
        words = (proof.covered, proof.minimal, proof.contained, proof.safe)
        yield f"| {plain(build.name)} | {' | '.join(_YES[word] for word in words)} | {proof.build} |"
    for build in builds:
        yield from (f"\n{plain(build.name)}: **{plain(reason)}**" for reason in build.failed)


def _host_steps(builds: tuple[TargetBuild, ...]) -> Iterator[str]:
    steps = {step: None for build in builds for step in host_steps(build)}
    if not steps:
        return
    yield "## What is left to do on each host"
    yield ""
    for step in steps:
        yield f"- {plain(step.text)}"
        if step.commands:
            yield ""
            yield from (f"      {line}" for command in step.commands for line in _printable(command).splitlines())
            yield ""


def _printable(command: str) -> str:
    return "".join(character if " " <= character <= "~" or character == "\n" else "?" for character in command)


def _running(builds: tuple[TargetBuild, ...]) -> Iterator[str]:
    found = {build.name: domain_of(build) for build in builds}
    domains = {domain for domain in found.values() if domain is not None}
    if not domains:
        return
    yield "## Running the workload in it"
    yield ""
    for name, base in sorted(domains, key=repr):
        for line in "\n".join(how_to_run(OwnDomain(name, base, ())).values()).splitlines():
            yield f"    {line}"
    without = [name for name, domain in found.items() if domain is None]
    if without:
        yield ""
        yield f"On {', '.join(map(plain, without))} no domain of its own is installed: start it there as before."


def _optional(project: Project, builds: tuple[TargetBuild, ...]) -> Iterator[str]:
    modules = {one: lacking_of(one, builds) for one in project.optional}
    if modules:
        yield from optional_lines(project.name, modules)


def _installing(project: Project) -> Iterable[str]:
    return (
        "## Installing and removing",
        "",
        "    sh install.sh                 checks the host first, then installs in one transaction",
        "    sh verify.sh                  whether the host still has what was shipped",
        "    sh rollback.sh                back to the version before",
        "    sh uninstall.sh               everything of it goes, and nothing else",
        "",
        f"They install at priority {PRIORITY}, where third parties belong, and remove from there. `--target NAME` says",
        "which target this host is, where that is not clear by itself; `--root DIR` works on a system that is not",
        f"running. What they changed is written down in `/var/lib/selinux-bundles/{project.name}`.",
    )


def _checking(project: Project, builds: tuple[TargetBuild, ...]) -> Iterator[str]:
    yield "## Checking it yourself"
    yield ""
    verify = f"ssh-keygen -Y verify -f FILE -I WHO -n {NAMESPACE} -s SHA256SUMS.sig < SHA256SUMS"
    yield "    sha256sum -c SHA256SUMS       nothing was changed on the way"
    yield f"    {verify}      where it is signed"
    yield "    polkit verify . --key FILE --policy auto      all of this page's checks at once, and more"
    build = next((one for one in builds if one.suffix == ".pp" and one.package is not None), None)
    if build is not None:
        name, place = project.name, f"targets/{build.name}"
        levels = "-M " if build.info is None or build.info.mls else ""
        yield f"    grep -v '^#' {place}/{name}.fc > /tmp/{name}.fc"
        yield f"    checkmodule {levels}-m -c {build.policydb} -o /tmp/{name}.mod {place}/{name}.te"
        yield f"    semodule_package -o /tmp/{name}.pp -m /tmp/{name}.mod -f /tmp/{name}.fc"
        yield f"    cmp /tmp/{name}.pp {place}/{name}.pp      the package is what its source says"
    if project.evidence:
        yield f"    polkit explain evidence/{project.name}.ledger      why each access was refused, on your policy"
    yield ""
    yield "`manifest.json` says the same as this page for a program: each rule with where it comes from, what the host"
    yield "must have, and the SHA-256 of every file. `evidence/` holds what was recorded, `targets/` plans and proofs."
