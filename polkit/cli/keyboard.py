"""One key at a time from the terminal, without Enter; the terminal is put back whatever happens."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Optional

from polkit.minimize import LATER_KEY

REDRAW = "redraw"
"""No key: the terminal has another size, or the command was suspended and goes on."""
OTHER = "other"
"""A key that means nothing anywhere, an arrow or a letter of another alphabet; its bytes go nowhere."""
_NAMES = {b"\r": "enter", b"\n": "enter", b"\x04": LATER_KEY}
_BETWEEN = 0.1
"""Seconds within which the bytes of one key follow each other, also over a slow line."""
_ENDING = (signal.SIGTERM, signal.SIGHUP)
_CHANGING = (signal.SIGWINCH, signal.SIGCONT)


class Keyboard:
    """``with Keyboard() as keyboard: key = keyboard.read()``. What was typed before it began is thrown away: nobody
    chooses by an Enter that was meant for something else. Ctrl-C raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self._terminal = sys.stdin.fileno()
        self._handlers: dict[signal.Signals, Any] = {}
        self._woken = self._waker = self._former = -1
        self._modes: list[Any] = []

    def __enter__(self) -> Keyboard:
        self._modes = termios.tcgetattr(self._terminal)
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        self._former = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in _CHANGING:
            self._handlers[number] = signal.signal(number, self._changed)
        for number in _ENDING:
            self._handlers[number] = signal.signal(number, self._ended)
        tty.setcbreak(self._terminal)
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._restore()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former)
        os.close(self._woken)
        os.close(self._waker)

    def read(self) -> str:
        """The next key: a character in lower case, ``enter``, ``redraw``, ``other``; ``q`` where the input ends."""
        ready, _, _ = select.select([self._terminal, self._woken], [], [])
        if self._woken in ready:
            os.read(self._woken, 64)
            return REDRAW
        try:
            byte = os.read(self._terminal, 1)
        except OSError:  # the terminal is gone
            byte = b""
        if not byte:
            return LATER_KEY
        if byte in _NAMES:
            return _NAMES[byte]
        if byte == b"\x1b" or byte >= b"\x80":
            self._swallow()
            return OTHER
        return byte.decode("ascii").lower() if byte.isalnum() or byte == b"?" else OTHER

    def _swallow(self) -> None:
        """The rest of one key: what a terminal sends at once for an arrow, or the other bytes of a character."""
        while select.select([self._terminal], [], [], _BETWEEN)[0]:
            byte = os.read(self._terminal, 1)
            if not byte or byte.isalpha() or byte == b"~":
                return

    def _changed(self, number: int, frame: Optional[FrameType]) -> None:
        """The signal itself wakes ``read``; a shell that had the terminal meanwhile may have set its own modes."""
        if number == signal.SIGCONT:
            tty.setcbreak(self._terminal, termios.TCSADRAIN)

    def _ended(self, number: int, frame: Optional[FrameType]) -> None:
        self._restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _restore(self) -> None:
        with suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._modes)
