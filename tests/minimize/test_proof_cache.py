"""What a proof leaves in the cache: the policy as it is, never the one with the module."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.minimize.proof_worlds import build_root, prover, read, te


def test_the_policy_with_the_module_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLKIT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    run = prover(build_root(tmp_path / "root"), tmp_path)
    assert run(te("allow container_t data_t:file { read };", file="read"), read()).covered
    kept = sorted(path.name for path in (tmp_path / "cache/polkit").iterdir())
    assert len(kept) == 4, (
        "the policy's contents, statements, its store's neverallow rules, what the store's build gives"
    )
    assert run(te("allow container_t data_t:file { write };", file="write"), read(perms="write")).covered
    assert sorted(path.name for path in (tmp_path / "cache/polkit").iterdir()) == kept
