"""The kernel that machines are booted with, as for rehearsals."""

from tests.rehearse.conftest import kernel

__all__ = ["kernel"]
