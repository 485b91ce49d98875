"""Bundles with every form of export, of a workload with a bit of everything, and of one without a domain of its own."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from polkit.bundle import Described, Packaged, new_project, package
from polkit.minimize import Request, generate
from polkit.policy import TargetPolicy
from tests.bundle.making import evidence, make_project, semodule, small_host
from tests.records import avc

SOURCE = Path(__file__).parent / "sources" / "export.cil"
TEMPLATES = SOURCE.with_name("templates.cil")
FORMS = ("ansible", "kubernetes", "openshift", "podman", "udica")
_LEVELS = ("s0:c0", "s0")


def export_host(root: Path) -> Path:
    """The small host with ports and capabilities."""
    small_host(root)
    semodule(root, "-X", "100", "-i", SOURCE)
    return root


def export_log() -> str:
    """Models, a GPU with one ioctl, a port, a capability, and a device node whose name is no node's."""
    return (
        evidence()
        + avc("name_bind", "unreserved_port_t", "tcp_socket", levels=_LEVELS, fields='comm="serve" src=8443', serial=3)
        + avc("ioctl", "dri_device_t", "chr_file", levels=_LEVELS, serial=4, fields=_IOCTL)
        + avc("open", "dri_device_t", "chr_file", levels=_LEVELS, serial=5, fields=_HOSTILE)
        + _capability("sys_nice", 6)
    )


_IOCTL = 'comm="serve" path="/dev/dri/card0" ioctlcmd=0x4611'
_HOSTILE = 'comm="serve" path=2F6465762F610A5365637572697479'  # /dev/a, a line break, Security


def _capability(name: str, serial: int) -> str:
    line = avc(name, "container_t", "capability", levels=("s0:c0", "s0:c0"), fields='comm="serve" capability=23')
    return line.replace("123:1", f"123:{serial}").replace(
        "system_u:object_r:container_t", "system_u:system_r:container_t"
    )


@dataclass(frozen=True)
class Exports:
    """``bundle`` is for two targets; ``shared`` widens a shared domain, with a boolean; ``weird`` has a weird path; the
    domain of ``bare`` starts from nothing."""

    host: Path
    bundle: Packaged
    shared: Packaged
    weird: Packaged
    bare: Packaged

    @property
    def all(self) -> tuple[Packaged, ...]:
        return self.bundle, self.shared, self.weird, self.bare


def make_exports(place: Path) -> Exports:
    """All of them."""
    host = export_host(place / "host")
    makers = (make_export, _make_shared, make_weird, _make_bare)
    return Exports(host, *(make(place, host) for make in makers))


def make_export(place: Path, host: Path, log: str = "") -> Packaged:
    """The bundle for two targets that are the same host, with all forms; ``log`` is further evidence."""
    project = make_project(place / "vllm", host, export_log() + log)
    return package(project, targets={"el9": str(host), "debian12": str(host)}, with_proof=False, exports=FORMS)


def _make_shared(place: Path, host: Path) -> Packaged:
    log = avc("append", "data_t", levels=_LEVELS) + avc("write", "data_t", levels=_LEVELS, serial=2)
    project = make_project(place / "shared", host, log, name="shared")
    generate(Request((str(project / "evidence/recorded.log"),), str(host), extend=True), project)
    return package(project, targets={"el9": str(host)}, with_proof=False, exports=FORMS)


WEIRD = '/srv/a b/{{ 7*7 }}/$(id)/%h/it\'s "q"/#x\\n/!unsafe'
"""A path that means something in every language that it is written in."""


def _make_bare(place: Path, host: Path) -> Packaged:
    log = avc("getattr open read", "data_t", levels=_LEVELS)
    project = make_project(place / "bare", host, log, name="bare")
    generate(Request((str(project / "evidence/recorded.log"),), str(host), base="none"), project)
    return package(project, targets={"el9": str(host)}, with_proof=False, exports=FORMS)


def make_weird(place: Path, host: Path, path: str = WEIRD) -> Packaged:
    """The bundle of a project whose models lie at a path."""
    log = place / "weird.log"
    log.write_text(evidence() + avc("read", "data_t", levels=_LEVELS, fields='path="/plain/x"', serial=3))
    new_project("weird", place / "weird", Described("Weird: {{ 1 }} - x", 'ACME "GmbH": #1', "MIT"))
    config = place / "weird/polkit.toml"
    mounts = json.dumps([f"{path}:/models", "/srv/plain:/plain"])
    config.write_text(config.read_text(encoding="utf-8").replace("mounts = []", f"mounts = {mounts}"), encoding="utf-8")
    shutil.copy(log, place / "weird/evidence/recorded.log")
    generate(Request((str(log),), str(host)), place / "weird")
    return package(place / "weird", targets={"el9": str(host)}, with_proof=False, exports=FORMS)


def as_cil(profile: Any) -> str:
    """What the operator makes of a SelinuxProfile."""
    name = profile["metadata"]["name"]
    lines = [f"(blockinherit {one['name']})" for one in profile["spec"]["inherit"]]
    for label, classes in profile["spec"].get("allow", {}).items():
        target = f"{name}.process" if label == "@self" else label
        lines += [f"(allow process {target} ({tclass} ({' '.join(perms)})))" for tclass, perms in classes.items()]
    return "\n".join((f"(block {name}", *lines, ")")) + "\n"


def as_raw_cil(profile: Any) -> str:
    """What it makes of a RawSelinuxProfile: a block with its namespace in the name, and an object has none."""
    return f"(block {profile['metadata']['name']}_\n{profile['spec']['policy']})\n"


def assert_grants(policy: TargetPolicy, domain: str, types: str) -> None:
    """A domain may what the module's own domain may beyond its base, and its own types are called so."""
    wanted = {
        ("xserver_misc_device_t", "chr_file"): {"map", "open", "read", "write"},
        ("dri_device_t", "chr_file"): {"ioctl", "open"},
        (f"{types}vllm_model_t", "file"): {"open", "read"},
        (f"{types}vllm_port_t", "tcp_socket"): {"name_bind"},
        (domain, "capability"): {"sys_nice"},
        (domain, "tcp_socket"): {"create"},
        ("var_t", "file"): set(),
    }
    assert {pair: set(policy.allowed(domain, *pair)) for pair in wanted} == wanted
    assert policy.has_xperm_rule(domain, "dri_device_t", "chr_file")
    assert policy.role_has_type("system_r", domain)
    assert "file_type" in policy.attributes(f"{types}vllm_model_t")
    assert "port_type" in policy.attributes(f"{types}vllm_port_t")


def exported(bundle: Packaged, form: str) -> Path:
    """Where a form lies in a bundle."""
    return bundle.directory / "export" / form


def read(path: Path) -> Any:
    """A YAML file, as a strict reader takes it."""
    return yaml.load(path.read_text(encoding="ascii"), Loader=Strict)


class Strict(yaml.SafeLoader):
    """Refuses a key that stands twice; what Ansible must not take for a template is a string."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key twice among {keys}"
        return super().construct_mapping(node, deep)


Strict.add_constructor("!unsafe", lambda _, node: str(node.value))
