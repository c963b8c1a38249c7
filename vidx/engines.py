"""Who does the work of a run: this machine, or the nodes of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar

from vidx.options import EmbedOptions, Engine, check_engine

if TYPE_CHECKING:
    from vidx.distributed.embedding import OnCluster
    from vidx.embedder.encoder import Encoder
    from vidx.embedder.here import Here
    from vidx.index.parts import BuildParts

T = TypeVar("T")


def see_engines(options: EmbedOptions) -> None:
    """See that what is to embed and decode is there, before anything is begun.

    Raises:
        VidxError: Ray is not installed, or no cluster answers.
        DeviceError: No card decodes here; on a cluster each node sees to that.
    """
    see_engine(options.engine, options.address)
    see_decoder_here(options)


def see_decoder_here(options: EmbedOptions) -> None:
    """See that what is to decode is there, if it is this machine that does.

    Raises:
        DeviceError: It is not.
    """
    if options.engine == "local":
        from vidx.embedder.decoding.card import see_decoder

        see_decoder(options.decoder)


def see_engine(engine: Engine, address: str | None) -> None:
    """See that what was asked for is there, before anything is begun.

    Raises:
        UsageError: There is no such engine, or the address of a cluster is none.
        VidxError: Ray is not installed, or no cluster answers.
    """
    check_engine(engine, address=address)
    if engine == "ray":
        from vidx.distributed.cluster import check

        check(address)


def engine_of(
    encoder: Encoder, options: EmbedOptions, paths: Sequence[str]
) -> AbstractContextManager[Here | OnCluster]:
    """Begin with what embeds.

    Args:
        encoder: With what.
        options: Where and how.
        paths: Files, of which each node of a cluster must see some, and URLs.

    Raises:
        VidxError: A cluster cannot do the work.
    """
    if options.engine == "ray":
        from vidx.distributed.embedding import on_cluster

        return on_cluster(encoder, options, paths)
    from vidx.embedder.here import Here

    return nullcontext(Here(encoder, options))


@contextmanager
def begun(
    engine: AbstractContextManager[T],
) -> Iterator[Callable[[], AbstractContextManager[T]]]:
    """Begin at once with what is wanted later, to see that it can be.

    Args:
        engine: What is begun.

    Returns:
        Gives it, once, to who ends it; where nobody asked it ends with this.
    """
    with ExitStack() as unasked:
        there = unasked.enter_context(engine)

        @contextmanager
        def start() -> Iterator[T]:
            with unasked.pop_all():
                yield there

        yield start


def builder_of(engine: Engine, address: str | None) -> AbstractContextManager[BuildParts]:
    """What makes the codes of an index."""
    if engine == "ray":
        from vidx.distributed.indexing import on_cluster

        return on_cluster(address)
    from vidx.index.parts import build_parts

    return nullcontext(build_parts)
