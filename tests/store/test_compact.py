"""Compacting drops what is gone, keeps ids, and can be killed anywhere."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from made_collections import SPACE, commit, draw_video, lose_catalogue, path_of, video_id

from vidx.errors import UsageError, VidxError
from vidx.records import Problem
from vidx.store import compact as compacting
from vidx.store import export, shards
from vidx.store.catalogue import Catalogue, KnownTake
from vidx.store.layout import Layout, read_manifest
from vidx.store.lock import writing
from vidx.store.rebuild import rebuild
from vidx.store.vectors import live_vectors
from vidx.store.writer import open_writer

Open = Callable[[], Catalogue]
Findings = Callable[[], list[str]]


@pytest.fixture
def holey(layout: Layout) -> Layout:
    """Four shards: of the first all is gone, of the second a part, the others are small."""
    commit(layout, draw_video("a"), draw_video("b"))
    commit(layout, draw_video("c"), draw_video("d"))
    commit(layout, draw_video("e"))
    commit(layout, draw_video("f", 2))
    with open_writer(layout) as writer:
        writer.remove([path_of(name) for name in "abd"])
    return layout


def run(layout: Layout) -> int:
    with open_writer(layout) as writer:
        dropped = sum(compacting.compact(writer, Catalogue(layout, writer.manifest)))
        compacting.purge(writer)
    return dropped


def everything(layout: Layout) -> list[dict[str, Any]]:
    """All that is told of clips, with their vectors."""
    catalogue = Catalogue(layout, read_manifest(layout))
    rows = export.clips_table(catalogue).to_pylist()
    vectors = np.concatenate([vectors for _, vectors in live_vectors(catalogue)])
    return [row | {"vector": vector.tolist()} for row, vector in zip(rows, vectors, strict=True)]


def names(layout: Layout) -> list[str]:
    return sorted(path.name for path in layout.shards.iterdir())


def test_what_lives_keeps_its_ids_and_what_is_gone_is_gone(
    holey: Layout, findings: Findings, open_catalogue: Open
) -> None:
    before = everything(holey)
    assert run(holey) == 9
    assert everything(holey) == before
    assert [row["clip_id"] for row in before] == [6, 7, 8, 12, 13, 14, 15, 16]
    assert names(holey) == [shards.file_name(6, 1)]
    assert findings() == []
    counts = open_catalogue().counts()
    assert (counts["clips"], counts["removed"], counts["videos"]) == (8, 0, 3)
    assert open_catalogue().known([path_of("a")]) == {}
    assert run(holey) == 0, "there is nothing more to do"


def test_a_compacted_collection_goes_on(holey: Layout, findings: Findings) -> None:
    run(holey)
    commit(holey, draw_video("a"), draw_video("g"))
    with open_writer(holey) as writer:
        writer.remove([path_of("c"), path_of("g")])
    before = everything(holey)
    assert run(holey) == 6
    assert everything(holey) == before
    assert findings() == []
    assert names(holey) == [shards.file_name(12, 1)]


def test_what_was_compacted_cannot_be_restored_and_it_is_said(holey: Layout) -> None:
    removal = 5
    run(holey)
    with open_writer(holey) as writer, pytest.raises(UsageError, match="compacted"):
        writer.restore(removal)


def test_a_lost_catalogue_comes_back_from_compacted_shards(
    holey: Layout, findings: Findings
) -> None:
    run(holey)
    commit(holey, draw_video("g"), draw_video("h"))
    with open_writer(holey) as writer:
        writer.remove([path_of("h")])
    before = everything(holey)
    lose_catalogue(holey)
    with writing(holey):
        rebuild(holey, read_manifest(holey), 0)
    assert everything(holey) == before
    assert findings() == []


KILLS = {
    "staged": "compacting._free_name = die",
    "renamed": "compacting.sync_folder = die",
    "in SQL": "registry.replace_shards = die",
    "committed": "compacting.suppress = die",
    "before the purge": "compacting.purge = die",
    "in the purge": "registry.drop_empty = die",
}
COMPACT = """
from vidx.store import compact as compacting
from vidx.store.catalogue import Catalogue
{patch}
with open_writer(layout) as writer:
    for _ in compacting.compact(writer, Catalogue(layout, writer.manifest)):
        pass
    compacting.purge(writer)
"""


@pytest.mark.parametrize("point", KILLS)
def test_a_kill_at_any_step_of_compacting_changes_nothing_that_is_seen(
    holey: Layout, child: Callable[[str], subprocess.Popen[str]], findings: Findings, point: str
) -> None:
    before = everything(holey)
    assert child(COMPACT.format(patch=KILLS[point])).wait() == -9
    assert everything(holey) == before
    with open_writer(holey):
        pass
    assert findings() == []
    assert everything(holey) == before
    run(holey)
    assert names(holey) == [shards.file_name(6, 1)]
    assert everything(holey) == before
    assert findings() == []


def test_shards_of_which_nothing_lives_do_not_come_back_after_a_kill(
    layout: Layout,
    child: Callable[[str], subprocess.Popen[str]],
    findings: Findings,
    open_catalogue: Open,
) -> None:
    commit(layout, draw_video("a"))
    with open_writer(layout) as writer:
        writer.remove([path_of("a")])
    # Committed, but the old file is not deleted yet.
    assert child(COMPACT.format(patch="compacting.suppress = die")).wait() == -9
    with open_writer(layout):
        pass
    assert open_catalogue().live_clip_ids().tolist() == []
    assert findings() == []
    commit(layout, draw_video("b"))
    for joined in (False, True):
        lose_catalogue(layout)
        with writing(layout):
            rebuild(layout, read_manifest(layout), 0)
        assert [row["clip_id"] for row in everything(layout)] == [3, 4, 5]
        assert findings() == []
        assert len(names(layout)) == (1 if joined else 2)
        run(layout)


def test_who_reads_vectors_meanwhile_gets_them_all(holey: Layout) -> None:
    before = everything(holey)
    reading = live_vectors(Catalogue(holey, read_manifest(holey)))
    first, _ = next(reading)
    run(holey)
    rest = [clip_id for ids, _ in reading for clip_id in ids.tolist()]
    assert [*first.tolist(), *rest] == [row["clip_id"] for row in before]


def test_who_reads_what_is_removed_and_compacted_meanwhile_is_told(holey: Layout) -> None:
    reading = live_vectors(Catalogue(holey, read_manifest(holey)))
    next(reading)
    with open_writer(holey) as writer:
        writer.remove([path_of("e")])
    run(holey)
    with pytest.raises(VidxError, match="compacted while they were read"):
        list(reading)


def test_parts_of_a_take_are_joined_and_stay_a_whole(layout: Layout, findings: Findings) -> None:
    whole = draw_video("long", 6)
    for part in parts_of(whole, 3):
        commit(layout, part)
    before = everything(layout)
    assert len(before) == 6
    run(layout)
    lose_catalogue(layout)
    with writing(layout):
        rebuild(layout, read_manifest(layout), 0)
    assert everything(layout) == before
    assert findings() == []


def parts_of(video: Any, size: int) -> list[Any]:
    from dataclasses import replace

    whole = video.embedded
    starts = range(0, len(whole.clips), size)
    return [
        replace(
            video,
            part=number,
            last_part=start == starts[-1],
            embedded=replace(
                whole,
                clips=whole.clips[start : start + size],
                facts=whole.facts[start : start + size],
                repeats=whole.repeats[start : start + size],
                embeddings=whole.embeddings[start : start + size],
                logits=whole.logits[start : start + size],
            ),
        )
        for number, start in enumerate(starts)
    ]


def test_a_take_is_seen_only_when_it_is_complete(
    layout: Layout, open_catalogue: Open, findings: Findings
) -> None:
    """A re-cut in parts never shows half: the old clips live until the last part is there."""
    commit(layout, draw_video("long", 2))
    first, last = parts_of(draw_video("long", 4, plan="finer"), 2)
    commit(layout, first)
    assert open_catalogue().live_clip_ids().tolist() == [0, 1]
    assert open_catalogue().content(video_id("long")).take == KnownTake("plan", None)
    assert findings() == []
    run(layout)
    commit(layout, last)
    assert open_catalogue().live_clip_ids().tolist() == [2, 3, 4, 5]
    assert open_catalogue().content(video_id("long")).take == KnownTake("finer", None)
    assert findings() == []


def test_the_last_part_of_a_later_take_tells_of_its_video_anew(
    layout: Layout, open_catalogue: Open
) -> None:
    from dataclasses import replace

    def told() -> list[tuple[object, ...]]:
        asked = ("duration_seconds", "is_mirrored", "notes", "problem_reason", "num_clips")
        rows = export.videos_table(open_catalogue()).to_pylist()
        return [tuple(row[name] for name in asked) for row in rows]

    cut = Problem("truncated", "cut")
    damaged = Problem("decode_error", "damaged")
    commit(layout, draw_video("a", problem=cut, notes=("It was.",)))
    again = draw_video("a", 5, is_mirrored=True, notes=("It is.",), problem=damaged)
    first, last = parts_of(again, 3)
    # Before the end nobody knows how long it is, nor whether it is whole.
    unsure = replace(first.embedded.info, duration_seconds=0.0, notes=())
    commit(layout, replace(first, embedded=replace(first.embedded, info=unsure, problem=None)))
    assert told() == [(6.0, False, ["It was."], "truncated", 3)]
    commit(layout, last)
    now = [(10.0, True, ["It is."], "decode_error", 5)]
    assert told() == now
    for change in (run, lambda _layout: None):
        lose_catalogue(layout)
        with writing(layout):
            rebuild(layout, read_manifest(layout), 0)
        assert told() == now
        change(layout)
        assert told() == now


def test_shards_of_two_origins_are_not_joined(layout: Layout) -> None:
    from vidx.store.writer import Batch

    with open_writer(layout, SPACE) as writer:
        writer.commit(Batch(videos=[draw_video("a")]), {"device": "cpu"})
        writer.commit(Batch(videos=[draw_video("b")]), {"device": "cuda"})
        writer.commit(Batch(videos=[draw_video("c")]), {"device": "cuda"})
    run(layout)
    assert names(layout) == [shards.file_name(0), shards.file_name(3, 1)]
