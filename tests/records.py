"""Audit records made for tests, in the form auditd writes them."""

from __future__ import annotations


def avc(
    perms: str,
    target: str,
    tclass: str = "file",
    source: str = "container_t",
    levels: tuple[str, str] = ("s0:c12,c34", "s0"),
    fields: str = 'comm="python3"',
    serial: int = 1,
) -> str:
    """One AVC record as auditd writes it."""
    role = "system_r" if tclass in ("process", "capability", "unix_stream_socket", "tcp_socket_self") else "object_r"
    return (
        f"type=AVC msg=audit(1700000000.123:{serial}): avc:  denied  {{ {perms} }} for  pid=42 {fields} "
        f"scontext=system_u:system_r:{source}:{levels[0]} tcontext=system_u:{role}:{target}:{levels[1]} "
        f"tclass={tclass} permissive=0\n"
    )
