"""Times as everyone writes them: ISO 8601 in UTC, to the millisecond an audit record has."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def iso_time(milliseconds: int) -> str:
    """``1700000000123`` as ``2023-11-14T22:13:20.123Z``. A time past the year 9999 stays a number of seconds."""
    try:
        moment = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
