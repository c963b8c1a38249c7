"""Faults of the system, injected by a library that is loaded before all others."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def shim_of(source: str, folder: Path) -> Path:
    """Compile what stands in for functions of the C library, for LD_PRELOAD."""
    if sys.platform != "linux" or not shutil.which("gcc"):
        pytest.skip("the shim takes Linux and gcc")
    (folder / "shim.c").write_text(source)
    command = ["gcc", "-shared", "-fPIC", "-O1", "-o", "shim.so", "shim.c", "-ldl"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "shim.so"
