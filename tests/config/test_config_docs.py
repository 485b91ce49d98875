"""The documentation of polkit.toml is the code's own, and its schema says what the code says."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest
from test_config_load import WHOLE

from polkit.config import SECTIONS, Denied, Forbid, load_config
from polkit.config.document import schema, tables, write
from polkit.errors import UsageError

tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")


def test_the_page_and_the_schema_are_up_to_date(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    page = repository / "docs/polkit-toml.md"
    (tmp_path / "polkit-toml.md").write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    write(tmp_path)
    again = "run `python -m polkit.config.document docs`"
    assert (tmp_path / "polkit-toml.md").read_text(encoding="utf-8") == page.read_text(encoding="utf-8"), again
    made = (tmp_path / "schemas/polkit-toml.schema.json").read_text(encoding="utf-8")
    assert made == (repository / "docs/schemas/polkit-toml.schema.json").read_text(encoding="utf-8"), again


def test_every_key_is_documented() -> None:
    text = tables()
    for kind in (*SECTIONS.values(), Forbid, Denied):
        for key in fields(kind):
            word = key.metadata["word"] or key.name
            assert (f"[[gates.{word}]]" if key.metadata["rows"] else f"| `{word}` |") in text
            assert key.metadata["meaning"].endswith(".")


def test_the_example_of_the_page_is_accepted(repository: Path, tmp_path: Path) -> None:
    page = (repository / "docs/polkit-toml.md").read_text(encoding="utf-8")
    example = page.split("```toml\n")[1].split("```")[0]
    (tmp_path / "polkit.toml").write_text(example)
    assert load_config(tmp_path / "polkit.toml").module.name == "vllm-cuda"


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        "",
        "[minimize]\nbase = []",
        "[modul]",
        "[module]\nname = 3",
        "[module]\nname = 'Vllm'",
        "[module]\nversion = '1.0-1'",
        "[targets.a]\npolicydb = 3",
        "[targets.a]\npolicydb = true",
        "[gates]\nmax_risk = 'mid'",
        "[gates]\nmax_over_permission = 0.5",
        "[[gates.forbid]]\nexcept = ['x_t']",
        "[[gates.forbid]]\nperms = []",
        "[[gates.forbid]]\nclasses = ['file']",
        "[[gates.denied]]\nsource = ['x_t']\nclass = 'file'\nperms = ['read']",
        "[[gates.denied]]\nsource = ['x_t']\nclass = 'file'\nperms = ['read']\npath = '/a'\ntarget = ['b_t']",
        "targets = 3",
    ],
)
def test_schema_and_code_agree(text: str, tmp_path: Path) -> None:
    place = tmp_path / "polkit.toml"
    place.write_text(text)
    valid = jsonschema.Draft202012Validator(schema()).is_valid(tomllib.loads(text))
    try:
        load_config(place)
    except UsageError:
        assert not valid
    else:
        assert valid


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(json.dumps(schema())))
