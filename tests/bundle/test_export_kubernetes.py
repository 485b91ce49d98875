"""Profiles of the Security Profiles Operator, pods, MachineConfigs and constraints: held against their schemas, and
against what the operator and the nodes make of them."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from polkit.policy import load_policy
from tests.bundle.exporting import (
    WEIRD,
    Exports,
    as_cil,
    as_raw_cil,
    assert_grants,
    export_host,
    exported,
    make_export,
    read,
)
from tests.bundle.making import semodule

# ---- what the operator does with a profile: selinuxprofile.go, obj2cil.go and rawselinuxprofile_types.go of its source

LABEL, NAME = re.compile(r"([a-zA-Z0-9.\-_]+|@self)\Z"), re.compile(r"[a-zA-Z0-9.\-_]+\Z")
DENIED = {
    "allowedTypes": {"kernel_t", "kmem_t", "security_t", "shadow_t"},
    "allowedClasses": {"capability", "capability2", "security", "system"},
    "allowedPermissions": {
        *("load_policy", "mac_admin", "mounton", "relabelto", "relabelfrom", "setbool", "setenforce", "setsecparam")
    },
}
RESTRICTED = frozenset(
    {
        *("block", "blockinherit", "blockstart", "booleanif", "category", "categoryorder", "class", "classmap"),
        *("classmapping", "classorder", "context", "dominance", "filecon", "genfscon", "level", "levelrange", "mls"),
        *("netifcon", "nodecon", "optional", "policycap", "portcon", "role", "roletype", "sensitivity"),
        *("sensitivityorder", "sid", "sidcontext", "sidorder", "tunable", "tunableif", "typepermissive", "user"),
        "userrole",
    }
)


def refusals(profile: Any, options: dict[str, list[str]]) -> list[str]:
    """Why the operator would not take a SelinuxProfile."""
    systems = options.get("allowedSystemProfiles", ["container"])
    found = [one["name"] for one in profile["spec"]["inherit"] if one["name"] not in systems]
    denied = {key: names - set(options.get(key, ())) for key, names in DENIED.items()}
    for label, classes in profile["spec"].get("allow", {}).items():
        found += [label] if not LABEL.match(label) or label in denied["allowedTypes"] else []
        for tclass, perms in classes.items():
            found += [tclass] if not NAME.match(tclass) or tclass in denied["allowedClasses"] else []
            found += [perm for perm in perms if not NAME.match(perm) or perm in denied["allowedPermissions"]]
    return found


def raw_refusals(policy: str) -> list[str]:
    """Why the operator would not take a RawSelinuxProfile's text."""
    found = [word for word in re.findall(r"\(\s*([A-Za-z0-9_-]+)", policy) if word.lower() in RESTRICTED]
    depth = 0
    for character in policy:
        depth += {"(": 1, ")": -1}.get(character, 0)
        found += [") too many"] if depth < 0 else []
    return found + (["( too many"] if depth else []) + ([] if policy.strip() else ["empty"])


def options_of(path: Path) -> dict[str, list[str]]:
    """The operator's options that a profile says it needs."""
    for line in path.read_text(encoding="ascii").splitlines():
        if " patch spod " in line:
            found: dict[str, list[str]] = json.loads(shlex.split(line.lstrip("# "))[-1])["spec"]["selinux"]["options"]
            return found
    return {}


def closed(schema: Any) -> Any:
    """An OpenAPI schema in which a field that it does not know is an error, as with `kubectl --validate=strict`."""
    if isinstance(schema, dict):
        found = {key: closed(value) for key, value in schema.items()}
        if "properties" in found:
            found.setdefault("additionalProperties", False)
        return found
    return [closed(one) for one in schema] if isinstance(schema, list) else schema


def validator(fixtures: Path, kind: str) -> jsonschema.Draft202012Validator:
    definition = yaml.safe_load((fixtures / f"schemas/spo-{kind}s.crd.yaml").read_text(encoding="utf-8"))
    (schema,) = [one["schema"]["openAPIV3Schema"] for one in definition["spec"]["versions"] if one["name"] == "v1"]
    schema = closed(schema)
    schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize(("kind", "count"), [("selinuxprofile", 4), ("rawselinuxprofile", 3)])
def test_profiles_fit_the_operators_definitions(exports: Exports, fixtures_dir: Path, kind: str, count: int) -> None:
    found = [path for bundle in exports.all for path in exported(bundle, "kubernetes").glob(f"*/{kind}.yaml")]
    assert len(found) == count
    schema = validator(fixtures_dir, kind)
    for path in found:
        schema.validate(read(path))
    wrong = read(found[0])
    wrong["spec"]["policies"] = ""
    with pytest.raises(jsonschema.ValidationError):
        schema.validate(wrong)


def test_the_operator_takes_the_profiles_with_the_options_that_they_name(exports: Exports) -> None:
    for bundle in (exports.bundle, exports.weird):
        place = exported(bundle, "kubernetes") / "el9"
        profile, options = read(place / "selinuxprofile.yaml"), options_of(place / "selinuxprofile.yaml")
        assert refusals(profile, options) == []
        assert raw_refusals(read(place / "rawselinuxprofile.yaml")["spec"]["policy"]) == []
    place = exported(exports.bundle, "kubernetes") / "el9"
    asked = refusals(read(place / "selinuxprofile.yaml"), {})
    assert asked == ["net_container", "capability"]
    assert options_of(place / "selinuxprofile.yaml") == {
        "allowedSystemProfiles": ["container", "net_container"],
        "allowedClasses": ["capability"],
    }


def test_both_profiles_give_on_a_node_what_the_module_gives(exports: Exports, node: Path, tmp_path: Path) -> None:
    place = exported(exports.bundle, "kubernetes") / "el9"
    profile, raw = (read(place / f"{kind}.yaml") for kind in ("selinuxprofile", "rawselinuxprofile"))
    for name, text in ((profile["metadata"]["name"], as_cil(profile)), (raw["metadata"]["name"], as_raw_cil(raw))):
        (tmp_path / f"{name}.cil").write_text(text, encoding="ascii")
        semodule(node, "-i", tmp_path / f"{name}.cil")
    policy = load_policy(str(node))
    pod = read(place / "pod-with-profile.yaml")["spec"]["securityContext"]["seLinuxOptions"]
    assert_grants(policy, pod["type"], "vllm-rules_.")


def test_a_rule_with_commands_is_not_in_the_profile_that_knows_none(exports: Exports) -> None:
    """Installed alone, it would allow every ioctl."""
    place = exported(exports.bundle, "kubernetes") / "el9"
    profile = read(place / "selinuxprofile.yaml")
    assert "dri_device_t" not in profile["spec"]["allow"]
    assert set(profile["spec"]["allow"]) == {"@self", "xserver_misc_device_t"}
    assert "(0x4611)" in read(place / "rawselinuxprofile.yaml")["spec"]["policy"]
    comments = (place / "rawselinuxprofile.yaml").read_text(encoding="ascii")
    assert "#   semanage port -a -t vllm-rules_.vllm_port_t -p tcp 8443\n" in comments
    assert "#   semanage fcontext -a -f a -t vllm-rules_.vllm_model_t '/srv/models(/.*)?'\n" in comments


def test_a_domain_that_starts_from_nothing_is_said_to_get_more(exports: Exports) -> None:
    place = exported(exports.bare, "kubernetes") / "el9"
    assert "so may more" in (place / "selinuxprofile.yaml").read_text(encoding="ascii")
    assert read(place / "selinuxprofile.yaml")["spec"]["inherit"] == [{"kind": "System", "name": "container"}]
    assert not (place / "rawselinuxprofile.yaml").exists()


# ---- pods, constraints, MachineConfigs -----------------------------------------------------------------------------


def test_objects_fit_their_schema(exports: Exports) -> None:
    schema = json.loads((Path(__file__).parent / "schemas/workload-objects.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    found = []
    for bundle in exports.all:
        for form in ("kubernetes", "openshift"):
            for path in sorted(exported(bundle, form).glob("*/*.yaml")):
                if "profile.yaml" not in path.name or path.name.startswith("pod"):
                    jsonschema.Draft202012Validator(schema).validate(read(path))
                    found.append(path.name)
    assert set(found) == {
        *("pod.yaml", "pod-with-profile.yaml", "scc.yaml", "machineconfig.yaml", "machineconfig-remove.yaml")
    }
    # Nodes of OpenShift are no Debian.
    assert [path.name for path in exported(exports.bundle, "openshift").iterdir()] == ["el9"]


def test_pod_and_constraint_say_the_same_type_and_level(exports: Exports) -> None:
    place = exported(exports.bundle, "openshift") / "el9"
    constraint, pod = read(place / "scc.yaml"), read(place / "pod.yaml")
    options = pod["spec"]["securityContext"]["seLinuxOptions"]
    assert constraint["seLinuxContext"] == {"type": "MustRunAs", "seLinuxOptions": options}
    assert options["type"] == "vllm_t"
    assert pod["metadata"]["annotations"]["openshift.io/required-scc"] == constraint["metadata"]["name"]
    assert constraint["allowedCapabilities"] == ["SYS_NICE"]
    assert constraint["allowHostDirVolumePlugin"]
    mounts = pod["spec"]["containers"][0]["volumeMounts"]
    assert [(one["mountPath"], one["readOnly"]) for one in mounts] == [("/models", True)]


def test_a_module_without_a_domain_of_its_own_has_no_pod(exports: Exports) -> None:
    names = {path.name for path in exported(exports.shared, "openshift").glob("*/*")}
    assert names == {"machineconfig.yaml", "machineconfig-remove.yaml"}
    assert any("kubernetes: el9: the module has no domain of its own" in note for note in exports.shared.notes)


def test_a_weird_path_is_a_value_and_nothing_else(exports: Exports) -> None:
    pod = read(exported(exports.weird, "kubernetes") / "el9/pod.yaml")
    assert [one["hostPath"]["path"] for one in pod["spec"]["volumes"]] == [WEIRD, "/srv/plain"]


def node_files(path: Path, root: Path) -> dict[str, str]:
    """Put the files of a MachineConfig where a node has them; its units by name."""
    config = read(path)["spec"]["config"]
    for one in config["storage"]["files"]:
        place = root / one["path"].lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(base64.b64decode(one["contents"]["source"].partition(",")[2], validate=True))
        place.chmod(one["mode"])
    return {one["name"]: one["contents"] for one in config["systemd"]["units"]}


def commands(unit: str, root: Path) -> list[list[str]]:
    """What a unit runs, on a root instead of on the node."""
    lines = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart=")]
    return [
        ["sh", str(root / words[1].lstrip("/")), "--root", str(root), *words[2:]]
        for words in map(shlex.split, lines)
        if words[0] == "/usr/bin/sh"
    ]


def test_a_node_installs_from_a_machine_config_and_removes(exports: Exports, tmp_path: Path) -> None:
    root = tmp_path / "node"
    shutil.copytree(exports.host, root)
    place = exported(exports.bundle, "openshift") / "el9"
    for name, there in (("machineconfig.yaml", True), ("machineconfig-remove.yaml", False)):
        units = node_files(place / name, root)
        ((unit_name, unit),) = units.items()
        assert unit_name == "selinux-bundle-vllm.service"
        (command,) = commands(unit, root)
        run = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "TMPDIR": str(tmp_path)}
        )
        assert run.returncode == 0, run.stderr
        assert ("200 vllm" in " ".join(semodule(root, "-lfull").split())) == there
    assert "ConditionPathExists=/var/lib/selinux-bundles/vllm\n" in unit
    assert not (root / "var/lib/selinux-bundles/vllm").exists()


def test_a_new_version_runs_again_on_the_node(exports: Exports, tmp_path: Path) -> None:
    """What was done is remembered for what was shipped, not for good."""
    units: list[str] = []
    for number, bundle in enumerate((exports.bundle, exports.shared)):
        units += node_files(exported(bundle, "openshift") / "el9/machineconfig.yaml", tmp_path / str(number)).values()
    stamps = [re.findall(r"^ConditionPathExists=!(\S+)$", unit, re.MULTILINE) for unit in units]
    assert all(len(one) == 1 and f"ExecStart=/usr/bin/touch {one[0]}\n" in unit for one, unit in zip(stamps, units))
    assert len({one[0].rpartition("/")[2] for one in stamps}) == 2


def test_two_builds_elsewhere_are_the_same_bytes(exports: Exports, tmp_path: Path) -> None:
    again = make_export(tmp_path / "another place", export_host(tmp_path / "another host"))
    first, second = (
        {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        for top in (one.directory / "export" for one in (exports.bundle, again))
    )
    assert first == second
    assert len(first) == 5 + 2 * 4 + 4 + 2 * 2 + 2
