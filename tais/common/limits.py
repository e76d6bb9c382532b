"""Limits of the shell under which libraries do not fail but hang."""

from __future__ import annotations

import resource

from tais.errors import TaisError

__all__ = ["check_address_space"]

LEAST_MIB = 1024
"""With 200 MiB pyarrow hangs, with 400 scipy ends in a MemoryError, with 700 all is loaded (on 2 cores);
threads, and what is read, add to that."""


def check_address_space() -> None:
    """Refuse a limit of address space (``ulimit -v``) that numeric libraries do not fit in.

    pyarrow waits for ever where it cannot map its pool while it is imported, deaf to Ctrl-C; so this is asked
    before any import of it.

    Raises
    ------
    TaisError
        With the limit, and what lifts it.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_MIB << 20:
        limited = f"the address space of this process is limited to {limit >> 20} MiB"
        raise TaisError(f"{limited}, and {LEAST_MIB} are needed", remedy="Lift it: ulimit -v unlimited")
