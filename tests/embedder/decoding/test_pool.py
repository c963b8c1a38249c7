"""Promises of decoding in workers: whatever befalls one, the rest goes on and nothing stays."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from vidx.embedder.decoding import pool
from vidx.embedder.decoding.container import FileState
from vidx.embedder.decoding.events import ClipDecoded, Event, Job, VideoDone, VideoFailed
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.pool import Limits, decode
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.workers.process import WorkerProcess
from vidx.embedder.workers.ring import Ring
from vidx.errors import VidxError
from vidx.records import Span

MakeVideo = Callable[..., Path]
GEOMETRY = FrameGeometry(resize_shortest_edge=224, crop=(224, 224))


def start(
    paths: list[Path], *, workers: int = 1, limits: Limits | None = None, plan: Plan | None = None
) -> Iterator[Event]:
    return decode(
        (Job(path.name, str(path), plan or Plan()) for path in paths),
        sampling=Sampling(),
        geometry=GEOMETRY,
        workers=workers,
        limits=limits or Limits(),
    )


def workers_now() -> list[psutil.Process]:
    """Those that live: one that was killed is not yet gone, and has no command line any more."""
    return [process for process in psutil.Process().children() if is_worker(process)]


def is_worker(process: psutil.Process) -> bool:
    try:
        return "vidx.embedder.decoding.worker" in process.cmdline()
    except psutil.NoSuchProcess:  # or ZombieProcess, which is one
        return False


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """No test leaves a process behind, not even a dead one."""
    before = {child.pid for child in psutil.Process().children()}
    yield
    assert {child.pid for child in psutil.Process().children()} <= before


@pytest.fixture(scope="module")
def videos(make_video: MakeVideo, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two videos of four clips each: more than a pipe holds, so that a worker waits half-way."""
    folder = tmp_path_factory.mktemp("videos")
    return [make_video(folder / f"{name}.mp4", seconds=8.0, seed=n) for n, name in enumerate("ab")]


def outcome(events: Iterator[Event]) -> dict[str, tuple[str, int]]:
    """How each video ended, and how many clips counted."""
    clips: dict[tuple[str, int], int] = {}
    ends: dict[str, tuple[str, int]] = {}
    for event in events:
        key = str(event.job.key)
        assert key not in ends
        if isinstance(event, ClipDecoded):
            clips[key, event.attempt] = clips.get((key, event.attempt), 0) + 1
        elif isinstance(event, VideoDone):
            ends[key] = (event.problem.reason if event.problem else "", clips[key, event.attempt])
        else:
            ends[key] = (event.problem.reason, 0)
    return ends


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_give_what_decoding_here_gives(workers: int, videos: list[Path]) -> None:
    def clips(workers: int) -> dict[tuple[str, float], np.ndarray]:
        return {
            (str(event.job.key), event.clip.start_seconds): event.frames
            for event in start(videos, workers=workers)
            if isinstance(event, ClipDecoded)
        }

    here, there = clips(0), clips(workers)
    assert len(here) == 8
    assert here.keys() == there.keys()
    for key, frames in here.items():
        assert frames.shape == (16, 224, 224, 3)
        np.testing.assert_array_equal(frames, there[key])


def test_a_video_whose_worker_is_killed_is_tried_once_more(videos: list[Path]) -> None:
    events = start(videos)
    first = next(events)
    workers_now()[0].kill()
    rest = list(events)
    ends = outcome(iter([first, *rest]))
    assert ends == {"a.mp4": ("", 4), "b.mp4": ("", 4)}
    done = next(event for event in rest if isinstance(event, VideoDone))
    assert (done.job.key, done.attempt) == ("a.mp4", 2)


@pytest.mark.parametrize("death", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_video_that_crashes_its_worker_twice_is_given_up(
    death: signal.Signals, videos: list[Path]
) -> None:
    seen = []
    killed = set()
    for event in start(videos):
        seen.append(event)
        if isinstance(event, ClipDecoded) and event.job.key == "a.mp4":
            if event.attempt not in killed:
                workers_now()[0].send_signal(death)
            killed.add(event.attempt)
    assert outcome(iter(seen)) == {"a.mp4": ("decode_crashed", 0), "b.mp4": ("", 4)}
    failed = next(event for event in seen if isinstance(event, VideoFailed))
    assert death.name in failed.problem.message


def test_a_worker_that_hangs_costs_its_video_alone(videos: list[Path]) -> None:
    events = start(videos, limits=Limits(deadline_seconds=2))
    first = next(events)
    workers_now()[0].suspend()
    began = time.monotonic()
    assert outcome(iter([first, *events])) == {"a.mp4": ("decode_timeout", 0), "b.mp4": ("", 4)}
    assert 1.5 < time.monotonic() - began < 10


@pytest.mark.long
def test_one_hanging_worker_does_not_hold_up_the_other(videos: list[Path]) -> None:
    events = start(videos, workers=2, limits=Limits(deadline_seconds=3))
    first = next(events)
    in_order = sorted(workers_now(), key=lambda worker: worker.create_time())
    in_order[[path.name for path in videos].index(str(first.job.key))].suspend()
    ends = outcome(iter([first, *events]))
    assert sorted(ends.values()) == [("", 4), ("decode_timeout", 0)]


@pytest.mark.long
def test_a_video_that_takes_too_long_fails_alone_however_well_it_gets_on(
    videos: list[Path], make_video: MakeVideo, tmp_path: Path
) -> None:
    long = make_video(tmp_path / "long.mp4", seconds=40.0)
    events = start([long, *videos], limits=Limits(video_seconds=4))
    first = next(events)
    assert isinstance(first, ClipDecoded)
    time.sleep(4.5)
    ends = outcome(iter([first, *events]))
    assert ends == {"long.mp4": ("decode_timeout", 0), "a.mp4": ("", 4), "b.mp4": ("", 4)}


@pytest.mark.long
def test_a_slow_consumer_is_not_held_against_a_worker(videos: list[Path]) -> None:
    events = start(videos, workers=2, limits=Limits(deadline_seconds=3))
    first = next(events)
    time.sleep(4.5)
    ends = outcome(iter([first, *events]))
    assert ends == {"a.mp4": ("", 4), "b.mp4": ("", 4)}


def test_a_video_that_outgrows_its_memory_fails_alone(
    videos: list[Path], make_video: MakeVideo, tmp_path: Path
) -> None:
    huge = make_video(tmp_path / "huge.mp4", size=(4096, 2304), seconds=0.2)
    limits = Limits(memory_bytes=20 << 20)
    ends = outcome(start([huge, *videos], limits=limits))
    assert ends == {"huge.mp4": ("too_large", 0), "a.mp4": ("", 4), "b.mp4": ("", 4)}
    assert outcome(start([huge])) == {"huge.mp4": ("", 1)}


def test_closing_the_events_ends_all_workers(videos: list[Path]) -> None:
    events = start(videos, workers=2)
    next(events)
    assert len(workers_now()) == 2
    workers_now()[0].suspend()
    events.close()  # type: ignore[attr-defined]
    assert workers_now() == []


def test_ctrl_c_is_left_to_the_parent(videos: list[Path]) -> None:
    events = start(videos)
    first = next(events)
    workers_now()[0].send_signal(signal.SIGINT)
    rest = list(events)
    assert all(event.attempt == 1 for event in rest if isinstance(event, VideoDone))
    assert outcome(iter([first, *rest])) == {"a.mp4": ("", 4), "b.mp4": ("", 4)}


def test_jobs_are_taken_only_as_workers_become_free(videos: list[Path]) -> None:
    taken = []

    def jobs() -> Iterator[Job]:
        for number in range(99):
            taken.append(number)
            yield Job(number, str(videos[0]))

    events = decode(jobs(), sampling=Sampling(), geometry=GEOMETRY, workers=2)
    next(events)
    assert len(taken) == 2
    events.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [0, 1])
def test_spans_after_the_end_cost_no_other_video(workers: int, videos: list[Path]) -> None:
    jobs = [
        Job("none", str(videos[0]), Plan(start_seconds=100)),
        Job("one", str(videos[0]), Plan.of_spans(None, [Span(1, 4), Span(100, 101)])),
        Job("whole", str(videos[0])),
    ]
    events = decode(jobs, sampling=Sampling(), geometry=GEOMETRY, workers=workers)
    assert outcome(events) == {
        "none": ("span_beyond_end", 0),
        "one": ("span_beyond_end", 2),
        "whole": ("", 4),
    }


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_unlike_what_the_caller_saw_gives_nothing(workers: int, videos: list[Path]) -> None:
    status = videos[0].stat()
    seen = FileState(status.st_size, status.st_mtime_ns)
    other = FileState(status.st_size, status.st_mtime_ns - 1)
    jobs = [
        Job(name, str(videos[0]), state=state) for name, state in [("same", seen), ("other", other)]
    ]
    events = decode(jobs, sampling=Sampling(), geometry=GEOMETRY, workers=workers)
    assert outcome(events) == {"same": ("", 4), "other": ("changed_while_reading", 0)}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_changes_meanwhile_fails_once_and_no_other_does(
    workers: int, videos: list[Path], tmp_path: Path
) -> None:
    copies = [Path(shutil.copy(video, tmp_path)) for video in videos]
    events = start(copies, workers=workers)
    first = next(events)
    os.utime(first.job.path, ns=(1, 1))
    rest = outcome(iter([first, *events]))
    assert rest == {"a.mp4": ("changed_while_reading", 0), "b.mp4": ("", 4)}


def test_no_videos_start_no_worker() -> None:
    assert list(start([], workers=2)) == []


def test_workers_that_cannot_start_end_the_run_with_a_word(
    videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(VidxError, match=r"do not start \(exit code 1\)"):
        list(start(videos))


def test_modules_in_the_current_folder_are_not_taken_for_libraries(
    videos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ["av", "numpy", "pickle"]:
        (tmp_path / f"{name}.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    assert outcome(start(videos)) == {"a.mp4": ("", 4), "b.mp4": ("", 4)}


PARENT = """
import sys, time
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.events import Job
from vidx.embedder.decoding.pool import decode
from vidx.embedder.decoding.sampling import Sampling
jobs = [Job(path, path) for path in sys.argv[1:]]
geometry = FrameGeometry(resize_shortest_edge=224, crop=(224, 224))
events = decode(jobs, sampling=Sampling(), geometry=geometry, workers=2)
next(events)
print("decoding", flush=True)
time.sleep(99)
"""


def test_workers_vanish_with_a_parent_that_is_killed(videos: list[Path]) -> None:
    command = [sys.executable, "-c", PARENT, *map(str, videos)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "decoding\n"
        workers = psutil.Process(parent.pid).children()
        parent.kill()
    assert len(workers) == 2
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert alive == []


def test_frames_stay_as_they_are_for_as_long_as_they_are_held(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    # Far more clips than there are slots.
    video = make_video(tmp_path / "long.mp4", seconds=42.7, seed=5, size=(320, 240))
    here = [event for event in start([video], workers=0) if isinstance(event, ClipDecoded)]
    there = [event for event in start([video]) if isinstance(event, ClipDecoded)]
    assert len(here) == len(there) >= 20
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)


def test_slots_of_dead_workers_and_void_attempts_are_used_again(
    videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rings: list[Ring] = []

    class Watched(Ring):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            rings.append(self)

    monkeypatch.setattr(pool, "Ring", Watched)
    killed: dict[str, int] = {}
    for event in start(videos * 3):
        if isinstance(event, ClipDecoded):
            killed[str(event.job.key)] = killed.get(str(event.job.key), 0) + 1
            for worker in workers_now():  # none, where a clip was sent before its worker's death
                worker.kill()
    del event
    [ring] = rings
    assert len(killed) == 2
    assert sorted(ring._free) == list(range(ring.slots))


NO_SHARED_MEMORY = """
import resource, signal, sys
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.events import ClipDecoded, Job
from vidx.embedder.decoding.pool import decode
from vidx.embedder.decoding.sampling import Sampling
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
jobs = [Job(path, path) for path in sys.argv[2:]]
geometry = FrameGeometry(resize_shortest_edge=224, crop=(224, 224))
events = decode(jobs, sampling=Sampling(), geometry=geometry, workers=2)
print(sum(isinstance(event, ClipDecoded) for event in events))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a file takes no room until written")
@pytest.mark.parametrize(("size", "slots"), [(1 << 20, 0), (10 << 20, 3)])
def test_with_little_shared_memory_decoding_goes_on_and_it_is_told_once(
    videos: list[Path], size: int, slots: int
) -> None:
    command = [sys.executable, "-c", NO_SHARED_MEMORY, str(size), *map(str, videos)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "8\n"
    told = f"shared memory for {slots} of 6 clips only: decoding may be slower\n"
    assert done.stderr == told


def test_nothing_of_the_shared_memory_stays_when_all_are_killed(videos: list[Path]) -> None:
    before = shared_memory()
    command = [sys.executable, "-c", PARENT, *map(str, videos)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "decoding\n"
        workers = psutil.Process(parent.pid).children()
        assert {"vidx" in Path(f"/proc/{parent.pid}/maps").read_text()} == {True}
        os.killpg(parent.pid, signal.SIGKILL)
    psutil.wait_procs(workers, timeout=5)
    assert shared_memory() == before


def shared_memory() -> set[str]:
    folder = Path("/dev/shm")
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_a_worker_ends_when_its_lifeline_is_cut() -> None:
    module = "vidx.embedder.decoding.worker"
    worker = WorkerProcess(module, 1 << 30, -1, 0, "16,0,0,3", "", timeout_seconds=10)
    try:
        worker.channel.receive()  # it has started
        assert worker.process.stdin is not None
        worker.process.stdin.close()
        assert worker.process.wait(timeout=5) == 1
    finally:
        worker.end()


def test_even_a_decoder_that_hangs_ends_with_its_parent() -> None:
    code = (
        "import ctypes; from vidx.embedder.decoding.worker import end_with_parent;"
        "end_with_parent(); print('hanging', flush=True); ctypes.CDLL(None).sleep(99)"
    )
    command = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stdout.readline() == "hanging\n"
        worker.stdin.close()
        assert worker.wait(timeout=5) == 1


REASONS = {
    "-derived__leading_dash.mp4": "",
    "audio_only__MXF.mxf": "no_video_stream",
    "audio_only__opus.mkv": "no_video_stream",
    "bad_header__0-timescale.mp4": "no_frames",
    "bad_metadata__badtags.ogg": "no_video_stream",
    "bomb__8k24fps_300ms.mp4": "",
    "broken_index__chunk_out_of_range.mp4": "not_a_video",
    "codec__av1_video.mkv": "",
    "codec__dirac.ogg": "",
    "codec__lavafalls.avi": "",
    "codec__sine_stereo_mp2.mpg": "",
    "corrupt__448636.ogv": "decode_error",
    "corrupt__bug1079747.mp4": "not_a_video",
    "corrupt__new.avi": "not_a_video",
    "cover_art__QuickTime.m4a": "still_image",
    "derived__chaplin_zeroed_middle.mp4": "decode_error",
    "derived__in_cut60pct_moovlast.mp4": "truncated",
    "derived__juggle_cut60pct_moovfirst.mp4": "truncated",
    "derived__missing_pts.mkv": "",
    "derived__random_bytes.mp4": "not_a_video",
    "derived__resize_midstream.ts": "",
    "derived__zero.mp4": "empty_file",
    "encrypted__subsample_encrypted_noaltref.webm": "encrypted",
    "fragmented__fragmented.mp4": "decode_error",
    "gif__animated.gif": "",
    "hdr__testsrc2_12bit_hdr.mp4": "",
    "huge_dims__issue_07.gif": "too_large",
    "image__gradient_rotated.heic": "still_image",
    "image__rgba.avif": "still_image",
    "interlaced__test1.mp4": "",
    "multi_stream__sample_empty_track.mp4": "",
    "no_decoder__video_dovi_3840x2160_30fps_dav1_10.mp4": "no_decoder",
    "no_duration__no_duration.webm": "",
    "no_frames__Pentax.avi": "no_frames",
    "no_frames__example-sans-amf0.mp4": "no_frames",
    "no_frames__sintel-video-init.mp4": "no_frames",
    "no_header__sintel-video-segment.mp4": "not_a_video",
    "no_streams__64bit.mp4": "no_video_stream",
    "oddts__360p30_h264_48k_160_aac_ts-0000000025.ts": "",
    "oddts__discard_first_keyframe.mp4": "",
    "oddts__test_non_zero_start.mp4": "",
    "one_frame__hevc_white_frame.mp4": "",
    "raw__test2.h264": "",
    "rotated__video_1.mp4": "",
    "subs_only__full_blocks.mkv": "no_video_stream",
    "tiny__bitmap.mp4": "",
    "truncated__ASF.wmv": "not_a_video",
    "truncated__sample_qt.mp4": "truncated",
    "vfr__cursed-vfr.mp4": "",
    "vfr__xtrem-sport.mp4": "decode_error",
    "wrong_ext__759802.gif": "still_image",
    "zero_byte__result.webm": "empty_file",
}
PARTLY_READABLE = {
    "derived__chaplin_zeroed_middle.mp4",
    "derived__juggle_cut60pct_moovfirst.mp4",
    "vfr__xtrem-sport.mp4",
}


def test_odd_broken_and_hostile_files_each_get_their_reason(media: Path) -> None:
    paths = [path for path in sorted((media / "bad").iterdir()) if path.is_file()]
    ends = outcome(start(paths, workers=2))
    assert set(ends) == {path.name for path in paths}
    assert {name: ends[name][0] for name in REASONS if name in ends} == {
        name: reason for name, reason in REASONS.items() if name in ends
    }
    partly = {name for name, (reason, clips) in ends.items() if reason and clips}
    assert partly == PARTLY_READABLE & set(ends)
