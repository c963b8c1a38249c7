"""An open collection: its files, its catalogue and index at this moment, its lock, its model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from vidx.options import SearchOptions
from vidx.stages import stage
from vidx.store import layout as layouts
from vidx.store.layout import Layout, Manifest

if TYPE_CHECKING:
    from vidx.curating.part import Part
    from vidx.embedder.encoder import Encoder
    from vidx.encoder_choice import EncoderChoice
    from vidx.records import IndexProgress, MetadataColumn, Space
    from vidx.store.catalogue import Catalogue
    from vidx.store.writer import Writer
    from vidx.views import View, Views

Paths: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"


class Opened:
    """What all verbs of a collection stand on: they see what is committed when they are called."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._encoders: dict[tuple[EncoderChoice, str], Encoder] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Collection({self._layout.told!r})"

    @property
    def path(self) -> Path:
        """The collection's folder; of one in a bucket, that of its working copy."""
        return self._layout.root

    @property
    def uuid(self) -> str:
        """The collection's identity: another one in the same folder has another."""
        return self._manifest().uuid

    def exists(self) -> bool:
        """Whether the collection has been made; with `create=True` the first `embed` makes it."""
        return self._layout.exists()

    def close(self) -> None:
        """Let go of the model, the catalogue and the index; the next call opens them again."""
        if "_views" in self.__dict__:
            self._views.close()
        for encoder in self._encoders.values():
            encoder.close()
        self._encoders.clear()

    def _manifest(self) -> Manifest:
        return layouts.read_manifest(self._layout)

    @contextmanager
    def _look(self) -> Iterator[tuple[Catalogue, View]]:
        layouts.require(self._layout)
        with self._views.now() as seen:
            yield seen

    @contextmanager
    def _part(self) -> Iterator[Part]:
        from vidx.curating.part import Part

        with self._look() as (catalogue, view):
            yield Part.of(catalogue, view, view.live)

    @contextmanager
    def _some_or_none(self) -> Iterator[Part]:
        from vidx.curating.part import Part

        with self._look() as (catalogue, view):
            yield Part.or_none(catalogue, view, view.live)

    def _catalogue(self) -> Catalogue:
        layouts.require(self._layout)  # first, so that a missing collection is told at once
        return self._views.catalogue()

    @cached_property
    def _views(self) -> Views:
        from vidx.views import Views

        return Views(self._layout)

    def _metadata_columns(self) -> list[MetadataColumn]:
        return self._catalogue().metadata_columns() if self._layout.exists() else []

    @contextmanager
    def _writer(self, space: Space | None, *, alone: bool = True) -> Iterator[Writer]:
        """Hold the collection's lock, with no id given out twice even if the catalogue is old."""
        from vidx import index
        from vidx.store.writer import open_writer
        from vidx.views import extend_index

        def extend() -> None:
            extend_index(self._catalogue())

        with open_writer(self._layout, space, alone=alone, entered=extend) as writer:
            writer.reserve(index.reach(self._layout.index, writer.manifest.uuid))
            with writer.indexing() as ours:
                if ours:
                    extend()  # what a killed writer could not, as a check
            yield writer

    def _build_index(self) -> None:
        from vidx.views import build_index

        build_index(self._catalogue())
        self._tend_index()

    def _tend_index(self, progress: Callable[[IndexProgress], None] = lambda _step: None) -> None:
        from vidx.indexing import tend_index
        from vidx.sharing import fetch_index, share_index

        catalogue = self._catalogue()
        fetch_index(catalogue)
        with stage("make the index"):
            made = tend_index(catalogue, progress)
        if made:
            share_index(catalogue)

    def _query_encoder(self, options: SearchOptions) -> Encoder:
        """The encoder for what is searched for; what else is wrong is told before it is loaded."""
        from vidx import masks
        from vidx.encoder_choice import EncoderChoice

        with stage("open catalogue and index"), self._look() as seen:
            masks.allowed_rows(*seen, options)
        with stage("load the model"):
            choice = EncoderChoice(options.model, options.device, options.dtype)
            return self._encoder(choice, self._manifest().space)

    def _encoder(self, choice: EncoderChoice, space: Space | None) -> Encoder:
        """The encoder asked for, else the collection's own, else the default one; kept."""
        if space and (choice, space.fingerprint) in self._encoders:
            return self._encoders[choice, space.fingerprint]
        encoder = choice.load(space, self._layout.told)
        for same in (choice, choice.of_collection()):
            self._encoders[same, encoder.space.fingerprint] = encoder
        return encoder


def as_list(paths: Paths) -> list[str | os.PathLike[str]]:
    """One path, or several, as a list."""
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)
