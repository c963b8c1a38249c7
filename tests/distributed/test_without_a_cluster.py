"""What is refused before any node is asked."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from made_servers import WebServer

import vidx
from vidx.cli import main
from vidx.distributed import address, probing
from vidx.distributed.cluster import connected
from vidx.distributed.errands import ATTEMPTS, Errand
from vidx.distributed.fetching import Fetched
from vidx.embedder.decoding.events import Job
from vidx.embedder.decoding.sampling import Plan
from vidx.errors import UsageError, VideoError, VidxError
from vidx.records import Clip, ClipFacts, EmbeddedVideo, Problem, VideoInfo

RAY = {"model": "builtin:tiny", "engine": "ray"}


@pytest.mark.parametrize("text", ["head:6379", "10.0.0.5:1", "[::1]:6379"])
def test_an_address_is_told_as_it_is_written(text: str) -> None:
    assert str(address.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("head", "names no port"),
        ("head:port", "names no port"),
        ("head:99999", "names no port"),
        (":6379", "is no address"),
        ("", "is no address"),
        ("http://head:8265", "is no address"),
        ("me@head:6379", "is no address"),
        ("head:6379/path", "is no address"),
        ("[::1:6379", "is no address"),
        ("ray://head:10001", "is the address of a Ray client"),
    ],
)
def test_what_is_no_address_is_refused_with_the_form_of_one(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        address.parse(text)
    assert "HOST:PORT" in caught.value.next_step


@pytest.mark.parametrize(
    "options",
    [
        {"address": "head:6379"},
        {"workers_per_node": 2},
        {"engine": "ray", "workers": 2},
        {"engine": "ray", "workers_per_node": 0},
        {"engine": "spark"},
    ],
)
def test_options_that_exclude_each_other_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        vidx.EmbedOptions(**options)


@pytest.mark.parametrize(
    "arguments",
    [["--address", "head:6379"], ["--engine", "ray", "--address", "ray://head:10001"]],
)
def test_the_command_line_tells_wrong_usage(
    arguments: list[str], tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    video = make_video(tmp_path / "a.mp4", seconds=1.0)
    with pytest.raises(SystemExit) as ended:
        main(["embed", str(video), "--collection", str(tmp_path / "c"), *arguments])
    assert ended.value.code == 2
    assert not (tmp_path / "c").exists()


def test_without_ray_it_is_told_how_to_install_it(
    tmp_path: Path, make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    video = make_video(tmp_path / "a.mp4", seconds=1.0)
    with pytest.raises(VidxError, match=r"pip install 'vidx\[ray\]'") as caught:
        vidx.open(tmp_path / "c", create=True).embed(video, vidx.EmbedOptions(**RAY))
    assert caught.value.exit_code == 4
    assert not (tmp_path / "c").exists()


@pytest.fixture
def talkative() -> Iterator[str]:
    """The address of a server that answers, but is none of Ray's."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def test_what_is_no_head_node_is_told_at_once(talkative: str) -> None:
    with pytest.raises(VidxError, match="is no head node of Ray"):
        address.reach(address.parse(talkative))


def test_an_unreachable_cluster_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        named = f"127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", named)
        for address_given in (named, None):
            with (
                pytest.raises(VidxError, match=f"no cluster answers at {named}"),
                connected(address_given),
            ):
                raise AssertionError


def test_a_run_that_no_cluster_takes_leaves_no_collection(
    tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    video = make_video(tmp_path / "one.mp4")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        named = f"127.0.0.1:{nobody.getsockname()[1]}"
        options = vidx.EmbedOptions(model="builtin:tiny", engine="ray", address=named)
        with (
            vidx.open(tmp_path / "collection", create=True) as collection,
            pytest.raises(VidxError, match="no cluster answers"),
        ):
            collection.embed(video, options)
    assert not (tmp_path / "collection").exists()


def test_a_node_without_vidx_can_tell_what_it_sees(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    (tmp_path / "look").write_bytes(ray.cloudpickle.dumps(probing.looker()))
    script = (
        "import pickle, sys; sys.modules['vidx'] = None\n"
        "look = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(look(['numpy', 'no-such'], [sys.argv[1], '/no/such/file']))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "look")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    versions, files = ast.literal_eval(done.stdout)
    assert versions["Python"] == platform.python_version()
    assert versions["numpy"] == np.__version__
    assert versions["no-such"] is None
    assert files["/no/such/file"] == "No such file or directory"
    assert files[str(tmp_path / "look")][0] == (tmp_path / "look").stat().st_size


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_node_keeps_an_object_as_long_as_its_video_is_embedded(
    web: WebServer, temporary: Path
) -> None:
    web.content["/a.mp4"] = b"bytes"
    job = Job(hashlib.sha256(b"bytes").hexdigest(), f"{web.url}/a.mp4")
    fetched = Fetched()
    copy = fetched.fetch(job)
    assert (copy.key, Path(copy.path).suffix) == (job.key, ".mp4")
    assert Path(copy.path).read_bytes() == b"bytes"
    fetched.drop(copy)
    assert not Path(copy.path).exists()


def test_an_object_that_changed_after_it_was_hashed_is_not_embedded(
    web: WebServer, temporary: Path
) -> None:
    web.content["/a.mp4"] = b"other bytes"
    job = Job(hashlib.sha256(b"bytes").hexdigest(), f"{web.url}/a.mp4")
    with pytest.raises(VideoError, match="changed_while_reading"):
        Fetched().fetch(job)


def test_copies_of_a_killed_worker_go_and_those_of_others_stay(
    web: WebServer, temporary: Path
) -> None:
    web.content["/a.mp4"] = b"bytes"
    job = Job(hashlib.sha256(b"bytes").hexdigest(), f"{web.url}/a.mp4")
    script = (
        "import os, sys; from vidx.distributed.fetching import Fetched, Job\n"
        "print(Fetched().fetch(Job(*sys.argv[1:])).path, flush=True); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", script, str(job.key), job.path]
    env = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    left, living = Path(done.stdout.strip()), Fetched()
    stays = Path(living.fetch(job).path)
    assert not left.exists()
    Fetched().fetch(job)
    assert stays.exists()


def part(*starts: float, problem: Problem | None = None) -> EmbeddedVideo:
    info = VideoInfo(60.0, 64, 48, 25.0, "h264", "mp4", 0.0, 0, False, ())
    facts = ClipFacts(0.5, 0.1, 1.0, 0.1, 0.0, 0.0, ())
    clips = tuple(Clip(start, start + 2.0) for start in starts)
    number = len(starts)
    vectors = np.zeros((number, 4), np.float32)
    return EmbeddedVideo(
        info, clips, (facts,) * number, (False,) * number, vectors, None, problem, is_last=False
    )


def test_a_video_that_ends_its_worker_again_and_again_is_given_up() -> None:
    errand = Errand(Job("a", "/a.mp4"))
    for _ in range(ATTEMPTS - 1):
        errand.deaths += 1
        assert errand.end("killed") is None
    errand.went_on(part(0.0, 2.0))
    assert errand.deaths == 0, "it gets on"
    errand.deaths = ATTEMPTS
    problem = errand.end("killed")
    assert problem
    assert (problem.reason, "killed" in problem.message) == ("worker_died", True)


def test_whoever_gets_a_video_next_goes_on_behind_its_parts() -> None:
    errand = Errand(Job("a", "/a.mp4"))
    errand.went_on(part(0.0, 2.0))
    errand.went_on(part(4.0, problem=Problem("non_finite", "one clip is missing")))
    begun = errand.job.begun
    assert begun
    assert (begun.num_parts, begun.num_clips, begun.last_start_seconds) == (2, 3, 4.0)
    assert begun.has_non_finite
    assert errand.end("killed") is None


def test_of_shots_with_missing_clips_nobody_can_go_on() -> None:
    errand = Errand(Job("a", "/a.mp4", Plan(segment="shots")))
    errand.went_on(part(0.0, problem=Problem("non_finite", "one clip is missing")))
    problem = errand.end("killed")
    assert problem
    assert problem.reason == "worker_died"
