"""One run of the main job: from arguments to a plan (``explain``), and on to a module directory (``generate``)."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Optional, Protocol

from polkit.audit import ReadOptions, collect, collect_ahead, read_options, totals
from polkit.config import Config, check_module_name, check_module_version, load_config
from polkit.errors import MissingDependency, UsageError
from polkit.minimize.alternatives import Chooser, nobody
from polkit.minimize.assembling import assemble, describe_module
from polkit.minimize.choices import Repeating, read_choices
from polkit.minimize.gates import breaches
from polkit.minimize.inspect import read_inspect
from polkit.minimize.interfaces import Reference, reference, with_calls
from polkit.minimize.into_project import FileChange, oldest_format, project_of, settle_in
from polkit.minimize.own_domain import like
from polkit.minimize.ownership import check_names
from polkit.minimize.paths import PathMap, join_maps, parse_mount
from polkit.minimize.plan_json import plan_text
from polkit.minimize.planning import make_plan
from polkit.minimize.question import Settings
from polkit.minimize.writing import prepare_directory, publish
from polkit.model import Decision, Denials, ModuleSource, Plan
from polkit.module import compile_module, render_if
from polkit.policy import Inheritance, TargetPolicy, load_policy, read_booleans, risk_ids

DEFAULT_NAME = "polkit_local"


class Progress(Protocol):
    """Told what is under way, for somebody who waits."""

    def reading(self, read: int) -> None:
        """So many bytes of logs have been read so far."""

    def phase(self, text: str) -> None:
        """A step begins that takes about a second."""


@dataclass(frozen=True)
class Request:
    """What the user asked for, as typed; empty means "as configured, or the default"."""

    logs: tuple[str, ...] = ()
    policy: str = "auto"
    store: Optional[str] = None
    config: Optional[Path] = None
    since: Optional[str] = None
    until: Optional[str] = None
    sources: tuple[str, ...] = ()
    inspect: tuple[Path, ...] = ()
    mounts: tuple[str, ...] = ()
    booleans: Optional[Path] = None
    include_dontaudited: bool = False
    accept: tuple[str, ...] = ()
    predict: bool = False
    extend: bool = False
    base: Optional[str] = None
    name: Optional[str] = None
    version: Optional[str] = None
    choices: Optional[Path] = None
    interfaces: bool = False
    headers: Optional[Path] = None
    allow_extra: Optional[int] = None
    if_file: bool = False


@dataclass(frozen=True)
class Outcome:
    """A plan, where it was written, and what keeps it from being whole. ``written`` names files in ``directory``."""

    plan: Plan
    directory: Optional[Path] = None
    written: tuple[str, ...] = ()
    breaches: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    """Choices that do not fit any more, one sentence each: there the tool's choice was taken."""
    changes: tuple[FileChange, ...] = ()
    """What it changed in the source files of a module project."""

    @property
    def exit_code(self) -> int:
        """0 when every denial has a remedy, no gate of polkit.toml is broken and no choice is stale, else 1."""
        return 1 if self.plan.input.unreadable or without_remedy(self.plan) or self.breaches or self.stale else 0


@dataclass(frozen=True)
class Draft:
    """A plan, the policy it was made on and the module it asks for, None where nothing has to be written; ``stale`` as
    in Outcome."""

    plan: Plan
    policy: TargetPolicy
    source: Optional[ModuleSource]
    stale: tuple[str, ...] = ()


def without_remedy(plan: Plan) -> tuple[Decision, ...]:
    """The decisions that leave a denial as it is: unknown names, and what is refused, unless a person chose that."""
    return tuple(
        decision
        for decision in plan.decisions
        if decision.cause.startswith("unknown-")
        or (
            decision.chosen_by != "person"
            and any(remedy.kind == "refuse" for remedy in (decision.remedy, *decision.also_remedies))
        )
    )


def explain(
    request: Request,
    stdin: Optional[BinaryIO] = None,
    progress: Optional[Progress] = None,
    policy: Optional[TargetPolicy] = None,
) -> Outcome:
    """Read the logs and diagnose every denial; writes nothing. ``policy`` is one loaded already, for several logs."""
    config = load_config(request.config)
    interfaces = _interfaces(request, config)
    plan, policy = _diagnose(request, config, stdin, progress, policy)
    if interfaces is not None:
        # Without what an own domain inherits: to work that out takes a build of the policy, and no call depends on it.
        source = assemble(plan, check_name(request, config), config.module.version)
        plan, _ = _with_interfaces(plan, source, policy, interfaces, progress)
    return Outcome(plan)


def generate(
    request: Request,
    directory: Optional[Path] = None,
    force: bool = False,
    stdin: Optional[BinaryIO] = None,
    progress: Optional[Progress] = None,
    chooser: Chooser = nobody,
) -> Outcome:
    """Read, diagnose and write the module directory: the module's source and package, and ``plan.json``.

    Without denials nothing is written; without a rule or a label of the module's own, ``plan.json`` alone, and only
    into a directory that was named. ``chooser`` is asked for each decision; what it raises comes through before
    anything is written. Raises UsageError for a directory that exists, unless ``force`` or where it is a module
    project (it holds polkit.toml, which then counts): there the generated part of each source file is put in anew.
    """
    project = project_of(directory)
    request = request if project is None or request.config is not None else replace(request, config=project)
    config = load_config(request.config)
    name = check_name(request, config)
    target = directory if directory is not None else Path(name)
    prepare_directory(target, force or project is not None)
    found = draft(request, stdin, progress, chooser)
    if not found.plan.decisions:
        return Outcome(found.plan)
    if found.source is None and directory is None:
        return Outcome(found.plan, breaches=breaches(found.plan, None, config), stale=found.stale)
    return _write(found, name, config, target, request.if_file, project is not None)


def draft(
    request: Request,
    stdin: Optional[BinaryIO] = None,
    progress: Optional[Progress] = None,
    chooser: Chooser = nobody,
    policy: Optional[TargetPolicy] = None,
) -> Draft:
    """Read, diagnose and put the module together; writes nothing. ``chooser`` and what is raised as in ``generate``,
    ``policy`` as in ``explain``.
    """
    config = load_config(request.config)
    name = check_name(request, config)
    version = request.version or config.module.version
    check_module_version(version, "--module-version")
    repeating = Repeating(read_choices(request.choices)) if request.choices is not None else None
    interfaces = _interfaces(request, config)
    plan, policy = _diagnose(request, config, stdin, progress, policy, repeating or chooser)
    if not plan.decisions:
        return Draft(plan, policy, None)
    stale = repeating.stale if repeating is not None else ()
    plan = replace(plan, notes=(*plan.notes, *(f"a choice that does not fit any more: {text}" for text in stale)))
    inheritance = _inheritance(plan, policy, settings_of(request, config), progress)
    source = assemble(plan, name, version, inheritance)
    plan, source = _with_interfaces(plan, source, policy, interfaces, progress)
    return Draft(plan, policy, source, stale)


def choices_path(request: Request, directory: Optional[Path]) -> Path:
    """Where choices for a module are kept unless a file is named: beside its directory, which may not exist yet."""
    config = load_config(request.config)
    target = Path(os.path.abspath(directory if directory is not None else check_name(request, config)))  # noqa: PTH100
    found = target.with_name(f"{target.name}.choices.json")
    here = Path.cwd()
    return found.relative_to(here) if found.is_relative_to(here) else found


def _interfaces(request: Request, config: Config) -> Optional[Reference]:
    """Where to find interfaces, if they were asked for: looked for before a long log is read."""
    accepted = settings_of(request, config).accepted
    return reference(request.interfaces, request.headers, request.allow_extra, request.policy, accepted)


def _with_interfaces(
    plan: Plan,
    source: Optional[ModuleSource],
    policy: TargetPolicy,
    interfaces: Optional[Reference],
    progress: Optional[Progress],
) -> tuple[Plan, Optional[ModuleSource]]:
    """The plan and its module, if it needs one, with the calls of interfaces where these were asked for."""
    if source is None or interfaces is None:
        return plan, source
    if progress is not None:
        progress.phase("looking for interfaces")
    return with_calls(plan, source, policy, interfaces)


def _inheritance(
    plan: Plan, policy: TargetPolicy, settings: Settings, progress: Optional[Progress]
) -> Optional[Inheritance]:
    """The plan's own domain on its policy. Raises UsageError where it would be less confined than its base."""
    domain = plan.domain
    if domain is None:
        return None
    base = domain.base if domain.base is not None else like(domain, policy, settings)
    if base is None:
        raise UsageError(
            f"nothing says how {domain.name} is to be started: the policy has no base that it could be like",
            "Name one in polkit.toml ([minimize] bases)",
        )
    if progress is not None:
        progress.phase(f"working out what {domain.name} inherits from {base}")
    found = policy.own_domain(domain.name, base, domain.base is not None)
    if found.weaker:
        first = found.weaker[0]
        raise UsageError(
            f"{domain.name} would be less confined than {base}: {len(found.weaker)} constraints refuse {base} alone, "
            f"the first on {first.tclass}: {first.text}",
            "Write the rules onto the domain in the log: --extend",
        )
    return found


def check_name(request: Request, config: Config) -> str:
    """The module's name: as asked, as configured, or the default. UsageError for one that checkmodule can't take."""
    return check_module_name(request.name or config.module.name or DEFAULT_NAME, "--name")


def _write(found: Draft, name: str, config: Config, target: Path, if_file: bool, project: bool) -> Outcome:
    """Compile into a scratch directory beside the target, then put all files in place of an earlier run's.

    In a project, what was written by hand is kept, and compiled along.
    """
    if project and found.source is not None:
        found = replace(found, source=replace(found.source, optionals=True))
    plan, source = found.plan, found.source
    changes: tuple[FileChange, ...] = ()
    with publish(target) as scratch:
        if source is not None:
            compiled = compile_module(source, scratch.path, policydb=oldest_format(config))
            files = compiled.files
            if if_file:
                (scratch.path / f"{name}.if").write_text(render_if(source), encoding="ascii")
                files = (*files, f"{name}.if")
            files = (*files, "plan.json")
            plan = described(found, config, files)
            if compiled.cil_reason is not None:
                plan = replace(plan, notes=(*plan.notes, f"The module goes out as CIL: {compiled.cil_reason}."))
        if project:
            version = source.version if source is not None else config.module.version
            changes = settle_in(scratch.path, target, config, name, version, source)
        (scratch.path / "plan.json").write_text(plan_text(plan), encoding="ascii")
        mine = ("pp", "cil") if project else ("te", "fc", "if", "pp", "cil")
        written = scratch.put_in_place(tuple(f"{name}.{suffix}" for suffix in mine))
    return Outcome(plan, target, written, breaches(plan, source, config, found.policy), found.stale, changes)


def described(found: Draft, config: Config, files: tuple[str, ...]) -> Plan:
    """The plan of a draft with its module's figures, where it has one. ``files``: the names the module goes out as."""
    if found.source is None:
        return found.plan
    shared = frozenset(config.minimize.shared_domains)
    return replace(found.plan, module=describe_module(found.source, found.plan, found.policy, shared, files))


def _diagnose(
    request: Request,
    config: Config,
    stdin: Optional[BinaryIO],
    progress: Optional[Progress],
    policy: Optional[TargetPolicy] = None,
    chooser: Optional[Chooser] = None,
) -> tuple[Plan, TargetPolicy]:
    """The plan and the policy it was made on. A policy that was named is loaded while a long log is read: one that
    can't be says so at once."""
    options = _read_options(request)
    settings = settings_of(request, config)
    state = boolean_state(request, config)
    if progress is not None:
        progress.phase("loading the policy")
    if policy is None and request.policy != "auto":
        reading = progress.reading if progress is not None else None
        with collect_ahead(request.logs, options, stdin, reading) as collected:
            policy = load_policy(request.policy, request.store)
            denials = totals(collected())
    else:
        denials = read_denials(request, stdin, progress)
        policy = policy or _host_policy(request, denials)
    plan = make_plan(denials, policy.with_booleans(state), settings, chooser)
    notes = [*plan.notes, *check_names(plan, policy, check_name(request, config))]
    if plan.input.undated and (options.since is not None or options.until is not None):
        notes.append(f"{plan.input.undated} denials carry no full date: --since and --until let them pass")
    return replace(plan, notes=tuple(notes)), policy


def boolean_state(request: Request, config: Config) -> dict[str, bool]:
    """The booleans of the host that the log is from, as far as they were given."""
    path = request.booleans
    if path is None and config.minimize.booleans is not None:
        path = config.beside(config.minimize.booleans)
    return read_booleans(path) if path is not None else {}


def read_denials(request: Request, stdin: Optional[BinaryIO], progress: Optional[Progress]) -> Denials:
    """What the request's logs hold, after its filters."""
    reading = progress.reading if progress is not None else None
    return totals(collect(request.logs, _read_options(request), stdin, reading))


def _host_policy(request: Request, denials: Denials) -> TargetPolicy:
    """This host's policy; none is needed where there is nothing to diagnose."""
    try:
        return load_policy(request.policy, request.store)
    except MissingDependency:
        if denials.counted:
            raise
        return load_policy("none")


def _read_options(request: Request) -> ReadOptions:
    return read_options(request.since, request.until, request.sources)


def settings_of(request: Request, config: Config) -> Settings:
    """How to diagnose, as asked and as configured. Raises UsageError for what is neither."""
    name = check_name(request, config)
    mounts = [parse_mount(text) for text in (*config.minimize.mounts, *request.mounts)]
    maps = [read_inspect(path) for path in request.inspect]
    return Settings(
        module=name.replace("-", "_"),
        paths=join_maps((PathMap(tuple(mounts)), *maps)),
        include_dontaudited=request.include_dontaudited or config.minimize.include_dontaudited,
        accepted=_accepted((*config.minimize.accept, *request.accept)),
        extend=request.extend,
        predict=request.predict,
        base=request.base,
        bases=config.minimize.bases,
        shared=frozenset(config.minimize.shared_domains),
    )


def _accepted(words: tuple[str, ...]) -> frozenset[str]:
    """What the user takes the risk of: decision ids, risk ids, ``all``. UsageError for a word that is none of them."""
    known = ("all", *risk_ids())
    for word in words:
        if word not in known and not re.fullmatch(r"[DP][1-9][0-9]*", word):
            nearest = difflib.get_close_matches(word, known, 1)
            meant = f"; did you mean {nearest[0]}?" if nearest else ""
            raise UsageError(f"--accept {word}: no decision or risk{meant}", f"Risks: {', '.join(sorted(known))}")
    return frozenset(words)
