"""podman: a quadlet, and the same as flags of ``podman run``.

Keys as in podman-systemd.unit(5). A unit file has quotes, escapes and specifiers of its own (systemd.syntax(7)), and
podman reads them differently from key to key, so a path that would need any stands in no unit, but in a comment.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from polkit.bundle.exporters.frame import Exported, Exporter, Shipment
from polkit.bundle.exporters.workload import Mounted, Workload, for_each_workload, object_name
from polkit.bundle.exporters.yaml_text import printable
from polkit.bundle.targets import TargetBuild

_PLAIN = re.compile(r"/[A-Za-z0-9_./@+=,-]*\Z")


def export(shipment: Shipment) -> Exported:
    """``TARGET/NAME.container`` and ``TARGET/run-flags.txt`` for each target whose workload has a domain of its own."""
    return for_each_workload(shipment, "a container would run in", _files)


def _files(workload: Workload, _: TargetBuild) -> dict[str, bytes]:
    found = {f"{object_name(workload.name)}.container": _quadlet(workload), "run-flags.txt": _flags(workload)}
    return {path: "".join(f"{line}\n" for line in lines).encode("ascii") for path, lines in found.items()}


def _quadlet(workload: Workload) -> Iterator[str]:
    mounts = [mount for mount in workload.mounts if _is_plain(mount)]
    yield f"# {workload.name} {workload.version}, for hosts with the module of the target {workload.target} installed."
    yield "# To /etc/containers/systemd/, with your image; or the lines of [Container] to a unit of your own."
    yield from _level_comment(workload)
    for mount in workload.mounts:
        if mount not in mounts:
            yield f"# Not in this unit, for its characters: {printable(mount.host)} as {printable(mount.container)}."
        elif not mount.label:
            yield f"# {mount.host} keeps the host's label: the module has none for it."
    yield "[Unit]"
    yield f"Description={workload.name} in the SELinux domain {workload.domain}"
    yield ""
    yield "[Container]"
    yield f"Image={workload.image}"
    yield f"SecurityLabelType={workload.domain}"
    if workload.level:
        yield f"SecurityLabelLevel={workload.level}"
    yield from (f"AddDevice={node}" for node in workload.devices)
    yield from (f"Volume={_volume(mount)}" for mount in mounts)
    yield ""
    yield "[Install]"
    yield "WantedBy=multi-user.target"


def _flags(workload: Workload) -> Iterator[str]:
    """One flag a line, quoted for a shell: ``eval podman run "$(grep -v '^#' run-flags.txt | tr '\\n' ' ')" IMAGE``."""
    yield f"# What `podman run` needs for {workload.name} {workload.version} (target {workload.target}); docker too."
    yield from _level_comment(workload)
    yield f"--security-opt {shlex.quote(f'label=type:{workload.domain}')}"
    if workload.level:
        yield f"--security-opt {shlex.quote(f'label=level:{workload.level}')}"
    yield from (f"--device {shlex.quote(node)}" for node in workload.devices)
    for mount in workload.mounts:
        if _one_line(mount):
            yield f"--volume {shlex.quote(_volume(mount))}"
        else:
            yield f"# Not here, for its characters: {printable(mount.host)} as {printable(mount.container)}"


def _level_comment(workload: Workload) -> Iterator[str]:
    if workload.level:
        yield "# The level is the same at every start. Containers that must not see each other's files need one each."


def _volume(mount: Mounted) -> str:
    """Without :z and :Z: the module's own file contexts label the path, and these two would label it otherwise."""
    return f"{mount.host}:{mount.container}{':ro' if mount.read_only else ''}"


def _is_plain(mount: Mounted) -> bool:
    return bool(_PLAIN.match(mount.host) and _PLAIN.match(mount.container))


def _one_line(mount: Mounted) -> bool:
    return all(printable(path) == path and ":" not in path for path in (mount.host, mount.container))


EXPORTER = Exporter("podman quadlet and run flags", export)
