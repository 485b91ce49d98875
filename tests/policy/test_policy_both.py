"""Two policies read side by side are those that are read one after the other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from polkit.errors import SourceError
from polkit.policy import PolicyFiles, between
from polkit.review import diff, diff_object
from tests.bundle.making import semodule, small_host

MORE = "(allow container_t shadow_t (file (read))) (dontaudit container_t var_t (file (write))) (type mine_t)"


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = small_host(tmp_path_factory.mktemp("host"))
    kern = next(root.glob("var/lib/selinux/*/active/policy.kern"))
    shutil.copy(kern, root / "old")
    (root / "mine.cil").write_text(MORE)
    semodule(root, "-X", "400", "-i", root / "mine.cil")
    shutil.copy(kern, root / "new")
    return root / "old", root / "new"


def said(policies: tuple[Path, Path]) -> dict[str, Any]:
    return diff_object(diff(*policies))


def test_with_and_without_a_second_process_and_from_the_cache(
    policies: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLKIT_CACHE", "off")
    cold = said(policies)
    assert cold["verdict"] == "more-permissive"
    assert cold["types"]["added"] == ["mine_t"]
    assert cold["statements"]["added"] == ["dontaudit container_t var_t:file write;"]
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    assert said(policies) == cold
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert said(policies) == cold
    assert len(list(tmp_path.rglob("*.index"))) == 4  # the contents and the statements of either
    for policy in policies:
        assert said((policy, policy))["verdict"] == "equivalent"
    assert said(policies) == cold


@pytest.mark.parametrize("damaged", [0, 1])
def test_a_damaged_one_is_named(
    policies: tuple[Path, Path], damaged: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLKIT_CACHE", "off")
    (tmp_path / "bad").write_bytes(policies[damaged].read_bytes()[:2000])
    both = [*policies]
    both[damaged] = tmp_path / "bad"
    old, new = (PolicyFiles(path, None, None, None, None) for path in both)
    with pytest.raises(SourceError, match="bad: a policy of format"):
        between(old, new)
