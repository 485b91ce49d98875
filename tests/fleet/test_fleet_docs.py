"""The manifests of docs/fleet load, and name each other's things as they are called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click import Context

from polkit.cli.collect import command

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "fleet"


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    """The Kubernetes objects by their kinds."""
    loaded = [one for file in sorted(FOLDER.glob("*.yaml")) for one in yaml.safe_load_all(file.read_text())]
    kinds = [one["kind"] for one in loaded]
    assert sorted(kinds) == ["DaskCluster", "Job", "NetworkPolicy", "PersistentVolumeClaim", "ServiceAccount"]
    return dict(zip(kinds, loaded))


def pods(objects: dict[str, Any]) -> Iterator[dict[str, Any]]:
    spec = objects["DaskCluster"]["spec"]
    yield from (spec["worker"]["spec"], spec["scheduler"]["spec"], objects["Job"]["spec"]["template"]["spec"])


def test_names_agree(objects: dict[str, Any]) -> None:
    name = objects["DaskCluster"]["metadata"]["name"]
    service = objects["DaskCluster"]["spec"]["scheduler"]["service"]
    scheduler = objects["DaskCluster"]["spec"]["scheduler"]["spec"]["containers"][0]
    assert service["selector"]["dask.org/cluster-name"] == name
    policy = objects["NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"] == {"dask.org/cluster-name": name}
    allowed = [one["podSelector"]["matchLabels"] for one in policy["ingress"][0]["from"]]
    assert allowed == [{"dask.org/cluster-name": name}, objects["Job"]["spec"]["template"]["metadata"]["labels"]]
    port = service["ports"][0]
    assert (
        {port["targetPort"]}
        == {one["name"] for one in scheduler["ports"]}
        == {scheduler["readinessProbe"]["tcpSocket"]["port"]}
    )
    assert port["port"] == scheduler["ports"][0]["containerPort"]
    asked = objects["Job"]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert asked[asked.index("--on") + 1] == f"tcp://{name}-scheduler:{port['port']}"


def test_images_accounts_and_volumes_agree(objects: dict[str, Any]) -> None:
    images = {container["image"] for pod in pods(objects) for container in pod["containers"]}
    assert len(images) == 1, "the same versions everywhere"
    accounts = {pod.get("serviceAccountName") for pod in pods(objects)} - {None}
    assert accounts == {objects["ServiceAccount"]["metadata"]["name"]}
    for pod in pods(objects):
        volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= set(volumes)
        for volume in volumes.values():
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            assert claim in (None, objects["PersistentVolumeClaim"]["metadata"]["name"])


def test_the_jobs_command_line_is_one_that_polkit_takes(objects: dict[str, Any]) -> None:
    container = objects["Job"]["spec"]["template"]["spec"]["containers"][0]
    program, verb, *arguments = container["command"]
    assert (program, verb) == ("polkit", "collect")
    found = command.make_context("collect", arguments).params
    assert found["scheduler"].startswith("tcp://")
    assert found["logs"]
    assert found["output"].startswith(container["volumeMounts"][0]["mountPath"])
    assert isinstance(command.make_context("collect", ["--on", "local:2", "x"]), Context)


def test_the_page_names_the_files_and_the_image_has_its_user() -> None:
    page = (FOLDER.parent / "fleet.md").read_text()
    assert {path.name for path in FOLDER.iterdir()} == set(re.findall(r"\(fleet/([\w.]+)\)", page))
    user = re.search(r"^USER (\d+)$", (FOLDER / "image.Dockerfile").read_text(), re.MULTILINE)
    assert user
    assert f"fsGroup: {user[1]}" in (FOLDER / "job.yaml").read_text()
