"""Random histories end as a plain dictionary says, also after a catalogue that was lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pytest
from made_collections import PROVENANCE, SPACE, draw_video, lose_catalogue, video_id

from vidx.errors import UsageError
from vidx.records import Source
from vidx.store.catalogue import Catalogue
from vidx.store.compact import compact, purge
from vidx.store.export import videos_table
from vidx.store.layout import Layout, read_manifest
from vidx.store.lock import writing
from vidx.store.metadata.files import schema
from vidx.store.rebuild import rebuild
from vidx.store.shards import NewVideo
from vidx.store.writer import Batch, Writer, open_writer

PATHS = [f"/{number}" for number in range(6)]
NAMES = "abcdef"


def at(path: str) -> Source:
    return Source(path, 1000, "42")


def in_parts(video: NewVideo) -> list[NewVideo]:
    """The same take in two parts."""
    whole = video.embedded
    halves = [
        replace(
            whole,
            clips=whole.clips[some],
            facts=whole.facts[some],
            repeats=whole.repeats[some],
            embeddings=whole.embeddings[some],
            logits=whole.logits[some],
        )
        for some in (slice(0, 1), slice(1, None))
    ]
    return [
        replace(video, embedded=half, part=number, last_part=bool(number))
        for number, half in enumerate(halves)
    ]


@dataclass
class Model:
    """What a collection should hold: what each path holds, and how each content is cut."""

    now: dict[str, str] = field(default_factory=dict)
    plans: dict[str, str] = field(default_factory=dict)
    removals: dict[int, dict[str, str]] = field(default_factory=dict)
    buried: dict[str, str] = field(default_factory=dict)  # how what is gone was cut at the end
    known: dict[str, dict[str, int | str]] = field(default_factory=dict)  # metadata, by content

    def settle(self) -> None:
        """A content without a path is gone."""
        self.buried |= {n: p for n, p in self.plans.items() if n not in self.now.values()}
        self.plans = {n: plan for n, plan in self.plans.items() if n in self.now.values()}

    def expected(self) -> dict[str, tuple[str, list[str], dict[str, int | str]]]:
        found: dict[str, tuple[str, list[str], dict[str, int | str]]] = {}
        for path, name in sorted(self.now.items()):
            told = (self.plans[name], [], self.known.get(name, {}))
            found.setdefault(video_id(name), told)[1].append(path)
        return found


class History:
    """Random steps on a collection and on its model."""

    def __init__(self, layout: Layout, seed: int) -> None:
        self.layout, self.draw, self.model = layout, random.Random(seed), Model()
        self.plan = 0

    def step(self) -> None:
        kinds = (self.embed, self.embed, self.recut, self.remove, self.restore, self.compact,
                 self.tell, self.tell)  # fmt: skip
        with open_writer(self.layout, SPACE) as writer:
            self.draw.choice(kinds)(writer)
        if self.draw.random() < 0.15:
            self.lose_catalogue()

    def embed(self, writer: Writer) -> None:
        """Files change, move and vanish."""
        model, draw = self.model, self.draw
        changes = {path: draw.choice(NAMES) for path in draw.sample(PATHS, 3)}
        gone = [p for p in draw.sample(PATHS, 2) if p in model.now and p not in changes]
        there = {path: name for path, name in model.now.items() if path not in gone} | changes
        new = sorted({name for name in changes.values() if name not in model.now.values()})
        videos = [
            draw_video(name, 2, paths=tuple(path for path in changes if changes[path] == name))
            for name in new
        ]
        placed = [(video_id(n), at(path)) for path, n in changes.items() if n not in new]
        writer.commit(Batch(videos=videos, places=placed, gone=gone), PROVENANCE)
        model.now = there
        model.plans |= dict.fromkeys(new, "plan")
        model.settle()

    def recut(self, writer: Writer) -> None:
        """A video is cut anew, in one part or in two; of some only the first comes."""
        if not self.model.plans:
            return
        name = self.draw.choice(sorted(self.model.plans))
        path = min(path for path, held in self.model.now.items() if held == name)
        self.plan += 1
        video = draw_video(name, 3, plan=f"plan {self.plan}", paths=(path,))
        how = self.draw.choice(["whole", "parts", "half"])
        parts = [video] if how == "whole" else in_parts(video)
        for part in parts[:1] if how == "half" else parts:
            writer.commit(Batch(videos=[part]), PROVENANCE)
        if how != "half":
            self.model.plans[name] = video.plan

    def remove(self, writer: Writer) -> None:
        model = self.model
        if not model.now:
            return
        paths = self.draw.sample(sorted(model.now), min(2, len(model.now)))
        taken = {path: model.now.pop(path) for path in paths}
        model.settle()
        model.removals[writer.remove(paths).commit] = taken

    def restore(self, writer: Writer) -> None:
        model = self.model
        if not model.removals:
            return
        commit = self.draw.choice(sorted(model.removals))
        taken = model.removals.pop(commit)
        back = {path: name for path, name in taken.items() if path not in model.now}
        # A content without a path comes back with the first one, whatever took out its last.
        for path, name in back.items():
            model.now[path] = name
            if name not in model.plans:
                model.plans[name] = model.buried[name]
        model.settle()
        try:
            writer.restore(commit)
        except UsageError:
            assert not back

    def tell(self, writer: Writer) -> None:
        """Somebody sets metadata of some videos; some values are empty."""
        model, draw = self.model, self.draw
        if not model.plans:
            return
        names = draw.sample(sorted(model.plans), min(2, len(model.plans)))
        rows = {
            name: {"n": draw.choice([None, 1, 2]), "t": draw.choice([None, "x", "y"])}
            for name in names
        }
        clears = draw.random() < 0.3
        for name, row in rows.items():
            known = model.known.setdefault(name, {})
            known |= {key: value for key, value in row.items() if value is not None}
            if clears:
                model.known[name] = {key: value for key, value in known.items() if row[key]}
        types = {"n": "integer", "t": "text"}
        table = pa.Table.from_pylist(
            [{"video_id": video_id(name), **row} for name, row in rows.items()],
            schema=schema("video", types),
        )
        writer.set_metadata(table.to_batches(), of="video", types=types, clears=clears)

    def compact(self, writer: Writer) -> None:
        for _ in compact(writer, Catalogue(self.layout, writer.manifest)):
            pass
        purge(writer)
        self.model.removals.clear()
        self.model.buried.clear()
        kept = self.model.known.items()
        self.model.known = {name: told for name, told in kept if name in self.model.plans}

    def lose_catalogue(self) -> None:
        lose_catalogue(self.layout)
        with writing(self.layout):
            assert rebuild(self.layout, read_manifest(self.layout), 0).ignored == ()


def found_in(catalogue: Catalogue) -> dict[str, tuple[str, list[str], dict[str, int | str]]]:
    rows = catalogue.clip_rows(catalogue.live_clip_ids().tolist()).values()
    names = [column.name for column in catalogue.metadata_columns()]
    known = {
        video["video_id"]: {name: video[name] for name in names if video[name] is not None}
        for video in videos_table(catalogue).to_pylist()
    }
    return {
        row.video_id: (
            catalogue.content(row.video_id).take.plan,
            list(row.locations),
            known[row.video_id],
        )
        for row in rows
    }


@pytest.mark.parametrize(
    "seed", [*range(6), *(pytest.param(s, marks=pytest.mark.long) for s in range(4, 30))]
)
def test_a_random_history_ends_as_a_dictionary_says(
    layout: Layout,
    open_catalogue: Callable[[], Catalogue],
    findings: Callable[[], list[str]],
    seed: int,
) -> None:
    history = History(layout, seed)
    for _ in range(25):
        history.step()
        if layout.exists():
            assert found_in(open_catalogue()) == history.model.expected()
    assert findings() == []
