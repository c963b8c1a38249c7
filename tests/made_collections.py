"""Collections made of drawn vectors: no model, real Parquet and SQL."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from vidx.records import (
    FACTS,
    Clip,
    ClipFacts,
    EmbeddedVideo,
    Problem,
    Source,
    Space,
    VideoInfo,
)
from vidx.store.database import database_of
from vidx.store.layout import Layout, read_manifest
from vidx.store.shards import NewVideo
from vidx.store.writer import Batch, open_writer

DIM = 8
LABELS = ("run", "walk", "jump", "sit", "wave", "eat")
SPACE = Space("f" * 64, "/models/tiny", None, 16, 7.5, DIM, LABELS)
PROVENANCE = {"model": "tiny", "device": "cpu"}
PREVIEWED = PROVENANCE | {"previews": "JPEG"}


def video_id(name: str) -> str:
    """What the content of this name would hash to."""
    return hashlib.sha256(name.encode()).hexdigest()


def path_of(name: str) -> str:
    """Where a drawn video lies unless told otherwise."""
    return f"/videos/{name}.mp4"


def preview_of(name: str, clip: int) -> bytes:
    """What stands for the picture of a clip; nobody looks at it."""
    return b"\xff\xd8" + f"clip {clip} of {name}".encode()


def draw_video(
    name: str,
    clips: int = 3,
    *,
    plan: str = "plan",
    paths: tuple[str, ...] = (),
    dim: int = DIM,
    labels: tuple[str, ...] = LABELS,
    problem: Problem | None = None,
    is_mirrored: bool = False,
    notes: tuple[str, ...] = (),
    vectors: NDArray[np.float32] | None = None,
    previews: bool = False,
) -> NewVideo:
    """One embedded video; the same name and plan give the same vectors."""
    random = np.random.default_rng(list(f"{name} {plan}".encode()))
    logits = random.standard_normal((clips, len(labels))).astype(np.float16) if labels else None
    drawn = random.standard_normal((clips, dim), dtype=np.float32)
    measured = random.random((clips, len(FACTS)), np.float32).tolist()
    return NewVideo(
        video_id=video_id(name),
        plan=plan,
        sources=[Source(path, 1000, "42") for path in paths or (path_of(name),)],
        embedded=EmbeddedVideo(
            info=VideoInfo(
                2.0 * clips, 64, 48, 30.0, "h264", "mov,mp4", 0.0, 0, is_mirrored, notes
            ),
            clips=tuple(Clip(2.0 * i, 2.0 * i + 2) for i in range(clips)),
            facts=tuple(
                ClipFacts(
                    *numbers,
                    frame_seconds=tuple((2 * i + np.arange(16) / 8).tolist()),
                    preview=preview_of(name, i) if previews else None,
                )
                for i, numbers in enumerate(measured)
            ),
            repeats=tuple(i % 4 == 2 for i in range(clips)),
            embeddings=drawn if vectors is None else vectors,
            logits=logits,
            problem=problem,
        ),
    )


def commit(layout: Layout, *videos: NewVideo, space: Space = SPACE, **parts: list) -> None:
    """Open a collection for writing, made if need be, and commit one batch."""
    has_previews = any(video.embedded.facts[0].preview for video in videos)
    with open_writer(layout, space) as writer:
        provenance = PREVIEWED if has_previews else PROVENANCE
        writer.commit(Batch(videos=list(videos), **parts), provenance)


def lose_catalogue(layout: Layout) -> None:
    """Delete the catalogue, wherever it is."""
    database_of(layout, read_manifest(layout)).delete()


def change_catalogue(layout: Layout, statement: str) -> None:
    """Change rows behind the back of vidx, without a look at foreign keys."""
    manifest = read_manifest(layout)
    if manifest.catalogue is None:
        with closing(sqlite3.connect(layout.catalogue)) as database:
            database.execute(statement)
            database.commit()
        return
    engine = database_of(layout, manifest).open_for_writing()
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql(statement)
    engine.dispose()


def keep_catalogue(layout: Layout) -> Callable[[], None]:
    """Copy the catalogue, and give what puts the copy back in its place."""
    from dataclasses import replace

    from vidx.store import copying, sqlite
    from vidx.store.postgresql import Schema

    database = database_of(layout, read_manifest(layout))
    if isinstance(database, Schema):
        copy = replace(database, name=f"{database.name}_kept")
    else:
        copy = sqlite.File(layout.root / "kept.sqlite")
    copying.copy(database, copy)

    def put_back() -> None:
        database.delete()
        copying.copy(copy, database)

    return put_back
