"""How many threads FAISS works with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import faiss

FEW = 64  # queries that take about as long on one thread as on two


@contextmanager
def threads_for(num_queries: int) -> Iterator[None]:
    """One thread for few queries, all of them for many; this concerns the calling thread alone.

    Few queries take less time than it takes to wait for other threads where the cores are busy, as
    they are beside an `embed`, or where a service answers.
    """
    if num_queries > FEW:
        yield
        return
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
