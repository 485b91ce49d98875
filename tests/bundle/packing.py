"""Bundles with packages of RPM and Debian systems, and what is in the packages."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from polkit.bundle import Packaged, package
from polkit.minimize import Request, generate
from tests.bundle.exporting import export_host, export_log
from tests.bundle.making import make_project
from tests.records import avc

STAND_INS = """
%selinux_requires \\
Requires: stand-in-policy \\
%{nil}
%selinux_modules_install(s:p:) echo stand-in install type=%{-s*} priority=%{-p*}: %*
%selinux_modules_uninstall(s:p:) echo stand-in uninstall type=%{-s*} priority=%{-p*}: %*
%selinux_relabel_pre(s:) echo stand-in relabel-pre type=%{-s*}
%selinux_relabel_post(s:) echo stand-in relabel-post type=%{-s*}
%selinux_set_booleans(s:) echo stand-in set type=%{-s*}: %*
%selinux_unset_booleans(s:) echo stand-in unset type=%{-s*}: %*
"""
"""What a distribution would define, so that it shows in a package what was called with what."""
ODD = '100% of %{lua:print(1)} <b> %prep `id` $(id) "x" #\u00fc'
"""A text that means something in a spec, a control file or a shell."""


@dataclass(frozen=True)
class Packages:
    """``host`` is what every target stands for; ``bundle`` has packages for three; ``shared`` has a boolean, no domain
    of its own and odd words about itself."""

    host: Path
    bundle: Packaged
    shared: Packaged


def make_packages(place: Path) -> Packages:
    """Both, with the macros that rpm finds in the home directory."""
    host = export_host(place / "host")
    project = make_project(place / "vllm", host, export_log())
    config(project, 'license = "MIT"', 'license = "MIT"\ncontact = "Ann <ann@example.com>"')
    with (project / "polkit.toml").open("a", encoding="utf-8") as file:
        file.write('\n[targets.el8]\npolicy_package = "3.14.3-139.el8"\n[targets.stream]\nrelease = "centos10"\n')
    targets = {"el8": str(host), "stream": str(host), "debian12": str(host)}
    bundle = package(project, targets=targets, with_proof=False, exports=("deb,rpm",))
    return Packages(host, bundle, _shared(place, host))


def config(project: Path, old: str, new: str) -> None:
    """Write something else in a project's polkit.toml."""
    file = project / "polkit.toml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def _shared(place: Path, host: Path) -> Packaged:
    log = avc("append", "data_t", levels=("s0:c0", "s0")) + avc("write", "data_t", levels=("s0:c0", "s0"), serial=2)
    project = make_project(place / "shared", host, log, name="shared_one")
    config(project, 'summary = "A model server"', f"summary = '{ODD}'")
    config(project, 'vendor = "ACME"', "vendor = '%{name} <a@b>, GmbH'")
    config(project, 'license = "MIT"', 'license = ""')
    generate(Request((str(project / "evidence/recorded.log"),), str(host), extend=True), project)
    return package(project, targets={"fedora42": str(host), "any": str(host)}, with_proof=False, exports=("rpm", "deb"))


def said(*command: object, cwd: Path = Path("/")) -> str:
    """What a command that must succeed prints on its standard output."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rpm(file: Path, *words: str) -> str:
    """``rpm -qp``."""
    return said("rpm", "-qp", "--nosignature", *words, file)


def unpacked(file: Path, place: Path) -> Path:
    """The files of a package, of either kind."""
    place.mkdir()
    if file.suffix == ".deb":
        said("dpkg-deb", "-x", file, place)
    else:
        said("sh", "-c", 'rpm2cpio "$0" | cpio -idm --quiet', file, cwd=place)
    return place


def named(packaged: Packaged, part: str) -> Path:
    """The one package that has ``part`` in its name."""
    (found,) = (path for path in packaged.packages if part in path.name)
    return found


class System:
    """This system as a root of its own, over which packages can be put in: everything that is changed in it lies in
    ``place``. Its policy is that of a policy root, under the name that RPM systems give theirs."""

    def __init__(self, place: Path, policy_root: Path) -> None:
        self.place = place
        for name in ("upper", "work", "root"):
            (place / name).mkdir(parents=True)
        (active,) = policy_root.glob("var/lib/selinux/*/active")
        name = active.parent.name
        done = self.run(
            "cd /etc/selinux && rm -rf /var/lib/selinux /var/lib/rpm ./* && mkdir -p /var/lib/selinux /var/lib/rpm"
            f" && cp -a '{policy_root}/etc/selinux/{name}' targeted && cp '{policy_root}/etc/selinux/semanage.conf' ."
            f" && cp -a '{policy_root}/var/lib/selinux/{name}' /var/lib/selinux/targeted"
            " && echo SELINUXTYPE=targeted >config && rpm --initdb"
        )
        if "mount:" in done.stderr or "unshare:" in done.stderr:
            pytest.skip(f"no root of its own can be made here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """A script of sh inside."""
        root = self.place / "root"
        layers = f"lowerdir=/,upperdir={self.place}/upper,workdir={self.place}/work"
        inside = (
            f"mount -t overlay -o '{layers}' overlay '{root}'",
            f"mount --bind /proc '{root}/proc'",
            f"mount --bind /dev '{root}/dev'",
            f"exec chroot '{root}' sh -c \"$0\"",
        )
        command = ["unshare", "-m", "sh", "-c", " && ".join(inside), script]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def store(self) -> dict[str, bytes]:
        """The policy's files and its store's, but for the counter of commits."""
        tops = (self.place / "upper/etc/selinux", self.place / "upper/var/lib/selinux/targeted")
        return {
            str(path.relative_to(self.place)): path.read_bytes()
            for top in tops
            for path in sorted(top.rglob("*"))
            if path.is_file() and path.name != "commit_num"
        }
