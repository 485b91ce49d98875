"""Mounts from what container tools say: podman and docker inspect, crictl inspect, a pod's YAML or JSON.

Shapes: ``podman inspect``/``docker inspect`` give a list of objects with ``Mounts`` (``Source``, ``Destination``,
``RW``) and ``GraphDriver.Data``; ``crictl inspect`` gives ``status.mounts`` (``hostPath``, ``containerPath``,
``readonly``); a pod has ``spec.volumes[].hostPath.path`` and ``containers[].volumeMounts``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polkit.errors import MissingDependency, SourceError
from polkit.minimize.paths import Mount, PathMap, make_mount

_LARGEST = 16 * 1024 * 1024
_LAYER_MARKERS = ("/overlay/", "/overlay2/", "/vfs/dir/", "/btrfs/subvolumes/", "/io.containerd.snapshotter.v1.")


def read_inspect(path: Path) -> PathMap:
    """The PathMap of one inspect file. SourceError when it can't be read or holds no container or pod."""
    document = _load(path)
    objects = [one for top in _as_list(document) for one in _as_list(top)]
    if not any(_is_known(one) for one in objects):
        raise SourceError(
            f"{path}: no container or pod in it",
            "Give the output of podman/docker/crictl inspect, or kubectl get pod -o yaml",
        )
    mounts: set[Mount] = set()
    roots: set[str] = set()
    for one in objects:
        mounts.update(_engine_mounts(one))
        mounts.update(_cri_mounts(one))
        mounts.update(_pod_mounts(one))
        roots.update(_graph_roots(one))
    return PathMap(tuple(sorted(mounts)), tuple(sorted(roots)))


def _load(path: Path) -> Any:
    try:
        if path.stat().st_size > _LARGEST:
            raise SourceError(f"{path}: larger than 16 MiB, no inspect output is")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise SourceError(f"{path}: {reason}") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _load_yaml(path, text)


def _load_yaml(path: Path, text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingDependency(
            f"{path}: reading YAML needs PyYAML",
            "Install python3-yaml (apt, dnf) or give JSON: kubectl get pod -o json",
        ) from error
    try:
        return [one for one in yaml.safe_load_all(text) if one is not None]
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}:" if mark is not None else ""
        raise SourceError(f"{path}:{place} neither JSON nor YAML") from error


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    items = value.get("items") if isinstance(value, dict) else None
    return items if isinstance(items, list) else [value]


def _is_known(one: Any) -> bool:
    return isinstance(one, dict) and (
        isinstance(one.get("Mounts"), list)
        or isinstance(_dig(one, "status", "mounts"), list)
        or isinstance(_pod_spec(one).get("containers"), list)
    )


def _dig(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())


def _mount(host: Any, container: Any, read_only: bool) -> Iterator[Mount]:
    if isinstance(host, str) and isinstance(container, str) and host.startswith("/") and container.startswith("/"):
        yield make_mount(host, container, read_only)


def _engine_mounts(one: Any) -> Iterator[Mount]:
    for mount in _dicts(_dig(one, "Mounts")):
        yield from _mount(mount.get("Source"), mount.get("Destination"), mount.get("RW") is False)


def _cri_mounts(one: Any) -> Iterator[Mount]:
    for mount in _dicts(_dig(one, "status", "mounts")):
        yield from _mount(mount.get("hostPath"), mount.get("containerPath"), mount.get("readonly") is True)


def _pod_spec(one: Any) -> dict[str, Any]:
    """The pod's spec, also of what holds a pod template (Deployment, Job, DaemonSet, CronJob)."""
    for keys in (
        ("spec", "jobTemplate", "spec", "template", "spec"),
        ("spec", "template", "spec"),
        ("spec",),
    ):
        spec = _dig(one, *keys)
        if isinstance(spec, dict) and "containers" in spec:
            return spec
    return {}


def _pod_mounts(one: Any) -> Iterator[Mount]:
    spec = _pod_spec(one)
    hosts = {
        volume["name"]: _dig(volume, "hostPath", "path")
        for volume in _dicts(spec.get("volumes"))
        if isinstance(volume.get("name"), str)
    }
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in _dicts(spec.get(kind)):
            for mount in _dicts(container.get("volumeMounts")):
                host = hosts.get(mount["name"]) if isinstance(mount.get("name"), str) else None
                sub = mount.get("subPath")
                if isinstance(host, str) and isinstance(sub, str):
                    host = f"{host.rstrip('/')}/{sub}"
                yield from _mount(host, mount.get("mountPath"), mount.get("readOnly") is True)


def _graph_roots(one: Any) -> Iterator[str]:
    """The storage directory above the layers: ``/data/storage`` of ``/data/storage/overlay/ID/diff``."""
    data = _dig(one, "GraphDriver", "Data")
    for value in data.values() if isinstance(data, dict) else ():
        for layer in value.split(":") if isinstance(value, str) else ():
            for marker in _LAYER_MARKERS:
                if layer.startswith("/") and marker in layer:
                    yield layer[: layer.index(marker)]
