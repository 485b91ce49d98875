"""The console that results are printed on."""

from __future__ import annotations

from rich.console import Console


class _Output(Console):
    def on_broken_pipe(self) -> None:
        """A reader that has seen enough (head, less) is no failure; rich would end the command with exit code 1."""
        raise BrokenPipeError


def output(soft_wrap: bool) -> Console:
    """Standard output, taking nothing in a text for markup. ``soft_wrap``: lines stay whole."""
    return _Output(highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap)
