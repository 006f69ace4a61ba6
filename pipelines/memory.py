"""What keeps a run's memory small: loads bring many small objects that live for seconds."""

import ctypes
import gc
from contextlib import suppress

M_ARENA_MAX = -8  # of malloc.h


def tune() -> None:
    """Garbage is looked for less often (a fifth of a load's time), and malloc keeps two heaps
    instead of some for each thread (60 MB)."""
    gc.freeze()
    gc.set_threshold(150_000, 5, 5)
    with suppress(AttributeError, OSError, TypeError):  # glibc alone has it
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


def give_back() -> None:
    """What is free goes back to the system, which the allocators would keep (100 MB)."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
