"""Container paths become host paths by mounts alone, from --mount and from what container tools say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.errors import PolkitError, SourceError, UsageError
from polkit.minimize import Mount, PathMap, parse_mount, read_inspect

PART = st.text("abcXYZ0._-", min_size=1, max_size=6).filter(lambda part: part not in (".", ".."))
PATH = st.lists(PART, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


def test_longest_mount_wins_and_components_are_whole() -> None:
    paths = PathMap((Mount("/models", "/srv/models"), Mount("/models/big", "/data/big"), Mount("/mod", "/x")))
    found = {
        path: getattr(paths.to_host(path), "path", None)
        for path in ("/models/a", "/models/big/b", "/models", "/modelsX/a", "/mod/../models/a", "/other")
    }
    assert found == {
        "/models/a": "/srv/models/a",
        "/models/big/b": "/data/big/b",
        "/models": "/srv/models",
        "/modelsX/a": None,
        "/mod/../models/a": "/srv/models/a",
        "/other": None,
    }


@given(host=PATH, container=PATH, rest=PATH)
def test_mapping_keeps_the_rest_of_the_path(host: str, container: str, rest: str) -> None:
    found = PathMap((Mount(container, host),)).to_host(container + rest)
    assert found is not None
    assert found.path == host + rest


@given(host=PATH, container=PATH, path=PATH)
def test_nothing_outside_a_mount_is_mapped(host: str, container: str, path: str) -> None:
    inside = (path + "/").startswith(container + "/")
    assert (PathMap((Mount(container, host),)).to_host(path) is not None) is inside


@pytest.mark.parametrize("text", ["", "models", "/a", "a:/b", "/a:b", "/a:/b:ro:x", ":/b", "/a:"])
def test_bad_mounts_are_usage_errors(text: str) -> None:
    with pytest.raises(UsageError):
        parse_mount(text)


def test_mount_options() -> None:
    assert parse_mount("/srv//models/:/models/:ro,z") == Mount("/models", "/srv/models", read_only=True)


def test_podman_inspect_with_its_storage(tmp_path: Path) -> None:
    file = tmp_path / "inspect.json"
    file.write_text(
        json.dumps(
            [
                {
                    "Mounts": [{"Type": "bind", "Source": "/srv/models", "Destination": "/models", "RW": False}],
                    "GraphDriver": {
                        "Name": "overlay",
                        "Data": {
                            "LowerDir": "/data/storage/overlay/aa/diff:/data/storage/overlay/bb/diff",
                            "MergedDir": "/data/storage/overlay/cc/merged",
                        },
                    },
                }
            ]
        )
    )
    assert read_inspect(file) == PathMap((Mount("/models", "/srv/models", True),), ("/data/storage",))


def test_crictl_inspect(tmp_path: Path) -> None:
    file = tmp_path / "cri.json"
    file.write_text(
        json.dumps(
            {"status": {"mounts": [{"containerPath": "/models", "hostPath": "/mnt/nvme/models", "readonly": True}]}}
        )
    )
    assert read_inspect(file).mounts == (Mount("/models", "/mnt/nvme/models", True),)


POD = """\
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      volumes:
        - {name: models, hostPath: {path: /srv/models}}
        - {name: scratch, emptyDir: {}}
      containers:
        - name: vllm
          volumeMounts:
            - {name: models, mountPath: /models, subPath: llama, readOnly: true}
            - {name: scratch, mountPath: /scratch}
"""


def test_pod_template_in_yaml(tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text(POD)
    assert read_inspect(file).mounts == (Mount("/models", "/srv/models/llama", True),)


BAD = {
    "empty": b"",
    "no container": b"{}",
    "a number": b"7",
    "not yaml": b"{a: [b",
    "not text": b"\xff\xfe\x00",
    "wrong shapes": b'[{"Mounts": "x"}, {"status": {"mounts": 3}}, {"spec": []}]',
    "code in yaml": b"!!python/object/apply:os.system ['true']",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_bad_inspect_files_are_source_errors_naming_the_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad"
    file.write_bytes(content)
    with pytest.raises(SourceError, match="bad"):
        read_inspect(file)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "Mounts",
                        "status",
                        "mounts",
                        "spec",
                        "containers",
                        "volumes",
                        "name",
                        "hostPath",
                        "path",
                        "Source",
                        "GraphDriver",
                        "Data",
                        "items",
                    ]
                ),
                inner,
            )
        ),
    )
)
def test_no_shape_raises_anything_else(tmp_path_factory: pytest.TempPathFactory, document: object) -> None:
    file = tmp_path_factory.mktemp("inspect") / "x.json"
    file.write_text(json.dumps(document))
    try:
        read_inspect(file)
    except PolkitError as error:
        assert str(file) in str(error)
