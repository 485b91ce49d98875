"""Which types are domains, which of them containers run in, which unrelated workloads share."""

from __future__ import annotations

from typing import Optional

from polkit.policy.rules import Rules

_CONTAINER_ATTRIBUTES = (
    "container_domain",
    "container_net_domain",
    "svirt_sandbox_domain",
    "sandbox_net_domain",
    "virt_sandbox_domain",
)
"""Attributes of the domains that engines start containers in: reference policy, container-selinux, older Fedora."""
_ENGINE_ATTRIBUTES = ("container_engine_domain", "container_runtime_domain")
_ENGINES = ("container_runtime_t", "container_engine_t", "docker_t", "dockerd_t", "podman_t", "crio_t", "containerd_t")
UNCONFINED_ATTRIBUTES = ("unconfined_domain_type", "unconfined_domain")
_FILE_TYPES = ("container_file_t", "svirt_sandbox_file_t")
_ENTRY_POINTS = 10
"""A confined service has one to five types of entry points; domains that run anything have dozens (Debian: 47 up)."""
EVERY_CONTAINER = "every container on the host may run in it"
_SINGLE_WORKLOAD = ".process"
"""How udica and the Security Profiles Operator name a domain made for one workload: ``NAME.process``."""

_GENERIC = {
    "init_t": "the init system and every service without a domain of its own run in it",
    "initrc_t": "every init script without a domain of its own runs in it",
    "kernel_t": "the kernel's threads run in it",
    "unlabeled_t": "it is what processes have whose context became invalid",
    "unconfined_t": "unconfined users' programs run in it",
    "unconfined_service_t": "every service without a policy of its own runs in it",
    "inetd_child_t": "every inetd service without a domain of its own runs in it",
    "crond_t": "it starts every cron job",
    "system_cronjob_t": "every system cron job runs in it",
    "cronjob_t": "every user's cron job runs in it",
    "user_t": "every login of a confined user runs in it",
    "staff_t": "every staff login runs in it",
    "sysadm_t": "every administrator's login runs in it",
    "httpd_sys_script_t": "every CGI script without a domain of its own runs in it",
    "svirt_t": "every virtual machine runs in it",
    "container_runtime_t": "it is the container engine of every container",
}


_NEVER_BASES = ("init_t", "initrc_t", "kernel_t", "unlabeled_t", "unconfined_t", "unconfined_service_t")


def is_domain(rules: Rules, type_: str) -> bool:
    """Has the attribute ``domain``."""
    return "domain" in rules.facts.attributes.get(type_, ())


def is_container_domain(rules: Rules, type_: str) -> bool:
    """Has an attribute of container domains, and is no container engine."""
    attributes = rules.facts.attributes.get(type_, frozenset())
    engine = type_ in _ENGINES or not attributes.isdisjoint(_ENGINE_ATTRIBUTES)
    return not engine and not attributes.isdisjoint(_CONTAINER_ATTRIBUTES)


def container_file_type(rules: Rules) -> Optional[str]:
    """The canonical name of the type every container may write."""
    names = (rules.facts.canonical(name) for name in _FILE_TYPES)
    return next((name for name in names if name in rules.facts.attributes), None)


def shared_because(rules: Rules, type_: str) -> Optional[str]:
    """Why unrelated workloads run in a domain; None for one of a single service, and for what is no domain."""
    attributes = rules.facts.attributes.get(type_, frozenset())
    if type_ in _GENERIC and attributes:
        return _GENERIC[type_]
    if not attributes.isdisjoint(UNCONFINED_ATTRIBUTES):
        return "it is an unconfined domain"
    if is_container_domain(rules, type_) and not type_.endswith(_SINGLE_WORKLOAD):
        return EVERY_CONTAINER
    entered = sum(1 for _ in entry_points(rules, type_))
    return f"{entered} types of executables may enter it" if entered >= _ENTRY_POINTS else None


def refused_as_base(rules: Rules, type_: str) -> Optional[str]:
    """Why no domain may inherit from this one, in a few words; None where it may.

    Unconfined domains, the init system, the kernel and the engines may do far more than any container is meant to.
    """
    attributes = rules.facts.attributes.get(type_)
    if attributes is None:
        return "the policy has no such type"
    if "domain" in rules.facts.types and "domain" not in attributes:
        return "it is no domain"
    if type_ in _NEVER_BASES:
        return _GENERIC[type_]
    if not attributes.isdisjoint(UNCONFINED_ATTRIBUTES):
        return "it is an unconfined domain"
    if type_ in _ENGINES or not attributes.isdisjoint(_ENGINE_ATTRIBUTES):
        return "it is a container engine"
    return None


def entry_points(rules: Rules, domain: str) -> frozenset[str]:
    """The file types that may be the entry point of a domain (enabled rules)."""
    found: set[str] = set()
    bit = rules.bit("file", "entrypoint")
    for side in rules.facts.sides.get(domain, ()):
        for target in _entry_targets(rules, side, bit):
            found.update(rules.facts.types.get(target, (target,)))
    return frozenset(found)


def entrypoint_domains(rules: Rules, type_: str) -> frozenset[str]:
    """The domains a file of this type may be the entry point of (enabled rules)."""
    bit = rules.bit("file", "entrypoint")
    sides = rules.facts.sides.get(type_, frozenset())
    sources = set(rules.index.allow.get("file", ())) | set(rules.index.allow_if.get("file", ()))
    found: set[str] = set()
    for source in sources:
        if _may_enter(rules, source, sides, bit):
            found.update(rules.facts.types.get(source, (source,)))
    return frozenset(found)


def _may_enter(rules: Rules, source: str, sides: frozenset[str], bit: int) -> bool:
    """Whether an enabled rule gives ``source``, as written, entrypoint on one of the names of a type."""
    fixed = rules.index.allow.get("file", {}).get(source, {})
    if any(fixed[side] & bit for side in sides & fixed.keys()):
        return True
    under_if = rules.index.allow_if.get("file", {}).get(source, {})
    return any(
        rule.mask & bit and rules.truths[rule.condition] == rule.block
        for side in sides & under_if.keys()
        for rule in under_if[side]
    )


def _entry_targets(rules: Rules, source: str, bit: int) -> list[str]:
    """The targets of enabled ``allow source TARGET:file entrypoint`` rules, as written."""
    fixed = rules.index.allow.get("file", {}).get(source, {})
    found = [target for target, mask in fixed.items() if mask & bit]
    for target, conditional in rules.index.allow_if.get("file", {}).get(source, {}).items():
        if any(rule.mask & bit and rules.truths[rule.condition] == rule.block for rule in conditional):
            found.append(target)
    return found
