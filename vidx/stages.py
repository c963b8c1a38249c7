"""How long the stages of a command take, told to the log that `--verbose` shows."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger("vidx")


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Log a stage's seconds when it ends well."""
    started = time.perf_counter()
    yield
    logger.info("%7.3f s  %s", time.perf_counter() - started, name)
