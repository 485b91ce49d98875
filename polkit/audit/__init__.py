"""What was denied: logs in every form, read into a mergeable ledger of denials.

``read_logs`` is the way in, ``totals`` the way on to diagnosis. Reading needs lark and zstandard only once a record or
a compressed file asks for them.
"""

from __future__ import annotations

from polkit.audit.ahead import collect_ahead
from polkit.audit.collection import check_output, collection_text, ledger_bytes, summary_object, write_ledger
from polkit.audit.host import collect, read_host_logs
from polkit.audit.ledger import Ledger, Partial, merge, totals
from polkit.audit.ledger_file import SCHEMA, dump, load
from polkit.audit.pieces import STEP, Piece, ReadAt, can_be_split, join_pieces, read_piece
from polkit.audit.policy_loads import latest_loads, loads_in, since_loads
from polkit.audit.read import read_logs, read_source, unread
from polkit.audit.sources import Source, age, check_regular, find_sources, opened
from polkit.audit.syscalls import syscall_name
from polkit.audit.tally import ReadOptions, read_options
from polkit.audit.times import parse_when

__all__ = [
    "SCHEMA",
    "STEP",
    "Ledger",
    "Partial",
    "Piece",
    "ReadAt",
    "ReadOptions",
    "Source",
    "age",
    "can_be_split",
    "check_output",
    "check_regular",
    "collect",
    "collect_ahead",
    "collection_text",
    "dump",
    "find_sources",
    "join_pieces",
    "latest_loads",
    "ledger_bytes",
    "load",
    "loads_in",
    "merge",
    "opened",
    "parse_when",
    "read_host_logs",
    "read_logs",
    "read_options",
    "read_piece",
    "read_source",
    "since_loads",
    "summary_object",
    "syscall_name",
    "totals",
    "unread",
    "write_ledger",
]
