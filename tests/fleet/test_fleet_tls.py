"""A cluster that talks TLS with certificates of its own, and takes nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from polkit.audit import read_logs
from tests.fleet.conftest import Cluster, node_log, text, wait_for

pytestmark = pytest.mark.heavy

SUBJECT = "/CN=polkit test"


def environment(folder: Path) -> dict[str, str]:
    """Dask's configuration for one certificate that all sides have; openssl-req(1)."""
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", SUBJECT]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    sides = {
        f"{tls}{side}__{what}": file
        for side in ("SCHEDULER", "WORKER", "CLIENT")
        for what, file in (("KEY", key), ("CERT", certificate))
    }
    return {**sides, f"{tls}CA_FILE": certificate, "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"}


class TlsCluster(Cluster):
    """As the others, but that it is asked nothing: who looks would need the certificate."""

    settings: Mapping[str, str]

    def start(self, workers: int) -> None:
        self._run("scheduler", "--host", "tls://127.0.0.1", "--port", "0", "--no-dashboard", environment=self.settings)
        wait_for((self.folder / "scheduler.json").exists)
        for _ in range(workers):
            self._run("worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", environment=self.settings)
        wait_for(lambda: (self.folder / "scheduler0.log").read_text().count("Register worker") == workers)


@pytest.fixture
def cluster_of_tls(tmp_path: Path) -> Iterator[TlsCluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    cluster = TlsCluster(folder)
    cluster.settings = environment(folder)
    try:
        cluster.start(2)
        yield cluster
    finally:
        cluster.stop()


def collect(
    cluster: TlsCluster, address: str, folder: Path, settings: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "polkit", "collect", "-q", "--on", address, "*.log", "-o", "x", "--force"]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **settings}, capture_output=True, text=True, check=False, timeout=90
    )


def test_a_cluster_with_tls_gives_the_same_ledger_and_refuses_who_has_no_certificate(
    cluster_of_tls: TlsCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for node in range(6):
        (tmp_path / f"{node}.log").write_text(node_log(node, 40))
    address = cluster_of_tls.address
    assert address.startswith("tls://")
    done = collect(cluster_of_tls, address, tmp_path, cluster_of_tls.settings)
    assert (done.returncode, done.stderr) == (0, "")
    monkeypatch.chdir(tmp_path)
    assert (tmp_path / "x").read_text().splitlines() == [line.rstrip("\n") for line in text(read_logs(["*.log"]))]
    bare = collect(cluster_of_tls, address, tmp_path, {})
    assert (bare.returncode, bare.stderr.count("\n")) == (4, 2)
    assert bare.stderr.startswith(f"polkit: {address} wants TLS, and Dask has no certificate configured here\n")
    other = tmp_path / "other"
    other.mkdir()
    stranger = collect(cluster_of_tls, address, tmp_path, environment(other))
    assert (stranger.returncode, stranger.stderr.count("\n")) == (4, 2), stranger.stderr
    assert stranger.stderr.startswith(f"polkit: no scheduler answers at {address}: ")
