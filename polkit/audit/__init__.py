"""What was denied: logs in every form, read into a mergeable ledger of denials.

``read_logs`` is the way in, ``totals`` the way on to diagnosis. Reading needs lark and zstandard only once a record or
a compressed file asks for them.
"""

from __future__ import annotations

from polkit.audit.host import read_host_logs
from polkit.audit.ledger import Ledger, Partial, merge, totals
from polkit.audit.ledger_file import SCHEMA, dump, load
from polkit.audit.read import read_logs
from polkit.audit.tally import ReadOptions
from polkit.audit.times import parse_when

__all__ = [
    "SCHEMA",
    "Ledger",
    "Partial",
    "ReadOptions",
    "dump",
    "load",
    "merge",
    "parse_when",
    "read_host_logs",
    "read_logs",
    "totals",
]
