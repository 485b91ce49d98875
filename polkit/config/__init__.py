"""``polkit.toml``: what a project settles once for every run. Read once, checked whole, then plain frozen data."""

from __future__ import annotations

from polkit.config.load import DEFAULT_FILE, load_config, read_toml
from polkit.config.names import (
    MODULE_NAME,
    MODULE_VERSION,
    RELEASE,
    check_module_name,
    check_module_version,
    check_target_name,
)
from polkit.config.sections import (
    CONTAINER_DOMAINS,
    FINDING_SEVERITIES,
    RISK_LEVELS,
    SECTIONS,
    Config,
    Denied,
    EvidenceShown,
    Forbid,
    Gates,
    Minimize,
    Module,
    Review,
    Target,
    Zone,
)

__all__ = [
    "CONTAINER_DOMAINS",
    "DEFAULT_FILE",
    "FINDING_SEVERITIES",
    "MODULE_NAME",
    "MODULE_VERSION",
    "RELEASE",
    "RISK_LEVELS",
    "SECTIONS",
    "Config",
    "Denied",
    "EvidenceShown",
    "Forbid",
    "Gates",
    "Minimize",
    "Module",
    "Review",
    "Target",
    "Zone",
    "check_module_name",
    "check_module_version",
    "check_target_name",
    "load_config",
    "read_toml",
]
