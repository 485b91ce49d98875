"""Object storage for real: an S3 of our own (moto's server) read through s3fs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from polkit.audit import ReadOptions, read_logs
from polkit.errors import SourceError
from polkit.fleet import collect_on
from tests.conftest import validator
from tests.fleet.conftest import Cluster, node_log, text

pytestmark = pytest.mark.heavy

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The environment with which programs find the store."""
    modules = str(validator("s3"))
    monkeypatch.setattr(sys, "path", [*sys.path, modules])
    moto = importlib.import_module("moto.server")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        environment = {**ENVIRONMENT, "PYTHONPATH": modules, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield environment
    finally:
        server.stop()


def test_logs_in_a_bucket_give_the_ledger_of_their_files(
    store: dict[str, str], own_cluster: Cluster, tmp_path: Path
) -> None:
    bucket = importlib.import_module("s3fs").S3FileSystem()
    bucket.mkdir("logs")
    for node in range(4):
        for rotated in ("", ".1"):
            file = tmp_path / "logs" / f"node{node}" / f"audit.log{rotated}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(node_log(10 * node + len(rotated), 600))
            bucket.put(str(file), f"logs/node{node}/audit.log{rotated}")
    own_cluster.add_worker(store)
    own_cluster.add_worker(store)
    units: list[int] = []
    found = collect_on(
        own_cluster.address, ["s3://logs/*/audit.log*"], ReadOptions(), lambda _, n, __: units.append(n), step=50_000
    )
    assert units[-1] > 8, "nothing was read in ranges"
    plain = read_logs([str(tmp_path / "logs" / "*" / "audit.log*")])
    assert text(found) == [line.replace(f"{tmp_path}/", "s3://") for line in text(plain)]
    with pytest.raises(SourceError, match="s3://logs/nothing: no such file"):
        collect_on(own_cluster.address, ["s3://logs/nothing"], ReadOptions())
    with pytest.raises(SourceError, match="s3://nowhere"):
        collect_on(own_cluster.address, ["s3://nowhere/*/audit.log"], ReadOptions())
