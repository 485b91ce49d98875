"""An empty permissive domain to record a workload in: what ``--base none`` wants its evidence from.

What a domain may do anyway never reaches a log. This one may do nothing, is started, signalled and labelled for as the
base is, and lets everything through that it logs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from polkit.config import check_module_version, load_config
from polkit.errors import UsageError
from polkit.minimize.job import Outcome, Progress, Request, check_name, settings_of
from polkit.minimize.own_domain import like
from polkit.minimize.ownership import PRIORITY
from polkit.minimize.plan_json import plan_text
from polkit.minimize.question import NOTHING, domain_name
from polkit.minimize.writing import prepare_directory, publish
from polkit.model import (
    AccessSet,
    InputSummary,
    ModuleInfo,
    ModuleSource,
    OwnDomain,
    Permissive,
    Plan,
)
from polkit.module import compile_module
from polkit.policy import load_policy


def empty_domain(
    request: Request, directory: Optional[Path] = None, force: bool = False, progress: Optional[Progress] = None
) -> Outcome:
    """Write a module with nothing but an empty permissive domain ``NAME_t``; reads no log.

    It is started as ``--base`` is, else as the first of ``[minimize] bases`` that the policy has. Raises UsageError
    where the directory exists, the name is taken or there is no base, and as ``generate`` does.
    """
    config = load_config(request.config)
    settings = settings_of(request, config)
    name, version = check_name(request, config), request.version or config.module.version
    check_module_version(version, "--module-version")
    target = directory if directory is not None else Path(name)
    prepare_directory(target, force)
    if progress is not None:
        progress.phase("loading the policy")
    policy = load_policy(request.policy, request.store)
    if policy.info is None:
        raise UsageError("an empty domain needs the target policy", "Name it with --policy")
    domain = OwnDomain(domain_name(settings), None, ())
    if policy.type_name(domain.name) is not None and PRIORITY not in policy.module_priorities(name):
        raise UsageError(f"the policy has a type {domain.name} already", "Choose another name with -n")
    base = settings.base if settings.base not in (None, NOTHING) else like(domain, policy, settings)
    if base is None:
        raise UsageError("nothing says how the domain is to be started", "Name one with --base: container_t")
    if progress is not None:
        progress.phase(f"working out what others may do to {base}")
    found = policy.own_domain(domain.name, base, False)
    access = AccessSet(
        types=(found.declaration,),
        role_types=found.roles,
        bounds=found.bounds,
        permissive=(Permissive(domain.name),),
    )
    summary = (f"An empty permissive domain, started as {base} is: to record in, never to ship.",)
    source = ModuleSource(name, version, access, {}, summary, policy.info.mls, found.inherited)
    with publish(target) as scratch:
        files = (*compile_module(source, scratch.path).files, "plan.json")
        module = ModuleInfo(
            name=name,
            version=version,
            domain=domain.name,
            base=None,
            rules=0,
            over_permission=0,
            dontaudited=0,
            inherited=found.inherited.accesses,
            structural=0,
            blast_radius=0,
            widened=(),
            files=files,
        )
        plan = Plan(policy.info, InputSummary(), (), module, domain=domain)
        (scratch.path / "plan.json").write_text(plan_text(plan), encoding="ascii")
        written = scratch.put_in_place(tuple(f"{name}.{suffix}" for suffix in ("te", "fc", "pp", "cil")))
    return Outcome(plan, target, written)
