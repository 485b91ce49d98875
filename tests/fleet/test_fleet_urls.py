"""Logs behind URLs: read in ranges where that can be had, named without secrets, errors told in one line."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from polkit.audit import Ledger, ReadOptions, read_logs
from polkit.errors import MissingDependency, SourceError, UsageError
from polkit.fleet import collect_on
from tests.fleet.conftest import Cluster, node_log, text

ALL = ReadOptions()
STEP = 50_000


def renamed(ledger: Ledger, names: dict[str, str]) -> list[str]:
    """A ledger's text with other names for its sources."""
    content = "\n".join(text(ledger))
    for old, new in names.items():
        content = content.replace(old, new)
    return content.split("\n")


def test_file_urls_are_the_files(cluster: Cluster, tmp_path: Path) -> None:
    for node in range(3):
        (tmp_path / f"node{node}").mkdir()
        (tmp_path / f"node{node}" / "audit.log").write_text(node_log(node, 400))
    plain = read_logs([str(tmp_path / "*" / "audit.log")])
    found = collect_on(cluster.address, [f"file://{tmp_path}/*/audit.log"], ALL, step=STEP)
    assert renamed(found, {"file://": ""}) == text(plain)
    folder = collect_on(cluster.address, [f"file://{tmp_path}/node1/"], ALL, step=STEP)
    assert renamed(folder, {"file://": ""}) == text(read_logs([str(tmp_path / "node1" / "audit.log")]))
    with pytest.raises(SourceError, match="no file matches"):
        collect_on(cluster.address, [f"file://{tmp_path}/*/nothing"], ALL)
    with pytest.raises(SourceError, match="no such file"):
        collect_on(cluster.address, [f"file://{tmp_path}/nothing"], ALL)


class Ranges(SimpleHTTPRequestHandler):
    """A web server that gives ranges, as every object store does."""

    asked: list[str] = []
    gives_ranges = True

    def do_GET(self) -> None:
        if self.path.startswith("/forbidden"):
            self.send_error(403)
            return
        wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not wanted or not self.gives_ranges:
            super().do_GET()
            return
        self.asked.append(wanted[0])
        content = Path(self.translate_path(self.path)).read_bytes()
        first, last = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(content[first : last + 1])

    def end_headers(self) -> None:
        if self.gives_ranges:
            self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to the tests' output."""


class NoRanges(Ranges):
    gives_ranges = False


@pytest.fixture(params=[Ranges, NoRanges], ids=["with ranges", "without"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, type[Ranges]]]:
    """A web server of the test's folder."""
    pytest.importorskip("aiohttp", reason="fsspec reads http:// with aiohttp, which is not installed")
    handler: type[Ranges] = request.param
    handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", handler
        running.shutdown()
        thread.join()


def test_logs_on_a_web_server_are_read_in_ranges_where_it_gives_them(
    cluster: Cluster, server: tuple[str, type[Ranges]], tmp_path: Path
) -> None:
    url, handler = server
    (tmp_path / "audit.log").write_text(node_log(1, 2000))
    units: list[int] = []
    found = collect_on(
        cluster.address, [f"{url}/audit.log"], ALL, lambda _, number, __: units.append(number), step=STEP
    )
    assert renamed(found, {url: str(tmp_path)}) == text(read_logs([str(tmp_path / "audit.log")]))
    if handler.gives_ranges:
        assert units[-1] > 10
        assert len(set(handler.asked)) > 1
    else:
        assert units == [1]


def test_secrets_of_a_url_reach_neither_ledger_nor_message(
    cluster: Cluster, server: tuple[str, type[Ranges]], tmp_path: Path
) -> None:
    url, _ = server
    (tmp_path / "audit.log").write_text(node_log(1, 5))
    signed = url.replace("://", "://user:hunter2@") + "/audit.log?Signature=hunter2"
    content = "\n".join(text(collect_on(cluster.address, [signed], ALL)))
    assert f"{url}/audit.log" in content
    assert "hunter2" not in content
    for path in ("nothing", "forbidden"):
        with pytest.raises(SourceError) as caught:
            collect_on(cluster.address, [signed.replace("audit.log", path)], ALL)
        assert f"{url}/{path}" in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_protocols_that_nobody_knows_or_that_lack_their_package_are_said(cluster: Cluster) -> None:
    with pytest.raises(UsageError, match="Protocol not known: nosuch"):
        collect_on(cluster.address, ["nosuch://bucket/audit.log"], ALL)
    with pytest.raises(MissingDependency) as caught:  # no known file system is less likely to be installed
        collect_on(cluster.address, ["libarchive://audit.log::file:///x.rar"], ALL)
    assert "libarchive" in str(caught.value)
    assert "every worker" in caught.value.hint
