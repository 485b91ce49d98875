"""Collecting on many machines: the logs of a fleet, read by the workers of a Dask cluster into one ledger.

The ledger is byte for byte the one that ``polkit.audit`` makes of the same logs on one machine. Only this room knows
Dask and fsspec, which are an optional extra: nothing is imported of them before ``collect_on`` is called.
"""

from __future__ import annotations

from polkit.fleet.cluster import EXTRA, collect_on

__all__ = ["EXTRA", "collect_on"]
