"""The README's example is what the command prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Polkit
from tests.fixture_plans import REVIEWED_ON, packages


def test_the_example_of_the_readme_is_real(repository: Path, policy_root: Path, polkit: Polkit) -> None:
    """The block after the demo's command is what that command prints, but for the policy's place."""
    if packages(policy_root) != REVIEWED_ON.read_text():
        pytest.skip("the README shows the policy named in fixtures/avc/POLICY; this host builds another release")
    shown = re.search(r"^```text\n(input .*?)^```", (repository / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert shown is not None
    log = repository / "fixtures/avc/kernel/vllm-serving.audit.log"
    mounts = ("--mount", "/srv/models:/models", "--mount", "/srv/vllm/cache:/home/vllm/.cache")
    done = polkit("generate", log, *mounts, "-n", "vllm", "-o", "vllm")

    def comparable(text: str) -> list[str]:
        """Without the paths of the input and the policy, which differ from place to place."""
        lines = text.splitlines()
        start = next(index for index, line in enumerate(lines) if line.startswith("Labels to define ("))
        return [line for line in lines[start:] if not line.startswith("        /") or "vllm" not in line]

    assert comparable(done.stdout) == comparable(shown[1])


def test_the_review_of_the_readme_is_real(repository: Path, policy_root: Path, polkit: Polkit) -> None:
    """What is shown stands in the output, in this order; what is left out is marked."""
    if packages(policy_root) != REVIEWED_ON.read_text():
        pytest.skip("the README shows the policy named in fixtures/avc/POLICY; this host builds another release")
    readme = (repository / "README.md").read_text()
    shown = re.search(r"^```text\n(objections: .*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert shown is not None
    module = "fixtures/review/ai-inference/ai_inference.te"
    done = polkit("review", repository / module)
    printed = done.stdout.replace(f"{repository}/", "")
    for part in shown[1].split("[...]\n"):
        assert part in printed
        printed = printed.partition(part)[2]
    own = polkit("review", repository / "modules/vllm-cuda", "--format", "json").stdout
    for number in ("68,173", "58,800", "9,344", "29 are the module's own"):
        assert number in own
        assert number.partition(" ")[0] in readme
