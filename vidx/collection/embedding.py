"""From videos to committed clips."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from vidx.collection.opened import Opened, Paths, as_list
from vidx.errors import FingerprintMismatch
from vidx.options import EmbedOptions

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder
    from vidx.estimates import EmbedEstimate
    from vidx.ingest import Embedder
    from vidx.records import EmbedProgress, EmbedReport, FileFinding, Space
    from vidx.store.metadata.manifest import Manifest, Said
    from vidx.store.writer import Writer
    from vidx.video_files import VideoFiles


class Embedding(Opened):
    """Embedding videos, and what that would do and take."""

    def embed(
        self,
        paths: Paths,
        options: EmbedOptions | None = None,
        *,
        progress: Callable[[EmbedProgress], None] | None = None,
    ) -> EmbedReport:
        """Embed the videos among some files and folders that are new or have changed.

        What is committed stays, whenever the run ends; the same call goes on from there.

        Args:
            paths: Files, taken whatever their name, but those that end in .csv, .jsonl or .parquet
                are manifests, see `docs/manifests.md`; folders, walked recursively for the
                extensions in `docs/cli.md`, or with `any_ending` for all that holds video; and
                globs such as `videos/**/*.mp4`, whose files are taken as those of folders are. URLs
                of objects, prefixes and patterns likewise, see `docs/urls.md`.
            options: With which model, where and how. None: as the collection was made.
            progress: Called with an `EmbedProgress` after each file.

        Returns:
            What became of the files.

        Raises:
            UsageError: A path is not there, a glob matches nothing, or a manifest is malformed.
            NoVideos: There are no videos at these paths.
            VidxError: A column of a manifest may not be metadata, or a cluster cannot do the work.
            FingerprintMismatch: The model or sampling is not the collection's.
            CollectionLocked: Another process is writing.
            ModelNotFound, CheckpointError, DeviceError: As their names say.
        """
        from vidx.encoder_choice import EncoderChoice, check_same_space
        from vidx.engines import begun, engine_of, see_engines

        asked = options or EmbedOptions()
        files = self._files(paths, asked)
        self._said(files)  # what is refused leaves no collection behind
        see_engines(asked)
        space = self._manifest().space if self._layout.exists() else None
        # What was named is checked even when there turns out to be nothing to embed.
        is_named = space is None or EncoderChoice.of(asked).names_a_space()
        named = self._embedding_encoder(asked, space) if is_named else None

        def begin() -> AbstractContextManager[Embedder]:
            encoder = named or self._embedding_encoder(asked, space)
            return engine_of(encoder, asked, files.paths)

        # Nodes that are refused leave no collection behind where there was none.
        beginning = begun(begin()) if space is None else nullcontext(begin)
        wanted = named.space if named else None
        with beginning as start, self._writer(wanted, alone=False) as writer:
            if named:
                check_same_space(named.space, writer.manifest.space, self._layout.told)
            return self._ingest(writer, files, asked, start, progress)

    def _embedding_encoder(self, asked: EmbedOptions, space: Space | None) -> Encoder:
        from vidx.encoder_choice import EncoderChoice

        return self._encoder(EncoderChoice.of(asked).on_every_device(), space)

    def _ingest(
        self,
        writer: Writer,
        files: VideoFiles,
        asked: EmbedOptions,
        start: Callable[[], AbstractContextManager[Embedder]],
        progress: Callable[[EmbedProgress], None] | None,
    ) -> EmbedReport:
        from vidx.ingest import Ingest
        from vidx.views import extend_index

        catalogue = self._views.catalogue()

        def extend() -> None:
            with writer.indexing() as ours:
                if ours:
                    extend_index(catalogue)

        ingest = Ingest(writer, asked, extend, progress)
        report = ingest.run(files, start)
        with writer.indexing() as ours:
            if ours:
                self._tend_index(ingest.tell_index)
        return report

    def survey(self, paths: Paths, options: EmbedOptions | None = None) -> list[FileFinding]:
        """Say what `embed` would do with some files, and change nothing.

        Args:
            paths: As for `embed`.
            options: As for `embed`.

        Returns:
            One finding a file, in sorted order, after them those that are passed over, rows of
            manifests that are refused, and then those that are gone.

        Raises:
            UsageError, VidxError, FingerprintMismatch: As for `embed`.
        """
        asked = options or EmbedOptions()
        return self._findings(self._files(paths, asked), asked)

    def _files(self, paths: Paths, asked: EmbedOptions) -> VideoFiles:
        from vidx.video_files import video_files

        return video_files(as_list(paths), asked, self._metadata_columns)

    def _said(self, files: VideoFiles) -> list[tuple[Manifest, Said]]:
        """What manifests say beside; one that does not go with the collection is refused."""
        from vidx.store.metadata.of_manifests import each_said

        return each_said(files.manifests.each, self._metadata_columns())

    def _findings(self, files: VideoFiles, asked: EmbedOptions) -> list[FileFinding]:
        from vidx.embedder.decoding.sampling import Plan, Sampling
        from vidx.remote.copies import Copies
        from vidx.store.metadata.of_manifests import torn_rows
        from vidx.store.survey import left_out, no_longer_there, refused, survey
        from vidx.video_files import gone_files

        rows = sorted({*files.manifests.refused, *torn_rows(self._said(files))})
        others = [*left_out(files.passed_over), *refused(rows)]
        if not self._layout.exists():
            plans, copies = files.digests(Sampling()), Copies(files.objects)
            return [*survey(files.paths, None, "", copies=copies, plans=plans), *others]
        space = self._manifest().space
        own = Sampling(space.num_frames, space.fps)
        sampling = Sampling(asked.num_frames or own.num_frames, asked.fps or own.fps)
        if sampling != own:
            raise FingerprintMismatch(
                f"{sampling.num_frames} frames at {sampling.fps:g} a second: the collection in "
                f"{self._layout.told} has {own.num_frames} at {own.fps:g}",
                "Start another collection with --collection FOLDER, or leave these options out.",
            )
        plan = Plan(asked.stride_seconds, segment=asked.segment).digest(own)
        catalogue = self._catalogue()
        retry, copies = asked.retry_failed, Copies(files.objects)
        plans = files.digests(own)
        looks = survey(files.paths, catalogue, plan, retry_failed=retry, copies=copies, plans=plans)
        found = list(looks)
        return [*found, *others, *no_longer_there(gone_files(files, catalogue), found)]

    def estimate(self, paths: Paths, options: EmbedOptions | None = None) -> EmbedEstimate:
        """Say what `embed` would do with some files, and what it would take; change nothing.

        The headers of what would be embedded are read, of many files those of 1000, and some of
        the files embedded for a few seconds. A model is not downloaded for that.

        Args:
            paths: As for `embed`.
            options: As for `embed`.

        Returns:
            The findings of `survey`, with clips, hours of video, time and bytes on disk.

        Raises:
            UsageError, VidxError, FingerprintMismatch: As for `embed`.
        """
        from vidx.encoder_choice import EncoderChoice
        from vidx.engines import see_decoder_here
        from vidx.estimating import estimate

        asked = options or EmbedOptions()
        files = self._files(paths, asked)
        see_decoder_here(asked)
        findings = self._findings(files, asked)
        space = self._manifest().space if self._layout.exists() else None
        return estimate(
            findings,
            asked,
            space,
            lambda: self._embedding_encoder(asked, space),
            plans=files.plans,
            is_named=EncoderChoice.of(asked).names_a_space(),
        )
