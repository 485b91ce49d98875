"""RPM: a spec that the distribution's macros make a package of, one for each release, the same wherever it is built."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from polkit.bundle import package
from polkit.errors import CompileError, UsageError
from tests.bundle.making import Run, semodule
from tests.bundle.packing import ODD, STAND_INS, Packages, System, named, rpm, said, unpacked
from tests.conftest import validator


@pytest.fixture
def project(packages: Packages, tmp_path: Path) -> Path:
    """The project in another place, with nothing released."""
    there = packages.bundle.directory.parent.parent
    return Path(shutil.copytree(there, tmp_path / "a (new) place", ignore=shutil.ignore_patterns("dist")))


def scripts(file: Path) -> dict[str, str]:
    """A package's scripts by their kinds."""
    text = rpm(file, "--scripts")
    parts = re.split(r"^(\w+) scriptlet \(using /bin/sh\):\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def test_each_release_gets_its_package(packages: Packages) -> None:
    names = [path.name for path in packages.bundle.packages]
    assert names == [
        "vllm-selinux-0.1.0-1.el10.noarch.rpm",
        "vllm-selinux-0.1.0-1.el8.noarch.rpm",
        "vllm-selinux_0.1.0-1+deb12_all.deb",
    ]
    assert [path.name for path in packages.bundle.directory.parent.iterdir() if path.is_dir()] == ["vllm-0.1.0"]
    assert "export/rpm/vllm-selinux.spec" in packages.bundle.manifest["files"]
    el8, el10 = (named(packages.bundle, f".{one}.") for one in ("el8", "el10"))
    tags = "%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{LICENSE} %{VENDOR} %{BUILDTIME} %{BUILDHOST}"
    assert rpm(el8, "--qf", tags) == "vllm-selinux 0.1.0 1.el8 noarch MIT ACME 789091200 localhost"
    needs = rpm(el8, "--requires").splitlines()
    assert {"stand-in-policy", "selinux-policy >= 3.14.3-139.el8", "container-selinux"} <= set(needs)
    assert not any(line.startswith("selinux-policy") for line in rpm(el10, "--requires").splitlines())


def test_the_macros_are_called_as_the_guidelines_say(packages: Packages) -> None:
    found = scripts(named(packages.bundle, ".el8."))
    assert sorted(found) == ["postinstall", "posttrans", "postuninstall", "preinstall", "preuninstall"]
    module = "/usr/share/selinux/packages/targeted/vllm.pp.bz2"
    assert f"stand-in install type=targeted priority=200: {module} $ports_module\n" in found["postinstall"]
    assert "stand-in uninstall type=targeted priority=200: vllm $ports_module\n" in found["postuninstall"]
    assert found["preinstall"] == "echo stand-in relabel-pre type=targeted\n"
    assert found["posttrans"] == "echo stand-in relabel-post type=targeted\n"
    assert "tcp:8443:vllm_port_t" in found["postinstall"]
    assert "stand-in set" not in found["postinstall"]
    shared = scripts(named(packages.shared, ".fc42."))
    setting = next(iter(packages.shared.manifest["targets"]["fedora42"]["booleans"].items()))
    for kind, word in (("postinstall", "set"), ("postuninstall", "unset")):
        assert f"stand-in {word} type=targeted: {setting[0]}={int(setting[1])}\n" in shared[kind]
    for text in (*found.values(), *shared.values()):
        assert "%" not in text.replace("%s", "")
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_what_is_in_the_package(packages: Packages, root: Path, tmp_path: Path) -> None:
    bundle, file = packages.bundle.directory, named(packages.bundle, ".el8.")
    place = unpacked(file, tmp_path / "files")
    shipped = place / "usr/share/selinux/packages/targeted/vllm.pp.bz2"
    assert shipped.read_bytes() == (bundle / "targets/el8/vllm.pp.bz2").read_bytes()
    interface = place / "usr/share/selinux/devel/include/distributed/vllm.if"
    assert interface.read_bytes() == (bundle / "source/vllm.if").read_bytes()
    assert {path.name for path in (place / "usr/share").glob("doc/vllm-selinux*/*")} == {"README.md", "manifest.json"}
    share = place / "usr/share/vllm-selinux"
    assert not any((share / name).exists() for name in ("install.sh", "uninstall.sh", "rollback.sh"))
    assert [path.name for path in (share / "targets").iterdir()] == ["el8"]
    owned = rpm(file, "--qf", "[%{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEMTIMES} %{FILEFLAGS:fflags} %{FILENAMES}\n]")
    lines = [line.split(" ") for line in owned.splitlines()]
    assert {line[0] for line in lines} == {"root:root"}
    assert {int(line[1]) for line in lines} <= {0, 789091200}
    assert [line[3] for line in lines if "g" in line[2]] == ["/var/lib/selinux/targeted/active/modules/200/vllm"]


def test_the_package_brings_the_step_that_checks(packages: Packages, tmp_path: Path, run: Run) -> None:
    """It works alone, tells that the module is not there, and that it is the one that was shipped."""
    share = unpacked(named(packages.bundle, ".el8."), tmp_path / "files") / "usr/share/vllm-selinux"
    root = shutil.copytree(packages.host, tmp_path / "there")
    done = run(share, "verify.sh", on=root)
    assert done.returncode == 1 and "vllm is not installed at priority 200" in done.stdout
    semodule(root, "-X", "200", "-i", share / "targets/el8/vllm.pp")
    done = run(share, "verify.sh", on=root)
    assert "is not installed" not in done.stdout and "is not the one" not in done.stdout, done.stdout


def test_odd_words_stay_what_they_are(packages: Packages) -> None:
    file = named(packages.shared, ".fc42.")
    assert rpm(file, "--qf", "%{SUMMARY}") == ODD
    assert rpm(file, "--qf", "%{VENDOR}") == "%{name} <a@b>, GmbH"
    assert rpm(file, "--qf", "%{LICENSE}") == "NOASSERTION"
    assert " ".join(rpm(file, "--qf", "%{DESCRIPTION}").split()).count(ODD) == 1
    assert "rpm: polkit.toml names no license; the package says NOASSERTION" in packages.shared.notes


def test_a_macro_that_nobody_defines_is_an_error(
    packages: Packages, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package would be built without a complaint, and fail on every host."""
    left_out = "".join(line for line in STAND_INS.splitlines(keepends=True) if "relabel_post" not in line)
    (tmp_path / ".rpmmacros").write_text(left_out, encoding="ascii")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(CompileError, match=r"%selinux_relabel_post is not defined"):
        package(project, tmp_path / "out", {"el8": str(packages.host)}, with_proof=False, exports=("rpm",))
    assert not list((tmp_path / "out").glob("*.rpm"))


@pytest.mark.skipif(said("rpm", "--eval", "%{?selinux_requires}") != "\n", reason="the distribution has the macros")
def test_without_macros_the_shipped_ones_do_and_twice_is_the_same(
    packages: Packages, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No rpm but the distributions' own has them; another zone, place and file mode mask change nothing."""
    monkeypatch.setenv("HOME", str(tmp_path))
    found = []
    other = Path(shutil.copytree(project, tmp_path / "other"))
    for zone, umask, place in (("UTC", 0o022, project), ("Asia/Tokyo", 0o077, other)):
        monkeypatch.setenv("TZ", zone)
        before = os.umask(umask)
        try:
            made = package(place, place / "out", {"el8": str(packages.host)}, with_proof=False, exports=("rpm",))
        finally:
            os.umask(before)
        found.append({path.name: path.read_bytes() for path in made.packages})
        assert any("macros.selinux stood in" in note for note in made.notes)
    assert list(found[0]) == ["vllm-selinux-0.1.0-1.el8.noarch.rpm"]
    assert found[0] == found[1]
    text = scripts(project / "out/vllm-selinux-0.1.0-1.el8.noarch.rpm")
    assert "semodule -n -s targeted -X 200 -i /usr/share/selinux/packages/targeted/vllm.pp.bz2" in text["postinstall"]
    assert "semodule -n -s targeted -X 200 -r vllm" in text["postuninstall"]


def test_without_rpmbuild_there_is_a_spec(
    packages: Packages, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = shutil.which
    monkeypatch.setattr("shutil.which", lambda name, **given: None if name == "rpmbuild" else which(name, **given))
    made = package(project, tmp_path, {"el8": str(packages.host)}, with_proof=False, exports=("rpm",))
    assert made.packages == () and made.exit_code == 0
    assert "rpm: rpmbuild is not installed: a spec, and no package" in made.notes
    assert (made.directory / "export/rpm/vllm-selinux.spec").is_file()


def test_the_spec_takes_the_module_of_the_release_it_is_built_on(packages: Packages, tmp_path: Path) -> None:
    bundle = packages.bundle
    spec = bundle.directory / "export/rpm/vllm-selinux.spec"
    (tmp_path / ".rpmmacros").write_text(STAND_INS, encoding="ascii")

    def built(*defines: str) -> subprocess.CompletedProcess[str]:
        given = [f"_topdir {tmp_path}/top", f"_sourcedir {bundle.directory.parent}", *defines]
        words = [word for define in given for word in ("--define", define)]
        env = {**os.environ, "HOME": str(tmp_path), "LC_ALL": "C"}
        command = ["rpmspec", "-P", *words, str(spec)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=env)

    assert "/targets/el8" not in built("rhel 10").stdout and "from=targets/stream\n" in built("rhel 10").stdout
    assert "from=targets/el8\n" in built("rhel 8").stdout
    assert "from=targets/el8\n" in built("rhel 10", "bundle_target el8").stdout
    for wrong in (("rhel 9",), ("fedora 42",)):
        done = built(*wrong)
        assert done.returncode != 0 and "no module for this release" in done.stderr
    done = built("bundle_target el7")
    assert done.returncode != 0 and "no module for the target el7, only for el8 stream" in done.stderr


def test_a_project_without_such_a_release(packages: Packages, project: Path, tmp_path: Path) -> None:
    text = (project / "polkit.toml").read_text(encoding="utf-8")
    (project / "polkit.toml").write_text(text.partition("[targets.el8]")[0], encoding="utf-8")
    with pytest.raises(UsageError, match="no target of vllm is such a release") as refused:
        package(project, tmp_path / "out", {"debian12": str(packages.host)}, exports=("rpm",))
    assert 'release = "el9"' in refused.value.hint and not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="the targets centos9 and el9 are both el9"):
        two = {"el9": str(packages.host), "centos9": str(packages.host)}
        package(project, tmp_path / "out", two, exports=("rpm",))
    with pytest.raises(UsageError, match=r"--for 'tar' is none of rpm, deb, ansible"):
        package(project, tmp_path / "out", {"el9": str(packages.host)}, exports=("rpm,tar",))


def test_another_package_is_not_overwritten(packages: Packages, project: Path, tmp_path: Path) -> None:
    made = named(packages.bundle, ".el8.")
    place = tmp_path / "out"
    place.mkdir()
    (place / made.name).write_bytes(b"another")
    targets = {"el8": str(packages.host)}
    with pytest.raises(UsageError, match="exists and is another package"):
        package(project, place, targets, with_proof=False, exports=("rpm",))
    package(project, place, targets, with_proof=False, exports=("rpm",), force=True)
    assert rpm(place / made.name, "--qf", "%{NAME}") == "vllm-selinux"


# ---- with other tools of RPM systems ---------------------------------------------------------------------------------


@pytest.mark.heavy
@pytest.mark.skipif(said("rpm", "--eval", "%{?selinux_requires}") != "\n", reason="the distribution has the macros")
def test_rpmlint_has_nothing_to_say(
    packages: Packages, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the spec, of packages with the stand-ins and of one with the macros that are shipped."""
    monkeypatch.setenv("HOME", str(tmp_path))
    plain = package(project, targets={"el8": str(packages.host)}, with_proof=False, exports=("rpm",))
    rpmlint = validator("rpmlint")
    for made in (packages.bundle, plain):
        place = made.directory / "export/rpm"
        (spec,), (rules,) = place.glob("*.spec"), place.glob("*-rpmlintrc")
        files = [path for path in made.packages if path.suffix == ".rpm"]
        said_ = said(rpmlint, "--ignore-unused-rpmlintrc", "-r", rules, *files, spec)
        assert "0 errors, 0 warnings" in said_, said_


@pytest.fixture
def system(packages: Packages, tmp_path: Path) -> System:
    """A root with the small host's policy, in which semanage works."""
    validator("semanage")
    host = Path(shutil.copytree(packages.host, tmp_path / "host"))
    rule = tmp_path / "keep.cil"
    rule.write_text("(allow container_t port_type (tcp_socket (name_connect)))\n", encoding="ascii")
    semodule(host, "-X", "100", "-i", rule)
    return System(tmp_path / "system", host)


@pytest.fixture
def file(packages: Packages, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose scripts are those that a host runs."""
    monkeypatch.setenv("HOME", str(tmp_path))
    made = package(project, targets={"el8": str(packages.host)}, with_proof=False, exports=("rpm",))
    return named(made, ".rpm")


OURS = "semodule -lfull -s targeted | sed -n 's/^200 //p' | awk '{ print $1 }'"


@pytest.mark.heavy
def test_rpm_puts_it_in_and_takes_it_out(file: Path, system: System, repository: Path) -> None:
    """The store is in the end what it was."""
    before = system.store()
    done = system.run(f"rpm -i --nodeps '{file}' && {OURS} && semanage port -l | grep vllm_port_t")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["vllm", "vllm-ports", "vllm_port_t", "tcp", "8443"]
    done = system.run("sh /usr/share/vllm-selinux/verify.sh")
    assert done.stdout == "vllm 0.1.0 is installed as shipped (target el8).\n", done.stdout + done.stderr
    done = system.run(f"cd '{repository}' && '{sys.executable}' -m polkit verify --installed vllm")
    assert done.returncode == 0, done.stdout + done.stderr

    done = system.run(f"rpm -U --force --nodeps '{file}' && {OURS} && rpm -V --nodeps vllm-selinux")
    assert (done.returncode, done.stdout.split()) == (0, ["vllm", "vllm-ports"]), done.stderr

    local = "/var/lib/selinux/targeted/active/file_contexts.local"
    done = system.run(f"echo '/opt/x system_u:object_r:vllm_model_t:s0' >{local}; rpm -e --nodeps vllm-selinux")
    assert done.returncode != 0 and "local settings of this host name types of the module" in done.stderr
    process = "mount -t tmpfs none /proc && mkdir -p /proc/7/attr && cd /proc/7/attr"
    running = f"rm {local}; {process} && printf 'system_u:system_r:vllm_t:s0:c1,c2\\0' >current"
    done = system.run(f"{running}; rpm -e --nodeps vllm-selinux")
    assert done.returncode != 0 and "processes run in the module's domain" in done.stderr, done.stderr
    done = system.run(f"{OURS}; rpm -e --nodeps vllm-selinux && {OURS}; rpm -q vllm-selinux")
    assert done.stdout.split("\n") == ["vllm", "vllm-ports", "package vllm-selinux is not installed", ""], done.stderr
    assert system.store() == before
    assert not (system.place / "upper/var/lib/selinux-bundles").exists()


@pytest.mark.heavy
@pytest.mark.parametrize("ports", ["8443", "8440-8450"])
def test_a_port_that_somebody_labelled_stays(file: Path, system: System, ports: str) -> None:
    done = system.run(f"semanage port -a -t http_port_t -p tcp {ports}")
    assert done.returncode == 0, done.stderr
    before = system.store()
    done = system.run(f"rpm -i --nodeps '{file}' && {OURS}; semanage port -l -C -n")
    assert "port 8443/tcp is http_port_t here, and stays so" in done.stderr
    assert done.stdout.split() == ["vllm", "http_port_t", "tcp", ports], done.stderr
    assert system.run("rpm -e --nodeps vllm-selinux").returncode == 0
    assert system.store() == before


@pytest.mark.heavy
def test_a_boolean_is_set_and_goes_back(
    packages: Packages, system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after an upgrade; one that an administrator set goes back to what that was."""
    monkeypatch.setenv("HOME", str(tmp_path))
    there = packages.shared.directory.parent.parent
    project = Path(shutil.copytree(there, tmp_path / "shared", ignore=shutil.ignore_patterns("dist")))
    made = package(project, targets={"fedora42": str(packages.host)}, with_proof=False, exports=("rpm",))
    file = named(made, ".rpm")
    ((boolean, value),) = made.manifest["targets"]["fedora42"]["booleans"].items()
    is_set = f"semanage boolean -l -n | sed -n 's/^{boolean} .*, *\\(on\\|off\\)).*/\\1/p'"
    assert value and system.run(is_set).stdout == "off\n"
    done = system.run(f"rpm -i --nodeps '{file}' && {is_set} && rpm -U --force --nodeps '{file}' && {is_set}")
    assert done.stdout == "on\non\n", done.stderr
    done = system.run(f"rpm -e --nodeps shared_one-selinux && {is_set}")
    assert done.stdout == "off\n", done.stderr
    again = f"rpm -i --nodeps '{file}' && rpm -e --nodeps shared_one-selinux"
    done = system.run(f"semanage boolean -m --on {boolean} && {again} && {is_set} && semanage boolean -l -C -n")
    assert done.stdout.split()[:2] == ["on", boolean], done.stderr
