"""What the documentation says of polkit.toml, made from the sections themselves.

``python -m polkit.config.document docs`` rewrites ``docs/polkit-toml.md`` (between its markers) and
``docs/schemas/polkit-toml.schema.json``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, Optional, get_type_hints

from polkit.config.names import MODULE_NAME, MODULE_VERSION
from polkit.config.sections import FINDING_SEVERITIES, SECTIONS, Denied, Forbid, Zone, key_word

BEGIN, END = "<!-- keys: begin -->", "<!-- keys: end -->"
"""The markers in ``docs/polkit-toml.md`` between which the tables stand."""

_WORDS = {
    str: "text",
    int: "whole number",
    Optional[str]: "text",
    bool: "true/false",
    Optional[int]: "whole number",
    Optional[float]: "number",
    tuple[str, ...]: "list of texts",
}
_SCHEMAS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    Optional[str]: {"type": "string"},
    bool: {"type": "boolean"},
    Optional[int]: {"type": "integer"},
    Optional[float]: {"type": "number"},
    tuple[str, ...]: {"type": "array", "items": {"type": "string"}},
}
_PATTERNS = {"name": MODULE_NAME.pattern, "version": MODULE_VERSION.pattern}


def tables() -> str:
    """A Markdown heading and table for each section: key, kind, default, meaning."""
    lines: list[str] = []
    rows = (("[gates.forbid]", Forbid), ("[gates.denied]", Denied))
    for name, kind in (*SECTIONS.items(), *rows, ("review.zones.NAME", Zone)):
        lines += [f"### `[{_heading(name)}]`", "", _about(kind), ""]
        lines += ["| key | kind | default | meaning |", "|---|---|---|---|"]
        hints = get_type_hints(kind)
        for key in fields(kind):
            if key.metadata["rows"] is not None:
                continue
            choices = key.metadata["choices"]
            words = " or ".join(f"`{choice}`" for choice in choices) if choices else _WORDS[hints[key.name]]
            lines.append(f"| `{key_word(key)}` | {words} | {_default(key.default)} | {key.metadata['meaning']} |")
        lines.append("")
    lines += ["### `[review.severity]`", "", 'How grave findings are in this project: `PK010 = "info"`.', ""]
    lines += [f"Each is one of {', '.join(f'`{word}`' for word in FINDING_SEVERITIES)}.", ""]
    return "\n".join(lines)


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a parsed polkit.toml."""
    properties: dict[str, Any] = {name: _section_schema(kind) for name, kind in SECTIONS.items()}
    properties["targets"] = {"type": "object", "additionalProperties": properties["targets"]}
    properties["review"]["properties"] |= {
        "zones": {"type": "object", "additionalProperties": _section_schema(Zone)},
        "severity": {
            "type": "object",
            "patternProperties": {"^PK[0-9]{3}$": {"enum": list(FINDING_SEVERITIES)}},
            "additionalProperties": False,
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "polkit.toml",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def write(docs: Path) -> None:
    """Bring both files under ``docs`` up to date."""
    page = docs / "polkit-toml.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{tables()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    text = json.dumps(schema(), indent=2) + "\n"
    (docs / "schemas" / "polkit-toml.schema.json").write_text(text, encoding="utf-8")


def _section_schema(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {
        "type": "object",
        "description": _about(kind),
        "additionalProperties": False,
        "properties": {key_word(key): _key_schema(key, hints[key.name]) for key in fields(kind)},
    }


_DEMANDS: dict[type, dict[str, Any]] = {
    Forbid: {"anyOf": [{"required": [key]} for key in ("source", "target", "class", "perms")]},
    Denied: {"required": ["source", "class", "perms"], "oneOf": [{"required": ["target"]}, {"required": ["path"]}]},
}
"""What a section of several can't do without, as ``load`` demands it."""


def _rows_schema(key: Field[Any]) -> dict[str, Any]:
    """Of sections one after the other: no key of theirs is empty."""
    kind = key.metadata["rows"]
    one = _section_schema(kind) | _DEMANDS[kind]
    for value in one["properties"].values():
        value.update({"minItems": 1} if value["type"] == "array" else {"minLength": 1})
        del value["default"]
    return {"type": "array", "description": key.metadata["meaning"], "items": one}


def _about(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split())


def _key_schema(key: Field[Any], kind: Any) -> dict[str, Any]:
    if key.metadata["rows"] is not None:
        return _rows_schema(key)
    found: dict[str, Any] = {**_SCHEMAS[kind], "description": key.metadata["meaning"]}
    if key.metadata["choices"]:
        found["enum"] = list(key.metadata["choices"])
    if key.metadata["least"] is not None:
        found["minimum"] = key.metadata["least"]
    if key.name in _PATTERNS:
        found["pattern"] = f"^{_PATTERNS[key.name].replace(chr(92) + 'Z', '$')}"
    if key.default is not None:
        found["default"] = list(key.default) if isinstance(key.default, tuple) else key.default
    return found


def _heading(section: str) -> str:
    return "targets.NAME" if section == "targets" else section


def _default(value: Any) -> str:
    if value is None or value in ("", ()):
        return ""
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
