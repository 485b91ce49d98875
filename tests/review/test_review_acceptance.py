"""The cases that a review was asked for by name: each as its author published it."""

from __future__ import annotations

from pathlib import Path

from polkit.review import ReviewRequest, review

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "review"


def test_the_module_of_a_guide_to_ai_inference(policy_root: Path) -> None:
    """It does not compile, names a type that no policy has, and the policy allows its other two rules already."""
    found = review(ReviewRequest(str(FIXTURES / "ai-inference" / "ai_inference.te"), str(policy_root), build=False))
    by_id = {one.id: one for one in found.findings}

    assert found.exit_code == 1
    head = by_id["PK004"]
    assert (head.severity, head.place.line) == ("high", 1)
    assert head.title.startswith("Does not compile")
    assert "policy_module" in head.title
    assert "selinux-policy-dev" in head.fix.text
    for line in ("module ai_inference 1.0;", "class tcp_socket { name_bind };", "class file { getattr open read };"):
        assert f"+    {line}\n" in head.fix.patch or f"+{line}\n" in head.fix.patch
    unknown = by_id["PK003"]
    assert (unknown.severity, unknown.place.line) == ("high", 11)
    assert "no type nvidia_device_t; nearest: xserver_misc_device_t" in unknown.title
    assert "/dev/nvidia0" in unknown.fix.text
    allowed = {one.place.line for one in found.findings if one.id == "PK010"}
    assert allowed == {12, 13}
