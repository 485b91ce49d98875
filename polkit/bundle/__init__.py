"""What is shipped: module projects, and the bundles built from them.

``new_project`` scaffolds a project, ``package`` builds its bundle.
"""

from __future__ import annotations

from polkit.bundle.archive import SUFFIXES
from polkit.bundle.installed import Difference, Installed, check_installed, installed_text
from polkit.bundle.job import Packaged, package, packaged_text
from polkit.bundle.scaffold import Described, new_project

__all__ = [
    "SUFFIXES",
    "Described",
    "Difference",
    "Installed",
    "Packaged",
    "check_installed",
    "installed_text",
    "new_project",
    "package",
    "packaged_text",
]
