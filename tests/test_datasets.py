"""Selections as data sets of torch: what an item has, and what a damaged or lost file costs."""

from __future__ import annotations

import ast
import os
import pickle
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from made_collections import commit, draw_video, path_of
from torch.utils.data import DataLoader, Subset

import vidx
from vidx.embedder.datasets import FrameDataset
from vidx.embedder.decoding.events import ClipDecoded, Job
from vidx.embedder.decoding.handout import DecodedVideo
from vidx.embedder.decoding.messages import Grant, Task
from vidx.embedder.decoding.pool import decode
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.encoder import load
from vidx.errors import UsageError, VideoError, VidxError
from vidx.store.layout import Layout


@pytest.fixture(scope="module")
def collection(embedded_once: Path) -> vidx.Collection:
    return vidx.open(embedded_once)


def test_frames_are_those_that_the_encoder_saw(collection, library, tiny_checkpoint) -> None:
    part = collection.where("path glob '*/bowl.mp4' and duration_seconds > 4")
    found = part.dataset()
    encoder = load(tiny_checkpoint, device="cpu")
    sampling = Sampling(encoder.space.num_frames, encoder.space.fps)
    job = Job(0, str(library / "bowl.mp4"))
    events = decode([job], sampling=sampling, geometry=encoder.geometry, workers=0)
    seen = [event.frames for event in events if isinstance(event, ClipDecoded)]
    assert len(seen) == len(found) == part.count() > 1
    for number, frames in enumerate(seen):
        item = found[number]
        pixels = encoder.preprocessing.normalize(torch.from_numpy(frames)[None])[0]
        assert item["pixel_values"].dtype == torch.float32
        assert torch.equal(item["pixel_values"], pixels)
        assert item["clip_id"] == part.clip_ids()[number]


def test_a_loader_with_workers_gives_the_same_as_one_without(collection) -> None:
    found = pickle.loads(pickle.dumps(collection.where("true").dataset(columns=("path",))))
    found[0]  # its own decoder must not be shared with those of the workers
    plain = list(DataLoader(found, batch_size=4))
    several = list(DataLoader(found, batch_size=4, num_workers=2))
    assert len(plain) == len(several) > 1
    for one, other in zip(plain, several, strict=True):
        assert torch.equal(one["pixel_values"], other["pixel_values"])
        assert one["clip_id"].tolist() == other["clip_id"].tolist()
        assert one["path"] == other["path"]


def test_threads_read_from_one_data_set(collection) -> None:
    found = collection.where("true").dataset()
    alone = [found[number]["pixel_values"] for number in range(len(found))]
    same: list[bool] = []

    def read() -> None:
        same.extend(torch.equal(found[number]["pixel_values"], alone[number]) for number in order)

    order = [*range(len(found))] * 3
    threads = [threading.Thread(target=read, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert same == [True] * 4 * len(order)


def test_a_process_forked_while_another_thread_reads_reads_too(collection) -> None:
    found = collection.where("true").dataset()
    found[0]
    reading = found.reader.decoder.ask(Grant(None), task_of(found), last=DecodedVideo)
    next(reading)
    [item] = DataLoader(Subset(found, [0]), num_workers=1, timeout=20, batch_size=None)
    assert item["clip_id"] == found.rows.clip_ids[0]
    reading.close()
    assert torch.equal(found[0]["pixel_values"], item["pixel_values"])  # the lock is free again


def task_of(found: FrameDataset) -> Task:
    """The first clip, as its reader is asked for it."""
    reader, span = found.reader, found.spans[0]
    plan = Plan(start_seconds=span.start_seconds, end_seconds=span.end_seconds)
    return Task(found.places[0][0].path, None, plan, reader.sampling, reader.geometry, None)


def test_vectors_come_raw_with_what_is_asked_for(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "collection")
    commit(layout, draw_video("a"), draw_video("b"))
    with vidx.open(layout.root) as collection:
        collection.set_metadata({"path": [path_of("a")], "split": ["train"]})
        part = collection.where("split = 'train'")
        [batch] = DataLoader(part.dataset("vectors", ["split", "start_seconds"]), batch_size=9)
        ids, vectors = part.vectors()
        assert batch["clip_id"].tolist() == ids.tolist()
        assert np.array_equal(batch["vector"].numpy(), vectors)
        assert batch["split"] == ["train"] * 3
        assert batch["start_seconds"].tolist() == [0, 2, 4]
        for name in ("split", "taken on", "select", "'a' \"b\""):
            collection.set_metadata({"path": [path_of("a")], name: ["train"]})
            with pytest.raises(UsageError, match="is not null") as caught:
                collection.where("true").dataset("vectors", [name])
            advice = caught.value.next_step.partition("where(")[2].removesuffix(").")
            assert collection.where(ast.literal_eval(advice)).count() == 3
        with pytest.raises(UsageError, match=r"There are: .*split"):
            part.dataset("vectors", ["splits"])
        with pytest.raises(UsageError, match="frames, vectors"):
            part.dataset("pixels")
        with pytest.raises(VidxError, match="no clip is selected"):
            collection.where("clip_id < 0").dataset("vectors")


def test_a_file_that_is_gone_or_another_is_told_by_its_path(
    tmp_path: Path, make_video, tiny_checkpoint
) -> None:
    (tmp_path / "videos").mkdir()
    video = make_video(tmp_path / "videos/a.mp4", seconds=1.0)
    with vidx.open(tmp_path / "collection", create=True) as collection:
        collection.embed(video, vidx.EmbedOptions(model=tiny_checkpoint, workers=0))
        found = collection.where("true").dataset()
        shutil.copy2(video, tmp_path / "videos/copy.mp4")
        whole = found[0]["pixel_values"]
        os.utime(video, ns=(1, 1))
        with pytest.raises(VideoError, match=r"a\.mp4: it has changed"):
            found[0]
        video.unlink()
        with pytest.raises(VideoError, match=r"a\.mp4: No such file"):
            found[0]
        collection.embed(tmp_path / "videos", vidx.EmbedOptions(workers=0))
        again = collection.where("true").dataset()
        assert torch.equal(again[0]["pixel_values"], whole)


def test_a_decoder_that_dies_costs_one_clip(collection) -> None:
    found = collection.where("true").dataset()
    whole = found[0]["pixel_values"]
    found.reader.decoder._worker.process.kill()
    found.reader.decoder._worker.process.wait()
    with pytest.raises(VideoError, match="decode_crashed"):
        found[0]
    assert torch.equal(found[0]["pixel_values"], whole)
