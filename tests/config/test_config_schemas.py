"""The JSON schemas: a whole object is valid, and without any one of its keys it is not."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from polkit.model import CAUSES, REMEDIES, RISKS

GRANTS = {"accesses": 12, "domains": 1, "types": 1, "sample": ["xserver_misc_device_t"]}
EVIDENCE = {
    "records": 3,
    "accesses": 6,
    "first": "2024-05-01T10:00:00.123Z",
    "last": None,
    "comms": ["python3"],
    "paths": ["/dev/nvidia0"],
    "ports": [8000],
    "levels": ["s0:c1,c2 -> s0"],
    "hosts": [],
    "permissive": 0,
}
RULES = [
    {"kind": "allow", "source": "a_t", "target": "b_t", "class": "file", "perms": ["read"]},
    {
        "kind": "allowxperm",
        "source": "a_t",
        "target": "b_t",
        "class": "chr_file",
        "operation": "ioctl",
        "xperms": ["0x4611"],
    },
    {"kind": "role_allow", "source": "a_r", "target": "b_r"},
    {"kind": "role_types", "role": "a_r", "type": "a_t"},
    {"kind": "typebounds", "parent": "a_t", "child": "b_t"},
]
LABEL = {"type": "a_t", "command": "restorecon -F /srv/x"}
REMEDIES_WHOLE: list[dict[str, Any]] = [
    {"kind": "boolean", "name": "container_use_xserver_devices", "value": True, "also_allows": GRANTS},
    {"kind": "relabel", "path": "/srv/x", **LABEL},
    {"kind": "fcontext", "pattern": "/srv/x(/.*)?", **LABEL},
    {"kind": "equivalence", "path": "/srv/x", **LABEL},
    {"kind": "mount", "path": "/srv/x", **LABEL},
    {"kind": "port", "protocol": "tcp", "port": 8000, "type": "a_port_t", "command": "semanage port -a"},
    {"kind": "level", "hint": "mount the volume with :z"},
    {"kind": "allow", "rules": RULES},
]
BARE_REMEDIES = [{"kind": "none"}, {"kind": "domain"}, {"kind": "refuse"}]


def decision(remedy: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "D1",
        "source": "container_t",
        "target": "xserver_misc_device_t",
        "class": "chr_file",
        "perms": ["open", "read"],
        "xperms": ["0x4611"],
        "cause": "boolean",
        "also": ["constraint"],
        "remedy": remedy,
        "also_remedies": [{"kind": "level", "hint": "mount the volume with :z"}],
        "risk": "low",
        "why": "a boolean gives it",
        "evidence": EVIDENCE,
    }


PLAN: dict[str, Any] = {
    "schema": "polkit.plan/1",
    "policy": {"path": "policy.33", "sha256": "0" * 64, "version": 33, "mls": True, "handle_unknown": "allow"},
    "input": {
        "sources": ["audit.log"],
        "bytes": 1,
        "lines": 1,
        "denials": 4,
        "distinct": 1,
        "accesses": 6,
        "parsed": 3,
        "records": {"AVC": 4, "USER_AVC": 0, "SELINUX_ERR": 0, "other": 0},
        "unparsed": [{"source": "audit.log", "line": 1, "reason": "cut", "text": "avc: denied"}],
    },
    "decisions": [decision(remedy) for remedy in REMEDIES_WHOLE],
    "module": {
        "name": "vllm",
        "version": "1.0.0",
        "domain": None,
        "base": None,
        "rules": 5,
        "over_permission": 0,
        "dontaudited": 0,
        "inherited": 0,
        "structural": 0,
        "boolean_grants": 0,
        "blast_radius": 1,
        "files": ["vllm.te"],
    },
    "predicted": [],
}
CALL: dict[str, Any] = {
    "call": "files_pair(a_t, b_t)",
    "name": "files_pair",
    "arguments": ["a_t", "b_t"],
    "header": "kernel/files.if",
    "used": False,
    "rules": RULES[:1],
    "given": 3,
    "extra": 1,
    "extra_rules": RULES[:1],
    "refused": ["kernel-device"],
}
ERROR: dict[str, Any] = {
    "schema": "polkit.error/1",
    "error": {"message": "no policy", "hint": "name one with --policy", "exit_code": 4},
}
WHOLE = {"plan": PLAN, "error": ERROR}


@pytest.fixture(params=sorted(WHOLE))
def named(request: pytest.FixtureRequest, repository: Path) -> tuple[jsonschema.Draft202012Validator, dict[str, Any]]:
    return validator(repository, request.param), WHOLE[request.param]


def validator(repository: Path, name: str) -> jsonschema.Draft202012Validator:
    text = (repository / f"docs/schemas/polkit.{name}-1.schema.json").read_text(encoding="utf-8")
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    return jsonschema.Draft202012Validator(json.loads(text))


def without_each_key(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The path of every key of every object in ``tree``."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield (*path, key), value
            yield from without_each_key(value, (*path, key))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from without_each_key(value, (*path, number))


def changed(whole: Any, path: tuple[Any, ...], *value: Any) -> Any:
    """A copy of ``whole`` without the key at ``path``, or with another value there."""
    copied = copy.deepcopy(whole)
    place = copied
    for step in path[:-1]:
        place = place[step]
    if value:
        place[path[-1]] = value[0]
    else:
        del place[path[-1]]
    return copied


def test_a_whole_object_is_valid(named: tuple[jsonschema.Draft202012Validator, dict[str, Any]]) -> None:
    checker, whole = named
    checker.validate(whole)
    checker.validate({**whole, "more": 1})


def test_every_key_is_required(named: tuple[jsonschema.Draft202012Validator, dict[str, Any]]) -> None:
    checker, whole = named
    paths = [path for path, _ in without_each_key(whole)]
    assert len(paths) > 3
    for path in paths:
        assert not checker.is_valid(changed(whole, path)), path


def test_every_value_has_its_kind(named: tuple[jsonschema.Draft202012Validator, dict[str, Any]]) -> None:
    checker, whole = named
    for path, _ in without_each_key(whole):
        assert not checker.is_valid(changed(whole, path, {"no": "such"})), path


def test_a_call_of_an_interface_has_every_key(repository: Path) -> None:
    checker = validator(repository, "plan")
    checker.validate({**PLAN, "interfaces": [CALL]})
    for path, _ in without_each_key(CALL):
        assert not checker.is_valid({**PLAN, "interfaces": [changed(CALL, path)]}), path
        assert not checker.is_valid({**PLAN, "interfaces": [changed(CALL, path, {"no": "such"})]}), path


def test_null_stands_where_it_may(repository: Path) -> None:
    checker = validator(repository, "plan")
    checker.validate({**PLAN, "policy": None, "module": None, "decisions": [decision(one) for one in BARE_REMEDIES]})


def test_the_words_are_those_of_the_model(repository: Path) -> None:
    checker = validator(repository, "plan")
    for key, words in (("cause", CAUSES), ("risk", RISKS)):
        for word in words:
            checker.validate({**PLAN, "decisions": [{**decision({"kind": "none"}), key: word}]})
        assert not checker.is_valid({**PLAN, "decisions": [{**decision({"kind": "none"}), key: "other"}]})
    kinds = [remedy["kind"] for remedy in (*REMEDIES_WHOLE, *BARE_REMEDIES)]
    assert sorted(kinds) == sorted(REMEDIES)


@pytest.mark.parametrize(
    "stamp", ["2024-05-01", "2024-05-01T10:00:00", "2024-05-01T10:00:00+02:00", "2024-05-01 10:00:00Z", 1714557600]
)
def test_times_are_utc(stamp: object, repository: Path) -> None:
    assert not validator(repository, "plan").is_valid(changed(PLAN, ("decisions", 0, "evidence", "first"), stamp))
