"""How the model's threads wait for each other."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LOADED = "import os, vidx.embedder.encoder; print(os.environ['OMP_WAIT_POLICY'])"


@pytest.mark.parametrize(("before", "after"), [(None, "passive"), ("active", "active")])
def test_threads_that_wait_leave_their_core_to_decoding_unless_told_otherwise(
    before: str | None, after: str
) -> None:
    own = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    given = {} if before is None else {"OMP_WAIT_POLICY": before}
    command = [sys.executable, "-c", LOADED]
    done = subprocess.run(command, env=own | given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == after
