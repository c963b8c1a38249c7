"""A read that fails for a moment is no result: the same command, given again, mends everything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made_faults import shim_of
from numbered_videos import Numbered, make

import vidx

# Reads of a file fail with EIO from a byte on, in decoding workers, while a marker exists; the
# first PASS readings of the file are spared, and with ONCE the first failure takes the marker away.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
static int at_work(void) {
  static int known = -1;
  if (known < 0) {
    char line[4096] = {0};
    FILE *f = fopen("/proc/self/cmdline", "r");
    size_t n = f ? fread(line, 1, sizeof line - 1, f) : 0;
    if (f) fclose(f);
    for (size_t i = 0; i < n; i++) if (!line[i]) line[i] = ' ';
    known = strstr(line, "decoding.worker") != NULL;
  }
  return known;
}
static int readings = 0;
ssize_t read(int fd, void *to, size_t n) {
  static ssize_t (*real)(int, void *, size_t);
  if (!real) real = dlsym(RTLD_NEXT, "read");
  const char *name = getenv("FAIL_NAME"), *marker = getenv("FAIL_MARKER");
  if (!name || !marker || !at_work() || access(marker, F_OK)) return real(fd, to, n);
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t k = readlink(link, path, sizeof path - 1);
  if (k <= 0) return real(fd, to, n);
  path[k] = 0;
  if (!strstr(path, name)) return real(fd, to, n);
  off_t at = lseek(fd, 0, SEEK_CUR), from = atol(getenv("FAIL_FROM"));
  if (at == 0) readings++;
  if (readings <= atoi(getenv("FAIL_PASS"))) return real(fd, to, n);
  if (at >= from) {
    if (getenv("FAIL_ONCE")) unlink(marker);
    errno = EIO;
    return -1;
  }
  if (at + (off_t)n > from) n = from - at;
  return real(fd, to, n);
}
"""
KINDS = {
    "a.mp4": Numbered(sound="aac", seconds=5.0),
    "a.mkv": Numbered(sound="aac", seconds=5.0),
    "a.webm": Numbered(codec="libvpx", sound="libopus", seconds=5.0),
    "a.ts": Numbered(sound="aac", seconds=5.0),
    # Short videos are read once; what is larger than `keeper` keeps is read again to be decoded.
    "large.mkv": Numbered(codec="rawvideo", seconds=5.0, size=(480, 360)),
}
PLACES = {"start": 0.0, "middle": 0.5, "end": 0.97}


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shim_of(SHIM, tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="session")
def sound_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound videos")
    for name, how in KINDS.items():
        make(folder / name, how)
    return folder


def embed(video: Path, collection: Path, model: Path) -> vidx.EmbedReport:
    """As `vidx embed`; the decoding worker inherits this process's environment."""
    with vidx.open(collection, create=True) as opened:
        return opened.embed(video, vidx.EmbedOptions(model=model, workers=1))


def stored(collection: Path) -> list[tuple[float, float, list[float]]]:
    with vidx.open(collection) as opened:
        rows = opened.clips().to_pylist()
        _, vectors = opened.vectors()
    return [
        (row["start_seconds"], row["end_seconds"], vector)
        for row, vector in zip(rows, vectors.tolist(), strict=True)
    ]


@pytest.fixture(scope="session")
def undisturbed(
    sound_videos: Path, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], list[tuple[float, float, list[float]]]]:
    known: dict[str, list[tuple[float, float, list[float]]]] = {}

    def ask(name: str) -> list[tuple[float, float, list[float]]]:
        if name not in known:
            folder = tmp_path_factory.mktemp("undisturbed") / "collection"
            assert embed(sound_videos / name, folder, tiny_checkpoint).embedded == 1
            known[name] = stored(folder)
        return known[name]

    return ask


QUICK = {("a.mkv", "start", 0), ("large.mkv", "middle", 1), ("large.mkv", "end", 1)}
CASES = [
    pytest.param(
        name, place, readings, once,
        marks=[] if (name, place, readings) in QUICK else [pytest.mark.long],
    )
    for name in KINDS
    for place in PLACES
    for readings in (0, 1)
    for once in (True, False)
    if not readings or name == "large.mkv"
]  # fmt: skip


@pytest.mark.parametrize(("name", "place", "readings", "once"), CASES)
def test_a_failing_read_is_no_result_and_the_same_command_mends_it(
    name: str,
    place: str,
    readings: int,
    once: bool,
    shim: Path,
    sound_videos: Path,
    tiny_checkpoint: Path,
    undisturbed: Callable[[str], list[tuple[float, float, list[float]]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    video, collection, marker = sound_videos / name, tmp_path / "collection", tmp_path / "on"
    marker.touch()
    monkeypatch.setenv("LD_PRELOAD", str(shim))
    monkeypatch.setenv("FAIL_NAME", name)
    monkeypatch.setenv("FAIL_MARKER", str(marker))
    monkeypatch.setenv("FAIL_FROM", str(int(video.stat().st_size * PLACES[place])))
    monkeypatch.setenv("FAIL_PASS", str(readings))
    if once:
        monkeypatch.setenv("FAIL_ONCE", "1")
    assert embed(video, collection, tiny_checkpoint).failed == 1
    assert marker.exists() != once
    with vidx.open(collection) as opened:
        [failure] = opened.failures().to_pylist()
        assert failure["reason"] == "unreadable"
        assert "Input/output error" in failure["message"]
    marker.unlink(missing_ok=True)

    assert embed(video, collection, tiny_checkpoint).embedded == 1
    for mine, theirs in zip(stored(collection), undisturbed(name), strict=True):
        assert mine[:2] == theirs[:2]
        assert mine[2] == pytest.approx(theirs[2], abs=1e-5)
