"""Write v2/: a small collection as version 2 of catalogue and journal stores it, with snapshots.

Made once and kept, as v1/ is. From the root of the repository:

    PYTHONPATH=. python tests/formats/make_v2.py
"""

from __future__ import annotations

import json
import shutil
from datetime import datetime

from make_v1 import HERE, content, fill, settle

import vidx
from vidx.store.layout import Layout

FOLDER = HERE / "v2" / "collection"
EXPECTED = HERE / "v2" / "expected.json"


def main() -> None:
    """Make what v1 holds, and snapshots before and behind a checkpoint, one of them deleted."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.parent.mkdir(exist_ok=True)
    fill(Layout(FOLDER))
    with vidx.open(FOLDER) as collection:
        collection.where("clip_id < 9").save("first")
        collection.where("true").save("deleted")
        collection.delete_snapshot("deleted")
        collection.remove("/videos/drift.mp4")
        collection.compact()
        collection.where("snapshot('first') or width > 1").save("l'autre \u6620\u753b")
        assert collection.verify() == []
        names = collection.snapshots().column("name").to_pylist()
        saved = {name: collection.selection(name).clip_ids().tolist() for name in names}
        expected = content(collection) | {
            "snapshots": collection.snapshots().to_pylist(),
            "saved": saved,
        }
    settle(FOLDER)
    text = json.dumps(expected, indent=1, default=datetime.isoformat)
    EXPECTED.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
