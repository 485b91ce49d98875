"""What a cluster collects is what one machine collects, whatever happens to the cluster on the way."""

from __future__ import annotations

import bz2
import gzip
import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polkit.audit import ReadOptions, read_logs, totals
from polkit.errors import MissingDependency, PolkitError, SourceError, UsageError
from polkit.fleet import collect_on
from tests.fleet.conftest import Cluster, node_log, text, wait_for

ALL = ReadOptions()
FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "avc"


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs of every kind that a worker reads in another way."""
    folder = tmp_path_factory.mktemp("logs")
    mixed = node_log(1, 300).splitlines()
    near = random.Random(1)
    mixed = [line for _, line in sorted((number + near.uniform(0, 30), line) for number, line in enumerate(mixed))]
    (folder / "shuffled.log").write_text("\n".join(mixed))  # so that hardly a line stands between two events
    (folder / "plain.log").write_text(node_log(2, 900))
    (folder / "wide.log").write_bytes(node_log(3, 90).encode("utf-16"))
    (folder / "packed.log.gz").write_bytes(gzip.compress(node_log(4, 400).encode()))
    (folder / "cut.log.bz2").write_bytes(bz2.compress(node_log(5, 400).encode())[:-50])
    (folder / "empty.log").write_bytes(b"")
    for log in (FIXTURES / "crafted").glob("1*.log"):
        (folder / log.name).write_bytes(log.read_bytes())
    saved = read_logs([str(folder / "plain.log"), str(FIXTURES / "crafted")])
    (folder / "saved.ledger").write_text("\n".join(text(saved)))
    return folder


def test_a_cluster_gives_the_ledger_of_one_machine(cluster: Cluster, logs: Path) -> None:
    arguments = [str(logs / "*.log*"), str(logs / "plain.log"), str(logs / "saved.ledger")]
    assert text(collect_on(cluster.address, arguments, ALL, step=50_000)) == text(read_logs(arguments))


@pytest.mark.heavy
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(2_000, 300_000))
def test_whatever_the_size_of_pieces(cluster: Cluster, logs: Path, step: int) -> None:
    arguments = [str(logs / "plain.log"), str(logs / "shuffled.log")]
    assert text(collect_on(cluster.address, arguments, ALL, step=step)) == text(read_logs(arguments))


def test_options_reach_the_workers(cluster: Cluster, logs: Path) -> None:
    options = ReadOptions(since=1_700_000_002_500, source_types=frozenset(("a_t",)))
    arguments = [str(logs / "plain.log"), str(logs / "shuffled.log")]
    ledger = collect_on(cluster.address, arguments, options, step=60_000)
    assert text(ledger) == text(read_logs(arguments, options))
    assert totals(ledger).summary.filtered > 0


def test_a_killed_worker_takes_nothing_with_it(own_cluster: Cluster, tmp_path: Path) -> None:
    """The worker that is killed works on a unit, and holds results of others that no merge has taken up yet."""
    own_cluster.add_worker()
    own_cluster.add_worker()
    for node in range(24):
        (tmp_path / f"{node}.log").write_text(node_log(node, 200))
    arguments = [str(tmp_path / "*.log")]
    seen: list[int] = []
    lost: list[str] = []

    with own_cluster.client() as watch:

        def progress(done: int, number: int, _bytes: int) -> None:
            seen.append(done)
            if lost or not 3 <= done < number - 6:
                return
            held, busy = watch.has_what(), watch.processing()
            for worker, process in own_cluster.workers.items():
                if held.get(worker) and busy.get(worker):
                    process.kill()
                    process.wait()
                    lost.append(worker)
                    return

        ledger = collect_on(own_cluster.address, arguments, ALL, progress)
    assert len(lost) == 1, "no worker was killed in the middle"
    wait_for(lambda: len(own_cluster.known()) == 1)
    assert lost[0] not in own_cluster.known()
    assert seen[-1] == 24
    assert text(ledger) == text(read_logs(arguments))


def test_progress_counts_every_unit_and_byte_once(cluster: Cluster, logs: Path) -> None:
    seen: list[tuple[int, int, int]] = []
    names = [logs / "plain.log", logs / "packed.log.gz"]
    collect_on(cluster.address, [str(name) for name in names], ALL, lambda *now: seen.append(now), step=50_000)
    pieces = -(-names[0].stat().st_size // 50_000)
    assert pieces > 5
    assert [done for done, _, _ in seen] == list(range(1, pieces + 2))
    assert seen[-1] == (pieces + 1, pieces + 1, sum(name.stat().st_size for name in names))


def test_one_unreadable_log_among_several_is_a_note_as_on_one_machine(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(node_log(1, 3))
    (tmp_path / "b.log").symlink_to(tmp_path / "nowhere")
    arguments = [str(tmp_path / "*.log")]
    ledger = collect_on(cluster.address, arguments, ALL)
    assert text(ledger) == text(read_logs(arguments))
    assert any("b.log: not read" in note for note in totals(ledger).summary.notes)
    (tmp_path / "a.log").unlink()
    for read in (lambda: read_logs(arguments), lambda: collect_on(cluster.address, arguments, ALL)):
        with pytest.raises(SourceError, match=r"b\.log: No such file"):
            read()


def test_a_named_log_that_a_worker_cannot_read_is_an_error(cluster: Cluster, logs: Path) -> None:
    """This file's first byte can't be read by anybody."""
    arguments = [str(logs / "plain.log"), "/proc/self/mem"]
    raised: list[PolkitError] = []
    for read in (lambda: read_logs(arguments), lambda: collect_on(cluster.address, arguments, ALL)):
        with pytest.raises(SourceError) as caught:
            read()
        raised.append(caught.value)
    assert [str(one) for one in raised] == ["/proc/self/mem: Input/output error"] * 2
    assert raised[0].hint == raised[1].hint


def test_a_log_that_shrinks_while_it_is_read_is_told_from_a_short_one(cluster: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(node_log(1, 2000))

    def shrink(*_: int) -> None:
        os.truncate(log, 70_000)

    with pytest.raises(SourceError, match=r"a\.log: became shorter while it was read"):
        collect_on(cluster.address, [str(log)], ALL, shrink, step=10_000)


def test_what_is_no_scheduler_and_no_log_is_said(cluster: Cluster, logs: Path) -> None:
    log = str(logs / "plain.log")
    for scheduler in ("local:0", "localhost", "tcp://nowhere", "http://x:1", "tcp://x:1 ;"):
        with pytest.raises(UsageError, match="is no scheduler"):
            collect_on(scheduler, [log], ALL)
    with pytest.raises(UsageError, match="standard input"):
        collect_on(cluster.address, ["-"], ALL)
    with pytest.raises(UsageError, match="no log was named"):
        collect_on(cluster.address, [], ALL)
    with pytest.raises(SourceError, match="no file matches"):
        collect_on(cluster.address, [str(logs / "*.nothing")], ALL)


@pytest.mark.parametrize(
    ("package", "says"),
    [
        pytest.param('__version__ = "0.0.1"', r"has polkit 0\.0\.1, this is \d", id="another version"),
        pytest.param("raise ImportError", "has no polkit", id="no polkit", marks=pytest.mark.heavy),
    ],
)
def test_a_worker_with_another_polkit_is_found_before_any_work(
    own_cluster: Cluster, logs: Path, tmp_path: Path, package: str, says: str
) -> None:
    (tmp_path / "other" / "polkit").mkdir(parents=True)
    (tmp_path / "other" / "polkit" / "__init__.py").write_text(package)
    with pytest.raises(MissingDependency, match="has no worker"):
        collect_on(own_cluster.address, [str(logs / "plain.log")], ALL)
    own_cluster.add_worker({"PYTHONPATH": str(tmp_path / "other")})
    (worker,) = own_cluster.workers
    done: list[int] = []
    with pytest.raises(MissingDependency, match=f"{worker} {says}") as caught:
        collect_on(own_cluster.address, [str(logs / "plain.log")], ALL, lambda *now: done.append(now[0]))
    assert "pip install selinux-polkit==" in caught.value.hint
    assert not done


def test_an_event_that_goes_on_in_the_next_file_of_a_rotated_set_is_joined(cluster: Cluster, tmp_path: Path) -> None:
    """Small files in one go, large ones in pieces; behind URLs too."""
    lines = node_log(1, 300).splitlines(keepends=True)
    (tmp_path / "audit.log.1").write_text("".join(lines[:601]))
    (tmp_path / "audit.log").write_text("".join(lines[601:]))
    plain = read_logs([str(tmp_path / "audit.log*")])
    assert "/srv/0/f150" in "".join(text(plain)), "the denial stands in one file, its directory in the other"
    for step in (20_000, 1 << 20):
        assert text(collect_on(cluster.address, [str(tmp_path / "audit.log*")], ALL, step=step)) == text(plain)
    found = text(collect_on(cluster.address, [f"file://{tmp_path}/audit.log*"], ALL))
    assert [line.replace("file://", "") for line in found] == text(plain)


def test_since_the_last_load_of_a_policy_wherever_it_is_told(cluster: Cluster, tmp_path: Path) -> None:
    for node in (1, 2):
        lines = node_log(node, 90).splitlines(keepends=True)
        load = f"node=n{node} type=MAC_POLICY_LOAD msg=audit(17000{node:05}.050:7): policy loaded auid=0 ses=1\n"
        (tmp_path / f"{node}.log").write_text("".join((*lines[:100], load, *lines[100:])))
    arguments, options = [str(tmp_path / "*.log")], ReadOptions(since_policy_load=True)
    ledger = collect_on(cluster.address, arguments, options, step=10_000)
    assert text(ledger) == text(read_logs(arguments, options))
    assert 0 < totals(ledger).summary.filtered < totals(ledger).summary.parsed + totals(ledger).summary.filtered
    (tmp_path / "none.log").write_text(node_log(3, 3))
    with pytest.raises(SourceError, match="hold no load of a policy"):
        collect_on(cluster.address, [str(tmp_path / "none.log")], options)
