"""``polkit generate --interactive``: the walk through the decisions, at a terminal.

What a key means is not decided here but in ``polkit.minimize`` (``press``); every choice is in its file before the next
question is asked.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from polkit.cli.keyboard import OTHER, REDRAW, Keyboard
from polkit.cli.reading import StatusLine, read_with_progress
from polkit.cli.step_text import Screen, summary
from polkit.errors import UsageError
from polkit.minimize import (
    Choices,
    Match,
    Offers,
    Outcome,
    Request,
    Walk,
    begin,
    choices_of,
    choices_path,
    generate,
    match,
    picks,
    press,
    read_choices,
    save_choices,
)


def generate_interactively(
    request: Request, output: Optional[Path], force: bool, choices: Optional[Path], restart: bool, quiet: bool
) -> Optional[Outcome]:
    """``generate`` with a person who chooses; None where they will go on later. ``choices``: where choices are kept,
    instead of beside the module's directory. Raises UsageError where nobody could be asked."""
    _check_terminal(request.logs)
    path = choices if choices is not None else choices_path(request, output)
    if restart and path.exists():
        path.replace(_old(path))
    kept = read_choices(path) if path.exists() else None
    try:
        return read_with_progress(
            lambda stdin, progress: generate(
                request, output, force, stdin, progress, chooser=Interview(path, kept, progress)
            ),
            quiet,
        )
    except FinishLater:
        return None


class FinishLater(Exception):
    """The person stopped before the end; nothing is to be written."""


def _check_terminal(logs: tuple[str, ...]) -> None:
    """Raise UsageError where nobody could be asked."""
    hint = "Make choices made before again with --choices FILE, or go without: the tool decides then"
    if "-" in logs:
        raise UsageError("--interactive takes its keys from standard input, so no log can come from there", hint)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("--interactive needs a terminal", hint)


class Interview:
    """Asks a person: the chooser of one run. ``kept`` are the choices that ``path`` holds already, if any."""

    def __init__(self, path: Path, kept: Optional[Choices], status: Optional[StatusLine]) -> None:
        self._path, self._kept, self._status = path, kept, status
        self._screen = Screen()
        self._rest: Match

    def __call__(self, offers: Offers) -> Mapping[str, str]:
        """See Chooser. Raises FinishLater, or KeyboardInterrupt after Ctrl-C; what was chosen is kept in any case."""
        if self._status is not None:
            self._status.close()
        self._rest = match(self._kept, offers) if self._kept is not None else Match(begin(_sizes(offers)))
        if self._kept is not None:
            self._resumed(self._kept, self._rest)
        try:
            walk = self._walk(offers, self._rest.walk)
        except KeyboardInterrupt:
            self._screen.line("")
            self._later()
            raise
        if walk.over != "done":
            self._later()
            raise FinishLater
        self._screen.line("")
        self._screen.line(f"{summary(walk)}. Kept in {self._path}; --choices {self._path} makes them again.")
        return picks(walk, offers)

    def _walk(self, offers: Offers, walk: Walk) -> Walk:
        with Keyboard() as keyboard:
            while not walk.over:
                if walk.at_end:
                    self._screen.end(walk)
                else:
                    self._screen.step(offers.steps[walk.index], walk)
                self._screen.prompt()
                key = keyboard.read()
                self._screen.pressed("" if key in (REDRAW, OTHER) else key)
                if key == REDRAW:
                    continue
                walk = press(walk, key)
                save_choices(self._path, choices_of(walk, offers, self._rest.unused, walk.over == "done"))
        return walk

    def _resumed(self, kept: Choices, found: Match) -> None:
        """Say what of the earlier choices is still good, and keep the file as it was where not all of it is."""
        answered = sum(found.walk.seen)
        if answered:
            self._screen.line("")
            self._screen.line(
                f"Going on where you stopped: {answered} of {len(found.walk.sizes)} decisions are answered in "
                f"{self._path}. --restart begins anew."
            )
        for text in found.stale:
            self._screen.line(f"Asked again: {text}.", "yellow")
        if found.stale:
            save_choices(_old(self._path), kept)
            self._screen.line(f"The choices as they were are kept in {_old(self._path)}.", "yellow")

    def _later(self) -> None:
        self._screen.line("")
        self._screen.line(f"Nothing was written but your choices: {self._path}. The same command goes on from there.")


def _old(path: Path) -> Path:
    return path.with_name(f"{path.name}.old")


def _sizes(offers: Offers) -> list[int]:
    return [len(step.options) for step in offers.steps]
