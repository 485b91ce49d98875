"""The state of a host's booleans, as ``getsebool -a`` prints it."""

from __future__ import annotations

import re
from pathlib import Path

from polkit.errors import SourceError
from polkit.model import IDENTIFIER

_LINE = re.compile(r"(?P<name>\S+)\s+-->\s+(?P<current>on|off)(?:\s+pending:\s+(?:on|off))?\s*\Z")


def read_booleans(path: Path) -> dict[str, bool]:
    """The booleans of a file that holds the output of ``getsebool -a``: lines ``name --> on``.

    A pending value is passed over: the policy in force counts. Empty lines are allowed. Raises SourceError, with file
    and line, for anything else, and for a name given two values.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not text", hint=_HINT) from error
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}", hint=_HINT) from error
    state: dict[str, bool] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        found = _LINE.match(line.strip())
        if found is None or not IDENTIFIER.match(found["name"]):
            raise SourceError(f"{path}:{number}: not a line of getsebool", hint=_HINT)
        value = found["current"] == "on"
        if state.setdefault(found["name"], value) != value:
            raise SourceError(f"{path}:{number}: {found['name']} is both on and off", hint=_HINT)
    return state


_HINT = "write it with `getsebool -a > FILE` on the host the log came from"
