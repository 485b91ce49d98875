"""This host's own record: the journal by way of a ``journalctl`` that plays back lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from polkit.audit import ReadOptions, host, read_host_logs, totals
from polkit.errors import MissingDependency, SourceError
from tests.records import avc

RECORD = avc("read", "etc_t").replace("type=AVC msg=audit(1700000000.123:1): ", "")
AUDIT = f"2023-11-14T22:13:20+0000 gpu01 audit[42]: AVC {RECORD}"
KERNEL = f"2023-11-14T22:13:20+0000 gpu01 kernel: audit: type=1400 audit(1700000000.123:1): {RECORD}"


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with ``audit`` and ``kernel``, which its journalctl prints by transport."""
    command = tmp_path / "journalctl"
    command.write_text(f'#!/bin/sh\nfor word; do :; done\nexec cat "{tmp_path}/${{word#_TRANSPORT=}}"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(host, "AUDIT_LOG", str(tmp_path / "no-audit.log"))
    return tmp_path


def test_the_audit_log_comes_first(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = journal / "audit.log"
    log.write_text(avc("write", "etc_t"))
    monkeypatch.setattr(host, "AUDIT_LOG", str(log))
    denials = totals(read_host_logs(ReadOptions()))
    assert (denials.summary.sources, denials.counted[0].key.perms) == ((str(log),), ("write",))


def test_a_denial_that_the_journal_holds_twice_counts_once(journal: Path) -> None:
    (journal / "audit").write_text(AUDIT)
    (journal / "kernel").write_text(KERNEL)
    summary = totals(read_host_logs(ReadOptions())).summary
    assert (summary.sources, summary.denials, summary.parsed) == (("journal",), 1, 1)


def test_the_kernels_lines_serve_where_the_audit_transport_is_empty(journal: Path) -> None:
    (journal / "audit").write_text("")
    (journal / "kernel").write_text(KERNEL)
    assert totals(read_host_logs(ReadOptions())).summary.denials == 1


def test_a_journal_that_fails_says_why(journal: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        read_host_logs(ReadOptions())


def test_a_host_with_neither_says_so(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(journal / "nothing"))
    with pytest.raises(MissingDependency, match="journal"):
        read_host_logs(ReadOptions())
