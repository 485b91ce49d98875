"""Ansible: plays that install and remove the module through the role linux-system-roles.selinux.

Variables as in the role's README (https://github.com/linux-system-roles/selinux). The plays are the same in every
bundle; ``vars.yml`` holds the values, none of which is a template. The role sets ports before it installs modules, so
the play calls it twice. Its ``selinux_fcontexts`` is not used: the module brings its file contexts, and a local entry
that names a type of the module's would keep it from being removed.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polkit.bundle.exporters.frame import Exported, Exporter, Shipment
from polkit.bundle.exporters.releases import release_of
from polkit.bundle.exporters.yaml_text import not_a_template, yaml_text
from polkit.bundle.paths import places
from polkit.bundle.sides import booleans_of, own_types, ports_of
from polkit.bundle.targets import TargetBuild
from polkit.module import PRIORITY

_PLAYS = ("host.yml", "install.yml", "remove.yml")
_COLLECTIONS = ("ansible.posix", "community.general", "fedora.linux_system_roles")


def export(shipment: Shipment) -> Exported:
    """The plays, their values, and the collections that they need."""
    here = Path(__file__).parents[1] / "templates/export"
    files = {name: (here / f"ansible-{name}").read_bytes() for name in _PLAYS}
    files["vars.yml"] = _values(shipment)
    files["requirements.yml"] = yaml_text({"collections": [{"name": name} for name in _COLLECTIONS]})
    notes = tuple(
        f"{build.name}: files of the pattern {place.pattern} are not relabelled by the play"
        for build in shipment.modules
        for place in places(build.fc)
        if place.kind == "pattern" and place.path == "/"
    )
    return Exported(files, notes)


def _values(shipment: Shipment) -> bytes:
    found = {
        "selinux_bundle_name": shipment.project.name,
        "selinux_bundle_version": shipment.project.version,
        # As text: the role looks up what is installed by it, and by a number it finds nothing and installs again.
        "selinux_bundle_priority": str(PRIORITY),
        "selinux_bundle_targets": {build.name: _target(shipment, build) for build in shipment.modules},
    }
    return yaml_text(not_a_template(found), ("The values of the plays. Paths are relative to the bundle's directory.",))


def _target(shipment: Shipment, build: TargetBuild) -> dict[str, Any]:
    release = release_of(build.name, shipment.project.config.targets[build.name])
    return {
        "release": f"{release.system}{release.number}",
        "module": shipment.module_path(build),
        "types": list(own_types(build)),
        "booleans": [{"name": name, "state": value, "persistent": True} for name, value in booleans_of(build)],
        "ports": [
            {"ports": str(port.number), "proto": port.protocol, "setype": port.type, "state": "present", "local": True}
            for port in ports_of(build)
        ],
        "restore_dirs": sorted(set(_restored(build))),
    }


def _restored(build: TargetBuild) -> Iterator[str]:
    """What to relabel. The role puts each into a command line, which Ansible splits as a shell would. A pattern without
    a directory to begin in would mean the whole system."""
    for place in places(build.fc):
        if not (place.kind == "pattern" and place.path == "/"):
            yield shlex.quote(place.path)


EXPORTER = Exporter("Ansible plays for the role linux-system-roles.selinux", export)
