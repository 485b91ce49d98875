"""What --since and --until take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.audit import parse_when
from polkit.errors import UsageError
from polkit.model import iso_time

NOW = 1_700_000_000_000  # 2023-11-14T22:13:20Z
DAY = 86_400_000
TODAY = 1_699_920_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-11-14", TODAY),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T22:13:20", NOW),
        ("2023-11-14 22:13:20.5", NOW + 500),
        ("2023-11-14T23:13:20+01:00", NOW),
        ("2023-11-14T16:43:20-0530", NOW),
        ("2023-11-14T22:13", NOW - 20_000),
        ("2023-11-14T22:13Z", NOW - 20_000),
        ("1700000000", NOW),
        ("1700000000.25", NOW + 250),
        ("now", NOW),
        ("today", TODAY),
        ("Yesterday", TODAY - DAY),
        ("90s", NOW - 90_000),
        ("10m", NOW - 600_000),
        ("2h", NOW - 7_200_000),
        ("3d", NOW - 3 * DAY),
        ("1w", NOW - 7 * DAY),
    ],
)
def test_times(text, expected):
    assert parse_when(text, NOW) == expected


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2023-13-01", "2023-11-14T25:00:00", "11/14/2023", "5y", "-1", "2023", "²"]
)
def test_what_is_no_time(text):
    with pytest.raises(UsageError):
        parse_when(text, NOW)


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_an_error(text):
    try:
        assert isinstance(parse_when(text, NOW), int)
    except UsageError as problem:
        assert problem.exit_code == 2


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (NOW + 123, "2023-11-14T22:13:20.123Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (99_999_999_999_999, "5138-11-16T09:46:39.999Z"),
        (253_402_300_800_000, "253402300800.000"),
    ],
)
def test_times_have_four_digits_for_the_year(milliseconds, text):
    """As the schema of a plan wants them, whatever year a log claims."""
    assert iso_time(milliseconds) == text
