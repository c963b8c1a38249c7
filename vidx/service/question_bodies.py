"""What questions of curation take, as OpenAPI tells it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vidx.service.bodies import Expression, Name, SnapshotName
from vidx.service.listing import Page

MOST_CLUSTERS = 10_000
MOST_CHOSEN = 1_000_000
MOST_SEED = (1 << 31) - 1
MOST_SPLITS = 100

Similarity = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Limit = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
SplitName = Annotated[str, Field(min_length=1, max_length=200)]
Fraction = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Column = Annotated[Name, Field(min_length=1, description="A column of metadata.")]


class Part(BaseModel):
    """Of which clips a question is asked."""

    model_config = ConfigDict(extra="forbid")

    where: Expression | None = None
    selection: SnapshotName | None = None

    def arguments(self) -> dict[str, Any]:
        """What the verb of the collection takes."""
        own = self.model_dump()
        return {name: own[name] for name in own if name not in PLACES}


PLACES = frozenset({"where", "selection", "limit", "cursor", "write"})


class Question(Part, Page):
    """Of which clips, and which part of the answer."""


class Duplicates(Question):
    """As `Collection.duplicates` takes it."""

    threshold: Similarity | None = None
    by: Literal["clip", "segment", "video"] = "clip"
    within_videos: bool = False


class Leakage(Question):
    """As `Collection.leakage` takes it."""

    column: Column | None = None
    other: SnapshotName | None = None
    threshold: Similarity | None = None


class Split(Question):
    """As `Collection.split` takes it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"fractions": {"train": 0.8, "test": 0.2}},
                {"fractions": {"a": 0.5, "b": 0.5}, "stratify": "label", "write": "fold"},
            ]
        }
    )

    fractions: Annotated[dict[SplitName, Fraction], Field(min_length=2, max_length=MOST_SPLITS)]
    group: Column | None = None
    stratify: Column | None = None
    seed: Seed = 0
    threshold: Similarity | None = None
    write: Column | None = None

    def arguments(self) -> dict[str, Any]:
        """The splits in their order, which counts."""
        return {**super().arguments(), "fractions": tuple(self.fractions.items())}


class Clusters(Question):
    """As `Collection.clusters` takes it."""

    k: Annotated[int, Field(ge=1, le=MOST_CLUSTERS)] | None = None
    seed: Seed = 0


class Outliers(Question):
    """As `Collection.outliers` takes it; its `limit` is called `top`."""

    top: Annotated[int, Field(ge=1, le=MOST_SEED)] | None = None

    def arguments(self) -> dict[str, Any]:
        """The limit under its own name."""
        return {"limit": self.top}


class Sample(Question):
    """As `Collection.sample` takes it."""

    n: Annotated[int, Field(ge=1, le=MOST_CHOSEN, description="How many.", examples=[3])]
    strategy: Literal["diverse", "balanced", "representative", "uncertain", "random"] = "diverse"
    column: Column | None = None
    seed: Seed = 0


class Compare(Question):
    """As `Collection.compare` takes it, with a snapshot."""

    other: Annotated[SnapshotName, Field(examples=["v1"])]
    k: Annotated[int, Field(ge=1, le=MOST_CLUSTERS)] | None = None
    seed: Seed = 0


class Quality(Question):
    """As `Collection.quality` takes it."""

    black: Limit = 0.5
    frozen: Limit = 0.5
    static: Limit | None = None
    blurred: Limit | None = None
    short: Limit | None = None


class LabelIssues(Question):
    """As `Collection.label_issues` takes it."""

    column: Column | None = None


class LabelCounts(Question):
    """As `Collection.label_counts` takes it."""

    column: Column | None = None


class Map(Question):
    """As `Collection.map` takes it."""

    method: Literal["pca", "umap"] = "pca"
    seed: Seed = 0


class Points(Part):
    """A map to be drawn."""

    method: Literal["pca", "umap"] = "pca"
    colour: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1000,
            description="`label`, `cluster`, or a column of metadata.",
        ),
    ] = "label"
    seed: Seed = 0
