"""When the hosts of a log last loaded a policy: denials from before were another policy's.

A first reading, for ``--since policy-load``. The kernel writes MAC_POLICY_LOAD (1403) for each load, a change of a
boolean excepted. Source: Linux security/selinux/selinuxfs.c, sel_write_load.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import BinaryIO, Optional, cast

from polkit.audit.blocks import as_utf8, decompressed
from polkit.audit.denial import host_of, time_of
from polkit.audit.envelopes import without_export
from polkit.audit.lines import numbered_lines
from polkit.audit.scan import scan
from polkit.audit.sources import Source, opened
from polkit.audit.tally import ReadOptions
from polkit.errors import SourceError

_TYPE = "MAC_POLICY_LOAD"
_SIGNS = (b"MAC_POLICY_LOAD", b"type=1403")


@contextmanager
def spooled(sources: Sequence[Source], stdin: Optional[BinaryIO]) -> Iterator[Optional[BinaryIO]]:
    """Standard input as something that can be read twice, where one of the sources is it."""
    stream = next((one for one in sources if one.path is None), None)
    if stream is None:
        yield stdin
        return
    with tempfile.TemporaryFile() as copy, opened(stream, stdin) as content:
        shutil.copyfileobj(content, copy)
        copy.seek(0)
        yield cast(BinaryIO, copy)


def with_loads(sources: Sequence[Source], options: ReadOptions, stdin: Optional[BinaryIO]) -> ReadOptions:
    """The options with the last load of each host in place of ``since_policy_load``.

    Raises SourceError where the logs hold none: then nothing says where to begin.
    """
    loads: dict[str, int] = {}
    for source in sources:
        try:
            loads = latest_loads(loads, loads_in(source, stdin))
        except SourceError:
            if not source.listed:
                raise
    if stdin is not None and stdin.seekable():
        stdin.seek(0)
    return since_loads(options, loads)


def since_loads(options: ReadOptions, loads: Mapping[str, int]) -> ReadOptions:
    """The options with these loads in place of ``since_policy_load``. Raises SourceError where there is none."""
    if not loads:
        raise SourceError(
            "--since policy-load: the logs hold no load of a policy with its time",
            "name older logs too, or give a time",
        )
    return replace(options, since_policy_load=False, loads=loads)


def latest_loads(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """The later load of each host."""
    return {host: max(one.get(host, 0), other.get(host, 0)) for host in (*one, *other)}


def loads_in(source: Source, stdin: Optional[BinaryIO] = None) -> dict[str, int]:
    """The last load that a source tells of each host. Raises SourceError where it can't be read."""
    loads: dict[str, int] = {}
    with opened(source, stdin) as stream:
        lines = without_export(numbered_lines(as_utf8(decompressed(stream, lambda note: None))))
        for found in scan(line for line in lines if any(sign in line[1] for sign in _SIGNS)):
            time = time_of(found.prefix, found.claim)
            if found.claim.type == _TYPE and time is not None:
                loads = latest_loads(loads, {host_of(found.prefix, found.text, found.claim) or "": time})
    return loads
