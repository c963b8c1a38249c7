"""Takes in parts: not seen before the last part is there, gone on with, void in time, rebuilt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from made_collections import PROVENANCE, commit, draw_video, lose_catalogue, path_of, video_id

import vidx
from vidx.records import Begun, Problem, Source
from vidx.store import shards
from vidx.store.catalogue import Catalogue
from vidx.store.compact import compact, purge
from vidx.store.export import clips_table, videos_table
from vidx.store.journal import Failed
from vidx.store.layout import Layout, read_manifest
from vidx.store.lock import writing
from vidx.store.rebuild import rebuild
from vidx.store.shards import NewVideo
from vidx.store.writer import Batch, open_writer

Open = Callable[[], Catalogue]
Findings = Callable[[], list[str]]
LONG = video_id("long")


def in_parts(video: NewVideo, size: int = 2) -> list[NewVideo]:
    """The parts of a video, of so many clips each."""
    whole, count = video.embedded, len(video.embedded.clips)
    return [
        replace(
            video,
            part=start // size,
            last_part=start + size >= count,
            embedded=replace(
                whole,
                clips=whole.clips[start : start + size],
                facts=whole.facts[start : start + size],
                repeats=whole.repeats[start : start + size],
                embeddings=whole.embeddings[start : start + size],
                logits=whole.logits[start : start + size],
            ),
        )
        for start in range(0, count, size)
    ]


@pytest.fixture
def long() -> list[NewVideo]:
    return in_parts(draw_video("long", 6))


@pytest.fixture
def begun(layout: Layout, long: list[NewVideo]) -> Layout:
    """A video of three clips, and the first two of three parts of a long one."""
    commit(layout, draw_video("a"))
    commit(layout, long[0])
    commit(layout, long[1])
    return layout


def lose_and_mend(layout: Layout) -> None:
    lose_catalogue(layout)
    mend(layout)


def mend(layout: Layout) -> None:
    with writing(layout):
        assert rebuild(layout, read_manifest(layout), 0).ignored == ()


def run_compact(layout: Layout) -> None:
    half_compact(layout)
    with open_writer(layout) as writer:
        purge(writer)


def half_compact(layout: Layout) -> None:
    """Without the end, after which no index has the clips any more."""
    with open_writer(layout) as writer:
        for _ in compact(writer, Catalogue(layout, writer.manifest)):
            pass


def rows_on_disk(layout: Layout) -> int:
    return sum(shards.read(path).num_rows for _, path in shards.listed(layout.shards))


CHANGES = {
    "as it is": lambda _layout: None,
    "rebuilt": lose_and_mend,
    "compacted": run_compact,
    "compacted and rebuilt": lambda layout: (run_compact(layout), lose_and_mend(layout)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_begun_is_not_seen_and_gone_on_with(
    change: str, begun: Layout, long: list[NewVideo], open_catalogue: Open, findings: Findings
) -> None:
    CHANGES[change](begun)
    catalogue = open_catalogue()
    assert catalogue.live_clip_ids().tolist() == [0, 1, 2]
    counts = catalogue.counts()
    assert (counts["videos"], counts["clips"], counts["locations"]) == (1, 3, 1)
    assert counts["unfinished"] == 1
    assert clips_table(catalogue).num_rows == 3
    assert videos_table(catalogue).num_rows == 1
    path = long[0].sources[0].path
    assert catalogue.begun(LONG, "plan") == Begun(long[0].take, 2, 4, 6.0, False, path)
    assert catalogue.begun(LONG, "finer") is None
    assert findings() == []
    commit(begun, long[2])
    CHANGES[change](begun)
    catalogue = open_catalogue()
    assert catalogue.live_clip_ids().tolist() == list(range(9))
    assert catalogue.counts()["unfinished"] == 0
    assert catalogue.begun(LONG, "plan") is None
    starts = [row["start_seconds"] for row in clips_table(catalogue).to_pylist()[3:]]
    assert starts == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert findings() == []


def test_twins_of_what_is_begun_are_placed_with_the_last_part(
    layout: Layout, open_catalogue: Open
) -> None:
    first, last = in_parts(draw_video("long", 4, paths=("/l.mp4", "/copy.mp4")))
    commit(layout, first)
    assert open_catalogue().content(LONG).places == ()
    commit(layout, last)
    assert open_catalogue().content(LONG).places == ("/copy.mp4", "/l.mp4")


def void_by_plan(layout: Layout) -> None:
    begin_another(layout, draw_video("long", 4, plan="finer"))


def void_by_content(layout: Layout) -> None:
    commit(layout, draw_video("other", paths=(path_of("long"),)))


def void_by_begun_content(layout: Layout) -> None:
    begin_another(layout, draw_video("other", 4, paths=(path_of("long"),)))


def begin_another(layout: Layout, video: NewVideo) -> None:
    """It alone is in the making then, and is taken out again."""
    commit(layout, in_parts(video)[0])
    catalogue = Catalogue(layout, read_manifest(layout))
    assert catalogue.begun(video.video_id, video.plan) is not None
    assert catalogue.counts()["unfinished"] == 1
    with open_writer(layout) as writer:
        writer.remove([path_of("long")])


def void_by_broken_content(layout: Layout) -> None:
    source = Source(path_of("long"), 7, "43")
    commit(layout, failed=[Failed(source, video_id("other"), Problem("truncated", "cut"))])


def void_by_removal(layout: Layout) -> None:
    with vidx.open(layout.root) as collection:
        report = collection.remove("/videos/long.mp4")
        assert report.paths == (path_of("long"),)


VOID = [
    void_by_plan,
    void_by_content,
    void_by_begun_content,
    void_by_broken_content,
    void_by_removal,
]


@pytest.mark.parametrize("void", VOID)
@pytest.mark.parametrize("again", [lambda _layout: None, half_compact, lose_and_mend])
def test_void_parts_are_not_gone_on_with_and_dropped_as_others_are(
    void: Callable[[Layout], None],
    again: Callable[[Layout], None],
    begun: Layout,
    open_catalogue: Open,
    findings: Findings,
) -> None:
    void(begun)
    again(begun)
    catalogue = open_catalogue()
    assert catalogue.begun(LONG, "plan") is None
    assert catalogue.counts()["unfinished"] == 0
    assert catalogue.paths_at(path_of("long")) in ([], [path_of("long")])
    assert findings() == []
    run_compact(begun)
    assert rows_on_disk(begun) == open_catalogue().counts()["clips"]
    assert findings() == []


def test_a_failure_of_the_same_content_leaves_what_is_begun(
    begun: Layout, open_catalogue: Open
) -> None:
    source = Source(path_of("long"), 1000, "42")
    commit(begun, failed=[Failed(source, LONG, Problem("decode_timeout", "it hung"))])
    assert open_catalogue().begun(LONG, "plan") is not None
    commit(begun, failed=[Failed(source, None, Problem("unreadable", "it passes"))])
    assert open_catalogue().begun(LONG, "plan") is not None


def test_what_is_begun_follows_its_file(
    begun: Layout, long: list[NewVideo], open_catalogue: Open
) -> None:
    """The file is moved between two parts, and what was there is taken out."""
    again = in_parts(draw_video("long", 8))
    for part in again:
        part.sources[:] = [Source("/moved.mp4", 1000, "42")]
    commit(begun, replace(again[2], take=long[0].take))
    assert open_catalogue().paths_at("/") == ["/moved.mp4", path_of("a")]
    commit(begun, gone=[path_of("long")])
    assert open_catalogue().begun(LONG, "plan").num_parts == 3
    commit(begun, gone=["/moved.mp4"])
    assert open_catalogue().begun(LONG, "plan") is None


def test_a_video_that_lives_is_cut_anew_in_parts_while_it_lives(
    layout: Layout, open_catalogue: Open, findings: Findings
) -> None:
    commit(layout, draw_video("long", 3, plan="coarse"))
    told = videos_table(open_catalogue())
    first, _ = in_parts(draw_video("long", 4))
    unsure = replace(first.embedded.info, duration_seconds=99.0)
    commit(layout, replace(first, embedded=replace(first.embedded, info=unsure)))
    assert videos_table(open_catalogue()) == told
    with open_writer(layout) as writer:
        removal = writer.remove([path_of("long")])
    assert open_catalogue().begun(LONG, "plan") is None, "gone with its video"
    with open_writer(layout) as writer:
        writer.restore(removal.commit)
    assert videos_table(open_catalogue()) == told
    assert open_catalogue().begun(LONG, "plan") is None
    commit(layout, draw_video("long", 4))
    assert open_catalogue().count_clips() == 4
    assert findings() == []


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_part_takes_the_video_with_it_until_it_is_put_back(
    lost: int,
    begun: Layout,
    long: list[NewVideo],
    tmp_path: Path,
    open_catalogue: Open,
    findings: Findings,
) -> None:
    commit(begun, long[2])
    before, told = clips_table(open_catalogue()), videos_table(open_catalogue())
    path = begun.shards / shards.file_name(3 + 2 * lost)
    away = path.rename(tmp_path / "away")
    mend(begun)
    assert open_catalogue().live_clip_ids().tolist() == [0, 1, 2]
    assert open_catalogue().begun(LONG, "plan") is None or lost == 2
    assert findings() == []
    lose_and_mend(begun)
    assert open_catalogue().live_clip_ids().tolist() == [0, 1, 2]
    away.rename(path)
    mend(begun)
    assert clips_table(open_catalogue()) == before
    assert videos_table(open_catalogue()) == told
    assert findings() == []


def test_parts_of_which_one_is_lost_do_not_live_when_the_video_is_there_anew(
    begun: Layout, long: list[NewVideo], tmp_path: Path, open_catalogue: Open, findings: Findings
) -> None:
    commit(begun, long[2])
    path = begun.shards / shards.file_name(5)
    away = path.rename(tmp_path / "away")
    mend(begun)
    commit(begun, draw_video("long", 6))
    away.rename(path)
    mend(begun)
    assert open_catalogue().live_clip_ids().tolist() == [0, 1, 2, *range(9, 15)]
    assert findings() == []


def test_what_parts_tell_of_lost_vectors_is_kept(
    layout: Layout, long: list[NewVideo], open_catalogue: Open
) -> None:
    commit(layout, long[0])
    problem = Problem("non_finite", "some")
    commit(layout, replace(long[1], embedded=replace(long[1].embedded, problem=problem)))
    assert open_catalogue().begun(LONG, "plan").has_non_finite
    lose_and_mend(layout)
    assert open_catalogue().begun(LONG, "plan").has_non_finite


def test_several_parts_of_one_commit_are_one_shard(
    layout: Layout, long: list[NewVideo], open_catalogue: Open, findings: Findings
) -> None:
    with open_writer(layout, vidx.records.Space("f" * 64, "m", None, 16, 7.5, 8, ())) as writer:
        writer.commit(Batch(videos=long[:2]), PROVENANCE)
        assert open_catalogue().begun(LONG, "plan").num_parts == 2
        writer.commit(Batch(videos=[long[2], draw_video("b")]), PROVENANCE)
    assert open_catalogue().count_clips() == 9
    assert findings() == []
