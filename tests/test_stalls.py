"""A disk that falls silent costs the files on it, and neither the run nor its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from made_faults import shim_of

# Reads of files whose path holds a name never come back, as those of a mount that stalls.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
ssize_t read(int fd, void *to, size_t n) {
  static ssize_t (*real)(int, void *, size_t);
  if (!real) real = dlsym(RTLD_NEXT, "read");
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t k = readlink(link, path, sizeof path - 1);
  if (k > 0) {
    path[k] = 0;
    while (strstr(path, getenv("STALLED_NAME"))) pause();
  }
  return real(fd, to, n);
}
"""
COMMAND = """
import json, sys, vidx
from vidx.store import hashing
hashing.STALLED_SECONDS = 1.0
options = vidx.EmbedOptions(model=sys.argv[3], workers=1)
with vidx.open(sys.argv[2], create=True) as collection:
    report = collection.embed(sys.argv[1], options)
    print(json.dumps([report.embedded, collection.failures().to_pylist()], default=str))
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shim_of(SHIM, tmp_path_factory.mktemp("shim"))


@pytest.mark.long
def test_files_on_a_disk_that_stalls_fail_and_the_rest_is_embedded(
    shim: Path, make_video: Callable[..., Path], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    names = ("a.mp4", "b.mp4", "stalled0.mp4", "stalled1.mp4", "stalled2.mp4", "z.mp4")
    (tmp_path / "videos").mkdir()
    for seed, name in enumerate(names):
        make_video(tmp_path / "videos" / name, seed=seed, seconds=1.0, size=(64, 48))
    arguments = [str(tmp_path / "videos"), str(tmp_path / "collection"), str(tiny_checkpoint)]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        env=os.environ | {"LD_PRELOAD": str(shim), "STALLED_NAME": "stalled"},
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,  # it would be there for ever
    )
    embedded, failures = json.loads(done.stdout)
    assert embedded == 3
    assert [Path(one["path"]).name for one in failures] == list(names[2:5])
    assert {(one["reason"], one["message"]) for one in failures} == {
        ("unreadable", "no byte came in 1 s; is its disk reachable?")
    }
    with_disk = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.PIPE, check=True
    )
    assert json.loads(with_disk.stdout) == [3, []]
