"""The console that results are printed on."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from polkit.cli.safe import safe


class _Output(Console):
    def on_broken_pipe(self) -> None:
        """A reader that has seen enough (head, less) is no failure; rich would end the command with exit code 1."""
        raise BrokenPipeError


def output(soft_wrap: bool) -> Console:
    """Standard output, taking nothing in a text for markup. ``soft_wrap``: lines stay whole."""
    return _Output(highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap)


def print_wrapped(console: Console, head: str, text: str, head_style: str = "", style: str = "") -> None:
    """``head`` and then ``text``, which may be a stranger's, wrapped so that further lines begin below the text."""
    width = max(console.width - len(head), 20)
    for index, line in enumerate(Text(safe(text), style).wrap(console, width)):
        start = Text(head, head_style) if index == 0 else Text(" " * len(head))
        line.rstrip()
        console.print(start + line, soft_wrap=True)
