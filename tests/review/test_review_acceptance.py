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


def test_the_right_answer_to_it_is_one_boolean_or_a_domain_with_the_gpu_alone(policy_root: Path) -> None:
    found = review(ReviewRequest(str(FIXTURES / "ai-inference" / "ai_inference.te"), str(policy_root), build=False))
    by_id = {one.id: one for one in found.findings if one.place.line == 11}
    assert by_id["PK012"].fix.commands == ("setsebool -P container_use_xserver_devices=on",)
    assert "container_use_devices on would allow" in by_id["PK012"].fix.text
    own = by_id["PK011"].fix
    assert "allow ai_inference_t xserver_misc_device_t:chr_file { getattr ioctl open read write };" in own.text
    assert own.commands == ("polkit generate -n ai_inference -o ai_inference LOG",)
    assert all("nvidia_device_t" in by_id[one].title for one in ("PK011", "PK012"))


def test_certificates_for_every_container(policy_root: Path) -> None:
    """A boolean gives the same, and every container would get it."""
    source = FIXTURES / "bad" / "PK012-certificates-for-containers" / "container_cert.te"
    found = review(ReviewRequest(str(source), str(policy_root), build=False)).findings
    shared = next(one for one in found if one.id == "PK011")
    assert "every container on the host" in shared.title
    assert "newly allows 3 accesses" in shared.why
    boolean = next(one for one in found if one.id == "PK012")
    assert (boolean.severity, boolean.confidence) == ("medium", "high")
    assert boolean.fix.commands == ("setsebool -P container_read_certs=on",)
    assert shared.place == boolean.place


def test_a_domain_among_those_that_a_neverallow_rule_leaves_out(policy_root: Path) -> None:
    source = FIXTURES / "bad" / "PK016-web-server-among-readers-of-shadow" / "webshadow.te"
    found = review(ReviewRequest(str(source), str(policy_root), build=False))
    (exempted,) = (one for one in found.findings if one.id == "PK016")
    assert (exempted.severity, exempted.place.line) == ("high", 9)
    assert exempted.evidence == ("neverallow ~{ can_read_shadow_passwords } shadow_t:file { read };",)
    assert found.exit_code == 1
