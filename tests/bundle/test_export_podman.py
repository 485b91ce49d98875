"""podman: a quadlet that the real generator takes, and the same as flags."""

from __future__ import annotations

import configparser
import os
import posixpath
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bundle.exporting import WEIRD, Exports, exported, make_weird, read
from tests.conftest import validator


class Unit(configparser.RawConfigParser):
    """A unit file, in which a key may stand several times."""

    def __init__(self, text: str) -> None:
        super().__init__(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
        self.optionxform = str  # type: ignore[assignment,method-assign]
        self.lines = [line for line in text.splitlines() if not line.startswith("#")]
        self.read_string(text)

    def all(self, key: str) -> list[str]:
        return [line.partition("=")[2] for line in self.lines if line.partition("=")[0] == key]


def unit(exports: Exports) -> Unit:
    return Unit((exported(exports.bundle, "podman") / "el9/vllm.container").read_text(encoding="ascii"))


def test_a_quadlet_says_domain_level_devices_and_volumes(exports: Exports) -> None:
    found = unit(exports)
    assert found.sections() == ["Unit", "Container", "Install"]
    assert found.all("SecurityLabelType") == ["vllm_t"]
    (level,) = found.all("SecurityLabelLevel")
    first, second = level[len("s0:") :].split(",")
    assert 0 <= int(first[1:]) < int(second[1:]) < 1024
    assert found.all("AddDevice") == ["/dev/dri/card0", "/dev/nvidia0"]
    assert found.all("Volume") == ["/srv/models:/models:ro"]
    assert found.all("Image") == ["localhost/vllm:0.1.0"]


def test_flags_say_the_same(exports: Exports) -> None:
    found = unit(exports)
    text = (exported(exports.bundle, "podman") / "el9/run-flags.txt").read_text(encoding="ascii")
    assert shlex.split(text, comments=True) == [
        *("--security-opt", f"label=type:{found.all('SecurityLabelType')[0]}"),
        *("--security-opt", f"label=level:{found.all('SecurityLabelLevel')[0]}"),
        *(word for node in found.all("AddDevice") for word in ("--device", node)),
        *(word for volume in found.all("Volume") for word in ("--volume", volume)),
    ]


def test_a_path_of_a_log_is_no_line_of_a_unit(exports: Exports) -> None:
    """The log names the node /dev/a, a line break, Security."""
    text = (exported(exports.bundle, "podman") / "el9/vllm.container").read_text(encoding="ascii")
    assert "/dev/a" not in text
    assert {line.partition("=")[0] for line in text.splitlines() if line and line[0] not in "#["} == {
        *("Description", "Image", "SecurityLabelType", "SecurityLabelLevel", "AddDevice", "Volume", "WantedBy")
    }


def test_a_weird_path_is_left_out_of_the_unit_and_quoted_in_the_flags(exports: Exports) -> None:
    place = exported(exports.weird, "podman") / "el9"
    text = (place / "weird.container").read_text(encoding="ascii")
    assert Unit(text).all("Volume") == ["/srv/plain:/plain"]
    assert f"# Not in this unit, for its characters: {WEIRD} as /models.\n" in text
    words = shlex.split((place / "run-flags.txt").read_text(encoding="ascii"), comments=True)
    assert f"{WEIRD}:/models:ro" in words


def test_levels_differ_from_module_to_module(exports: Exports) -> None:
    other = Unit((exported(exports.weird, "podman") / "el9/weird.container").read_text(encoding="ascii"))
    assert other.all("SecurityLabelLevel") != unit(exports).all("SecurityLabelLevel")


@pytest.mark.heavy
def test_the_real_generator_takes_the_quadlets(exports: Exports, tmp_path: Path) -> None:
    generator = validator("quadlet")
    for bundle in (exports.bundle, exports.weird):
        (one,) = (exported(bundle, "podman") / "el9").glob("*.container")
        shutil.copy(one, tmp_path)
    run = subprocess.run(
        [generator, "-dryrun"],
        env={**os.environ, "QUADLET_UNIT_DIRS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    # On stderr it says which files it loads, and beside that only what is wrong with them.
    assert all(" Loading source unit file " in line for line in run.stderr.splitlines()), run.stderr
    starts = [line.partition("=")[2] for line in run.stdout.splitlines() if line.startswith("ExecStart=")]
    flags = shlex.split((exported(exports.bundle, "podman") / "el9/run-flags.txt").read_text("ascii"), comments=True)
    given = [word.replace("--volume", "-v") for word in flags]
    (start,) = (shlex.split(one) for one in starts if "vllm_t" in one)
    assert start[-len(given) - 1 :] == [*given, "localhost/vllm:0.1.0"]
    assert len(starts) == 2


PATHS = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, blacklist_characters=":/"), min_size=1, max_size=12
)


@pytest.mark.heavy
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(PATHS, min_size=1, max_size=3))
def test_any_path_comes_out_as_it_went_in(exports: Exports, tmp_path: Path, parts: list[str]) -> None:
    """Of every form that names it: a pod, the flags, Ansible's values; a unit names it as it is, or not at all."""
    path = posixpath.normpath("/srv/models/" + "/".join(f"x{part}" for part in parts))
    with tempfile.TemporaryDirectory(dir=tmp_path) as place:
        bundle = make_weird(Path(place), exports.host, path)
        forms = {form: exported(bundle, form) for form in ("ansible", "kubernetes", "podman")}
        pod = read(forms["kubernetes"] / "el9/pod.yaml")
        assert [one["hostPath"]["path"] for one in pod["spec"]["volumes"]] == [path, "/srv/plain"]
        words = shlex.split((forms["podman"] / "el9/run-flags.txt").read_text(encoding="ascii"), comments=True)
        volumes = [word for word in words if word.endswith((":/models", ":/models:ro"))]
        assert [word.partition(":")[0] for word in volumes] == [path]
        (target,) = read(forms["ansible"] / "vars.yml")["selinux_bundle_targets"].values()
        assert [shlex.split(one) for one in target["restore_dirs"]] == [[path]]
        unit = Unit((forms["podman"] / "el9/weird.container").read_text(encoding="ascii"))
        assert unit.all("Volume") in (["/srv/plain:/plain"], [volumes[0], "/srv/plain:/plain"])
        assert unit.sections() == ["Unit", "Container", "Install"]
