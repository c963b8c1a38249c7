"""What a search sees: one commit of a collection, in memory as far as it must be.

A collection that stays open keeps its view. One cheap look at the catalogue tells whether anything
was committed since, and only then is another one made.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidx import index as indexes
from vidx.background import Background, draw_rows
from vidx.index import Index
from vidx.records import Likeness
from vidx.store.catalogue import Catalogue, State
from vidx.store.layout import Layout, read_manifest
from vidx.store.vectors import stored_vectors

_KEPT_MASKS = 32  # answers to filters, one byte a clip each


@dataclass(frozen=True, slots=True)
class View:
    """One commit of a collection. It never changes, and threads share it.

    Attributes:
        state: Which commit.
        index: All clips of that commit as rows, those that do not live included.
        live: Which rows live, shape (rows,); None where all do.
    """

    state: State
    index: Index
    live: NDArray[np.bool_] | None
    _masks: dict[object, NDArray[np.bool_]] = field(default_factory=dict)
    _backgrounds: dict[Likeness, Background] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def mask(self, question: object, rows: Callable[[], NDArray[np.bool_]]) -> NDArray[np.bool_]:
        """Which rows a filter allows, asked once: the answers that were wanted last are kept.

        Args:
            question: What the filter is known by.
            rows: Gives the answer, shape (rows,).

        Returns:
            The answer, the same array each time, which nobody may write to.
        """
        with self._lock:
            known = self._masks.pop(question, None)
        if known is None:
            known = rows()
            known.flags.writeable = False
        with self._lock:
            self._masks[question] = known
            if len(self._masks) > _KEPT_MASKS:
                del self._masks[next(iter(self._masks))]
        return known

    def background(self, likeness: Likeness) -> Background:
        """How close two random clips are in a space, found out once."""
        known = self._backgrounds.get(likeness)
        if known is None:
            rows = draw_rows(len(self.index), self.live)
            videos = self.index.of_rows(rows).videos
            known = Background(self.index.vectors_of(rows, likeness), videos)
            self._backgrounds[likeness] = known
        return known


Look: TypeAlias = "Callable[[], AbstractContextManager[tuple[Catalogue, View]]]"


class Views:
    """The catalogue and the view of a collection, kept from call to call. Threads may share it.

    Args:
        layout: The collection's folder.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._lock = threading.Lock()
        self._catalogue: tuple[object, Catalogue] | None = None
        self._view: tuple[Catalogue, object, View] | None = None

    def catalogue(self) -> Catalogue:
        """The catalogue, opened anew where another file has taken its place.

        Raises:
            CollectionNotFound, CollectionDamaged, CollectionTooNew: As their names say.
        """
        with self._lock:
            which = (_identity(self.layout.catalogue), _identity(self.layout.manifest))
            if self._catalogue is None or self._catalogue[0] != which:
                opened = Catalogue(self.layout, read_manifest(self.layout))
                self._let_go()
                self._catalogue = (which, opened)
            return self._catalogue[1]

    @contextmanager
    def now(self) -> Iterator[tuple[Catalogue, View]]:
        """The catalogue at this moment and its view, to one thread."""
        catalogue = self.catalogue()
        kept, which = self._view, _stamp(self.layout.index / "index.json")
        with catalogue.now() as still:
            if kept and kept[:2] == (catalogue, which) and kept[2].state == still.state():
                yield still, kept[2]
                return
        index = open_index(catalogue)  # before the look: so it is never ahead of the catalogue
        with catalogue.now() as still:
            view = _view(still, index)
            self._view = (catalogue, which, view)
            yield still, view

    def close(self) -> None:
        """Let go of the files."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        self._view = None
        if self._catalogue:
            self._catalogue[1].close()
            self._catalogue = None


def open_index(catalogue: Catalogue) -> Index:
    """The index on disk, whether or not it fits the catalogue."""
    manifest = catalogue.manifest
    return Index(catalogue.layout.index, manifest.uuid, manifest.space.dim)


def fits(index: Index, state: State) -> bool:
    """Whether the index on disk covers all clips below its end, in this state of the catalogue.

    Clips among those that it has were put in or taken out since, or the catalogue is an older one
    put back, or one made anew that numbers videos otherwise: then it does not.
    """
    same = index.numbering == state.numbering
    return same and state.reshaped_commit <= index.commit <= state.commit


def extend_index(catalogue: Catalogue) -> None:
    """Bring the index on disk up to date; it is made anew where it does not fit. Writers alone do.

    Raises:
        VidxError: The disk is full or the folder cannot be written; the index is as before.
    """
    index = open_index(catalogue)
    with catalogue.now() as still:
        state = still.state()
        if not fits(index, state):
            build_index(still)
        elif index.end_clip_id < state.next_clip_id:
            parts = stored_vectors(still, since=index.end_clip_id)
            index.extend(parts, state.next_clip_id, state.commit)


def build_index(catalogue: Catalogue) -> None:
    """Make the index on disk anew, whatever is there. Writers alone do.

    Raises:
        VidxError: The disk is full or the folder cannot be written; the index is as before.
    """
    manifest, folder = catalogue.manifest, catalogue.layout.index
    with catalogue.now() as still:
        state, parts = still.state(), stored_vectors(still)
        indexes.build(
            folder,
            manifest.uuid,
            manifest.space.dim,
            parts,
            end_clip_id=state.next_clip_id,
            commit=state.commit,
            numbering=state.numbering,
        )


def _view(catalogue: Catalogue, index: Index) -> View:
    """The view of a state, with the clips that the index on disk lacks."""
    state = catalogue.state()
    if not fits(index, state):
        index.leave_out_disk()
    if index.end_clip_id < state.next_clip_id:
        index.add_newer(stored_vectors(catalogue, since=index.end_clip_id))
    removed = index.rows_of(catalogue.removed_clip_ids())
    if not len(removed):
        return View(state, index, None)
    live = np.ones(len(index), np.bool_)
    live[removed] = False
    return View(state, index, live)


def _identity(path: Path) -> object:
    """Which file the catalogue is, however often it is written to; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _stamp(path: Path) -> object:
    """Which index it is: a file that is replaced at each change; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
