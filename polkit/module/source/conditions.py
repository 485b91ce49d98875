"""Conditions on booleans as text, put together."""

from __future__ import annotations

import re

_ONE = re.compile(r"!?[\w.$-]+\Z|\((?:[^()]|\([^()]*\))*\)\Z", re.ASCII)
_ALL = re.compile(r"!?[\w.$-]+(?: ?&& ?!?[\w.$-]+)*\Z", re.ASCII)


def both(outer: str, inner: str) -> str:
    """Where both hold; an empty one always does."""
    if not outer or not inner:
        return outer or inner
    return " && ".join(one if _ALL.match(one) or _ONE.match(one) else f"({one})" for one in (outer, inner))


def negated(condition: str) -> str:
    """Where ``condition`` doesn't hold."""
    if re.match(r"[\w.$-]+\Z", condition, re.ASCII):
        return f"!{condition}"
    return condition[1:] if re.match(r"![\w.$-]+\Z", condition, re.ASCII) else f"!({condition})"
