"""YAML files: every value goes through the YAML library, so that no name or path of a project is syntax in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

_CONTROL = re.compile(r"[^ -~]")
_NEVER_FOLD = 1 << 20
_JINJA = ("{{", "{%", "{#")


class Unsafe(str):
    """A string that Ansible must not take for a template."""

    __slots__ = ()


def yaml_text(document: Any, comments: Iterable[str] = ()) -> bytes:
    """One document in ASCII, keys in their order, under comments of a line each."""
    lines = "".join(f"# {printable(line)}".rstrip() + "\n" for line in comments)
    text = yaml.dump(
        document,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=False,
        explicit_start=True,
        width=_NEVER_FOLD,
    )
    return f"{lines}{text}".encode("ascii")


def printable(text: str) -> str:
    """Text for a comment: one line, whatever was in it."""
    return _CONTROL.sub("?", text)


def not_a_template(value: Any) -> Any:
    """A value in which no string is a template to Ansible."""
    if isinstance(value, str):
        return Unsafe(value) if any(mark in value for mark in _JINJA) else value
    if isinstance(value, dict):
        return {not_a_template(key): not_a_template(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [not_a_template(one) for one in value]
    return value


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Lists stand indented under their keys, as yamllint and ansible-lint want them."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """No anchors: some readers of these files refuse them."""
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """Texts of several lines as a block; the library quotes those that a block can't hold."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


def _unsafe(dumper: yaml.SafeDumper, text: Unsafe) -> yaml.Node:
    return dumper.represent_scalar("!unsafe", str(text), style='"')


_Dumper.add_representer(str, _string)
_Dumper.add_representer(Unsafe, _unsafe)
