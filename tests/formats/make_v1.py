"""Write v1/: a small collection as this version stores it, and what is to be read from it.

Made once and kept: every later version must read it (tests/test_format_v1.py). A version that
stores things in another way gets a folder of its own beside it. From the root of the repository:

    PYTHONPATH=. python tests/formats/make_v1.py
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from made_collections import commit, draw_video, path_of, video_id  # noqa: E402

import vidx  # noqa: E402
from vidx.records import Problem, Source  # noqa: E402
from vidx.store.journal import Failed  # noqa: E402
from vidx.store.layout import Layout  # noqa: E402

FOLDER = HERE / "v1" / "collection"
EXPECTED = HERE / "v1" / "expected.json"
NOTES = ('The clock jumps "back" at 2.5 s: it was joined.', "L'autre film suit: 映画")
RESTORED = "tall"  # removed and brought back; of "rain" and "orbit" the removal stays


def main() -> None:
    """Make the collection by all that changes one, and note what it holds."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.parent.mkdir(exist_ok=True)
    fill(Layout(FOLDER))
    with vidx.open(FOLDER) as collection:
        assert collection.verify() == []
        expected = content(collection)
    settle(FOLDER)
    text = json.dumps(expected, indent=1, default=datetime.isoformat)
    EXPECTED.write_text(text + "\n", encoding="utf-8")


def fill(layout: Layout) -> None:
    """Two shards become one without what was removed, and further ones follow."""
    partial = Problem("decode_error", "the end is damaged")
    bowl = draw_video("bowl", is_mirrored=True, notes=NOTES)
    commit(layout, bowl, draw_video("rain", 2), draw_video(RESTORED, problem=partial))
    broken = Failed(Source("/videos/broken.mp4", 7, "43"), None, Problem("truncated", "no moov"))
    copy = (video_id("bowl"), Source("/videos/night/copy of bowl.mp4", 1000, "44"))
    commit(layout, draw_video("dance", 2), failed=[broken], places=[copy])
    with vidx.open(layout.root) as collection:
        collection.remove(path_of("rain"))
        collection.set_metadata({"path": [path_of("bowl")], "split": ["test"], "views": [2**40]})
        removal = collection.remove(path_of(RESTORED))
        collection.restore(removal.commit)
        collection.compact()
        commit(layout, draw_video("orbit", 2), draw_video("drift", 1))
        commit(layout, replace(draw_video("long"), last_part=False))
        collection.remove(path_of("orbit"))
        tell(collection)


def tell(collection: vidx.Collection) -> None:
    """Metadata of each type, of videos and of clips; some of it is cleared again."""
    at = datetime(2024, 5, 1, 12, 30, 0, 250_000, tzinfo=UTC)
    paths = [path_of("bowl"), path_of("dance")]
    collection.set_metadata({"path": paths, "split": ["train", None], "taken at": [None, at]})
    of_clips = {"clip_id": [0, 1, 2], "good": [True, False, None], "quality": [0.5, None, 1]}
    collection.set_metadata(of_clips, on="clip_id")
    empty = {"clip_id": [0, 1], "good": [None, True]}
    collection.set_metadata(empty, on="clip_id", clear_empty=True)


def content(collection: vidx.Collection) -> dict[str, object]:
    """All that is told of a collection, as JSON can hold it."""
    ids, vectors = collection.vectors()
    return {
        "clips": collection.clips().to_pylist(),
        "vectors": {"ids": ids.tolist(), "vectors": vectors.tolist()},
        "videos": collection.videos().to_pylist(),
        "failures": collection.failures().to_pylist(),
        "metadata": [asdict(column) for column in collection.info().metadata],
        "commits": collection.commits().to_pylist(),
        "hits": {clip: hits(collection, clip) for clip in ("0", "9")},
    }


def hits(collection: vidx.Collection, clip_id: str) -> list[list[object]]:
    """The clips that are most similar to a stored one, with their scores."""
    return [[hit.clip_id, hit.score] for hit in collection.search_by_id(int(clip_id), k=5)]


def settle(folder: Path) -> None:
    """Leave one file of the catalogue, and nothing that belongs to a writer at work."""
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (folder / "writer.lock").unlink()
    (folder / "staging").rmdir()


if __name__ == "__main__":
    main()
