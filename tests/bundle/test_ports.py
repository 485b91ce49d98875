"""A port that the evidence asks for, from the log to the host's policy and away again."""

from __future__ import annotations

from pathlib import Path

from polkit.bundle import package
from tests.bundle.making import Run, evidence, make_project, semodule, small_host, snapshot
from tests.records import avc

SOCKETS = """
(class tcp_socket (name_bind name_connect))
(classorder (unordered tcp_socket))
(type unreserved_port_t)
(typeattributeset port_type (unreserved_port_t))
(portcon tcp (1024 32767) (system_u object_r unreserved_port_t ((s0) (s0))))
"""


def test_a_port_goes_from_the_log_to_the_host_and_away(tmp_path: Path, run: Run) -> None:
    (tmp_path / "sockets.cil").write_text(SOCKETS, encoding="ascii")
    host = small_host(tmp_path / "host")
    semodule(host, "-X", "100", "-i", tmp_path / "sockets.cil")
    log = evidence() + avc(
        "name_bind", "unreserved_port_t", "tcp_socket", levels=("s0:c0", "s0"), fields='comm="serve" src=8000', serial=9
    )
    packaged = package(make_project(tmp_path / "p", host, log), targets={"host": str(host)})
    assert packaged.failed == ()
    target = packaged.manifest["targets"]["host"]
    assert target["ports"] == [{"protocol": "tcp", "port": 8000, "type": "vllm_port_t"}]
    shipped = packaged.directory / "targets/host/ports"
    assert shipped.read_text(encoding="ascii") == "tcp 8000 vllm_port_t\n"
    assert "Port 8000/tcp is labelled `vllm_port_t`" in (packaged.directory / "README.md").read_text(encoding="ascii")

    before = snapshot(host)
    done = run(packaged.directory, "install.sh", "--target", "host", on=host)
    assert done.returncode == 0, done.stderr
    assert "200 vllm-ports" in semodule(host, "-lfull")
    assert run(packaged.directory, "verify.sh", on=host).returncode == 0
    assert run(packaged.directory, "uninstall.sh", on=host).returncode == 0
    assert "vllm" not in semodule(host, "-lfull")
    after = snapshot(host)
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == set()
