"""The client's side: a Dask cluster, the units of work on it, and the one ledger that comes of them."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Callable, Optional

from polkit import __version__
from polkit.audit import STEP, Ledger, ReadOptions, since_loads
from polkit.errors import MissingDependency, PolkitError, SourceError, UsageError
from polkit.fleet.logs import Log, find_logs
from polkit.fleet.work import Job, Result, join, latest, merged, policy_loads, read_part, read_whole

EXTRA = "pip install 'selinux-polkit[fleet]'"

Progress = Callable[[int, int, int], None]
"""Units done, units in all, bytes done."""

_LOCAL = re.compile(r"local(?::([1-9]\d{0,3}))?\Z", re.ASCII)
_ADDRESS = re.compile(r"(?:tcp|tls|wss?)://[^\s/]+:\d{1,5}/?\Z", re.ASCII)
_PATIENCE = "20s"
_TOGETHER = 16
"""So many ledgers are merged at once."""


def collect_on(
    scheduler: str,
    arguments: Sequence[str],
    options: ReadOptions,
    progress: Optional[Progress] = None,
    step: int = STEP,
) -> Ledger:
    """Read logs on a cluster: ``local``, ``local:N`` (N processes here) or the address of a Dask scheduler.

    Gives the ledger that ``polkit.audit.read_logs`` gives of the same logs. A log of more than ``step`` bytes is read
    in pieces. Raises UsageError for what is no scheduler and what ``find_logs`` refuses; MissingDependency without Dask
    or where no scheduler answers or its workers have no polkit or another version; SourceError as ``read_logs`` does.
    """
    workers = _wanted(scheduler)
    _check_installed()
    logs = find_logs(arguments)
    with _connected(scheduler, workers) as client:
        _check_workers(client, scheduler)
        job = Job(options, step, __version__)
        if options.since_policy_load:
            job = replace(job, options=since_loads(options, _loads(client, logs, job)))
        result = _on_cluster(client, logs, job, progress)
    if result.named is not None:
        raise result.named.error()
    if result.listed is not None and not result.read:
        raise result.listed.error()
    return result.ledger


def _wanted(scheduler: str) -> Optional[int]:
    """The number of processes to start here; None for the address of a scheduler."""
    local = _LOCAL.match(scheduler)
    if local:
        return int(local[1] or os.cpu_count() or 1)
    if not _ADDRESS.match(scheduler):
        raise UsageError(f"{scheduler} is no scheduler", "name one as tcp://HOST:PORT or tls://HOST:PORT, or local:N")
    return None


def _check_installed() -> None:
    try:
        import distributed
        import fsspec
    except ImportError as problem:
        raise MissingDependency(
            f"--on needs Dask and fsspec, which are not installed here ({problem.name})", EXTRA
        ) from None
    del distributed, fsspec


@contextmanager
def _connected(scheduler: str, workers: Optional[int]) -> Iterator[Any]:
    """A client of the scheduler, or of a cluster of our own; what is still under way at the end is cancelled."""
    import distributed

    with ExitStack() as stack:
        # What goes wrong is told once, by us: Dask logs it with tracebacks.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        address: Any = scheduler
        if workers is not None:
            with _deaf_children():
                address = distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",
                    silence_logs=logging.CRITICAL,
                )
            stack.enter_context(address)
        try:
            _check_encryption(scheduler)
            client = distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError, TypeError) as problem:
            said = " ".join(str(problem).split())
            raise MissingDependency(
                f"no scheduler answers at {scheduler}: {said}", "Is it running, and reachable?"
            ) from None
        yield stack.enter_context(client)


def _check_encryption(scheduler: str) -> None:
    """Raises MissingDependency for TLS without a certificate: Dask would try for a minute. OSError for a bad one."""
    from distributed.security import Security

    if scheduler.startswith("tls") and Security().get_connection_args("client").get("ssl_context") is None:
        raise MissingDependency(
            f"{scheduler} wants TLS, and Dask has no certificate configured here",
            "Set distributed.comm.tls.ca-file, .client.cert and .client.key: docs/fleet.md",
        )


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes started meanwhile ignore Ctrl-C at the terminal, which is for us: we end them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _check_workers(client: Any, scheduler: str) -> None:
    """Raises MissingDependency where a worker has no polkit or another version, or there is no worker."""

    def version() -> str:  # goes to the workers by its code, not by its name: they may have no polkit
        try:
            from polkit import __version__ as found
        except ImportError:
            return ""
        return found

    found: dict[str, str] = client.run(version)
    if not found:
        raise MissingDependency(f"the scheduler at {scheduler} has no worker", f"Start some: dask worker {scheduler}")
    wrong = sorted((worker, theirs) for worker, theirs in found.items() if theirs != __version__)
    if wrong:
        worker, theirs = wrong[0]
        what = f"polkit {theirs}, this is {__version__}" if theirs else "no polkit"
        others = f", and {len(wrong) - 1} more of {len(found)} differ" if len(wrong) > 1 else ""
        raise MissingDependency(
            f"the worker at {worker} has {what}{others}", f"On every worker: pip install selinux-polkit=={__version__}"
        )


def _loads(client: Any, logs: Sequence[Log], job: Job) -> dict[str, int]:
    """When each host last loaded a policy: a first reading of all logs."""
    found = [client.submit(policy_loads, log, job, pure=False) for log in logs]
    loads: dict[str, int] = _tree(client, latest, found).result()
    return loads


def _tree(client: Any, join_them: Callable[..., Any], level: list[Any]) -> Any:
    """The future of all results joined, some at a time."""
    while len(level) > 1:
        groups = [level[at : at + _TOGETHER] for at in range(0, len(level), _TOGETHER)]
        level = [client.submit(join_them, *group, pure=False) for group in groups]
    return level[0]


def _on_cluster(client: Any, logs: Sequence[Log], job: Job, progress: Optional[Progress]) -> Result:
    from distributed import as_completed

    keys: dict[str, str] = {}
    units: dict[Any, int] = {}
    # In groups, each followed by its merging: what is submitted first runs first, so no worker keeps many ledgers.
    level = []
    for at in range(0, len(logs), _TOGETHER):
        read = [_submitted(client, log, job, units, keys) for log in logs[at : at + _TOGETHER]]
        level.append(client.submit(merged, *read, pure=False))
        del read
    root = _tree(client, merged, level)
    del level
    sizes = {future.key: size for future, size in units.items()}
    waiting = as_completed(list(units), loop=client.loop)
    units.clear()  # who holds a future keeps its result on a worker
    read_bytes = 0
    for done, future in enumerate(waiting, 1):
        read_bytes += sizes[future.key]
        if progress:
            progress(done, len(sizes), read_bytes)
        del future
    return _gathered(root, keys)


def _submitted(client: Any, log: Log, job: Job, units: dict[Any, int], keys: dict[str, str]) -> Any:
    """The future of a log's Result; adds its units of work with their bytes, and their keys with the log's name."""

    def submit(function: Callable[..., Any], *arguments: Any) -> Any:
        future = client.submit(function, *arguments, pure=False)
        keys[future.key] = log.name
        return future

    if log.size is None or log.size <= job.step:
        future = submit(read_whole, log, job)
        units[future] = log.size or 0
        return future
    borders = range(0, log.size, job.step)
    parts = [submit(read_part, log, border, job) for border in borders]
    units.update((part, min(job.step, log.size - border)) for part, border in zip(parts, borders))
    return submit(join, log, job, *parts)


def _gathered(future: Any, keys: dict[str, str]) -> Result:
    from distributed import KilledWorker

    try:
        result: Result = future.result()
    except PolkitError:
        raise
    except KilledWorker as problem:
        name = keys.get(str(problem.task), "some logs")
        raise SourceError(
            f"{name}: the workers that read it died, one after the other", "Have they enough memory? Look at their logs"
        ) from None
    except ImportError as problem:
        raise MissingDependency(f"a worker can't run polkit: {problem}", f"On every worker: {EXTRA}") from None
    return result
