"""Previews lie with their clips: each is given back, and goes and comes with its clip."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable

import pyarrow.parquet as pq
import pytest
from made_collections import commit, draw_video, lose_catalogue, path_of, preview_of

from tests.store.test_compact import COMPACT, KILLS, run
from tests.store.test_writer import COMMIT, CRASHES
from vidx.errors import CollectionDamaged, UnknownId
from vidx.store import previews as reading
from vidx.store import shards
from vidx.store.catalogue import Catalogue
from vidx.store.layout import Layout, read_manifest
from vidx.store.lock import writing
from vidx.store.previews import previews
from vidx.store.rebuild import rebuild
from vidx.store.writer import open_writer

Child = Callable[[str], subprocess.Popen[str]]
Findings = Callable[[], list[str]]
Open = Callable[[], Catalogue]

COMMIT_WITH_PREVIEWS = (
    COMMIT.replace('draw_video("b")', 'draw_video("b", previews=True)')
    .replace('c2.mp4")', 'c2.mp4"), previews=True')
    .replace("PROVENANCE", "PREVIEWED")
)


def stored(layout: Layout) -> dict[int, bytes]:
    """The previews of all clips that live."""
    catalogue = Catalogue(layout, read_manifest(layout))
    return previews(catalogue, catalogue.live_clip_ids().tolist())


def drawn(name: str, first_clip_id: int, clips: int = 3) -> dict[int, bytes]:
    """Those of a drawn video whose clips begin at an id."""
    return {first_clip_id + i: preview_of(name, i) for i in range(clips)}


@pytest.fixture
def mixed(layout: Layout) -> Layout:
    """Shards with and without previews, with holes: a and b, then c, then d, then e and f."""
    commit(layout, draw_video("a", previews=True), draw_video("b", previews=True))
    commit(layout, draw_video("c", previews=True))
    commit(layout, draw_video("d"))
    commit(layout, draw_video("e", previews=True), draw_video("f", previews=True))
    with open_writer(layout) as writer:
        writer.remove([path_of(name) for name in "af"])
    return layout


def each(steps: Iterable[str], quick: Iterable[str]) -> list[object]:
    """Steps at which to kill: some in every run, as previews are rows like others."""
    return [pytest.param(step, marks=[] if step in quick else pytest.mark.long) for step in steps]


KEPT = drawn("b", 3) | drawn("c", 6) | drawn("e", 12)  # of `mixed`


def test_previews_come_in_the_order_that_was_asked_for(
    layout: Layout, open_catalogue: Open
) -> None:
    commit(layout, draw_video("a", previews=True), draw_video("b", previews=True))
    found = previews(open_catalogue(), [5, 0, 0, 3])
    assert list(found.items()) == [
        (5, preview_of("b", 2)), (0, preview_of("a", 0)), (3, preview_of("b", 0))
    ]  # fmt: skip
    assert previews(open_catalogue(), []) == {}


def test_clips_without_one_are_left_out(mixed: Layout, open_catalogue: Open) -> None:
    assert stored(mixed) == KEPT
    assert previews(open_catalogue(), [9, 10]) == {}
    counted = {one.has_previews: one.num_clips for one in open_catalogue().origins()}
    assert counted == {True: len(KEPT), False: 3}


@pytest.mark.parametrize("clip_id", [0, 17, 18, -1, 1 << 70])
def test_a_clip_that_does_not_live_is_unknown(
    mixed: Layout, open_catalogue: Open, clip_id: int
) -> None:
    with pytest.raises(UnknownId, match=f"no clip {clip_id} in"):
        previews(open_catalogue(), [3, clip_id])


def test_few_pictures_are_read_for_one(
    layout: Layout, open_catalogue: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = 3 * shards.ROWS_TOGETHER + 5
    commit(layout, draw_video("a", clips, previews=True))
    read = []
    plain = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda *how: read.append(how[1:]) or plain(*how)
    )
    asked = [0, 600, shards.ROWS_TOGETHER, 601, clips - 1]
    found = previews(open_catalogue(), asked)
    assert found == {one: preview_of("a", one) for one in asked}
    assert read == [(group, ["preview"]) for group in range(4)]
    read.clear()
    previews(open_catalogue(), [600, 700])
    assert len(read) == 1


def test_shards_without_previews_are_what_they_were(layout: Layout) -> None:
    commit(layout, draw_video("a", 2 * shards.ROWS_TOGETHER))
    [(_, path)] = shards.listed(layout.shards)
    assert shards.PREVIEW not in pq.read_schema(path).names
    assert pq.read_metadata(path).num_row_groups == 1


def test_previews_go_and_come_back_with_their_clips(mixed: Layout, findings: Findings) -> None:
    with open_writer(mixed) as writer:
        writer.restore(5)
    assert stored(mixed) == KEPT | drawn("a", 0) | drawn("f", 15)
    assert findings() == []


def test_they_outlast_a_lost_catalogue(mixed: Layout, findings: Findings) -> None:
    lose_catalogue(mixed)
    with writing(mixed):
        rebuild(mixed, read_manifest(mixed), 0)
    assert stored(mixed) == KEPT
    assert findings() == []


def test_they_outlast_compacting_and_a_lost_catalogue_then(
    mixed: Layout, findings: Findings, open_catalogue: Open
) -> None:
    assert run(mixed) == 6
    assert stored(mixed) == KEPT
    test_they_outlast_a_lost_catalogue(mixed, findings)
    counted = {one.has_previews: one.num_clips for one in open_catalogue().origins()}
    assert counted == {True: len(KEPT), False: 3}, "those with and without are not mixed"


def test_compacted_shards_are_read_a_part_at_a_time_too(layout: Layout) -> None:
    for name in "abc":
        commit(layout, draw_video(name, 200, previews=True))
    with open_writer(layout) as writer:
        writer.remove([path_of("b")])
    run(layout)
    assert stored(layout) == drawn("a", 0, 200) | drawn("c", 400, 200)


@pytest.mark.parametrize("point", each(KILLS, ["renamed"]))
def test_a_kill_while_compacting_costs_no_preview(
    mixed: Layout, child: Child, findings: Findings, point: str
) -> None:
    assert child(COMPACT.format(patch=KILLS[point])).wait() == -9
    assert stored(mixed) == KEPT
    with open_writer(mixed):
        pass
    assert findings() == []
    run(mixed)
    assert stored(mixed) == KEPT
    assert findings() == []


@pytest.mark.parametrize("point", each(CRASHES, ["half staged", "renamed"]))
def test_a_kill_at_any_step_leaves_all_previews_of_a_batch_or_none(
    layout: Layout, child: Child, findings: Findings, point: str
) -> None:
    patch, survives, _ = CRASHES[point]
    commit(layout, draw_video("a", previews=True))
    assert child(patch + COMMIT_WITH_PREVIEWS).wait() == -9
    assert stored(layout).items() >= drawn("a", 0).items(), "a reader is not disturbed"
    with open_writer(layout):
        pass
    assert findings() == []
    both = drawn("b", 3) | drawn("c", 6)
    assert stored(layout) == drawn("a", 0) | (both if survives else {})


def test_who_reads_while_shards_are_compacted_gets_them(
    mixed: Layout, open_catalogue: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, compacted = reading._of_shard, []

    def late(*arguments: object) -> dict[int, bytes]:
        if not compacted:
            compacted.append(run(mixed))
        return plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "_of_shard", late)
    assert previews(open_catalogue(), list(KEPT)) == KEPT
    assert compacted == [6]


def test_who_holds_on_to_a_state_gets_what_is_still_there(
    mixed: Layout, open_catalogue: Open
) -> None:
    with open_catalogue().now() as still:
        with open_writer(mixed) as writer:
            writer.remove([path_of("b")])
        run(mixed)
        assert previews(still, list(KEPT)) == drawn("c", 6) | drawn("e", 12)


def test_damage_to_a_picture_is_found_and_told(
    layout: Layout, findings: Findings, open_catalogue: Open
) -> None:
    commit(layout, draw_video("a", 300, previews=True))
    [(_, path)] = shards.listed(layout.shards)
    column = (
        pq.read_metadata(path).row_group(0).column(pq.read_schema(path).get_field_index("preview"))
    )
    assert column.path_in_schema == "preview"
    data = bytearray(path.read_bytes())
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CollectionDamaged, match="cannot be read"):
        previews(open_catalogue(), [7])
    assert [finding.split(":")[0] for finding in findings()] == [f"shard {path.name}"]


def test_pictures_that_repeat_are_stored_about_once(layout: Layout) -> None:
    """As of slides, whose clips all have the picture of the first."""
    video = draw_video("a", 200, previews=True)
    still = bytes(range(256)) * 20
    plain = [len_of(layout, "plain", draw_video("b", 200))]
    for one in video.embedded.facts:
        object.__setattr__(one, "preview", still)
    plain.append(len_of(layout, "still", video))
    assert plain[1] - plain[0] < 2 * len(still)


def len_of(layout: Layout, name: str, video: shards.NewVideo) -> int:
    """Bytes of a shard of a video."""
    path = layout.root.with_name(f"{name}.parquet")
    info = shards.ShardInfo("", "", "", (), {}, "")
    shards.write(shards.to_table([video], info), path)
    return path.stat().st_size
