"""Several committers at once, with a catalogue in PostgreSQL."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable

import pytest
from made_collections import SPACE, commit, draw_video, path_of, video_id

from vidx.errors import CollectionLocked
from vidx.store import shards
from vidx.store.catalogue import Catalogue
from vidx.store.export import commits_table
from vidx.store.layout import Layout, read_manifest
from vidx.store.lock import writing
from vidx.store.writer import open_writer

Child = Callable[[str], subprocess.Popen[str]]
Findings = Callable[[], list[str]]

# Each commits its own videos, and one that all have; what is there already is not begun again.
COMMITTER = """
from vidx.store.catalogue import Catalogue
from vidx.store.layout import read_manifest
who, many = WHO, MANY
with open_writer(layout, alone=False) as writer:
    catalogue = Catalogue(layout, writer.manifest)
    for number in range(many):
        name = f"{who}-{number}"
        if catalogue.content(video_id(name)).take is None:
            writer.commit(Batch([draw_video(name), draw_video("shared", 2)]), PROVENANCE)
            print(name, flush=True)
"""


@pytest.fixture(autouse=True)
def in_postgresql(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDX_CATALOGUE", postgresql)


@pytest.mark.long
@pytest.mark.parametrize("kills", [4, 60])
def test_committers_that_are_killed_lose_and_double_nothing(
    layout: Layout, child: Child, findings: Findings, kills: int
) -> None:
    commit(layout, space=SPACE)
    many, draw = 4 + kills, random.Random(kills)
    code = [COMMITTER.replace("WHO", str(who)).replace("MANY", str(many)) for who in range(4)]
    running = [child(one) for one in code]
    for _ in range(kills):
        who = draw.randrange(4)
        running[who].stdout.readline()  # it is at work
        time.sleep(draw.uniform(0, 0.1))
        running[who].kill()
        running[who].wait()
        running[who] = child(code[who])
    assert [one.wait(300) for one in running] == [0] * 4
    with open_writer(layout):
        assert len(list(layout.staging.iterdir())) == 1
    assert findings() == []
    catalogue = Catalogue(layout, read_manifest(layout))
    for who in range(4):
        for number in range(many):
            assert catalogue.content(video_id(f"{who}-{number}")).places == (
                path_of(f"{who}-{number}"),
            )
    assert catalogue.counts()["videos"] == 4 * many + 1
    assert catalogue.counts()["clips"] == 4 * many * 3 + 2
    spans = [(one.first_clip_id, one.end_clip_id) for one in catalogue.shards()]
    assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])], "no gap"
    assert len(shards.listed(layout.shards)) == len(spans)
    numbers = commits_table(catalogue)["number"].to_pylist()
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_who_must_be_alone_is_refused_beside_others_and_they_beside_it(layout: Layout) -> None:
    commit(layout, draw_video("a"))
    with (
        open_writer(layout, alone=False),
        open_writer(layout, alone=False),
        pytest.raises(CollectionLocked, match="others, in turns"),
        writing(layout),
    ):
        pass
    with writing(layout), pytest.raises(CollectionLocked), open_writer(layout, alone=False):
        pass
    with writing(layout):
        pass


def test_one_writer_at_a_time_where_the_catalogue_is_in_the_folder(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDX_CATALOGUE")
    commit(layout, draw_video("a"))
    with (
        open_writer(layout, alone=False),
        pytest.raises(CollectionLocked),
        open_writer(layout, alone=False),
    ):
        pass


def test_writers_that_follow_each_other_at_once_are_not_refused(layout: Layout) -> None:
    commit(layout, space=SPACE)
    for _ in range(50):
        with writing(layout):
            pass
