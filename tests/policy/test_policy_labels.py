"""File contexts of any root, held against libselinux' own command."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from random import Random

import pytest

from polkit.policy import load_policy

KINDS = {
    "file": "file",
    "dir": "dir",
    "lnk_file": "lnk",
    "chr_file": "char",
    "blk_file": "block",
    "sock_file": "socket",
}


def paths_like(file_contexts: Path, count: int) -> list[str]:
    """Paths that the entries of file_contexts speak of, and some beside them: their regexes with plain text put in."""
    random = Random(7)
    entries = [line.split()[0] for line in file_contexts.read_text().splitlines() if line and not line.startswith("#")]
    found: set[str] = set()
    while len(found) < count:
        path = random.choice(entries)
        path = re.sub(r"\[[^\]]*\][*+]?", lambda _: random.choice("abc0"), path)
        path = path.replace("(/.*)?", random.choice(("", "/sub", "/sub/deeper.so")))
        path = re.sub(r"\(([^()|]*)[^()]*\)\??", r"\1", path)
        path = re.sub(r"\\(.)", r"\1", re.sub(r"[.]?[*+?]", random.choice(("", "x1", "zz")), path))
        path = random.choice((path, path, path + random.choice(("x", "/y"))))
        # matchpathcon takes a slash off the end and resolves links of this host: keep to paths with neither
        plain = (
            path.startswith("/") and not path.endswith("/") and "//" not in path and re.match(r"[\w./@+:-]+\Z", path)
        )
        if plain and "/../" not in path and os.path.realpath(path) == path:
            found.add(path)
    return sorted(found)


def test_labels_are_those_of_matchpathcon(real, policy_root):
    file_contexts = next(policy_root.glob("etc/selinux/*/contexts/files/file_contexts"))
    paths = paths_like(file_contexts, 2200)
    seen = set()
    for number, (tclass, kind) in enumerate(KINDS.items()):
        portion = paths[number :: len(KINDS)]
        command = ["matchpathcon", "-n", "-m", kind, "-f", file_contexts, *portion]
        lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.splitlines()
        assert len(lines) == len(portion)
        for path, theirs in zip(portion, lines):
            label = real.file_label(path, tclass)
            ours = "<<none>>" if label is None else ":".join(label)
            theirs_canonical = re.sub(r":([^:]+_t):", lambda found: f":{real.type_name(found[1]) or found[1]}:", theirs)
            assert ours == theirs_canonical, (path, tclass)
            seen.add(ours)
    assert len(seen) > 300, "the sample reaches many entries"


def test_the_node_kind_decides(real):
    assert real.file_label("/dev/nvidia0", "chr_file").type == "xserver_misc_device_t"
    assert real.file_label("/dev/nvidia0", "file").type == "device_t"


def test_substitutions_and_home_directories_count(real):
    """``.subs_dist`` maps /var/run to /run; ``.homedirs`` holds the entries for users' homes."""
    run, var_run = (real.file_label(f"{base}/docker.sock", "sock_file") for base in ("/run", "/var/run"))
    assert run == var_run
    assert run is not None
    assert real.file_label("/home/someone/.ssh/id_rsa", "file").type == "ssh_home_t"


@pytest.mark.parametrize("path", ["relative", "", "/nul\0byte", "/stray\udcffbyte"])
def test_what_is_no_path_has_no_label(real, path):
    assert real.file_label(path, "file") is None


def test_a_very_long_path_is_answered(real):
    assert real.file_label("/usr/lib/" + "x" * 10000, "file") is not None


def test_customizable_types(real):
    assert real.is_customizable("public_content_t")
    assert not real.is_customizable("etc_t")


def test_two_roots_keep_their_answers_apart(real, tmp_path, compiled, capfd):
    """libselinux' state must not be one for the process; contexts need not be valid in any kernel."""
    home = tmp_path / "etc/selinux/small"
    for path, content in (
        ("policy/policy.31", compiled("roles.conf").read_bytes()),
        (
            "contexts/files/file_contexts",
            b"/.*  u:r:base_t\n/dev/nvidia0 -c u:r:first_t\n/srv/x/.* u:r:sub_t\n/none <<none>>\n"
            b"/twice u:r:a_t\n/twice u:r:b_t\n",
        ),
        ("contexts/files/file_contexts.local", b"/local u:r:local_t\n"),
        ("contexts/files/file_contexts.subs", b"/opt/y /srv/x\n"),
        ("contexts/customizable_types", b"first_t\n# not_t\n"),
    ):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(content)
    other = load_policy(str(tmp_path))
    capfd.readouterr()
    for _ in range(2):
        assert other.file_label("/dev/nvidia0", "chr_file").type == "first_t"
        assert real.file_label("/dev/nvidia0", "chr_file").type == "xserver_misc_device_t"
    assert other.file_label("/local", "file").type == "local_t"
    assert other.file_label("/opt/y/z", "file").type == "sub_t"
    assert other.file_label("/none", "file") is None
    assert capfd.readouterr().err == "", "of the entry that stands twice libselinux says so, on stderr"
    assert other.is_customizable("first_t")
    assert not other.is_customizable("not_t")
