"""What keeps a run's memory small: loads bring many small objects that live for seconds."""

import ctypes
import gc
from contextlib import suppress

M_ARENA_MAX = -8  # of malloc.h


def tune() -> None:
    """Garbage is looked for less often (a fifth of a load's time), and malloc keeps two heaps
    instead of some for each thread (60 MB)."""
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
    with suppress(AttributeError, OSError, TypeError):  # glibc alone has it
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


def give_back() -> None:
    """What a load held goes back to the system: dlt leaves it in cycles that are found much later,
    and what is free stays with the allocators (together 150 MB after some loads)."""
    import pyarrow as pa

    gc.collect()
    pa.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
