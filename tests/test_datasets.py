"""Selections as data sets of torch: what an item has, and what a damaged or lost file costs."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from made_collections import commit, draw_video, path_of
from torch.utils.data import DataLoader

import vidx
from vidx.embedder.decoding.events import ClipDecoded, Job
from vidx.embedder.decoding.pool import decode
from vidx.embedder.decoding.sampling import Sampling
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
        with pytest.raises(UsageError, match="split is not null"):
            collection.where("true").dataset("vectors", ["split"])
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
