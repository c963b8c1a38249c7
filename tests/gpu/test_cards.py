"""What only a graphics card with a decoder can show: its pictures are the processor's.

It stands on av too; see test_gpu.py for how it is run.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")

from av.bitstream import BitStreamFilterContext  # noqa: E402

from vidx.embedder.decoding.card import see_decoder  # noqa: E402
from vidx.embedder.decoding.events import ClipDecoded, Event, Job, VideoDone  # noqa: E402
from vidx.embedder.decoding.geometry import FrameGeometry  # noqa: E402
from vidx.embedder.decoding.pool import decode  # noqa: E402
from vidx.embedder.decoding.sampling import Sampling  # noqa: E402
from vidx.errors import DeviceError  # noqa: E402


def has_card() -> bool:
    try:
        see_decoder("cuda")
    except DeviceError:
        return False
    return True


pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not has_card(), reason="no card that decodes")]


def video(path: Path, codec: str, frames: int = 120) -> Path:
    """Moving noise, coarse enough for an encoder, of a size that cards decode."""
    tiles = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    large = tiles.repeat(16, axis=0).repeat(16, axis=1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        stream.gop_size, stream.codec_context.max_b_frames = 30, 2 if codec == "libx264" else 0
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.roll(large, 3 * number, axis=1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def events(path: Path, cards: tuple[int, ...]) -> list[Event]:
    geometry = FrameGeometry(resize_shortest_edge=224, crop=(224, 224))
    jobs = [Job(0, str(path))]
    found = decode(jobs, sampling=Sampling(), geometry=geometry, workers=1, cards=cards)
    return [event for event in found if isinstance(event, Event)]


def clips(found: list[Event]) -> list[np.ndarray]:
    assert isinstance(found[-1], VideoDone)
    assert found[-1].problem is None
    return [event.frames.copy() for event in found if isinstance(event, ClipDecoded)]


@pytest.mark.parametrize(
    ("codec", "name"),
    [("libx264", "a.mp4"), ("libx265", "a.mp4"), ("libvpx", "a.webm"), ("libvpx-vp9", "a.webm")],
)
def test_a_card_gives_the_processors_pictures_to_the_bit(tmp_path, caplog, codec, name) -> None:
    path = video(tmp_path / name, codec)
    by_processor = clips(events(path, ()))
    with caplog.at_level(logging.WARNING, "vidx"):
        by_card = clips(events(path, (0,)))
    assert caplog.messages == []  # it did not fall back
    assert len(by_card) == len(by_processor) == 2
    assert np.array_equal(by_card, by_processor)


def without_its_top(path: Path, cut: Path) -> Path:
    """The same H.264, whose first lines are not to be shown."""
    with av.open(str(path)) as source, av.open(str(cut), "w") as target:
        [old] = source.streams
        new = target.add_stream_from_template(old)
        rewriting = BitStreamFilterContext("h264_metadata=crop_top=16", old, new)
        for packet in source.demux(old):
            for one in rewriting.filter(packet if packet.size else None):
                one.stream = new
                target.mux(one)
    return cut


def test_lines_that_are_not_to_be_shown_are_not_shown(tmp_path) -> None:
    """Cards cut off what is at the right and at the bottom alone."""
    path = without_its_top(video(tmp_path / "a.mp4", "libx264"), tmp_path / "cut.mp4")
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).height == 464
    assert np.array_equal(clips(events(path, (0,))), clips(events(path, ())))


def test_what_a_card_decodes_otherwise_is_left_to_the_processor(tmp_path, caplog) -> None:
    path = video(tmp_path / "a.avi", "mpeg4")
    with caplog.at_level(logging.WARNING, "vidx"):
        by_card = clips(events(path, (0,)))
    assert len(by_card) == 2
    assert np.array_equal(by_card, clips(events(path, ())))
