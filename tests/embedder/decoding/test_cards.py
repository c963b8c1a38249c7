"""Promises of decoding by a graphics card, where there is none that does it: nothing is lost.

What a card gives is for tests/gpu to show. Here FFmpeg is asked for one in earnest, and refuses.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cards import has_card
from numpy.typing import NDArray

import vidx
from vidx.embedder.decoding.card import Card, FellBack
from vidx.embedder.decoding.events import ClipDecoded, ClipRepeated, Job, VideoDone
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.handout import DecodedClip, DecodedVideo
from vidx.embedder.decoding.pool import decode
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.decoding.video import decode_clips
from vidx.errors import UsageError

MakeVideo = Callable[..., Path]
GEOMETRY = FrameGeometry(resize_shortest_edge=64, crop=(64, 64))


pytestmark = pytest.mark.skipif(has_card(), reason="there is a card that decodes")


class Unheard(Card):
    """One that is tried with every video, and of which no file can be opened."""

    def takes(self, _: str) -> bool:
        return True


class Standing(Unheard):
    """One that does decode: the processor, where a card would."""

    def accelerator(self) -> None:  # type: ignore[override]
        return None


def by_card(path: Path, card: Card | None) -> tuple[list[NDArray[np.uint8]], DecodedVideo]:
    """A video's clips, and what is said of it."""
    *clips, last = decode_clips(str(path), Sampling(), Plan(), GEOMETRY, card=card)
    assert isinstance(last, DecodedVideo)
    return [clip.frames for clip in clips if isinstance(clip, DecodedClip)], last


def test_without_a_card_workers_decode_as_ever_and_say_so_once_for_each_codec(
    tmp_path: Path, make_video: MakeVideo, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [make_video(tmp_path / f"{number}.mp4", seed=number, seconds=5) for number in range(4)]
    paths.append(make_video(tmp_path / "a.mkv", codec="mpeg4", seconds=5))

    def clips(cards: tuple[int, ...]) -> dict[tuple[str, float], NDArray[np.uint8]]:
        jobs = [Job(path.name, str(path)) for path in paths]
        found, num_done = {}, 0
        events = decode(jobs, sampling=Sampling(), geometry=GEOMETRY, workers=2, cards=cards)
        for event in events:
            if isinstance(event, ClipDecoded):
                found[str(event.job.key), event.clip.start_seconds] = event.frames.copy()
            assert not isinstance(event, ClipRepeated)
            num_done += isinstance(event, VideoDone) and event.problem is None
        assert num_done == len(paths)
        return found

    with caplog.at_level(logging.WARNING, "vidx"):
        asked = clips((0, 1))
    told = [message.partition(" and the processor does")[0] for message in caplog.messages]
    assert sorted(set(told)) == [
        "the card does not decode some h264,",
        "the card does not decode some mpeg4,",
    ]
    assert len(set(caplog.messages)) == len(caplog.messages)
    assert all("card" in message for message in caplog.messages)
    unasked = clips(())
    assert asked.keys() == unasked.keys()
    assert all(np.array_equal(asked[one], unasked[one]) for one in asked)


def test_a_card_that_opens_no_file_leaves_it_to_the_processor(
    tmp_path: Path, make_video: MakeVideo
) -> None:
    told: list[FellBack] = []
    card = Unheard(0, told.append)
    paths = [make_video(tmp_path / f"{seed}.mp4", seed=seed, seconds=5.0) for seed in (1, 2)]
    for path in paths:
        found, last = by_card(path, card)
        assert len(found) == 3
        assert np.array_equal(found, by_card(path, None)[0])
        assert last.problem is None
    assert [one.codec for one in told] == ["h264"]
    assert told[0].why


@pytest.mark.parametrize("seed", range(6))
def test_a_card_that_fails_in_the_middle_costs_and_doubles_nothing(
    tmp_path: Path, make_video: MakeVideo, seed: int
) -> None:
    """A damaged picture is a surprise to it; the processor goes on, and knows what to do."""
    path = make_video(tmp_path / "a.mp4", seed=seed, seconds=12.0, bit_rate=400_000)
    content = bytearray(path.read_bytes())
    place = random.Random(seed).randrange(len(content) // 3, len(content) * 2 // 3)
    content[place : place + 40] = bytes(40)
    path.write_bytes(content)
    told: list[FellBack] = []
    expected, last = by_card(path, None)
    found, other_last = by_card(path, Standing(0, told.append))
    assert len(found) == len(expected) > 1
    assert all(np.array_equal(*both) for both in zip(found, expected, strict=True))
    assert other_last == last
    assert told == []  # it is the file's fault


def test_a_card_that_decodes_all_leaves_nothing_to_the_processor(
    tmp_path: Path, make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=5.0)
    expected, last = by_card(path, None)
    told: list[FellBack] = []
    card = Standing(0, told.append)
    asked = []
    monkeypatch.setattr(Standing, "accelerator", lambda _: asked.append(1))
    found, other_last = by_card(path, card)
    assert np.array_equal(found, expected)
    assert (other_last, told, len(asked)) == (last, [], 1)


def test_a_decoder_that_there_is_not_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="decoder='nvdec': it is 'cpu' or 'cuda'"):
        vidx.EmbedOptions(decoder="nvdec")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="decoder='cuda' with workers=0"):
        vidx.EmbedOptions(decoder="cuda", workers=0)
