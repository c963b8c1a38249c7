"""How many threads FAISS works with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import faiss


@contextmanager
def threads_for(num_queries: int) -> Iterator[None]:
    """One thread for one query, all of them for several; this concerns the calling thread alone.

    A query takes less time than it takes to wait for other threads where the cores are busy, as
    they are beside an `embed`.
    """
    if num_queries > 1:
        yield
        return
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
