"""vidx: a folder of videos as a searchable, curatable collection of clip vectors.

    import vidx

    with vidx.open("./collection", create=True) as collection:
        collection.embed("./videos")
        for hit in collection.search("query.mp4", k=5):
            print(hit.score, hit.path, hit.start_seconds)

Importing vidx is quick: torch, av, faiss, pyarrow and sqlalchemy come with the first call that
needs them.
"""

from typing import TYPE_CHECKING

from vidx.benching import bench
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
    NoVideos,
    UnknownId,
    UsageError,
    VideoError,
    VidxError,
)
from vidx.estimates import EmbedEstimate
from vidx.models import check_model, licence_of, list_models
from vidx.options import CommitPolicy, EmbedOptions, IndexOptions, SearchOptions
from vidx.proposal import Proposal
from vidx.selection import Selection
from vidx.throughput import Busy
from vidx.training.telling import TrainingStep
from vidx.training.verbs import AdaptReport, LeftOut, TrainReport, adapt, train

if TYPE_CHECKING:
    from vidx.client import Client
    from vidx.model_records import (
        BenchReport,
        BuiltinModel,
        CachedModel,
        KnownModel,
        LibraryRates,
        Licence,
        ModelList,
        ModelReport,
    )
    from vidx.records import (
        ApplyReport,
        Clip,
        CollectionInfo,
        CompactReport,
        EmbedProgress,
        EmbedReport,
        ExportReport,
        FailedQuery,
        FileFinding,
        FileStatus,
        Hit,
        HtmlReport,
        IndexProgress,
        IndexReport,
        Label,
        LeftAlone,
        MetadataColumn,
        MetadataReport,
        Origin,
        PassedOver,
        Problem,
        PushProgress,
        PushReport,
        RebuildReport,
        RefusedRow,
        RemoveReport,
        ReportProgress,
        RestoreReport,
        SearchReport,
        Segment,
        SkippedFile,
        SnapshotReport,
        Space,
        SplitReport,
        UndoReport,
    )

__all__ = [
    "AdaptReport",
    "ApplyReport",
    "BenchReport",
    "BuiltinModel",
    "Busy",
    "CachedModel",
    "CheckpointError",
    "Client",
    "Clip",
    "Collection",
    "CollectionDamaged",
    "CollectionError",
    "CollectionInfo",
    "CollectionLocked",
    "CollectionNotFound",
    "CollectionTooNew",
    "CommitPolicy",
    "CompactReport",
    "DeviceError",
    "EmbedEstimate",
    "EmbedOptions",
    "EmbedProgress",
    "EmbedReport",
    "ExportReport",
    "FailedQuery",
    "FileFinding",
    "FileStatus",
    "FingerprintMismatch",
    "Hit",
    "HtmlReport",
    "IndexOptions",
    "IndexProgress",
    "IndexReport",
    "KnownModel",
    "Label",
    "LeftAlone",
    "LeftOut",
    "LibraryRates",
    "Licence",
    "MetadataColumn",
    "MetadataReport",
    "ModelError",
    "ModelList",
    "ModelNotFound",
    "ModelReport",
    "NoVideos",
    "Origin",
    "PassedOver",
    "Problem",
    "Proposal",
    "PushProgress",
    "PushReport",
    "RebuildReport",
    "RefusedRow",
    "RemoveReport",
    "ReportProgress",
    "RestoreReport",
    "SearchOptions",
    "SearchReport",
    "Segment",
    "Selection",
    "SkippedFile",
    "SnapshotReport",
    "Space",
    "SplitReport",
    "TrainReport",
    "TrainingStep",
    "UndoReport",
    "UnknownId",
    "UsageError",
    "VideoError",
    "VidxError",
    "adapt",
    "bench",
    "check_model",
    "licence_of",
    "list_models",
    "open",
    "train",
]


def __getattr__(name: str) -> object:
    """What only few need comes when it is asked for: each class costs every start of vidx."""
    if name == "Client":
        from vidx.client import Client

        return Client
    if name in __all__:
        from vidx import model_records, records

        return getattr(records if hasattr(records, name) else model_records, name)
    raise AttributeError(f"module 'vidx' has no attribute {name!r}")
