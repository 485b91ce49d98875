"""``polkit generate`` as its users run it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Polkit
from tests.records import avc

KERNEL = "kernel/vllm-enforcing.enriched.log"
MOUNTS = ("--mount", "/srv/models:/models", "--mount", "/home/vllm/.cache:/home/vllm/.cache")


@pytest.fixture
def kernel_log(fixtures_dir: Path) -> Path:
    return fixtures_dir / "avc" / KERNEL


def test_a_gpu_container_gets_its_module(polkit: Polkit, kernel_log: Path, tmp_path: Path) -> None:
    done = polkit("generate", kernel_log, "--source", "container_t", *MOUNTS, "-n", "vllm", "-o", "out")
    assert done.returncode == 1, done.stderr  # some of what that workload tries is refused
    assert done.stderr == ""
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["plan.json", "vllm.fc", "vllm.pp", "vllm.te"]
    te = (tmp_path / "out" / "vllm.te").read_text()
    assert "module vllm 1.0.0;" in te
    assert "default_t" not in te
    assert "/srv/models(/.*)?" in (tmp_path / "out" / "vllm.fc").read_text()
    assert "container_use_" in done.stdout
    assert "Run it in its domain" in done.stdout
    assert "--security-opt label=type:vllm_t" in done.stdout
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert plan["module"]["files"] == ["vllm.te", "vllm.fc", "vllm.pp", "plan.json"]
    assert (plan["module"]["domain"], plan["module"]["base"]) == ("vllm_t", "container_t")
    assert plan["module"]["inherited"] > 10_000
    assert plan["module"]["widened"] == []
    assert plan["domain"]["run"]["quadlet"].endswith("SecurityLabelType=vllm_t")
    assert max(len(line) for line in done.stdout.splitlines() if "#" not in line) <= 80


def test_extending_a_shared_domain_says_what_it_costs(polkit: Polkit, kernel_log: Path, tmp_path: Path) -> None:
    done = polkit("generate", kernel_log, "--source", "container_t", *MOUNTS, "-n", "vllm", "-o", "out", "--extend")
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert (plan["domain"], plan["module"]["domain"], plan["module"]["inherited"]) == (None, None, 0)
    assert plan["module"]["widened"] == ["container_t"]
    assert plan["module"]["boolean_grants"] > 0
    assert "boolean grants" in done.stdout
    assert "optional" not in (tmp_path / "out" / "vllm.te").read_text()


def test_an_empty_domain_to_record_in(polkit: Polkit, tmp_path: Path, policy_root: Path) -> None:
    from polkit.module import link_check

    done = polkit("generate", "--empty-domain", "-n", "vllm", "-o", "empty")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--base none" in done.stdout
    text = (tmp_path / "empty" / "vllm.te").read_text()
    assert "permissive vllm_t;" in text
    assert not [line for line in text.splitlines() if line.strip().startswith("allow vllm_t")]
    assert ":process { getattr sigkill signal signull transition };" in text  # an engine may start it
    link_check(tmp_path / "empty" / "vllm.pp", policy_root, next(policy_root.glob("etc/selinux/*/policy")).parent.name)
    again = polkit("generate", "--empty-domain", "-n", "vllm", "-o", "other", "--format", "json")
    assert json.loads(again.stdout)["domain"]["base"] is None
    for wrong in (("-",), ("--policy", "none"), ("--base", "init_t")):
        refused = polkit("generate", "--empty-domain", *wrong, "-n", "v", "-o", "none", policy="--policy" not in wrong)
        assert (refused.returncode, (tmp_path / "none").exists()) == (2, False)


def test_what_was_recorded_in_the_empty_domain_is_a_containers(polkit: Polkit, tmp_path: Path) -> None:
    """Its paths are not the host's, though the type itself is in no attribute of containers."""
    log = avc("read", "default_t", source="vllm_t", fields='comm="p" path="/models/w" dev="dm-0"')
    done = polkit("generate", "-", "--base", "none", "-n", "vllm", "-o", "out", "--format", "json", stdin=log.encode())
    (decision,) = json.loads(done.stdout)["decisions"]
    assert (decision["cause"], decision["remedy"]["path"]) == ("mislabeled", None)
    assert "--mount" in decision["remedy"]["text"]


def test_the_package_links_into_the_policy_store(
    polkit: Polkit, kernel_log: Path, tmp_path: Path, policy_root: Path
) -> None:
    from polkit.module import link_check

    polkit("generate", kernel_log, "--source", "container_t", *MOUNTS, "-n", "vllm", "-o", "out")
    name = next(policy_root.glob("etc/selinux/*/policy")).parent.name
    link_check(tmp_path / "out" / "vllm.pp", policy_root, name)


def test_same_input_same_bytes(polkit: Polkit, kernel_log: Path, tmp_path: Path) -> None:
    for name, zone in (("one", "UTC"), ("two", "Asia/Tokyo")):
        polkit(
            "generate",
            kernel_log,
            *MOUNTS,
            "-n",
            "vllm",
            "-o",
            name,
            env={"TZ": zone, "PYTHONHASHSEED": zone[:1] and str(len(zone))},
        )
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert files[0] == files[1]


def test_an_existing_directory_is_kept_without_force(polkit: Polkit, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes").write_text("mine")
    log = avc("execheap", "container_t", "process").encode()
    done = polkit("generate", "-", "-o", "out", stdin=log)
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes"]
    done = polkit("generate", "-", "-o", "out", "--force", "-n", "x", stdin=log)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "notes").read_text() == "mine"
    assert (tmp_path / "out" / "x.pp").exists()


@pytest.mark.parametrize("text", [b"", b"hello world\n", b"type=SYSCALL msg=audit(1.1:1): arch=c000003e\n"])
def test_no_denials_says_so_and_writes_nothing(polkit: Polkit, tmp_path: Path, text: bytes) -> None:
    done = polkit("generate", "-", "-o", "out", stdin=text)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 denials" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_boolean_needs_no_module(polkit: Polkit, tmp_path: Path) -> None:
    done = polkit("generate", "-", "--extend", stdin=avc("read", "nfs_t").encode())
    assert done.returncode == 0
    assert "setsebool -P container_use_nfs=on" in done.stdout
    assert list(tmp_path.iterdir()) == []


SAME = ("s0:c1,c2", "s0:c1,c2")
HOSTILE = {
    "comm": 'comm="a*/ syscmd(`id`)"',
    "hex comm with newlines and escapes": "comm=" + "x\nallow a b:file read;\x1b[2J\u202e".encode().hex().upper(),
    "path": 'comm="p" path="/models/\')"',
    "hex path": "path=" + b"/models/x\n# '`\x00".hex().upper(),
}


@pytest.mark.parametrize("fields", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_harmless_everywhere(polkit: Polkit, tmp_path: Path, fields: str) -> None:
    log = avc("execheap", "container_t", "process", levels=SAME, fields=fields).encode()
    done = polkit("generate", "-", "-n", "x", "-o", "out", "-v", stdin=log)
    assert done.returncode == 0, done.stderr
    te = (tmp_path / "out" / "x.te").read_bytes()
    code = [line for line in te.decode("ascii").splitlines() if line.strip() and not line.lstrip().startswith("#")]
    own = [line for line in code if line.startswith("allow x_t") and "execheap" in line]
    assert own == ["allow x_t self:process { execheap };"]
    # What is no rule of the log's is inherited, and the same for a log that is harmless.
    polkit(
        "generate", "-", "-n", "x", "-o", "plain", stdin=avc("execheap", "container_t", "process", levels=SAME).encode()
    )
    plain = (tmp_path / "plain" / "x.te").read_text().splitlines()
    assert code == [line for line in plain if line.strip() and not line.lstrip().startswith("#")]
    for text in (done.stdout, (tmp_path / "out" / "plan.json").read_text()):
        assert not any(ord(char) < 32 and char != "\n" for char in text)
        assert "\u202e" not in text


def test_text_in_place_of_a_name_is_unparsed_and_nowhere_in_the_output(polkit: Polkit, tmp_path: Path) -> None:
    bad = avc("read", "shadow_t", "file{read};allow@X")
    good = avc("execheap", "container_t", "process")
    done = polkit("generate", "-", "-n", "x", "-o", "out", stdin=(bad + good).encode())
    assert done.returncode == 1
    for path in (tmp_path / "out").glob("x.*"):
        assert b"allow@X" not in path.read_bytes()
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert [one["line"] for one in plan["input"]["unparsed"]] == [1]
    assert plan["input"]["denials"] == 2


def test_unknown_names_are_listed_and_the_rest_gets_its_plan(polkit: Polkit) -> None:
    log = avc("read", "nvidia_device_t", "chr_file", fields='path="/dev/nvidia0" dev="devtmpfs"') + avc(
        "execheap", "container_t", "process", serial=2
    )
    done = polkit("generate", "-", "--format", "json", stdin=log.encode())
    plan = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert [decision["cause"] for decision in plan["decisions"]] == ["unknown-type", "missing-rule"]
    assert "xserver_misc_device_t" in plan["decisions"][0]["remedy"]["text"]


def test_gates_of_the_configuration_are_held(polkit: Polkit, tmp_path: Path) -> None:
    (tmp_path / "polkit.toml").write_text('[module]\nname = "gated"\n[gates]\nforbid_rules_on = ["self"]\n')
    done = polkit("generate", "-", stdin=avc("execheap", "container_t", "process", levels=SAME).encode())
    assert done.returncode == 1
    assert "forbid_rules_on" in done.stdout
    assert (tmp_path / "gated" / "gated.te").exists()


def test_configuration_errors_name_the_nearest_key(polkit: Polkit, tmp_path: Path) -> None:
    (tmp_path / "polkit.toml").write_text("[minimize]\nbase = []\n")
    done = polkit("explain", "-", stdin=b"")
    assert done.returncode == 2
    assert "bases" in done.stderr


WRONG = {
    "no such log": (("explain", "/no/such.log"), 3),
    "no such policy": (("explain", "-", "--policy", "/no/policy"), 3),
    "not a policy": (("explain", "-", "--policy", "/etc/passwd"), 3),
    "bad since": (("explain", "-", "--since", "whenever"), 2),
    "since after until": (("explain", "-", "--since", "2h", "--until", "3h"), 2),
    "bad mount": (("explain", "-", "--mount", "models:/models"), 2),
    "no such inspect file": (("explain", "-", "--inspect", "/no/such.json"), 3),
    "no such booleans": (("explain", "-", "--booleans", "/no/such"), 3),
    "a base that can be none": (("explain", "-", "--base", "init_t"), 2),
    "a base that is not among them": (("explain", "-", "--base", "chronyd_t"), 2),
    "a base beside --extend": (("explain", "-", "--base", "container_t", "--extend"), 2),
    "bad name": (("generate", "-", "-n", "9 lives"), 2),
    "bad version": (("generate", "-", "--module-version", "one"), 2),
    "unknown verb": (("explode",), 2),
    "unknown option": (("explain", "--nope"), 2),
    "bad format": (("explain", "-", "--format", "xml"), 2),
}


@pytest.mark.parametrize(("arguments", "code"), WRONG.values(), ids=WRONG.keys())
def test_wrong_use_is_one_clear_line_and_the_right_code(polkit: Polkit, arguments: tuple[str, ...], code: int) -> None:
    log = avc("execheap", "container_t", "process").encode()
    done = polkit(*arguments, stdin=log, policy="--policy" not in arguments)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("polkit: ")


@pytest.mark.parametrize("name", ["no such log", "bad mount", "unknown option"])
def test_errors_are_json_where_json_was_asked_for(polkit: Polkit, name: str) -> None:
    arguments, code = WRONG[name]
    done = polkit(*arguments, "--format=json")
    error = json.loads(done.stdout)
    assert (error["schema"], error["error"]["exit_code"]) == ("polkit.error/1", code)


def test_no_policy_to_be_found_says_how_to_get_one(polkit: Polkit) -> None:
    if Path("/sys/fs/selinux/policy").exists() or any(Path("/etc/selinux").glob("*/policy/policy.*")):
        pytest.skip("this host has a policy of its own, so `auto` finds it")
    done = polkit("explain", "-", "--policy", "auto", stdin=avc("read", "etc_t").encode())
    assert done.returncode == 4
    assert "--policy" in done.stderr


def test_without_a_policy_it_says_what_is_unknown(polkit: Polkit) -> None:
    done = polkit(
        "generate", "-", "--policy", "none", "--format", "json", "-n", "x", stdin=avc("read", "foo_t").encode()
    )
    plan = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert plan["policy"] is None
    assert plan["decisions"][0]["cause"] == "missing-rule"
    assert "nothing could be asked" in plan["decisions"][0]["why"]


def test_unreadable_log_is_named(policy_root: Path, tmp_path: Path) -> None:
    """With no more rights than an ordinary user has, also where the tests run as root."""
    log = tmp_path / "audit.log"
    log.write_text(avc("read", "etc_t"))
    log.chmod(0)
    command = [Path(sys.executable).with_name("polkit"), "explain", log, "--policy", policy_root]
    # Not as another user: a checkout below /root is closed to everybody else.
    mortal = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run([*mortal, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "audit.log" in done.stderr
    assert "Traceback" not in done.stderr


def test_output_that_cannot_be_written_is_named(polkit: Polkit, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = polkit("generate", "-", "-o", "file/below", stdin=avc("execheap", "container_t", "process").encode())
    assert done.returncode in (2, 3)
    assert "file" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, policy_root: Path) -> None:
    command = [sys.executable, "-m", "polkit", "generate", "-", "-o", "out", "--policy", str(policy_root)]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    )
    assert child.stdin is not None
    child.stdin.write(avc("execheap", "container_t", "process").encode())
    child.stdin.flush()
    time.sleep(1.5)  # it waits for more input by now
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert err.decode().strip() == "polkit: interrupted"
    assert list(tmp_path.iterdir()) == []


def test_colour_only_on_a_terminal(polkit: Polkit) -> None:
    log = avc("execheap", "container_t", "process").encode()
    assert "\x1b" not in polkit("explain", "-", stdin=log).stdout


def test_files_are_readable_by_others_as_the_umask_says(polkit: Polkit, tmp_path: Path) -> None:
    polkit("generate", "-", "-o", "out", stdin=avc("execheap", "container_t", "process").encode())
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
