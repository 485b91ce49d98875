"""polkit: from SELinux denials of container workloads to the smallest policy change that lets them run."""

from __future__ import annotations

__version__ = "0.1.0"
