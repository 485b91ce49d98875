"""OpenShift: a MachineConfig that installs the module on nodes, a security context constraint, and a pod.

A MachineConfig carries an Ignition configuration (https://coreos.github.io/ignition/configuration-v3_4/), of which the
Machine Config Operator takes files with their contents in the URL, and systemd units. The nodes get the bundle's own
scripts and one target's lists, so that what is checked, changed and undone there is what the scripts do anywhere.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from polkit.bundle.archive import mode_of
from polkit.bundle.exporters.frame import Exported, Exporter, Shipment
from polkit.bundle.exporters.kubernetes import device_comments, pod_object
from polkit.bundle.exporters.releases import release_of
from polkit.bundle.exporters.workload import Workload, object_name, workload_of
from polkit.bundle.exporters.yaml_text import yaml_text
from polkit.bundle.sides import INHERITED, rules_of
from polkit.bundle.targets import TargetBuild
from polkit.model import SELF

IGNITION = "3.4.0"
ROLE = "worker"
_ON_NODES = "/etc/selinux-bundles"
_STATE = "/var/lib/selinux-bundles"
_SUMS = "SHA256SUMS"
_VOLUMES = ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret")
"""Of the constraint `restricted-v2`."""
_CAPABILITIES = frozenset(("capability", "capability2"))


def export(shipment: Shipment) -> Exported:
    """For each target a MachineConfig and one that undoes it, and, with a domain of its own, a constraint and a pod."""
    files: dict[str, bytes] = {}
    notes = []
    for build in shipment.modules:
        if release_of(build.name, shipment.project.config.targets[build.name]).system not in ("", "rhel"):
            continue  # the nodes are made of RHEL's packages
        found = {
            "machineconfig.yaml": _machine_config(shipment, build),
            "machineconfig-remove.yaml": _removal(shipment, build),
        }
        workload = workload_of(shipment, build)
        if workload is None:
            notes.append(f"{build.name}: the module has no domain of its own, which a constraint is for")
        else:
            found["scc.yaml"] = _constraint(workload, build)
            found["pod.yaml"] = _pod(workload)
        files.update({f"{build.name}/{name}": content for name, content in found.items()})
    if not files:
        notes.append("no target is a release that OpenShift's nodes are made of")
    return Exported(files, tuple(notes))


# ---- nodes -----------------------------------------------------------------------------------------------------------


def _machine_config(shipment: Shipment, build: TargetBuild) -> bytes:
    files = _node_files(shipment, build)
    stamp = hashlib.sha256(files[_SUMS]).hexdigest()[:16]
    state = f"selinux-bundle-{object_name(shipment.project.name)}"
    unit = _unit(
        f"Install the SELinux module {shipment.top}",
        (f"ConditionPathExists=!/var/lib/{state}/{stamp}",),
        (
            f"StateDirectory={state}",
            f"ExecStart=/usr/bin/sh {_directory(shipment)}/install.sh --target {build.name}",
            f"ExecStart=/usr/bin/touch /var/lib/{state}/{stamp}",
        ),
    )
    return yaml_text(
        _config(shipment, files, unit),
        (
            f"Installs {shipment.top} (target {build.name}) on the nodes of role {ROLE}, at their next start, once.",
            "`oc apply` makes the nodes restart one by one. Another pool: change the role and the number in the name.",
            "What was done and why not: journalctl -u " + _unit_name(shipment),
        ),
    )


def _removal(shipment: Shipment, build: TargetBuild) -> bytes:
    files = _node_files(shipment, build)
    state = f"selinux-bundle-{object_name(shipment.project.name)}"
    unit = _unit(
        f"Remove the SELinux module {shipment.project.name}",
        (f"ConditionPathExists={_STATE}/{shipment.project.name}",),
        (
            f"ExecStart=/usr/bin/sh {_directory(shipment)}/uninstall.sh",
            f"ExecStart=/usr/bin/rm -rf /var/lib/{state}",
        ),
    )
    return yaml_text(
        _config(shipment, files, unit),
        (
            f"Removes {shipment.project.name} from the nodes. It replaces the MachineConfig that installs it:",
            "apply it, wait until the pool is updated, and only then delete it. Deleting the other one alone would",
            "leave the module where it is.",
        ),
    )


def _node_files(shipment: Shipment, build: TargetBuild) -> dict[str, bytes]:
    """What a node needs of the bundle, with sums of just that."""
    module, place = shipment.module_path(build), f"targets/{build.name}"
    lists = [path for path in shipment.files if path.startswith(f"{place}/") and "." not in path.rpartition("/")[2]]
    scripts = [path for path in shipment.files if path.endswith(".sh") and "/" not in path]
    files = {path: shipment.files[path] for path in sorted((module, *lists, *scripts))}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in files.items())
    return {**files, _SUMS: sums.encode("ascii")}


def _config(shipment: Shipment, files: dict[str, bytes], unit: str) -> dict[str, Any]:
    return {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfig",
        "metadata": {
            "name": f"99-{ROLE}-selinux-{object_name(shipment.project.name)}",
            "labels": {"machineconfiguration.openshift.io/role": ROLE},
        },
        "spec": {
            "config": {
                "ignition": {"version": IGNITION},
                "storage": {
                    "files": [
                        {
                            "path": f"{_directory(shipment)}/{path}",
                            "mode": mode_of(path),
                            "overwrite": True,
                            "contents": {"source": f"data:;base64,{base64.b64encode(content).decode('ascii')}"},
                        }
                        for path, content in files.items()
                    ]
                },
                "systemd": {"units": [{"name": _unit_name(shipment), "enabled": True, "contents": unit}]},
            }
        },
    }


def _unit(description: str, conditions: tuple[str, ...], service: tuple[str, ...]) -> str:
    """A unit that runs before anything starts containers. Nothing in it comes from a log; names have no blanks."""
    lines = (
        "[Unit]",
        f"Description={description}",
        "ConditionSecurity=selinux",
        *conditions,
        "After=local-fs.target",
        "Before=crio.service kubelet.service",
        "",
        "[Service]",
        "Type=oneshot",
        *service,
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    )
    return "".join(f"{line}\n" for line in lines)


def _directory(shipment: Shipment) -> str:
    return f"{_ON_NODES}/{shipment.project.name}"


def _unit_name(shipment: Shipment) -> str:
    return f"selinux-bundle-{object_name(shipment.project.name)}.service"


# ---- workloads -------------------------------------------------------------------------------------------------------


def _constraint(workload: Workload, build: TargetBuild) -> bytes:
    """As strict as `restricted-v2`, with the module's domain, and what its rules and mounts need on top of that."""
    name = object_name(workload.name)
    options = {"type": workload.domain, **({"level": workload.level} if workload.level else {})}
    capabilities = sorted(_capabilities(build, workload.domain))
    found = {
        "apiVersion": "security.openshift.io/v1",
        "kind": "SecurityContextConstraints",
        "metadata": {"name": name},
        "allowHostDirVolumePlugin": bool(workload.mounts),
        "allowHostIPC": False,
        "allowHostNetwork": False,
        "allowHostPID": False,
        "allowHostPorts": False,
        "allowPrivilegeEscalation": False,
        "allowPrivilegedContainer": False,
        "allowedCapabilities": capabilities,
        "defaultAddCapabilities": [],
        "fsGroup": {"type": "MustRunAs"},
        "groups": [],
        "priority": None,
        "readOnlyRootFilesystem": False,
        "requiredDropCapabilities": ["ALL"],
        "runAsUser": {"type": "MustRunAsRange"},
        "seLinuxContext": {"type": "MustRunAs", "seLinuxOptions": options},
        "seccompProfiles": ["runtime/default"],
        "supplementalGroups": {"type": "RunAsAny"},
        "users": [],
        "volumes": sorted([*_VOLUMES, *(["hostPath"] if workload.mounts else [])]),
    }
    comments = [
        f"Pods that this constraint admits run as {workload.domain}, and only so. Beside that it is `restricted-v2`.",
        f"Who may use it: oc adm policy add-scc-to-user {name} -z SERVICEACCOUNT -n NAMESPACE",
    ]
    if workload.level:
        comments += [
            "All of them run at this one level, and may share volumes. Without `level`, here and in the pod, each",
            "namespace's own level counts, and pods of different namespaces are kept apart.",
        ]
    if capabilities:
        comments.append("allowedCapabilities are those that the module's rules speak of.")
    return yaml_text(found, comments)


def _capabilities(build: TargetBuild, domain: str) -> set[str]:
    """The capabilities that rules of the module's own give its domain, as the kernel's headers call them."""
    return {
        perm.upper()
        for rule in rules_of(build)
        if rule.kind == "allow" and rule.origin != INHERITED and rule.tclass in _CAPABILITIES
        if rule.source == domain and rule.target in (SELF, domain)
        for perm in rule.perms
    }


def _pod(workload: Workload) -> bytes:
    pod = pod_object(workload, workload.domain)
    pod["metadata"]["annotations"] = {"openshift.io/required-scc": object_name(workload.name)}
    comments = (
        "The constraint beside this file admits it. Type and level are the constraint's: a pod that names one of them",
        "has to name both, and just those; one that names none gets them.",
        "The image is a placeholder.",
        *device_comments(workload),
    )
    return yaml_text(pod, comments)


EXPORTER = Exporter("MachineConfig, security context constraint, and a pod", export)
