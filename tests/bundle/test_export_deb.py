"""deb: a package that dpkg installs, upgrades and removes with the bundle's own scripts, the same everywhere."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from polkit.bundle import package
from polkit.errors import UsageError
from tests.bundle.making import semodule, snapshot
from tests.bundle.packing import ODD, Packages, config, named, rpm, said, unpacked
from tests.conftest import validator
from tests.records import avc


@pytest.fixture
def system(packages: Packages, tmp_path: Path) -> Path:
    """A root with dpkg's records, whose policy is Debian's by name."""
    root = tmp_path / "system"
    shutil.copytree(packages.host, root)
    for place in (root / "etc/selinux", root / "var/lib/selinux"):
        (place / "small").rename(place / "default")
    (root / "etc/selinux/config").write_text("SELINUXTYPE=default\n", encoding="ascii")
    for name in ("info", "updates"):
        (root / "var/lib/dpkg" / name).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    return root


def dpkg(system: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """dpkg on a root, with maintainer scripts that run outside of it (``DPKG_ROOT``) and nothing to depend on."""
    force = ["--force-script-chrootless", "--force-depends"]
    command = ["dpkg", f"--root={system}", *force, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})


def ours(system: Path) -> list[str]:
    """The modules at priority 200."""
    lines = semodule(system, "-lfull", store="default").splitlines()
    return sorted(line.split()[1] for line in lines if line.startswith("200 "))


def store(system: Path) -> dict[str, bytes]:
    """What the system's policy is made of and what stands beside it."""
    return {path: content for path, content in snapshot(system).items() if not path.startswith("var/lib/dpkg")}


def test_dpkg_puts_it_in_and_takes_it_out(packages: Packages, system: Path) -> None:
    before = store(system)
    done = dpkg(system, "-i", named(packages.bundle, ".deb"))
    assert done.returncode == 0, done.stderr
    assert ours(system) == ["vllm", "vllm-ports"]
    assert dpkg(system, "--verify", "vllm-selinux").stdout == ""
    share = system / "usr/share/vllm-selinux"
    done = subprocess.run(
        ["sh", share / "verify.sh", "--root", system, "--store", "default"], capture_output=True, text=True, check=False
    )
    assert "installed as shipped (target debian12)" in done.stdout, done.stdout + done.stderr
    done = dpkg(system, "-r", "vllm-selinux")
    assert done.returncode == 0, done.stderr
    assert ours(system) == [] and store(system) == before


def test_an_upgrade_keeps_the_module_and_a_refused_removal_everything(
    packages: Packages, system: Path, tmp_path: Path
) -> None:
    file = named(packages.bundle, ".deb")
    assert dpkg(system, "-i", file).returncode == 0
    place = unpacked(file, tmp_path / "new")
    said("dpkg-deb", "-e", file, place / "DEBIAN")
    control = place / "DEBIAN/control"
    control.write_text(control.read_text(encoding="utf-8").replace("0.1.0-1+", "0.1.0-2+"), encoding="utf-8")
    said("dpkg-deb", "--root-owner-group", "-b", place, tmp_path / "new.deb")
    done = dpkg(system, "-i", tmp_path / "new.deb")
    assert done.returncode == 0 and "(0.1.0-2+deb12) over (0.1.0-1+deb12)" in done.stdout, done.stderr
    assert ours(system) == ["vllm", "vllm-ports"]
    local = system / "var/lib/selinux/default/active/file_contexts.local"
    local.write_text("/opt/x    system_u:object_r:vllm_model_t:s0\n", encoding="ascii")
    done = dpkg(system, "-r", "vllm-selinux")
    assert done.returncode != 0 and "local settings of this host name types of the module" in done.stderr
    assert ours(system) == ["vllm", "vllm-ports"]
    assert "install ok installed" in said("dpkg-query", f"--root={system}", "-W", "-f", "${Status}", "vllm-selinux")


def test_a_host_that_lacks_something_is_told_and_left_alone(packages: Packages, system: Path) -> None:
    store_ = system / "var/lib/selinux/default/active/modules/100"
    assert (store_ / "export").is_dir()
    semodule(system, "-X", "100", "-r", "export", store="default")
    before = store(system)
    done = dpkg(system, "-i", named(packages.bundle, ".deb"))
    assert done.returncode != 0
    assert "this host's policy lacks what the module needs" in done.stderr and "class tcp_socket" in done.stderr
    after = store(system)
    assert {path for path in after if after[path] != before.get(path)} <= {
        path for path in after if path.startswith("usr/share/")
    }


def test_what_is_in_the_package(packages: Packages, tmp_path: Path) -> None:
    file = named(packages.bundle, ".deb")
    fields = said("dpkg-deb", "-f", file)
    assert fields.startswith("Package: vllm-selinux\nVersion: 0.1.0-1+deb12\n")
    assert "\nMaintainer: Ann <ann@example.com>\n" in fields and "\nArchitecture: all\n" in fields
    assert "\nDepends: selinux-policy-default, policycoreutils, selinux-utils, bzip2\n" in fields
    listed = [line.split() for line in said("dpkg-deb", "-c", file).splitlines()]
    assert {line[1] for line in listed} == {"root/root"}
    assert {line[0] for line in listed} == {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"}
    place = unpacked(file, tmp_path / "files")
    said("dpkg-deb", "-e", file, place / "DEBIAN")
    said("md5sum", "-c", "--strict", "DEBIAN/md5sums", cwd=place)
    assert sum(1 for path in (place / "usr").rglob("*") if path.is_file()) == len(
        (place / "DEBIAN/md5sums").read_text(encoding="ascii").splitlines()
    )
    module = (packages.bundle.directory / "targets/debian12/vllm.pp.bz2").read_bytes()
    assert (place / "usr/share/selinux/default/vllm.pp.bz2").read_bytes() == module
    share = place / "usr/share/vllm-selinux"
    assert [path.name for path in (share / "targets").iterdir()] == ["debian12"]
    assert not (share / "rollback.sh").exists()
    changelog = gzip.decompress((place / "usr/share/doc/vllm-selinux/changelog.Debian.gz").read_bytes())
    assert changelog.startswith(b"vllm-selinux (0.1.0-1+deb12) unstable; urgency=medium\n")
    assert changelog.endswith(b" -- Ann <ann@example.com>  Tue, 03 Jan 1995 00:00:00 +0000\n")


def test_odd_words_stay_what_they_are(packages: Packages) -> None:
    """A name with an underline, which Debian's have not, and a target of which nobody says what it is."""
    file = named(packages.shared, ".deb")
    assert file.name == "shared-one-selinux_0.1.0-1+any_all.deb"
    description = said("dpkg-deb", "-f", file, "Description")
    assert ODD in " ".join(description.split())
    assert said("dpkg-deb", "-f", file, "Maintainer") == "%{name} a b GmbH <nobody@example.invalid>\n"
    assert any("names no contact" in note for note in packages.shared.notes)


def test_the_scripts_are_clean(packages: Packages) -> None:
    place = packages.bundle.directory / "export/deb/debian12"
    for name in ("build.sh", "postinst", "prerm"):
        subprocess.run(["sh", "-n", place / name], check=True)
        if shutil.which("shellcheck"):
            subprocess.run(["shellcheck", place / name], check=True)
    for name in ("postinst", "prerm"):
        done = subprocess.run(["sh", place / name, "explode"], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "unknown argument explode" in done.stderr


def test_anybody_builds_the_same_package_from_the_bundle(packages: Packages, tmp_path: Path) -> None:
    """Elsewhere, with another file mode mask and time zone, and from a copy that keeps no times or modes."""
    made = named(packages.bundle, ".deb")
    copy = tmp_path / "a (new) place"
    shutil.copytree(packages.bundle.directory, copy, copy_function=shutil.copyfile)
    (tmp_path / "out").mkdir()
    script = copy / "export/deb/debian12/build.sh"
    words = f'umask 077; exec sh "$0" "{tmp_path}/out"'
    env = {**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8"}
    subprocess.run(["sh", "-c", words, script], check=True, env=env, cwd="/", capture_output=True)
    assert (tmp_path / "out" / made.name).read_bytes() == made.read_bytes()
    (copy / "README.md").write_text("changed", encoding="ascii")
    done = subprocess.run(["sh", script, tmp_path / "out"], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "README.md: FAILED" in done.stdout + done.stderr


@pytest.fixture
def project(packages: Packages, tmp_path: Path) -> Path:
    """The project in another place, with nothing released."""
    there = packages.bundle.directory.parent.parent
    return Path(shutil.copytree(there, tmp_path / "project", ignore=shutil.ignore_patterns("dist")))


def test_the_policy_that_was_built_on_is_asked_for(packages: Packages, project: Path) -> None:
    config(project, 'release = "centos10"', 'release = "ubuntu24.04"\npolicy_package = "2:2.20240202-1"')
    config(project, "[targets.el8]", "[targets.el9]")
    made = package(project, targets={"stream": str(packages.host)}, with_proof=False, exports=("deb",))
    (file,) = made.packages
    assert file.name == "vllm-selinux_0.1.0-1+ubuntu24.04_all.deb"
    assert said("dpkg-deb", "-f", file, "Depends").startswith("selinux-policy-default (>= 2:2.20240202-1), ")


def test_a_project_without_such_a_release(packages: Packages, project: Path) -> None:
    with pytest.raises(UsageError, match="--for deb: no target of vllm is such a release") as refused:
        package(project, targets={"el8": str(packages.host)}, exports=("deb",))
    assert 'release = "debian12"' in refused.value.hint


def test_without_dpkg_deb_there_is_a_script(packages: Packages, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    monkeypatch.setattr("shutil.which", lambda name, **given: None if name == "dpkg-deb" else which(name, **given))
    made = package(project, targets={"debian12": str(packages.host)}, with_proof=False, exports=("deb",))
    assert made.packages == () and made.exit_code == 0
    assert "deb: dpkg-deb is not installed: no package; build.sh makes it where it is" in made.notes
    assert (made.directory / "export/deb/debian12/build.sh").is_file()


def test_a_module_that_goes_out_as_cil(packages: Packages, project: Path, system: Path, tmp_path: Path) -> None:
    """A dotted type makes it so; and what else the project has lies in the package, and not in the policy."""
    (tmp_path / "dotted.cil").write_text(
        "(block x (type res_t) (typeattributeset .file_type (res_t)))", encoding="ascii"
    )
    host = Path(shutil.copytree(packages.host, tmp_path / "host"))
    semodule(host, "-X", "100", "-i", tmp_path / "dotted.cil")
    semodule(system, "-X", "100", "-i", tmp_path / "dotted.cil", store="default")
    with (project / "evidence/recorded.log").open("a", encoding="utf-8") as log:
        log.write(avc("read", "x.res_t", levels=("s0:c0", "s0"), serial=9))
    (project / "vllm-more.cil").write_text("(type more_t)\n", encoding="ascii")
    targets = {"debian12": str(host), "el8": str(host)}
    made = package(project, targets=targets, with_proof=False, exports=("deb", "rpm"))
    done = dpkg(system, "-i", named(made, ".deb"))
    assert done.returncode == 0, done.stderr
    assert ours(system) == ["vllm", "vllm-ports"]
    assert (system / "usr/share/vllm-selinux/optional/vllm-more.cil").is_file()
    listed = rpm(named(made, ".el8."), "-l").splitlines()
    assert "/usr/share/selinux/packages/targeted/vllm.cil" in listed
    assert "/usr/share/vllm-selinux/optional/vllm-more.cil" in listed


@pytest.mark.heavy
@pytest.mark.parametrize("epoch", ["", "1730000000"])
def test_lintian_has_nothing_to_say(
    packages: Packages, project: Path, epoch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    made = package(project, targets={"debian12": str(packages.host)}, with_proof=False, exports=("deb",))
    files = [*made.packages, *(path for path in packages.shared.packages if path.suffix == ".deb")]
    lintian = validator("lintian")
    assert said(lintian, "--display-info", "--pedantic", "--fail-on", "error,warning,info,pedantic", *files) == ""
