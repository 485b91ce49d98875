"""What is shipped: module projects, and the bundles built from them.

``new_project`` scaffolds a project, ``package`` builds its bundle, ``verify`` looks at a stranger's.
"""

from __future__ import annotations

from polkit.bundle.archive import SUFFIXES
from polkit.bundle.claims import as_file_contexts, read_claims
from polkit.bundle.installed import Difference, Installed, check_installed, installed_text
from polkit.bundle.job import Packaged, package, packaged_text
from polkit.bundle.released import Released, Side, read_released, released_module
from polkit.bundle.scaffold import Described, new_project
from polkit.bundle.targets import cil_of
from polkit.bundle.unpacking import Refusal
from polkit.bundle.verifying import Asked, Verification, verification_text, verify
from polkit.bundle.verifying_installed import verify_installed

__all__ = [
    "SUFFIXES",
    "Asked",
    "Described",
    "Difference",
    "Installed",
    "Packaged",
    "Refusal",
    "Released",
    "Side",
    "Verification",
    "as_file_contexts",
    "check_installed",
    "cil_of",
    "installed_text",
    "new_project",
    "package",
    "packaged_text",
    "read_claims",
    "read_released",
    "released_module",
    "verification_text",
    "verify",
    "verify_installed",
]
