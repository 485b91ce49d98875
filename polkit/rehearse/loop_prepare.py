"""What a module and its proof will need of the target policy, whatever is learned: worked out while that goes on.

It goes to the cache that ``generate`` and ``prove`` look in: the policy's index, what a domain of the module's own
inherits, what the module store builds as it is. Where it is known already, this takes a second.
"""

from __future__ import annotations

from contextlib import suppress

from polkit.config import load_config
from polkit.errors import PolkitError
from polkit.minimize import Request
from polkit.policy import load_policy, locate, remember_baseline

_STAND_IN = "polkit_stand_in_t"


def prepare(request: Request, domain: str) -> None:
    """For a module on the policy of ``request``, learned in ``domain``. What fails is told by those who need it."""
    with suppress(PolkitError):
        if request.base is None and domain in load_config(request.config).minimize.bases:
            load_policy(request.policy).own_domain(_STAND_IN, domain, True)
        remember_baseline(locate(request.policy), request.name or "")
