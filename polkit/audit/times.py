"""Times: those records carry, and those a user gives to ``--since`` and ``--until``.

Every time is milliseconds since the epoch. A date without a zone is read as UTC: the log doesn't say where its host
stands, and the same input has to give the same output everywhere.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Optional

from polkit.errors import UsageError

_EPOCH = re.compile(r"(\d{1,11})\.(\d{3})(?::\d+)?\Z")
_SHORT_EPOCH = re.compile(r"(\d{1,11})(?:\.(\d{1,2}))?(?::\d+)?\Z")
_CLOCK = r"[ T](\d{1,2}):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
_YEAR_FIRST = re.compile(r"(\d{4})-(\d\d)-(\d\d)" + _CLOCK)
_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{2}|\d{4})" + _CLOCK)
_MONTH_FIRST = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{2}|\d{4})" + _CLOCK)
_ZONE = re.compile(r" ?(?:(Z)|([+-])(\d\d):?(\d\d))")
_AGO = re.compile(r"(\d{1,9})(s|m|h|d|w)\Z")
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DAY = _UNITS["d"]


def stamp_time(stamp: str) -> Optional[int]:
    """The time in ``audit(...)``: epoch seconds, or a date as ausearch -i writes it in a locale (US, ISO, dd.mm.yyyy).

    None for anything else (``audit(N)`` of a poster who blanked it out).
    """
    found = _EPOCH.match(stamp)
    if found:
        return int(found[1]) * 1000 + int(found[2])
    found = _SHORT_EPOCH.match(stamp)
    if found:
        return int(found[1]) * 1000 + int((found[2] or "0").ljust(3, "0"))
    return date_time(stamp)


@lru_cache(maxsize=4096)
def date_time(text: str) -> Optional[int]:
    """The date and time that ``text`` begins with, a zone respected; None where there is none."""
    found = _YEAR_FIRST.match(text)
    if found:
        year, month, day = found[1], found[2], found[3]
    else:
        found = _DAY_FIRST.match(text)
        if found:
            day, month, year = found[1], found[2], found[3]
        else:
            found = _MONTH_FIRST.match(text)
            if not found:
                return None
            month, day, year = found[1], found[2], found[3]
            if int(month) > 12:  # 14/11/2023: no American wrote this
                month, day = day, month
    return _milliseconds((year, month, day), (found[4], found[5], found[6]), found[7], text[found.end() :])


def _milliseconds(
    date: tuple[str, str, str], clock: tuple[str, str, str], fraction: Optional[str], rest: str
) -> Optional[int]:
    year = int(date[0]) + (2000 if len(date[0]) == 2 else 0)
    zone = timezone.utc
    offset = _ZONE.match(rest)
    try:
        if offset and offset[2]:
            span = timedelta(hours=int(offset[3]), minutes=int(offset[4]))
            zone = timezone(span if offset[2] == "+" else -span)
        when = datetime(year, int(date[1]), int(date[2]), int(clock[0]), int(clock[1]), int(clock[2]), tzinfo=zone)
        return int(when.timestamp()) * 1000 + int((fraction or "0").ljust(3, "0")[:3])
    except (ValueError, OverflowError):
        return None


def parse_when(text: str, now_ms: int) -> int:
    """What ``--since`` and ``--until`` take, as milliseconds since the epoch.

    An ISO date (its first moment), an ISO date and time (with ``Z`` or an offset; else UTC), seconds since the epoch,
    ``today``, ``yesterday`` (their first moment in UTC), or a span before ``now_ms`` such as ``90s 10m 2h 3d 1w``.
    Raises UsageError for anything else.
    """
    word = text.strip().lower()
    today = now_ms - now_ms % _DAY
    if word in ("now", "today", "yesterday"):
        return {"now": now_ms, "today": today, "yesterday": today - _DAY}[word]
    span = _AGO.match(word)
    if span:
        return now_ms - int(span[1]) * _UNITS[span[2]]
    if re.match(r"\d{5,11}(\.\d{1,3})?\Z", word):
        seconds, _, fraction = word.partition(".")
        return int(seconds) * 1000 + int(fraction.ljust(3, "0") or "0")
    when = _iso(text.strip())
    if when is None:
        raise UsageError(
            f"no time: {text!r}",
            "give 2024-05-31, 2024-05-31T14:30:00Z, epoch seconds, today, yesterday, or 90s 10m 2h 3d",
        )
    return when


def _iso(text: str) -> Optional[int]:
    if re.match(r"\d{4}-\d\d-\d\d\Z", text):
        text += "T00:00:00"
    elif re.match(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?=\Z|[Z+-])", text):
        text = f"{text[:16]}:00{text[16:]}"
    if not re.match(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([.,]\d{1,9})?(Z| ?[+-]\d\d:?\d\d)?\Z", text):
        return None
    return date_time(text)
