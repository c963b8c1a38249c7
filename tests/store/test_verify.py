from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from made_collections import change_catalogue, commit, draw_video, path_of

from vidx.store import shards
from vidx.store.layout import Layout
from vidx.store.writer import open_writer

Findings = Callable[[], list[str]]


def test_a_sound_collection_has_no_findings(filled: Layout, findings: Findings) -> None:
    assert findings() == []
    with open_writer(filled) as writer:
        writer.remove([path_of("b")])
    assert findings() == [], "removed clips are no disagreement"
    change_catalogue(filled, "DELETE FROM clips WHERE clip_id = 6")
    assert findings() != [], "of clips that were not removed there is"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE clips SET end_seconds = 9 WHERE clip_id = 1", "1 clips differ"),
        ("UPDATE clips SET repeats = true WHERE clip_id = 1", "1 clips differ"),
        ("UPDATE clips SET motion = 0.5 WHERE clip_id = 1", "1 clips differ"),
        ("UPDATE clips SET take = (SELECT take FROM clips WHERE clip_id = 6)"
         " WHERE clip_id = 1", "clips differ"),
        ("UPDATE clips SET take = 99 WHERE clip_id = 1", "1 clips have no take"),
        ("UPDATE videos SET take = NULL WHERE number = 1", "3 clips live though"),
        ("UPDATE clip_labels SET clip_id = 77 WHERE clip_id = 1", "5 labels have no clip"),
        ("UPDATE shards SET uuid = 'x' WHERE first_clip_id = 5", "is another one"),
        ("DELETE FROM clips WHERE clip_id = 1", "1 clips differ in the catalogue, first 1"),
        ("UPDATE clips SET clip_id = 99 WHERE clip_id = 7", "1 clips are in no shard, first 99"),
        ("UPDATE shards SET num_clips = 2 WHERE first_clip_id = 5", "has 3 rows, not 2"),
        pytest.param("DELETE FROM videos WHERE number = 1", "refers to a missing row of videos",
                     marks=pytest.mark.sqlite),
    ],
)  # fmt: skip
def test_a_changed_row_is_found(
    filled: Layout, findings: Findings, statement: str, said: str
) -> None:
    change_catalogue(filled, statement)
    assert any(said in finding for finding in findings()), findings()


def test_a_flipped_bit_is_found(filled: Layout, findings: Findings) -> None:
    path = filled.shards / shards.file_name(5)
    content = bytearray(path.read_bytes())
    vector = shards.matrix(shards.read(path), "embedding")[1].tobytes()
    content[content.index(vector)] ^= 1
    path.write_bytes(content)
    assert ["cannot be read" in finding for finding in findings()] == [True]


def test_vectors_that_are_not_finite_are_found(filled: Layout, findings: Findings) -> None:
    video = draw_video("d")
    video.embedded.embeddings[1, 2] = np.nan
    commit(filled, video)
    assert ["not finite" in finding for finding in findings()] == [True]


def test_all_faults_are_told_at_once(filled: Layout, findings: Findings) -> None:
    (filled.shards / shards.file_name(0)).unlink()
    change_catalogue(filled, "UPDATE clips SET start_seconds = 1 WHERE clip_id = 6")
    (filled.shards / shards.file_name(50)).write_bytes(b"rubbish")
    assert len(findings()) == 3
