"""A collection kept in order: its shards, its catalogue, its index."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

from vidx.collection.opened import Opened
from vidx.errors import CollectionDamaged
from vidx.options import Engine, IndexOptions
from vidx.store import layout as layouts

if TYPE_CHECKING:
    from vidx.records import (
        CompactReport,
        IndexProgress,
        IndexReport,
        PushProgress,
        PushReport,
        RebuildReport,
    )


class Upkeep(Opened):
    """What is done to files and indexes, and changes no clip."""

    def compact(self) -> CompactReport:
        """Rewrite shards without the clips that are gone, and join small ones; ids stay.

        What was removed before cannot be restored after this. It goes on in small steps: one that
        is stopped loses nothing, and the same call goes on.

        Returns:
            What became smaller.

        Raises:
            CollectionLocked: Another process is writing.
            CollectionDamaged: A shard is missing or broken.
            VidxError: The collection is in a bucket.
        """
        from vidx import records
        from vidx.store.compact import compact, purge

        layouts.refuse_in_bucket(self._layout, "`vidx compact`")
        with self._writer(None) as writer:
            catalogue = self._catalogue()
            before = catalogue.counts()["shards"]
            clips = sum(compact(writer, catalogue))
            if catalogue.has_dropped():  # also by an earlier call that was stopped
                self._build_index()  # without them; then nothing asks for them any more
            purge(writer)
            after = catalogue.counts()["shards"]
            return records.CompactReport(clips, before, after, catalogue.state().commit)

    def verify(self) -> list[str]:
        """Check that shards, catalogue and index agree, reading all of them, and with the bucket.

        Shards that a working copy has put out are not fetched: their objects are looked for.

        Returns:
            One sentence for each thing that is wrong; empty when all agree.

        Raises:
            CollectionLocked: Another process is writing.
        """
        from vidx.store import verify, working_copy
        from vidx.store.lock import writing
        from vidx.store.vectors import stored_vectors
        from vidx.views import fits, open_index

        writable = os.access(self.path, os.W_OK)
        with writing(self._layout) if writable else nullcontext():
            try:
                manifest, catalogue = self._manifest(), self._catalogue()
                findings = verify.disagreements(catalogue, manifest)
                if self._layout.address is not None:
                    findings += working_copy.disagreements(catalogue)
                index = open_index(catalogue)
                # Vectors that cannot be read cannot be compared; an index that does not fit is not
                # used.
                if findings or not fits(index, catalogue.state()):
                    return findings
                return index.disagreements(stored_vectors(catalogue, fetching=False))
            except CollectionDamaged as error:
                return [error.problem]

    def rebuild(self) -> RebuildReport:
        """Make catalogue and index agree with the shards again; no shard is deleted, ids stay.

        Searches go on meanwhile: they see what was, and then what is.

        Raises:
            CollectionLocked: Another process is writing.
            VidxError: A file cannot be read for a reason that may pass; nothing was changed.
        """
        from vidx import index
        from vidx.store.lock import writing
        from vidx.store.rebuild import rebuild

        manifest = self._manifest()
        with writing(self._layout):
            reach = index.reach(self._layout.index, manifest.uuid)
            report = rebuild(self._layout, manifest, reach)
            self._build_index()
        return report

    def move_catalogue(self, address: str | None) -> str:
        """Copy the catalogue to another database, use it there, and delete it where it was.

        Args:
            address: `postgresql://USER@HOST/DATABASE`; a password in it is not kept. None: into the
                folder, as a file of SQLite.

        Returns:
            Where it is now.

        Raises:
            UsageError: The address is none, or the catalogue is there already.
            CollectionLocked: Another process is writing.
            VidxError: A database or the folder is in the way; the catalogue is where it was.
        """
        from vidx.store.moving import move_catalogue

        layouts.require(self._layout)
        layouts.refuse_in_bucket(self._layout, "moving the catalogue")
        return move_catalogue(self._layout, address)

    def index(
        self,
        options: IndexOptions | None = None,
        *,
        engine: Engine = "local",
        address: str | None = None,
        progress: Callable[[IndexProgress], None] | None = None,
    ) -> IndexReport:
        """Make the index that finds as often as asked, from scratch; searches go on meanwhile.

        `embed` does this by itself when it pays, as was last asked. Of a collection in a bucket
        the index is shared; one that another machine has made just so is fetched instead.

        Args:
            options: What kind, how well it is to find, and in how much memory. None: by the number
                of clips, 0.95.
            engine: `local` makes it on this machine, `ray` has each node of a Ray cluster make some
                of its parts, see `docs/cluster.md`.
            address: As for `EmbedOptions`.
            progress: Called with an `IndexProgress` at each step.

        Returns:
            What was made, and how well it finds.

        Raises:
            UsageError: What is asked cannot be had, with the numbers.
            CollectionLocked: Another process is writing.
            VidxError: A cluster cannot be reached or do the work; the index is as before.
        """
        from vidx.engines import builder_of, see_engine
        from vidx.indexing import make_index, timed_report
        from vidx.sharing import fetch_index, share_index, was_fetched

        see_engine(engine, address)
        asked, tell = options or IndexOptions(), progress or (lambda _step: None)
        with self._writer(None):
            catalogue = self._catalogue()
            fetch_index(catalogue)
            if was_fetched(catalogue, asked):
                return timed_report(catalogue)
            with builder_of(engine, address) as build:
                report = make_index(catalogue, asked, build, tell)
            share_index(catalogue)
            return report

    def push_index(
        self, address: str, *, progress: Callable[[PushProgress], None] | None = None
    ) -> PushReport:
        """Put a vector database in step with the collection, for searches with `via`.

        Clips that are new or whose metadata changed are put in, those that are gone taken out. A
        push that was ended at any moment is gone on with by the next one.

        Args:
            address: `milvus://HOST[:PORT]/NAME`, `milvus+https://HOST/NAME`, or
                `milvus:///PATH/FILE.db` for embedded Milvus. User and password are in the
                environment, as `VIDX_MILVUS_TOKEN=user:password`.
            progress: Called with a `PushProgress` after each 4096 clips.

        Returns:
            How many clips there are, were put in and taken out.

        Raises:
            UsageError: The address is wrong, or `vidx[milvus]` is not installed.
            VidxError: The database cannot be reached, holds other vectors, or fails.
        """
        from vidx.pushing import push

        return push(self._look, address, progress or (lambda _step: None))

    def check_index(self) -> IndexReport:
        """Search with clips of the collection, and compare with what should be found.

        Returns:
            As for `index`, with the recalls and times of now.
        """
        from vidx.indexing import check_index

        with self._look() as (_, view):
            return check_index(view)
