"""How a workload is started in the module's own domain: the word for it in each engine's language.

Sources: podman-run(1) and docker-run(1) ``--security-opt``, podman-systemd.unit(5) ``SecurityLabelType``, Kubernetes
``SELinuxOptions`` (type and level of a pod or container).
"""

from __future__ import annotations

from polkit.model import OwnDomain


def how_to_run(domain: OwnDomain) -> dict[str, str]:
    """From each engine to what to add to the workload's start. The type is a checked identifier."""
    option = f"--security-opt label=type:{domain.name}"
    return {
        "podman": f"podman run {option} ...",
        "docker": f"docker run {option} ...",
        "quadlet": f"[Container]\nSecurityLabelType={domain.name}",
        "kubernetes": (
            "securityContext:\n  seLinuxOptions:\n"
            f"    type: {domain.name}\n"
            '    level: "s0:c1,c2"  # of your choice; the same in pods that share a volume'
        ),
    }
