"""A page per verb, made of its ``--help``: ``python tests/verb_pages.py --write`` writes ``docs/verbs``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from polkit.cli.app import VERBS, polkit

PAGES = Path(__file__).resolve().parent.parent / "docs" / "verbs"


def page(verb: str) -> str:
    """The page's whole text."""
    context = click.Context(polkit, info_name="polkit")
    command = polkit.get_command(context, verb)
    assert command is not None
    text = command.get_help(
        click.Context(command, info_name=verb, parent=context, max_content_width=100, terminal_width=100)
    )
    return f"# polkit {verb}\n\n{VERBS[verb]}\n\n```\n{text}\n```\n"


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/verb_pages.py --write")
    PAGES.mkdir(exist_ok=True)
    for name in VERBS:
        (PAGES / f"{name}.md").write_text(page(name))
