"""vidx: a folder of videos as a searchable, curatable collection of clip vectors.

    import vidx

    with vidx.open("./collection", create=True) as collection:
        collection.embed("./videos")
        for hit in collection.search("query.mp4", k=5):
            print(hit.score, hit.path, hit.start_seconds)

Importing vidx is quick: torch, av, faiss, pyarrow and sqlalchemy come with the first call that
needs them.
"""

from vidx.collection import Collection
from vidx.collection import open_collection as open  # noqa: A004 - reads as vidx.open
from vidx.errors import (
    CheckpointError,
    CollectionDamaged,
    CollectionError,
    CollectionLocked,
    CollectionNotFound,
    CollectionTooNew,
    DeviceError,
    FingerprintMismatch,
    ModelError,
    ModelNotFound,
    UsageError,
    VideoError,
    VidxError,
)
from vidx.records import (
    Clip,
    CollectionInfo,
    EmbedReport,
    Finding,
    Hit,
    Label,
    Origin,
    Progress,
    RebuildReport,
    RemoveReport,
    Space,
    Status,
)
from vidx.training.telling import TrainingStep
from vidx.training.verbs import AdaptReport, LeftOut, TrainReport, adapt, train

__all__ = [
    "AdaptReport",
    "CheckpointError",
    "Clip",
    "Collection",
    "CollectionDamaged",
    "CollectionError",
    "CollectionInfo",
    "CollectionLocked",
    "CollectionNotFound",
    "CollectionTooNew",
    "DeviceError",
    "EmbedReport",
    "Finding",
    "FingerprintMismatch",
    "Hit",
    "Label",
    "LeftOut",
    "ModelError",
    "ModelNotFound",
    "Origin",
    "Progress",
    "RebuildReport",
    "RemoveReport",
    "Space",
    "Status",
    "TrainReport",
    "TrainingStep",
    "UsageError",
    "VideoError",
    "VidxError",
    "adapt",
    "open",
    "train",
]
