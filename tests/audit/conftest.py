"""The way in that every test of this room takes."""

from __future__ import annotations

from typing import Callable

import pytest

from polkit.model import Denials
from tests.audit.reading import read_bytes


@pytest.fixture
def read() -> Callable[..., Denials]:
    """``read(text_or_bytes, options)``: the denials in it."""
    return read_bytes
