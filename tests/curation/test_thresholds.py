"""Thresholds: found by copies of a collection's own videos, kept, and taken by duplicates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from curated_collections import collection_of, kinds

import vidx
from vidx.curating import trials
from vidx.curating.part import unheard
from vidx.curation.thresholds import CANDIDATES, around, chosen, histogram, judged
from vidx.errors import CollectionDamaged, UsageError, VidxError


def test_the_lowest_candidate_that_stays_precise_is_chosen() -> None:
    own = np.array([0.9, 0.8, 0.7, 0.72], np.float32)
    others = np.array([0.41, 0.3, 0.2, 0.1], np.float32)
    found = judged(own, others)
    place = chosen(found.precision)
    assert CANDIDATES[place] == 0.45
    assert found.recall[place] == 1
    assert found.precision[0] == pytest.approx(4 / 7)
    assert found.recall[np.searchsorted(CANDIDATES, 0.75)] == 0.5


def test_all_clips_are_in_the_histogram_and_pairs_lie_around_candidates() -> None:
    scores = np.random.default_rng(0).uniform(-1, 1, 500).astype(np.float32)
    starts, counts = histogram(np.append(scores, np.float32(1.0001)))
    assert counts.sum() == 501
    assert counts[0] == np.sum(scores < -0.95)
    assert len(starts) == 40
    near = scores[around(scores, 2)].reshape(-1, 2)
    assert np.abs(near - CANDIDATES[:, None]).max() < 0.05


def test_a_report_is_kept_and_duplicates_take_it(embedded: Path) -> None:
    with vidx.open(embedded) as collection:
        found = collection.threshold_report(2)
        again = collection.threshold_report(2)
        assert found == again
        assert found.num_videos == 2
        kept = json.loads((embedded / "thresholds.json").read_text())
        assert kept["copy"] == found.threshold
        assert found.thresholds.column_names == [
            "threshold", "precision", "recall", "recall_re_encoded", "recall_trimmed",
        ]  # fmt: skip
        low, *_, high = found.thresholds["recall_re_encoded"].to_pylist()
        assert low == 1 >= high
        assert found.histogram["num_clips"].to_numpy().sum() == collection.clips().num_rows
        assert set(found.pairs["threshold"].to_pylist()) == set(CANDIDATES.tolist())
        assert collection.duplicates().equals(collection.duplicates(found.threshold))
        (embedded / "thresholds.json").write_text('{"copy": -1}')
        assert collection.duplicates().equals(collection.duplicates(-1))
        assert not collection.duplicates().equals(collection.duplicates(0.99))
        (embedded / "thresholds.json").write_text("{")
        with pytest.raises(CollectionDamaged, match=r"thresholds\.json cannot be read"):
            collection.duplicates()


def test_what_is_wrong_is_told(embedded: Path, library: Path, tmp_path: Path) -> None:
    with vidx.open(embedded) as collection, pytest.raises(UsageError, match="num_videos=0"):
        collection.threshold_report(0)
    with vidx.open(tmp_path / "one", create=True) as alone:
        alone.embed(library / "bowl.mp4", vidx.EmbedOptions(model="builtin:tiny"))
        with pytest.raises(UsageError, match="there is one video"):
            alone.threshold_report()


def test_videos_that_are_gone_are_told(tmp_path: Path) -> None:
    collection = collection_of(tmp_path, kinds(4))  # there never were any files
    with collection._part() as part, pytest.raises(VidxError, match="of no video a copy"):
        trials.threshold_report(part, None, 3, 0, unheard)
    assert not (collection.path / "thresholds.json").exists()


def test_the_command_tells_and_keeps_it(embedded: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from vidx.cli import cli

    where = ["--collection", str(embedded)]
    pairs = tmp_path / "pairs.jsonl"
    done = CliRunner().invoke(
        cli, ["threshold-report", "--videos", "1", "--output", str(pairs), "--json", *where]
    )
    told = json.loads(done.stdout)
    assert told["threshold"] == json.loads((embedded / "thresholds.json").read_text())["copy"]
    assert len(told["thresholds"]) == len(CANDIDATES)
    assert "nearest_path" in json.loads(pairs.read_text().splitlines()[0])
